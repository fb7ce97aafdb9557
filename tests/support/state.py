"""Captures fed to the live model, stopping wherever a list was asked."""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from amiws_gevent.ami import Kind, Message, Parser, is_answer
from amiws_gevent.ami.lists import ends_list, list_form
from amiws_gevent.state.calls import Ended
from amiws_gevent.state.parts import make_model
from tests.support.fed import Fed

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


class World(Fed):
    """The whole model of a server, each read 10 ms after the one before, and what has ended."""

    def __init__(self) -> None:
        super().__init__()
        self.ended: list[Ended] = []
        self.model = make_model(self.store, day_of=lambda _: "today", ended=self.ended.append)

    def feed(self, *messages: Message) -> None:
        self.receive(*messages, after=0.01)

    def event(self, name: str, **headers: str) -> None:
        self.say(name, after=0.01, **headers)

    def listed(self, action: str, items: Iterable[Message], asked: int | None = None) -> None:
        self.list(action, *items, asked=asked, after=0.01)

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
