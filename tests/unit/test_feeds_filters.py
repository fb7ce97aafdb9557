"""What a client may choose: what is parsed, what matches, and what does not."""

from __future__ import annotations

from typing import Any

import pytest

from amiws_gevent.ami import Kind, Message
from amiws_gevent.feeds.filters import (
    ATTRIBUTES,
    HEADERS,
    LONGEST_VALUE,
    MOST_VALUES,
    FilterError,
    Filters,
)
from tests.support.feeds import FakeServer


def parsed(**given: Any) -> Filters:
    return Filters.parse(given)


def test_a_value_is_a_list_of_one_and_null_is_everything() -> None:
    assert parsed(queue="a") == parsed(queue=["a"]) == parsed(queue=["a", "a"], kind=None)
    assert parsed() == parsed(queue=None) == Filters()
    assert parsed(server="1") == parsed(server=1)


def test_equal_filters_are_told_alike() -> None:
    one = parsed(server=[2, 1], event=["B", "a"], kind=["call", "channel"])
    assert one.as_json() == {"server": [1, 2], "kind": ["call", "channel"], "event": ["a", "b"]}
    assert Filters.parse(one.as_json()) == one
    assert len({one, Filters.parse(one.as_json())}) == 1


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"colour": "red"}, "unknown filter 'colour'"),
        ({"kind": "chanel"}, "unknown kind 'chanel'"),
        ({"queue": []}, "empty list"),
        ({"queue": ""}, "1 to 256 characters"),
        ({"queue": "x" * (LONGEST_VALUE + 1)}, "1 to 256 characters"),
        ({"queue": ["x"] * (MOST_VALUES + 1)}, "more than 256"),
        ({"queue": 7}, "takes texts"),
        ({"queue": {"a": 1}}, "takes texts"),
        ({"queue": [["a"]]}, "takes texts"),
        ({"queue": "\ud800"}, "no Unicode"),
        ({"server": "one"}, "numbers of servers"),
        ({"server": True}, "numbers of servers"),
        ({"server": -1}, "numbers of servers"),
        ({"server": 1.0}, "numbers of servers"),
        ({"server": "٣"}, "numbers of servers"),
        ({"server": "9" * 5000}, "numbers of servers"),
        ({"server": 10**30}, "numbers of servers"),
    ],
)
def test_what_nobody_can_have_is_told(given: dict[str, Any], told: str) -> None:
    with pytest.raises(FilterError, match=told):
        Filters.parse(given)


CALLER = {"queue": "sales", "number": "201"}


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({}, True),
        ({"server": 1}, True),
        ({"server": [2, 3]}, False),
        ({"kind": ["queue_caller", "call"]}, True),
        ({"kind": "call"}, False),
        ({"queue": "sales"}, True),
        ({"queue": ["service", "sales"]}, True),
        ({"queue": "Sales"}, False),
        ({"queue": "sales", "extension": "201"}, True),
        ({"queue": "sales", "extension": "202"}, False),
        ({"context": "inside"}, False),  # it has none
        ({"event": "Hangup"}, True),  # which is of the other stream
    ],
)
def test_dimensions_are_joined_by_and_and_values_by_or(given: Any, wanted: bool) -> None:
    assert Filters.parse(given).entity(1, "queue_caller", CALLER) is wanted


@pytest.mark.parametrize(
    ("fields", "wanted"),
    [
        ({"caller": {"number": "201"}, "ringing": []}, True),
        ({"caller": None, "ringing": [{"number": "7"}, {"number": "201"}]}, True),
        ({"caller": {"number": None}, "ringing": None}, False),
        ({"dialled": "201"}, True),
        ({"dialled": 201}, False),
        ({"caller": "201"}, False),
        ({}, False),
    ],
)
def test_an_extension_may_be_that_of_a_person(fields: dict[str, Any], wanted: bool) -> None:
    assert parsed(extension="201").entity(1, "call", fields) is wanted


@pytest.mark.parametrize(
    ("kind", "fields", "wanted"),
    [
        ("device", {"device": "PJSIP/201"}, True),
        ("device", {"device": "PJSIP/2012"}, False),
        ("device", {"device": "Custom:DND201"}, False),
        ("queue_member", {"interface": "Local/201@from-queue/n", "state_interface": None}, True),
        ("queue_member", {"interface": "Agent/7", "state_interface": "SIP/201"}, True),
        ("queue_member", {"interface": "Agent/201", "state_interface": "Agent/201"}, False),
    ],
)
def test_phones_that_are_named_by_their_number(
    kind: str, fields: dict[str, Any], wanted: bool
) -> None:
    assert parsed(extension="201").entity(1, kind, fields) is wanted


def test_a_mailbox_has_its_extension_and_context_in_one_field() -> None:
    mailbox = {"mailbox": "201@default"}
    assert parsed(extension="201", context="default").entity(1, "mailbox", mailbox)
    assert not parsed(extension="201@default").entity(1, "mailbox", mailbox)


def test_what_has_no_such_attribute_does_not_match() -> None:
    assert parsed(queue="a").kinds == {"call", "queue", "queue_member", "queue_caller"}
    assert parsed(queue="a", kind="bridge").kinds == frozenset()
    assert not parsed(queue="a").entity(1, "bridge", {"queue": "a"})
    assert not parsed().entity(1, "no such kind", {})


def test_whether_an_entity_can_leave_a_filter() -> None:
    assert not parsed(server=1, kind="call", event="X").changeable
    assert parsed(queue="a").changeable
    assert parsed(extension="1").changeable
    assert parsed(context="x").changeable


def test_the_tables_name_only_dimensions_that_there_are() -> None:
    assert set(HEADERS) == {"queue", "extension", "context"}
    assert all(set(attributes) <= set(HEADERS) for attributes in ATTRIBUTES.values())


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({}, [0, 1]),
        ({"event": ["join", "LEAVE"]}, [0]),
        ({"queue": "a"}, [0, 1]),
        ({"queue": "b"}, []),
        ({"extension": "201"}, [0, 1]),
        ({"server": 2}, []),
        ({"kind": "call"}, [0, 1]),
        ({"context": "x"}, []),
    ],
)
def test_events(given: Any, wanted: list[int]) -> None:
    batch = FakeServer(1).says("Join", "Other", Queue="a", CallerIDNum="201")
    chosen = range(2)
    for narrow in Filters.parse(given).of_events:
        chosen = narrow(batch, chosen)  # type: ignore[assignment]
    assert list(chosen) == wanted


def test_answers_are_no_events() -> None:
    batch = FakeServer(1).says("A", "B")
    batch.messages = [Message(Kind.RESPONSE, {"Response": "Success"}), batch.messages[1]]
    (narrow,) = parsed().of_events
    assert list(narrow(batch, range(2))) == [1]


def test_rights_narrow_what_is_wanted() -> None:
    rights = parsed(server=[1, 2], queue=["a", "b"])
    assert parsed().within(rights) == rights
    assert parsed(server=[2, 3], kind="call").within(rights) == parsed(
        server=2, kind="call", queue=["a", "b"]
    )
    nothing = parsed(queue="c").within(rights)
    assert not nothing.entity(1, "queue", {"name": "c"})
    assert nothing.as_json()["queue"] == []
