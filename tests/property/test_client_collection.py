"""Whatever order snapshots, their pages and changes come in, the client ends with what is so."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from amiws_gevent.client.collection import Change, Collection, Name

KEYS = st.sampled_from("abcd")
FIELDS = st.dictionaries(st.sampled_from("xyz"), st.none() | st.integers(0, 3), max_size=3)

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("set"), KEYS, FIELDS),
        st.tuples(st.just("unset"), KEYS),
        st.tuples(st.just("snapshot"), st.integers(1, 4)),
        st.tuples(st.just("page")),
    ),
    max_size=40,
)


class Server:
    """What is so, and the pages of a snapshot that are still to be sent."""

    def __init__(self) -> None:
        self.so: dict[str, dict[str, Any]] = {}
        self.pages: list[tuple[int, int, list[dict[str, Any]]]] = []

    def set(self, key: str, fields: dict[str, Any]) -> dict[str, Any]:
        """Change an entity; what is told of it."""
        name = {"server": 1, "kind": "call", "id": key}
        if key not in self.so:  # a whole one has all members
            self.so[key] = {**name, "x": None, "y": None, "z": None, **fields}
            return self.so[key]
        self.so[key] = {**self.so[key], **fields}
        return {**name, **fields}

    def freeze(self, count: int) -> None:
        """Begin a snapshot of ``count`` pages."""
        items = list(self.so.values())
        self.pages = [(n + 1, count, items[n::count]) for n in range(count)]


@given(STEPS)
def test_the_client_has_what_is_so(steps: list[tuple[Any, ...]]) -> None:
    server, collection = Server(), Collection()
    told: dict[Name, Any] = {}

    def take(changes: list[Change]) -> None:
        for change in changes:
            assert change.before == told.get(change.name)
            told[change.name] = change.now
            if change.now is None:
                del told[change.name]

    collection.snapshot(1, 1, [])
    for step, *given_ in steps:
        if step == "set":
            take(collection.state([server.set(*given_)], []))
        elif step == "unset":
            server.so.pop(given_[0], None)
            take(collection.state([], [{"server": 1, "kind": "call", "id": given_[0]}]))
        elif step == "snapshot":
            server.freeze(*given_)
            take(collection.snapshot(*server.pages.pop(0)))
        elif server.pages:
            take(collection.snapshot(*server.pages.pop(0)))
    for page in server.pages:
        take(collection.snapshot(*page))
    assert {name.id: entity for name, entity in collection.items.items()} == server.so
    assert told == collection.items
