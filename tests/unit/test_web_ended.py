"""Logged-out sessions: remembered long enough, and never so many that one is good again."""

from __future__ import annotations

from amiws_gevent.bus.sharing import Logout
from amiws_gevent.web.ended import SHORTEST_MEMORY, EndedSessions, SharedEnded
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


# Of edges


def test_what_was_ended_here_is_told_until_it_is_known() -> None:
    clock = Clock()
    ended = SharedEnded(clock=clock)
    ended.end("anna", [b"1", b"2"], 60)
    clock.now += 5
    both = [Logout("anna", each, 5.0, SHORTEST_MEMORY - 5) for each in (b"1", b"2")]
    assert ended.untold(10) == both
    assert ended.untold(1) == both[:1]
    ended.told(both[:1])
    assert ended.untold(10) == both[1:]
    assert not ended.take(both[1:], None), "another has told it first"
    assert ended.untold(10) == []
    ended.tell_all()
    assert ended.untold(10) == both


def test_what_others_have_ended_is_ended_here() -> None:
    clock = Clock()
    ended = SharedEnded(clock=clock)
    ended.end("anna", [b"1"], 60)
    version = ended.version
    assert ended.take([Logout("bob", b"2", 10.0, 100.0), Logout("bob", b"old", 9.0, 0.0)], None)
    assert ended.version != version
    assert ended.holds("bob", b"2", 0)
    assert not ended.holds("bob", b"old", 0)
    assert [(one.user, one.session) for one in ended.untold(10)] == [("anna", b"1")]
    clock.now += 101
    ended.end("carl", [b"3"], 60)
    assert not ended.holds("bob", b"2", 0), "it is kept as long as it was told"
    assert ended.holds("anna", b"1", 0)


def test_what_others_have_forgotten_counts_as_ended() -> None:
    clock = Clock()
    ended = SharedEnded(clock=clock)
    assert ended.take([], 100.0)
    assert ended.holds("anna", b"1", 101)
    assert not ended.holds("anna", b"1", 99)
    for delay in range(1, 8):  # it is told each second, and comes late
        clock.now += 1
        assert not ended.take([], 100.0 + delay - 0.9 * delay)
    assert not ended.holds("anna", b"1", 99 + 7)
    assert ended.take([], 20.0)


def test_too_many_of_others_open_nothing_again() -> None:
    clock = Clock()
    ended = SharedEnded(clock=clock, entries=2)
    told = [Logout("anna", b"%d" % number, 10.0 - number, 600.0) for number in range(4)]
    assert ended.take(reversed(told), None)
    assert len(ended) == 2
    assert all(ended.holds("anna", one.session, 11.0) for one in told)
    assert ended.holds("anna", b"3", 0.0)
    assert not ended.holds("anna", b"other", 8.0)


def test_what_a_file_has_is_told() -> None:
    clock = Clock()
    before = EndedSessions(clock=clock)
    before.end("anna", [b"1"], 60)
    ended = SharedEnded(clock=clock)
    ended.restore(before.export(1e9), 1e9)
    assert [one.session for one in ended.untold(10)] == [b"1"]


def test_what_others_are_to_be_told_has_the_same_bound() -> None:
    """Redis may be away for long, while somebody logs in and out again."""
    ended = SharedEnded(clock=Clock(), entries=3)
    for number in range(10):
        ended.end("anna", [bytes([number])], 60.0)
    assert [one.session for one in ended.untold(100)] == [b"\x07", b"\x08", b"\x09"]
