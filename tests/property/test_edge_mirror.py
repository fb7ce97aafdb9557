"""Whatever happens at a collector: an edge has the same entities, and says the same of the past.

A random run of servers, flushes, events, losses on the way and edges that come later.
"""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from amiws_gevent.state.store import Store
from tests.support.edges import CollectorHere, EdgeHere
from tests.support.feeds import BOTH
from tests.support.local_bus import LocalBus

KINDS = ("channel", "call")
KEYS = ("1", "2", "3")

STEPS = st.lists(
    st.one_of(
        st.tuples(
            st.just("put"),
            st.sampled_from(KINDS),
            st.sampled_from(KEYS),
            st.dictionaries(st.sampled_from("abc"), st.integers(0, 2), min_size=1),
        ),
        st.tuples(st.just("remove"), st.sampled_from(KINDS), st.sampled_from(KEYS)),
        st.tuples(st.just("says"), st.sampled_from("XYZ")),
        st.tuples(st.just("flush")),
        st.tuples(st.just("flush")),
        st.tuples(st.just("run"), st.integers(1, 3)),
        st.tuples(st.just("due")),
        st.tuples(st.just("trim")),
        st.tuples(st.just("lose")),
        st.tuples(st.just("edge")),
        st.tuples(st.just("later")),
    ),
    max_size=60,
)


def content(store: Store) -> dict[tuple[str, str], dict[str, Any]]:
    return {(kind, key): dict(fields) for kind, key, fields in store.frozen()}


def changed(store: Store, since: int) -> dict[tuple[str, str], Any] | None:
    """By name, what is told to who comes back: the fields, and None for what is gone."""
    changes = store.changes(since)
    if changes is None:
        return None
    return {(one.kind, one.key): None if one.fields is None else one.fields for one in changes}


def applied(
    before: dict[tuple[str, str], dict[str, Any]], changes: dict[tuple[str, str], Any]
) -> dict[tuple[str, str], dict[str, Any]]:
    now = {name: dict(fields) for name, fields in before.items()}
    for name, fields in changes.items():
        if fields is None:
            now.pop(name, None)
        else:
            now[name] = {**now.get(name, {}), **fields}
    return now


class Run:
    """A collector and edges, and what there was at each flush."""

    def __init__(self) -> None:
        self.bus = LocalBus()
        self.collector = CollectorHere(self.bus)
        self.edges = [EdgeHere(self.bus)]
        self.was: dict[int, dict[tuple[str, str], dict[str, Any]]] = {}
        self.remember()

    @property
    def store(self) -> Store:
        return self.collector.servers[1].store

    def remember(self) -> None:
        shown = self.collector.publishing.shown[1]
        self.was[shown.offset] = content(self.store)

    def step(self, what: str, *rest: Any) -> None:  # noqa: C901 - a case a line
        server = self.collector.servers[1]
        if what == "put":
            kind, key, fields = rest
            server.put(kind, key, **fields)
        elif what == "remove":
            server.remove(*rest, cause=16)
        elif what == "says":
            self.collector.says(*rest)
        elif what == "flush":
            self.flush()
        elif what == "run":
            self.edges[-1].run(*rest)
        elif what == "due":
            self.collector.publishing.on_snapshot_due("server-1")
            self.flush()
        elif what == "trim":
            self.bus.trim("server-1")
        elif what == "lose":
            self.bus.lose(self.collector.publishing)
            self.flush()
        elif what == "edge":
            self.edges.append(EdgeHere(self.bus))
            self.edges[-1].run()
        elif what == "later":
            self.collector.now += 200.0

    def flush(self) -> None:
        self.collector.flush()
        self.remember()


@settings(max_examples=150, deadline=None)
@given(STEPS)
def test_every_edge_has_what_the_collector_has(steps: list[tuple[Any, ...]]) -> None:
    run = Run()
    for step in steps:
        run.step(*step)
    run.flush()
    shown = run.collector.publishing.shown[1]
    for edge in run.edges:
        edge.run()
        mirror = edge.following.servers[1]
        assert content(mirror.store) == content(run.store)
        assert mirror.source.epoch == shown.epoch
        assert not mirror.store.amid
        for offset, was in run.was.items():
            changes = changed(mirror.store, offset)
            if changes is not None:
                assert applied(was, changes) == content(run.store)


@settings(max_examples=150, deadline=None)
@given(STEPS.filter(lambda steps: all(one[0] not in ("lose", "trim") for one in steps)))
def test_an_edge_tells_of_each_position_what_the_collector_would(
    steps: list[tuple[Any, ...]],
) -> None:
    run = Run()
    run.edges[0].run()
    for step in steps:
        run.step(*step)
    run.flush()
    for edge in run.edges:
        edge.run()
    late = EdgeHere(run.bus)
    late.run()
    for edge in (*run.edges, late):
        mirror = edge.following.servers[1]
        for offset in run.was:
            ours, theirs = changed(run.store, offset), changed(mirror.store, offset)
            if theirs is None:
                assert edge is not run.edges[0]
                assert offset < mirror.store.forgotten
                continue
            assert ours is not None
            # A removal of what came and went between two flushes is not told to an edge.
            gone = {name for name, fields in ours.items() if fields is None}
            gone -= run.was[offset].keys()
            ours = {name: fields for name, fields in ours.items() if name not in gone}
            theirs = {
                name: fields
                for name, fields in theirs.items()
                if fields is not None or name in run.was[offset]
            }
            assert theirs.keys() == ours.keys()
            for name, fields in ours.items():
                assert fields is None or fields.items() <= {**(theirs[name] or {})}.items()


@settings(max_examples=100, deadline=None)
@given(STEPS, STEPS)
def test_a_client_has_the_state_and_each_event_once_at_whatever_edge_it_comes_back(
    steps: list[tuple[Any, ...]], more: list[tuple[Any, ...]]
) -> None:
    run = Run()
    run.edges[0].run()
    client = run.edges[0].client()
    made = client.subscribe(BOTH)
    for step in steps:
        run.step(*step)
    run.edges[0].run()
    client.read()
    client.beat()
    events = client.events()
    position = client.positions[made.id]
    client.close()
    for step in more:
        run.step(*step)
    run.flush()
    edge = EdgeHere(run.bus)
    edge.run()
    again = edge.client()
    again.collections = {made.id: dict(client.collections[made.id])}
    resumed = again.subscribe(BOTH, position)
    again.read()
    run.step("says", "Last")
    run.flush()
    edge.run()
    again.read()
    have = {name: dict(one) for name, one in again.collections[made.id].items() if name[0] == 1}
    for one in have.values():
        for member in ("server", "kind", "id"):
            del one[member]
    assert {(kind, key): one for (_, kind, key), one in have.items()} == content(run.store)
    said = [one[1] for one in (*steps, *more) if one[0] == "says"]
    lost = [one for one in (*client.gaps(), *again.gaps()) if one[0] == "events"]
    if resumed.resumed and not lost:
        assert [*events, *again.events()] == [*said, "Last"]
    else:
        assert again.events()[-1] == "Last"
