"""Logged-out sessions: remembered long enough, and never so many that one is good again."""

from __future__ import annotations

from amiws_gevent.web.ended import SHORTEST_MEMORY, EndedSessions
from tests.support.clock import Clock


def test_a_session_ends_for_its_user_alone() -> None:
    ended = EndedSessions(clock=Clock())
    ended.end("anna", [b"1", b"2"], 60)
    assert ended.holds("anna", b"1", 0)
    assert ended.holds("anna", b"2", 1000)
    assert not ended.holds("anna", b"3", 1000)
    assert not ended.holds("bob", b"1", 1000)


def test_it_is_forgotten_when_nothing_can_show_it_any_more() -> None:
    clock = Clock()
    ended = EndedSessions(clock=clock)
    lifetime = 2 * SHORTEST_MEMORY
    ended.end("anna", [b"1"], lifetime)
    ended.end("anna", [b"short"], 1)
    clock.now += SHORTEST_MEMORY - 1
    ended.end("bob", [b"2"], 60)
    assert ended.holds("anna", b"1", 0)
    assert ended.holds("anna", b"short", 0)
    clock.now += SHORTEST_MEMORY
    ended.end("bob", [b"3"], 60)
    assert ended.holds("anna", b"1", 0)
    clock.now += 2
    ended.end("bob", [b"4"], 60)
    assert not ended.holds("anna", b"1", 0)


def test_a_full_table_opens_nothing_again() -> None:
    clock = Clock()
    ended = EndedSessions(clock=clock, entries=3)
    for number in range(5):
        clock.now += 1
        ended.end("anna", [b"%d" % number], 60)
    assert len(ended) == 3
    clock.now += 100
    # The second, which is forgotten, ended 103 s ago: what is as old as that or older is ended.
    assert ended.holds("anna", b"0", 200)
    assert ended.holds("anna", b"1", 104)
    assert ended.holds("bob", b"another", 104)
    assert not ended.holds("bob", b"another", 102)
    assert ended.holds("anna", b"4", 0)


def test_to_end_one_again_keeps_it() -> None:
    clock = Clock()
    ended = EndedSessions(clock=clock, entries=2)
    ended.end("anna", [b"1"], 60)
    ended.end("anna", [b"2"], 60)
    ended.end("anna", [b"1"], 60)
    ended.end("anna", [b"3"], 60)
    assert len(ended) == 2
    assert ended.holds("anna", b"1", 0)
