from __future__ import annotations

import types
from collections.abc import Callable
from typing import Any

import pytest

from amiws_gevent.ami import Kind, Message

REPEATS = [("Event", "Status"), ("Variable", "a=1"), ("variable", "c=3"), ("Variable", "b=2")]


def test_headers_keep_order_and_repeats() -> None:
    assert Message(Kind.EVENT, REPEATS).headers == tuple(REPEATS)
    assert Message(Kind.EVENT, [["B", "1"], ["A", "2"]]).headers == (("B", "1"), ("A", "2"))


@pytest.mark.parametrize("wrap", [dict, types.MappingProxyType, lambda given: given.items()])
def test_a_mapping_and_its_pairs_make_the_same(wrap: Callable[[dict[str, str]], Any]) -> None:
    given = {"Event": "A", "X": "1"}
    assert Message(Kind.EVENT, wrap(given)) == Message(Kind.EVENT, [("Event", "A"), ("X", "1")])


def test_get_is_case_blind_and_takes_the_first() -> None:
    message = Message(Kind.EVENT, REPEATS)
    assert message.get("VARIABLE") == "a=1"
    assert message.get("event") == "Status"
    assert message.get("Absent") is None
    assert message.get("Absent", "-") == "-"
    mixed = Message(Kind.EVENT, [("event", "first"), ("Event", "second")])
    assert mixed.get("Event") == "first"


def test_get_gives_text_and_keeps_empty_values() -> None:
    message = Message(Kind.QUEUE, [("Calls", 0), ("Name", "")])
    assert message.get("Calls") == "0"
    assert message.get("Name", "-") == ""
    assert message.getall("calls") == ["0"]


@pytest.mark.parametrize("repeated", [[], [("A", "1"), ("A", "2")]])
def test_has_is_case_blind_and_takes_no_two_names_for_one(repeated: list[tuple[str, str]]) -> None:
    message = Message(
        Kind.EVENT, [("Event", "X"), ("ActionId", ""), ("An", "1"), ("ID", "2"), *repeated]
    )
    assert message.has("ACTIONID")
    assert message.has("id")
    assert not message.has("AnID")
    assert not message.has("Action")


def test_getall_takes_every_spelling_in_order() -> None:
    message = Message(Kind.EVENT, REPEATS)
    assert message.getall("variable") == ["a=1", "c=3", "b=2"]
    assert message.getall("x") == []


def test_name_is_the_event_s() -> None:
    assert Message(Kind.EVENT, [("Privilege", "call"), ("EVENT", "Hangup")]).name == "Hangup"
    assert Message(Kind.RESPONSE, [("Response", "Success"), ("Event", "x")]).name == ""
    assert Message(Kind.EVENT, []).name == ""


def test_data_makes_a_list_of_the_same_spelling_alone() -> None:
    assert Message(Kind.EVENT, [*REPEATS, ("Variable", "d=4")]).data() == {
        "Event": "Status",
        "Variable": ["a=1", "b=2", "d=4"],
        "variable": "c=3",
    }
    assert list(Message(Kind.EVENT, REPEATS).data()) == ["Event", "Variable", "variable"]


def test_data_is_the_caller_s_own() -> None:
    for pairs in ([("A", "1")], [("A", "1"), ("A", "2")]):
        message = Message(Kind.EVENT, pairs)
        message.data()["B"] = "x"
        listed = message.data()["A"]
        if isinstance(listed, list):
            listed.append("3")
        assert message.headers == tuple(pairs)
        assert "B" not in message.data()


def test_the_first_of_two_spellings_wins_wherever_it_stands() -> None:
    for spellings in (("Event", "EVENT"), ("event", "Event")):
        pairs = [("Privilege", "call"), *((name, f"by {name}") for name in spellings)]
        message = Message(Kind.EVENT, pairs)
        assert message.name == message.get("Event") == message.get("eVENT") == f"by {spellings[0]}"
        first = Message(Kind.EVENT, pairs[1:])
        assert first.name == f"by {spellings[0]}"


def test_replace_takes_all_spellings_of_a_name_for_one_header() -> None:
    pairs = [("A", "1"), ("x", "2"), ("B", "3"), ("X", "4")]
    message = Message(Kind.EVENT, pairs)
    assert message.replace("X", "5").headers == (("A", "1"), ("x", "5"), ("B", "3"))
    assert message.replace("X", None).headers == (("A", "1"), ("B", "3"))
    assert message.replace("b", "6").headers == (("A", "1"), ("x", "2"), ("B", "6"), ("X", "4"))
    assert message.headers == tuple(pairs)


@pytest.mark.parametrize("repeat", [[], [("A", "2")]])
def test_check_passes_what_servers_send(repeat: list[tuple[str, str]]) -> None:
    Message(Kind.EVENT, [("A", "1"), *repeat]).check()
    Message(Kind.QUEUE, [("A", "1"), ("Calls", 3), ("Wait", 2.5), *repeat]).check()
    Message(Kind.UNKNOWN, []).check()


@pytest.mark.parametrize(
    ("message", "told"),
    [
        (Message(3, {"A": "1"}), "kind 3"),  # type: ignore[arg-type]
        (Message(Kind.EVENT, {"A": None}), "A is of type NoneType"),
        (Message(Kind.EVENT, {"A": b"1"}), "A is of type bytes"),
        (Message(Kind.EVENT, {1: "1"}), "header 1"),  # type: ignore[dict-item]
        (Message(Kind.EVENT, [("A", "1"), ("A", ["2"])]), "A is of type list"),  # type: ignore[list-item]
    ],
)
def test_check_names_what_no_client_could_use(message: Message, told: str) -> None:
    with pytest.raises(TypeError, match=told):
        message.check()


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("VARIABLE", "z", [("Event", "Status"), ("Variable", "z")]),
        ("variable", None, [("Event", "Status")]),
        ("event", "E", [("Event", "E"), *REPEATS[1:]]),
        ("New", "n", [*REPEATS, ("New", "n")]),
        ("New", None, REPEATS),
        ("Event", "", [("Event", ""), *REPEATS[1:]]),
    ],
)
def test_replace(name: str, value: str | None, expected: list[tuple[str, str]]) -> None:
    message = Message(Kind.EVENT, REPEATS)
    assert message.replace(name, value) == Message(Kind.EVENT, expected)
    assert message.headers == tuple(REPEATS)


def test_equal_by_kind_and_headers() -> None:
    message = Message(Kind.EVENT, [("A", "1")])
    assert message == Message(Kind.EVENT, {"A": "1"})
    assert hash(message) == hash(Message(Kind.EVENT, {"A": "1"}))
    assert message != Message(Kind.RESPONSE, {"A": "1"})
    assert message != Message(Kind.EVENT, {"A": "2"})
    assert message != "A"
    assert repr(message) == "Message(3, [('A', '1')])"


def test_values_are_the_first_of_each_header() -> None:
    assert Message(Kind.EVENT, REPEATS).values == {
        "Event": "Status",
        "Variable": "a=1",
        "variable": "c=3",
    }
    assert Message(Kind.EVENT, {"Event": "A"}).values == {"Event": "A"}
