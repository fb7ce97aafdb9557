from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from amiws_gevent.ami import Kind, Message
from amiws_gevent.batch import Batch, Position
from amiws_gevent.plugins.api import ServerInfo
from amiws_gevent.views import View


@dataclass(frozen=True)
class OfServers:
    """A filter by what all messages of a batch have in common."""

    ids: frozenset[int]

    def __call__(self, batch: Batch, indexes: Sequence[int]) -> Sequence[int]:
        return indexes if batch.server.id in self.ids else ()


@dataclass(frozen=True)
class Named:
    """A filter by messages; keeps what it was given."""

    names: frozenset[str]

    def __call__(self, batch: Batch, indexes: Sequence[int]) -> Sequence[int]:
        return [index for index in indexes if batch.messages[index].name in self.names]


def joined(payloads: Iterable[bytes]) -> bytes:
    return b"".join(payloads)


def batch(*names: str, server: int = 1) -> Batch:
    messages = [Message(Kind.EVENT, [("Event", name)]) for name in names]
    texts = [name.encode() for name in names]
    return Batch(ServerInfo(server, "pbx", False), Position("epoch", 1), messages, texts)


def named(*names: str) -> Named:
    return Named(frozenset(names))


def test_without_filters_all_is_seen() -> None:
    view = View("all", joined)
    whole = batch("A", "B")
    assert view.texts(whole) is whole.json


def test_what_each_filter_leaves_is_seen() -> None:
    view = View("some", joined, (OfServers(frozenset({1})), named("A", "C")))
    assert view.texts(batch("A", "B", "C", "A")) == [b"A", b"C", b"A"]
    assert view.texts(batch("A", "B", server=2)) == []


def test_filters_are_asked_only_while_something_is_left() -> None:
    given: list[Sequence[int]] = []

    def spy(batch: Batch, indexes: Sequence[int]) -> Sequence[int]:
        given.append(list(indexes))
        return ()

    View("spied", joined, (spy, spy)).texts(batch("A", "B"))
    assert given == [[0, 1]]


def test_equal_views_are_equal_values() -> None:
    views = {View("some", joined, (named("A", "B"),)), View("some", joined, (named("B", "A"),))}
    assert len(views) == 1
    assert View("some", joined, (named("A"),)) not in views
    assert View("some", bytes, (named("A", "B"),)) not in views
    assert View("other", joined, (named("A", "B"),)) not in views
