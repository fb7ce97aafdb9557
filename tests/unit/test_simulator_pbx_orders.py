"""What an Originate asks for, out of its headers."""

from __future__ import annotations

import pytest

from amiws_gevent.simulator.pbx.orders import number_in, parse_caller_id
from tests.support.simulator import answer, headers, simulation


@pytest.mark.parametrize(
    ("text", "number"), [("30000", 30000), (" 7x", 7), ("-1", -1), ("", -1), ("x1", -1)]
)
def test_a_number_is_read_as_sscanf_reads_it(text: str, number: int) -> None:
    assert number_in(text) == number


def test_both_shapes_of_an_order_are_taken_and_neither_is_not() -> None:
    pbx = simulation(rate=0)
    phone = ("Action: Originate", "Channel: PJSIP/201", "Async: 1")
    for shape in (("Context: default", "Exten: 202", "Priority: 1"), ("Application: Echo",)):
        assert headers(answer(pbx, *phone, *shape))["Response"] == "Success"
    alone = ("Action: Originate", "Channel: PJSIP/201", "Exten: 202")
    assert headers(answer(pbx, *alone))["Response"] == "Error"


@pytest.mark.parametrize(
    ("text", "number", "name"),
    [
        ('"Älice B" <+15551234567>', "+15551234567", "Älice B"),
        ("Bob <203>", "203", "Bob"),
        ("<203>", "203", ""),
        ("203", "203", ""),
        ("Bob", "", "Bob"),
        ("", "", ""),
    ],
)
def test_caller_ids(text: str, number: str, name: str) -> None:
    assert parse_caller_id(text) == (number, name)
