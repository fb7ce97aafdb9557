"""A client of amiws.v2 as docs/protocol.md says that one is to be written, and a scripted PBX."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.support.ami_server import AmiServer, Connection, Packet, answer
from tests.support.program import wait_until
from tests.support.v2 import faults
from tests.support.ws_client import Client

Key = tuple[int, str, str]
Collection = dict[Key, dict[str, Any]]


class V2Client(Client):
    """Keeps a collection and the last position for each subscription; checks each message."""

    def __init__(self, port: int, **options: Any) -> None:
        self.collections: dict[str, Collection] = {}
        self.positions: dict[str, str] = {}
        self._pages: dict[str, list[dict[str, Any]]] = {}
        self._taken = 0
        self._requests = 0
        super().__init__(port, "amiws.v2", **options)

    # -- what comes --------------------------------------------------------------------

    def take(self) -> None:
        """Work on what has come since the last call; fails on what the specification forbids."""
        while self._taken < len(self.messages):
            message = self.messages[self._taken]
            self._taken += 1
            assert faults(message) == [], message
            handler = getattr(self, f"_{message['op']}", None)
            if handler is not None:
                handler(message)
            if "position" in message:
                self.positions[message["subscription"]] = message["position"]

    def _snapshot(self, message: dict[str, Any]) -> None:
        name = message["subscription"]
        if message["page"] == 1:
            self._pages[name] = []
        pages = self._pages[name]
        assert message["page"] == len(pages) + 1, "a page is missing"
        pages.append(message)
        last = len(pages) == message["pages"]
        assert ("position" in message) == last
        if last:
            del self._pages[name]
            items = [item for page in pages for item in page["items"]]
            self.collections[name] = {key_of(item): item for item in items}
            assert len(self.collections[name]) == len(items), "an entity twice"

    def _state(self, message: dict[str, Any]) -> None:
        collection = self.collections[message["subscription"]]
        for item in message["set"]:
            collection[key_of(item)] = {**collection.get(key_of(item), {}), **item}
        for item in message["unset"]:
            collection.pop(key_of(item), None)

    def _position(self, message: dict[str, Any]) -> None:
        assert message["positions"].keys() <= self.held
        self.positions.update(message["positions"])

    def _unsubscribed(self, message: dict[str, Any]) -> None:
        for known in (self.collections, self.positions):
            known.pop(message["subscription"], None)

    @property
    def held(self) -> set[str]:
        """The subscriptions, as of what was taken."""
        held: set[str] = set()
        for message in self.messages[: self._taken]:
            if message["op"] == "subscribed":
                held.add(message["subscription"])
            elif message["op"] == "unsubscribed":
                held.discard(message["subscription"])
        return held

    @property
    def hello(self) -> dict[str, Any]:
        """The first message; waits for it."""
        self.wait(lambda: self.messages, "hello")
        assert self.messages[0]["op"] == "hello"
        return self.messages[0]

    # -- what is asked -----------------------------------------------------------------

    def request(self, op: str, **members: Any) -> dict[str, Any]:
        """The first answer to a request."""
        self._requests += 1
        request = {"op": op, "id": self._requests, **members}
        return self.ask(request, lambda message: message.get("id") == request["id"])

    def subscribe(self, *streams: str, **filters: Any) -> str:
        """A new subscription; if it has state, its snapshot has come as well."""
        made = self.request("subscribe", streams=list(streams), filters=filters)
        name: str = made["subscription"]
        if "state" in streams:
            self.wait(lambda: name in self.collections, f"the snapshot of {made}")
        return name

    def resume(self, position: str, *streams: str, **filters: Any) -> dict[str, Any]:
        """The answer to ``resume``."""
        return self.request("resume", streams=list(streams), filters=filters, position=position)

    def wait(self, condition: Callable[[], object], what: str) -> None:
        """Take what comes until ``condition`` is true."""

        def is_true() -> object:
            self.take()
            return condition()

        wait_until(is_true, what)

    def of(self, op: str, subscription: str | None = None) -> list[dict[str, Any]]:
        """All messages with that op, of one subscription or all."""
        return [
            message
            for message in self.messages
            if message["op"] == op and subscription in (None, message.get("subscription"))
        ]

    def events(self, subscription: str) -> list[str]:
        """The events that a subscription got: their names, and a UserEvent's number."""
        data = [message["message"]["data"] for message in self.of("event", subscription)]
        return [event.get("Number", event.get("Event", "")) for event in data]

    def close(self) -> None:
        super().close()
        self.take()


