"""What of a flush may concern a view: found by kind, by name, and by what filters test."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amiws_gevent.feeds.deltas import Chunk, Delta
from amiws_gevent.feeds.filters import BY_FIELD, EXTENSION, QUEUE, Filters
from amiws_gevent.state.store import Name


def delta(kind: str, key: str, fields: Mapping[str, Any] | None = None) -> Delta:
    return Delta(1, (kind, key), fields, None)


def keys(deltas: Iterable[Delta]) -> list[str]:
    return [one.key for one in deltas]


@pytest.fixture
def chunk() -> Chunk:
    return Chunk(
        [
            delta("queue_caller", "a", {"queue": "sales", "number": "1"}),
            delta("channel", "b", {"exten": "1", "caller_number": "2"}),
            delta("queue_caller", "c"),
            delta("call", "d", {"queue": "support", "ringing": [{"number": "1"}, {"number": "3"}]}),
            delta("of a plugin", "e", {"queue": "sales"}),
        ]
    )


def test_by_kind_in_their_order(chunk: Chunk) -> None:
    assert keys(chunk.of_kinds({"call", "queue_caller"})) == ["a", "c", "d"]
    assert keys(chunk.of_kinds({"bridge"})) == []
    every = {"queue_caller", "channel", "call", "of a plugin", "bridge"}
    assert keys(chunk.of_kinds(every)) == ["a", "b", "c", "d", "e"]


def test_by_value_or_name(chunk: Chunk) -> None:
    nobody: Mapping[Name, int] = {}
    assert keys(chunk.having(EXTENSION, {"1"}, nobody)) == ["a", "b", "d"]
    assert keys(chunk.having(EXTENSION, {"2", "3"}, nobody)) == ["b", "d"]
    assert keys(chunk.having(QUEUE, {"sales"}, nobody)) == ["a"]
    assert keys(chunk.having(QUEUE, {"none"}, {("queue_caller", "c"): 1})) == ["c"]
    assert keys(chunk.having(QUEUE, {"none"}, {("channel", "c"): 1})) == []


values = st.sampled_from("123")
entities = st.one_of(
    st.tuples(
        st.just("queue_caller"),
        st.fixed_dictionaries({}, optional={"queue": values, "number": values}),
    ),
    st.tuples(
        st.just("channel"), st.fixed_dictionaries({}, optional={"exten": values, "context": values})
    ),
    st.tuples(
        st.just("mailbox"), st.fixed_dictionaries({"mailbox": st.sampled_from(["1@2", "3"])})
    ),
)
wanted = st.dictionaries(st.sampled_from(BY_FIELD), st.lists(values, min_size=1), min_size=1)


@given(made=st.lists(entities, max_size=8), chosen=wanted)
def test_nothing_that_matches_is_missing(
    made: list[tuple[str, dict[str, Any]]], chosen: dict[str, list[str]]
) -> None:
    chunk = Chunk([delta(kind, str(n), fields) for n, (kind, fields) in enumerate(made)])
    filters = Filters.parse(chosen)
    matching = [str(n) for n, (kind, fields) in enumerate(made) if filters.entity(1, kind, fields)]
    for dimension, of_it in filters.by_field:
        found = chunk.having(dimension, of_it, {})
        again = [one for one in found if filters.entity(1, one.kind, one.fields or {})]
        assert keys(again) == matching
