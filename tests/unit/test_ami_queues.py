from __future__ import annotations

import pytest

from amiws_gevent.ami.queues import parse_queue

SUMMARY = (
    "support has 2 calls (max 10) in 'rrmemory' strategy (12s holdtime, 7s talktime),"
    " W:1, C:37, A:4, SL:2.7% within 60s"
)
NONE = ["   No Members", "   No Callers"]


def test_every_field() -> None:
    lines = [
        SUMMARY,
        "   Members: ",
        "      Bob (Local/100@default) has taken no calls yet",
        "   Callers: ",
        "      1. SIP/a (wait: 0:12, prio: 0)",
        "      2. SIP/b (wait: 0:02, prio: 0)",
    ]
    assert parse_queue(lines) == [
        ("QueueName", "support"),
        ("Calls", 2),
        ("Maxlen", 10),
        ("Strategy", "rrmemory"),
        ("Holdtime", 12),
        ("Talktime", 7),
        ("Weight", 1),
        ("CallsCompleted", 37),
        ("CallsAbandoned", 4),
        ("ServiceLevel", "2.7%"),
        ("ServiceLevelPeriod", 60),
        ("MembersCount", 1),
        ("CallersCount", 2),
    ]


def test_unlimited_and_second_service_level() -> None:
    summary = SUMMARY.replace("max 10", "max unlimited").replace("2.7%", "2.7%, SL2:9.9%")
    queue = dict(parse_queue([summary, *NONE]) or [])
    assert queue["Maxlen"] == 0
    assert queue["ServiceLevel"] == "2.7%"
    assert len(queue) == 13


@pytest.mark.parametrize("name", ["a has 3 calls (max 5) b", "q: 1", "", "it's", "a\x00b", "Ž\x85"])
def test_queue_names_with_odd_signs(name: str) -> None:
    queue = dict(parse_queue([SUMMARY.replace("support", name), *NONE]) or [])
    assert queue["QueueName"] == name
    assert queue["Calls"] == 2


@pytest.mark.parametrize(
    "lines",
    [
        [SUMMARY],
        [SUMMARY, NONE[0]],
        [SUMMARY, NONE[1]],
        [SUMMARY, *reversed(NONE)],
        [SUMMARY, *NONE, "more"],
        [SUMMARY, *NONE, ""],
        [SUMMARY, "   Members: ", "     five blanks", NONE[1]],
        [SUMMARY, NONE[0], "   Callers: ", "      not numbered"],
        [SUMMARY + " and more", *NONE],
        [SUMMARY.replace("W:1", "W:x"), *NONE],
        [SUMMARY.replace("C:37", "C:" + "9" * 16), *NONE],
        [SUMMARY.replace("C:37", "C:٣"), *NONE],
        ["x calls (max 5)", *NONE],
        ["", *NONE],
    ],
)
def test_text_that_does_not_fit(lines: list[str]) -> None:
    assert parse_queue(lines) is None


def test_a_hostile_summary_costs_no_more_than_its_length() -> None:
    hostile = "x has 1 calls (max 2) in '" * 40_000
    assert parse_queue([hostile, *NONE]) is None