class EventsClient(Client):
    """Subscribes to all events on amiws.v2; ``messages`` are those of the servers alone."""

    def __init__(self, port: int) -> None:
        self.answers: list[dict[str, Any]] = []
        super().__init__(port, "amiws.v2")
        self.send({"op": "subscribe", "id": 1, "streams": ["events"]})
        wait_until(lambda: any(one["op"] == "subscribed" for one in self.answers), "subscribed")

    def _keep(self, message: dict[str, Any]) -> None:
        assert faults(message) == []
        if message["op"] == "event":
            self.messages.append(message["message"])
        else:
            self.answers.append(message)


def key_of(item: dict[str, Any]) -> Key:
    return item["server"], item["kind"], item["id"]


class QueuePbx:
    """A server that has queues with callers, and tells of them in lists and events."""

    def __init__(self, *queues: str) -> None:
        self.callers: dict[str, list[str]] = {queue: [] for queue in queues}
        self.number = 0
        self.server = AmiServer(on_action=self._answer)

    def configuration(self) -> str:
        """The scripted server's part is `ami_host`; the rest of what the program needs."""
        return "live_state: yes\n"

    def join(self, queue: str, caller: str) -> None:
        """A caller comes to the end of a queue."""
        self.callers[queue].append(caller)
        place = len(self.callers[queue])
        self.event("QueueCallerJoin", Queue=queue, Uniqueid=caller, Position=place)

    def leave(self, queue: str, caller: str) -> None:
        """A caller leaves a queue."""
        place = self.callers[queue].index(caller) + 1
        self.callers[queue].remove(caller)
        self.event("QueueCallerLeave", Queue=queue, Uniqueid=caller, Position=place)

    def news(self, count: int = 1) -> None:
        """Events that mean nothing to the state, numbered for all time."""
        for _ in range(count):
            self.number += 1
            self.event("UserEvent", UserEvent="News", Number=self.number)

    def event(self, name: str, **headers: object) -> None:
        lines = [f"Event: {name}", "Privilege: agent,all"]
        lines += [f"{header}: {value}" for header, value in headers.items()]
        self.server.send(("\r\n".join(lines) + "\r\n\r\n").encode())

    def _answer(self, connection: Connection, packet: Packet) -> bytes | None:
        if packet.action == "ListCommands":
            return answer(packet, "ListCommands: x", "QueueStatus: x", "QueueAdd: x")
        if packet.action == "QueueStatus":
            return self._queue_status(packet)
        if packet.action == "Silent":
            return None
        return answer(packet, f"Message: {packet.action} done")

    def _queue_status(self, packet: Packet) -> bytes:
        own = f"ActionID: {packet.get('ActionID')}\r\n"
        asked = packet.get("Queue")
        items = []
        for queue, callers in self.callers.items():
            if asked in ("", queue):
                items.append(f"Event: QueueParams\r\nQueue: {queue}\r\nMax: 0\r\n{own}\r\n")
                items += [
                    f"Event: QueueEntry\r\nQueue: {queue}\r\nPosition: {place}\r\n"
                    f"Uniqueid: {caller}\r\nWait: 1\r\n{own}\r\n"
                    for place, caller in enumerate(callers, 1)
                ]
        end = (
            f"Event: QueueStatusComplete\r\n{own}EventList: Complete\r\n"
            f"ListItems: {len(items)}\r\n\r\n"
        )
        head = answer(packet, "EventList: start", "Message: Queue status will follow")
        return head + ("".join(items) + end).encode()
