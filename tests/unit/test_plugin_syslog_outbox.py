"""Lines that wait: the bounds."""

from __future__ import annotations

import pytest
from amiws_plugins.syslog_events.outbox import Outbox


def drain(outbox: Outbox) -> list[bytes]:
    return [outbox.pop() for _ in range(len(outbox))]


def test_first_in_first_out() -> None:
    outbox = Outbox(10, 1000)
    for line in (b"a", b"b", b"c"):
        outbox.put(line)
    assert outbox.first() == b"a"
    assert drain(outbox) == [b"a", b"b", b"c"]
    assert outbox.dropped == 0
    with pytest.raises(IndexError):
        outbox.pop()


def test_past_the_number_the_oldest_goes() -> None:
    outbox = Outbox(2, 1000)
    for line in (b"a", b"b", b"c", b"d"):
        outbox.put(line)
    assert drain(outbox) == [b"c", b"d"]
    assert outbox.dropped == 2


def test_past_the_bytes_the_oldest_go() -> None:
    outbox = Outbox(100, 10)
    for line in (b"1234", b"5678", b"90", b"abcdef"):
        outbox.put(line)
    assert drain(outbox) == [b"90", b"abcdef"]
    assert outbox.dropped == 2
    outbox.put(b"x" * 10)
    assert len(outbox) == 1
    outbox.put(b"y" * 11)
    assert len(outbox) == 0
    assert outbox.dropped == 4


def test_lines_that_are_put_back_are_the_oldest() -> None:
    outbox = Outbox(3, 1000)
    outbox.put(b"c")
    outbox.put(b"d")
    outbox.put_back([b"a", b"b"])
    assert outbox.dropped == 1
    assert drain(outbox) == [b"b", b"c", b"d"]
    outbox.put_back([])
    assert len(outbox) == 0


def test_a_line_may_go_before_a_full_queue() -> None:
    outbox = Outbox(2, 2)
    outbox.put(b"a")
    outbox.put(b"b")
    outbox.put_first(b"news")
    assert drain(outbox) == [b"news", b"a", b"b"]
    assert outbox.dropped == 0
    outbox.put(b"cd")
    assert drain(outbox) == [b"cd"]
