"""Captures fed to the live model, stopping wherever a list was asked."""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from amiws_gevent.ami import Kind, Message, Parser, is_answer
from amiws_gevent.ami.lists import ends_list, list_form
from amiws_gevent.state.bridges import Bridges
from amiws_gevent.state.calls import Calls, Ended
from amiws_gevent.state.channels import Channels
from amiws_gevent.state.model import Model
from amiws_gevent.state.store import Store

CAPTURES = Path(__file__).parent.parent / "captures"

LIST_ENDS = {
    "CoreShowChannelsComplete": "CoreShowChannels",
    "StatusComplete": "Status",
    "BridgeListComplete": "BridgeList",
    "QueueStatusComplete": "QueueStatus",
    "ParkedCallsComplete": "ParkedCalls",
}


class Asked(NamedTuple):
    """The whole answer to a list action."""

    action: str
    items: list[Message]


class World:
    """A model with its parts, a clock that runs by 10 ms a read, and the calls that ended."""

    def __init__(self) -> None:
        self.store = Store()
        self.ended: list[Ended] = []
        self.calls_part = Calls(self.store, self.ended.append)
        parts = (Bridges(self.store), Channels(self.store), self.calls_part)
        self.model = Model(self.store, parts)
        self.offset = 0
        self.now = 1_000_000

    def feed(self, *messages: Message) -> None:
        self._step()
        self.model.receive(messages, self.offset, self.now)

    def event(self, name: str, **headers: str) -> None:
        self.feed(Message(Kind.EVENT, [("Event", name), *headers.items()]))

    def listed(self, action: str, items: Iterable[Message], asked: int | None = None) -> None:
        before = self.offset
        self._step()
        at = before if asked is None else asked
        self.model.receive_list(action, list(items), asked=at, offset=self.offset, now=self.now)

    def _step(self) -> None:
        self.offset += 1
        self.now += 10

    def calls(self) -> list[dict[str, Any]]:
        return [dict(call) for call in self.store.of("call").values()]


def messages_of(name: str) -> list[Message]:
    path = CAPTURES / name
    raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return Parser().receive_data(raw)


def replay(world: World, messages: Iterable[Message]) -> Iterator[Asked]:
    """Feed the news one by one; each list is yielded when its end has come, not fed."""
    open_lists: dict[str, list[Message]] = {}
    for message in messages:
        if message.kind is not Kind.EVENT:
            continue
        if not is_answer(message):
            world.feed(message)
            continue
        action_id = message.get("ActionID") or ""
        action = LIST_ENDS.get(message.name)
        if action is not None and ends_list(list_form(action), message):
            yield Asked(action, open_lists.pop(action_id, []))
        else:
            open_lists.setdefault(action_id, []).append(message)


def label(person: dict[str, Any] | None) -> str | None:
    return None if person is None else person["number"]


def line(call: dict[str, Any]) -> str:
    """A call as somebody would say it: caller, callee, phase, and where."""
    where = call["queue"] or call["conference"] or call["parking"] or call["application"] or ""
    people = f"{label(call['caller'])} -> {label(call['callee'])}"
    return f"{people} {call['phase']} {where}".strip()


SCENARIOS = sorted(path.name for path in (CAPTURES / "scenarios").glob("*.raw"))

# Channels that Asterisk hides: of its lists Status alone has them.
HIDDEN = ("CBAnn/", "CBRec/", "Announcer/", "Recorder/")


def channels_of(asked: Asked) -> dict[str, Message]:
    """The channels of a list by their key, without those that are hidden."""
    return {
        item.get("Uniqueid") or "": item
        for item in asked.items
        if item.name in ("CoreShowChannel", "Status")
        and not (item.get("Channel") or "").startswith(HIDDEN)
    }
