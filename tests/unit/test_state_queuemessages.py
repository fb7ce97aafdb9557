"""What the messages of queues say, in the words of each version."""

from __future__ import annotations

import pytest

from amiws_gevent.state.queuemessages import (
    NEW_MEMBER,
    caller_of,
    fields_of,
    listed_caller,
    listed_member,
    member_key,
    member_of,
    queue_of,
)
from tests.support.fed import event

NO_FIGURES = {"answered": 0}


@pytest.mark.parametrize("header", ["Interface", "Location", "Member"])
def test_a_member_has_one_key_in_the_words_of_all_versions(header: str) -> None:
    message = event("AgentConnect", Queue="q", **{header: "SIP/1"})
    key, fields = member_of(message)
    assert key == member_key(message) == "q|SIP/1"
    assert fields == {"queue": "q", "interface": "SIP/1"}, "and nothing that is not said"


def test_a_member_of_whom_no_queue_is_told_has_a_key_all_the_same() -> None:
    assert member_key(event("AgentConnect", MemberName="Anna")) == "|"


def test_what_an_event_says_of_a_member() -> None:
    told = {"MemberName": "Anna", "Status": 6, "Paused": 1, "PausedReason": "", "LastCall": 0}
    _, fields = member_of(event("QueueMemberStatus", Queue="q", Interface="SIP/1", **told))
    named = {name: fields[name] for name in ("name", "status", "state", "paused", "reason")}
    assert named == {
        "name": "Anna",
        "status": 6,
        "state": "ringing",
        "paused": True,
        "reason": None,
    }
    assert "last_call" not in fields, "0 is never"


def test_a_list_of_11_has_its_own_word_for_a_call() -> None:
    item = event("QueueMember", Queue="q", Location="SIP/1", IsInCall=1, InCall=0)
    assert member_of(item)[1]["in_call"] is True


def test_since_when_a_listed_member_is_paused_is_an_estimate() -> None:
    item = event("QueueMember", Queue="q", Location="SIP/1", Paused=1, LastPause=7)
    listed = listed_member(item, member_of(item)[1], NO_FIGURES)
    assert "paused_since" not in listed.fields
    assert listed.estimates == {**NEW_MEMBER, **NO_FIGURES, "paused_since": 7000}


def test_a_listed_member_who_is_not_paused_has_no_reason() -> None:
    item = event("QueueMember", Queue="q", Location="SIP/1", Paused=0, LastPause=7)
    listed = listed_member(item, member_of(item)[1], NO_FIGURES)
    assert (listed.fields["reason"], listed.fields["paused_since"]) == (None, None)
    assert listed.estimates == {**NEW_MEMBER, **NO_FIGURES}


def test_a_listed_caller_has_waited() -> None:
    item = event("QueueEntry", Queue="q", Position=2, Uniqueid="1.1", Wait=9, CallerIDNum="7")
    assert caller_of(item) == ("1.1", "q")
    listed = listed_caller(item, "q", 100_000)
    assert listed.fields == {"queue": "q", **fields_of(item)}
    assert listed.fields["number"] == "7"
    assert listed.estimates == {"since": 91_000, "server_since": None, "position": 2}


def test_a_queue_without_a_limit() -> None:
    item = event("QueueParams", Queue="q", Max=0, Strategy="ringall", Weight=3)
    assert queue_of(item) == {"name": "q", "strategy": "ringall", "max": None, "weight": 3}
