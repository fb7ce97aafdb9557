"""The dashboard in Chromium, before a server of ``amiws.v2`` that has a test's entities."""

from __future__ import annotations

import contextlib
import threading
from collections import Counter
from types import TracebackType
from typing import Any, Self

from playwright.sync_api import Page

from tests.support.program import wait_until
from tests.support.v2_server import V2Connection, V2Server

Data = dict[str, Any]

NOW = 1_700_000_000_000  # what V2Connection.hello says


def server(number: int, name: str, **more: Any) -> Data:
    """An entity of kind ``server`` that is connected and live."""
    minutes = [0] * 10
    quality = dict.fromkeys(("reports", "lost_percent", "worst_lost_percent", "jitter_ms"), 0)
    return {
        "server": 0,
        "kind": "server",
        "id": str(number),
        "name": name,
        "ssl": False,
        "product": "Asterisk",
        "version": "22.0.0",
        "ami_version": "11.0.0",
        "country": None,
        "trunk_prefix": "",
        "connection": "connected",
        "connection_reason": None,
        "connection_since": NOW,
        "sync": "live",
        "sync_reason": None,
        "missing": [],
        "started": NOW,
        "started_local": None,
        "reloaded": NOW,
        "reloaded_local": None,
        "last_event": NOW,
        "shutting_down": None,
        "calls_by_minute": minutes,
        "rtp_incoming": quality,
        "rtp_outgoing": quality,
        "healed": {},
        **more,
    }


def person(number: str | None, name: str | None = None, channel: str | None = None) -> Data:
    return {"number": number, "name": name, "channel": channel}


def call(number: int, phase: str = "talking", *, on: int = 1, **more: Any) -> Data:
    """A call with all its fields, in which 2xx talks with 3xx."""
    lists: Data = {"ringing": [], "held": [], "legs": [f"{number}.1"], "way": [], "merged": []}
    nothing = ("trunk", "application", "queue", "conference", "parking", "listens_to")
    return {
        "server": on,
        "kind": "call",
        "id": f"{number}.1",
        "phase": phase,
        "caller": person(f"2{number:02}", None, f"{number}.1"),
        "dialled": f"3{number:02}",
        "callee": person(f"3{number:02}", None, f"{number}.2"),
        "called": None,
        "since": NOW,
        "created": NOW + number,
        "server_created": None,
        "answered": NOW,
        **dict.fromkeys(nothing),
        **lists,
        **more,
    }


def channel(unique: str, name: str, *, on: int = 1, **more: Any) -> Data:
    """A channel with the fields that pages look at."""
    given = {"server": on, "kind": "channel", "id": unique, "uniqueid": unique, "name": name}
    fields = {"state": "up", "hold": False, "application": "Dial", "exten": "1", "context": "c"}
    return {**given, **fields, "bridge": None, **more}


def key_of(entity: Data) -> tuple[Any, ...]:
    return entity["server"], entity["kind"], entity["id"]


class Dashboard:
    """Answers the page's subscriptions and actions, in a thread; ``actions`` are those it sent."""

    def __init__(self, *entities: Data, may: Any = True, **hello: Any) -> None:
        self.actions: list[Data] = []
        self.reply: Data = {"outcome": "answered", "response": {"Response": "Success"}}
        """What each action is answered with, over a plain success."""
        self.amiws = V2Server()
        self._entities = {key_of(entity): entity for entity in entities}
        self._hello = {"may": {"subscribe": True, "action": may}} | hello
        self._kinds: dict[V2Connection, dict[str, list[str]]] = {}
        self._waited: Counter[str] = Counter()  # how many of each action `wait_action` gave
        self._lock = threading.RLock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    @property
    def url(self) -> str:
        return self.amiws.url

    def __enter__(self) -> Self:
        self.amiws.__enter__()
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()
        self.amiws.__exit__(kind, error, trace)

    def open(self, page: Page, view: str = "") -> None:
        """Open the dashboard, in English unless the browser of ``page`` says otherwise."""
        page.goto(f"{self.url}{'#/' if view else ''}{view}")

    def put(self, *entities: Data) -> None:
        """Entities come or change: whole ones."""
        with self._lock:
            self._entities |= {key_of(entity): entity for entity in entities}
            self._tell(list(entities), [])

    def remove(self, *entities: Data, **last: Any) -> None:
        """Entities go; ``last`` are their last words."""
        names = [dict(zip(("server", "kind", "id"), key_of(one), strict=True)) for one in entities]
        with self._lock:
            for entity in entities:
                self._entities.pop(key_of(entity), None)
            self._tell([], [name | ({"last": last} if last else {}) for name in names])

    def wait_action(self, name: str) -> Data:
        """The headers of the next action with this name, once it has come: each is given once."""
        number = self._waited[name]

        def found() -> list[Data]:
            sent = [each["action"] for each in self.actions]
            return [action for action in sent if action["Action"] == name][number:]

        wait_until(found, f"the action {name}, after {number} of them")
        self._waited[name] += 1
        return found()[0]

    def drop(self) -> None:
        """Cut all connections."""
        for connection in list(self._kinds):
            connection.cut()

    def _tell(self, come: list[Data], gone: list[Data]) -> None:
        for connection, views in self._kinds.items():
            for name, kinds in views.items():
                parts = {
                    "set": [one for one in come if one["kind"] in kinds],
                    "unset": [one for one in gone if one["kind"] in kinds],
                }
                if parts["set"] or parts["unset"]:
                    connection.send({"op": "state", "subscription": name, **parts, "position": "p"})

    def _run(self) -> None:
        taken: dict[V2Connection, int] = {}
        while not self._stop.wait(0.01):
            for connection in list(self.amiws.connections):
                with self._lock, contextlib.suppress(OSError):
                    if connection not in taken:
                        taken[connection] = 0
                        self._kinds[connection] = {}
                        known = [one for one in self._entities.values() if one["kind"] == "server"]
                        connection.hello(*known, **self._hello)
                    for request in connection.requests[taken[connection] :]:
                        taken[connection] += 1
                        self._answer(connection, request)

    def _answer(self, connection: V2Connection, request: Data) -> None:
        op, views = request["op"], self._kinds[connection]
        if op in ("subscribe", "resume"):
            name = f"s-{len(views) + 1}"
            told = {"op": "subscribed", "id": request["id"], "subscription": name, "filters": {}}
            connection.send(told | {"streams": request["streams"], "resumed": False})
            if "state" in request["streams"]:
                kinds = request["filters"].get("kind", [])
                views[name] = [kinds] if isinstance(kinds, str) else kinds
                if op == "resume":
                    gap = {"op": "gap", "subscription": name, "stream": "state", "lost": None}
                    connection.send(gap | {"reason": "restarted"})
                shown = [one for one in self._entities.values() if one["kind"] in views[name]]
                connection.snapshot(*shown, name=name)
        elif op == "unsubscribe":
            views.pop(request["subscription"], None)
        elif op == "action":
            self.actions.append(request)
            plain = {"op": "reply", "id": request["id"], "server": request["server"], "replies": 1}
            plain |= {"items": [], "end": None, "complete": True, "reason": ""}
            connection.send(plain | self.reply)
