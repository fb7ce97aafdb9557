"""A live model, or some parts of one, fed by hand: events and lists with offsets and times."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from amiws_gevent.ami import Kind, Message
from amiws_gevent.state.model import Model
from amiws_gevent.state.part import Part
from amiws_gevent.state.store import Store

START = 1_800_000_000_000


def event(name: str, **headers: object) -> Message:
    """An event; what Python cannot spell as a name is given by ``**{"Report0IAJitter": 1}``."""
    return Message(
        Kind.EVENT, {"Event": name, **{key: str(value) for key, value in headers.items()}}
    )


def response(**headers: object) -> Message:
    pairs = [(key, str(value)) for key, value in headers.items()]
    return Message(Kind.RESPONSE, [("Response", "Success"), *pairs])


def finish(steps: Iterator[None]) -> None:
    """Do all of it, with nothing in between."""
    for _ in steps:
        pass


class Fed:
    """A store with parts; each thing that is fed is a read of its own, a second later."""

    def __init__(self) -> None:
        self.store = Store()
        self.model = Model(self.store, ())
        self.offset = 0
        self.now = START

    def add(self, part: Part) -> None:
        self.model = Model(self.store, (*self.model.parts, part))

    def _next(self, seconds: float) -> dict[str, int]:
        self.offset += 1
        self.now += int(1000 * seconds)
        return {"offset": self.offset, "now": self.now}

    def say(self, name: str, *, after: float = 1, **headers: object) -> None:
        """An event comes, so many seconds after the thing before."""
        self.receive(event(name, **headers), after=after)

    def receive(self, *messages: Message, after: float = 1) -> None:
        self.model.receive(messages, **self._next(after))

    def list(
        self, action: str, *items: Message, asked: int | None = None, after: float = 1
    ) -> None:
        """A list comes, which was asked for at the offset ``asked``: the last one, or then."""
        at = self.offset if asked is None else asked
        times = self._next(after)
        self.model.begin(**times)
        finish(self.model.receive_list(action, items, at))

    def tick(self, *, after: float = 1) -> None:
        self.model.tick(**self._next(after))

    def get(self, kind: str, key: str) -> Mapping[str, Any]:
        found = self.store.get(kind, key)
        assert found is not None, (kind, key, self.store.keys(kind))
        return found

    def some(self, kind: str, key: str, *names: str) -> tuple[Any, ...]:
        """These fields of an entity."""
        fields = self.get(kind, key)
        return tuple(fields[name] for name in names)
