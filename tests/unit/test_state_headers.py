"""Headers as values: what is unknown is None, in all the words that servers have for it."""

from __future__ import annotations

import pytest

from amiws_gevent.state.headers import (
    Caller,
    caller,
    flag,
    fraction,
    since_epoch,
    text,
    whole,
)
from tests.support.fed import event


@pytest.mark.parametrize("unknown", ["", "unknown", "<unknown>", "<Unknown>", "(null)", "-none-"])
def test_what_servers_do_not_know_is_none(unknown: str) -> None:
    assert text(event("X", Name=unknown), "Name") is None
    assert text(event("X", Name=unknown, Other="Anna"), "Name", "Other") == "Anna"


def test_numbers_are_numbers_or_none() -> None:
    message = event("X", A="12", B="-1", C="x", D="", RTT="2(sec)", DLSR="1.5 (sec)")
    assert [whole(message, name) for name in "ABCDE"] == [12, -1, None, None, None]
    assert [fraction(message, name) for name in ("RTT", "DLSR", "C", "D", "E")] == [
        *(2.0, 1.5),
        *(None, None, None),
    ]


@pytest.mark.parametrize(("value", "meant"), [("1", True), ("Yes", True), ("on", True)])
def test_yes_has_many_words(value: str, meant: bool) -> None:
    assert flag(event("X", Paused=value), "Paused") is meant


def test_all_else_is_no_and_nothing_is_none() -> None:
    assert flag(event("X", Paused="0"), "Paused") is False
    assert flag(event("X"), "Paused") is None


def test_times_of_the_server_are_milliseconds_and_never_is_none() -> None:
    message = event("X", LastCall="1795913247", LastPause="0")
    assert since_epoch(message, "LastCall") == 1795913247000
    assert since_epoch(message, "LastPause") is None


def test_the_name_is_unescaped_where_a_snapshot_tells_it_alone() -> None:
    told = {"Channel": "IAX2/1", "Uniqueid": "1.1", "CallerIDNum": "1", "CallerIDName": r"a\\b"}
    assert caller(event("QueueCallerJoin", ChannelState="6", **told)).name == "a\\b"
    assert caller(event("QueueEntry", **told)) == Caller("IAX2/1", "1.1", "1", r"a\\b")
