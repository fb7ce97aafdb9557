"""Records as JSON."""

from __future__ import annotations

import json

from amiws_gevent.audit import records
from amiws_gevent.audit.chain import Head
from tests.support.audit import KEY, NOW


def test_times_are_utc_with_milliseconds() -> None:
    assert records.stamp(0.0019) == "1970-01-01T00:00:00.001Z"
    assert records.stamp(1_795_000_000.5) == "2026-11-18T11:06:40.500Z"


def test_what_is_none_is_left_out() -> None:
    told = json.loads(records.record("login", 0, {"user": None, "address": "", "n": 0}))
    assert told == {"time": "1970-01-01T00:00:00.000Z", "what": "login", "address": "", "n": 0}


def test_who() -> None:
    who = records.Who("ann", "192.0.2.7", ("agent",), "v2")
    assert who.members() == {
        "user": "ann",
        "address": "192.0.2.7",
        "roles": ["agent"],
        "view": "v2",
    }
    assert records.Who(None, "::1").members() == dict.fromkeys(("user", "roles", "view")) | {
        "address": "::1"
    }


def test_half_a_surrogate_pair_is_no_reason_to_fail() -> None:
    told = json.loads(records.record("action", 0, {"arguments": {"A\ud800": ["x\udc00", "y"]}}))
    assert told["arguments"] == {"A?": ["x?", "y"]}


def test_where_a_file_begins() -> None:
    told = json.loads(records.begin(NOW, why="size", key=KEY.name, before=("a", Head(7))))
    assert (told["what"], told["form"], told["key"]) == ("begin", 1, KEY.name)
    assert told["before"] == {"file": "a", "seq": 7, "mac": "0" * 64}


def test_outages_torn_lines_and_removed_files() -> None:
    outage = json.loads(records.outage(NOW, since=0, reason="full", refused=1, lost=2))
    assert (outage["since"], outage["reason"]) == ("1970-01-01T00:00:00.000Z", "full")
    assert (outage["refused"], outage["lost"]) == (1, 2)
    assert json.loads(records.torn(NOW, 5))["bytes"] == 5
    assert json.loads(records.removed(NOW, ["a"]))["files"] == ["a"]
