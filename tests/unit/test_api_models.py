"""The forms of requests."""

from __future__ import annotations

import pytest

from amiws_gevent.api.models import (
    FILTERS,
    ActionBody,
    EntityQuery,
    EventQuery,
    NoQuery,
    StateQuery,
    body_of,
    query_of,
)
from amiws_gevent.api.problems import Problem
from amiws_gevent.v2.requests import Action


def test_many_values_come_repeated_or_by_commas() -> None:
    query = query_of(EntityQuery, {"queue": ["a,b", "c"], "server": ["1"], "limit": ["7"]})
    assert (query.queue, query.server, query.limit) == (["a", "b", "c"], ["1"], 7)
    assert query_of(EntityQuery, {}).queue == []


def test_what_has_one_value_may_have_a_comma() -> None:
    assert query_of(EntityQuery, {"next": ["a,b"]}).next == "a,b"


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"limit": ["1", "2"]}, "the parameter limit is there twice"),
        ({"limit": ["0"]}, "limit: Input should be greater than or equal to 1"),
        ({"quue": ["x"]}, "there is no parameter 'quue'"),
        ({"x" * 99: ["x"]}, f"there is no parameter '{'x' * 40}'"),
        ({"next": ["x" * 1025]}, "next: String should have at most 1024 characters"),
    ],
)
def test_mistakes_are_told(given: dict[str, list[str]], told: str) -> None:
    with pytest.raises(Problem) as caught:
        query_of(EntityQuery, given)
    assert (caught.value.code, str(caught.value)) == ("bad_request", told)


def test_each_filter_is_where_it_means_something() -> None:
    assert FILTERS - EntityQuery.model_fields.keys() == {"kind", "event"}
    assert FILTERS - StateQuery.model_fields.keys() == {"event"}
    assert FILTERS - EventQuery.model_fields.keys() == {"kind"}
    assert not NoQuery.model_fields


def test_a_body_has_what_an_action_of_amiws_v2_has() -> None:
    assert ActionBody.model_fields.keys() == Action.model_fields.keys() - {"op", "id"}
    body_of({"server": "all", "action": {"Action": "Ping", "Variable": ["a=1", 2, True]}, "new": 1})
    with pytest.raises(Problem, match=r"^action: Field required$"):
        body_of({"server": 1})
    with pytest.raises(Problem, match=r"^timeout: "):
        body_of({"server": 1, "action": {}, "timeout": float("nan")})
