"""The last records in memory."""

from __future__ import annotations

from amiws_gevent.audit.recent import Recent
from tests.support.audit import a_file


def test_the_newest_first_and_no_more_than_wanted() -> None:
    recent = Recent()
    lines, _ = a_file(None, 5)
    recent.add(lines)
    assert [record["seq"] for record in recent.last(3)] == [6, 5, 4]
    assert [record["seq"] for record in recent.last(9, lambda it: it.get("user") == "u1")] == [3]


def test_bounds() -> None:
    lines, _ = a_file(None, 50)
    recent = Recent(most=10)
    recent.add(lines)
    assert [record["seq"] for record in recent.last(99)] == list(range(51, 41, -1))
    recent = Recent(most_bytes=len(lines[-1]) * 3)
    for line in lines:
        recent.add([line])
    assert len(recent.last(99)) == 3
    recent.clear()
    assert recent.last(99) == []


def test_what_is_not_asked_for_is_not_read() -> None:
    """Pages ask every few seconds what has come since."""
    recent = Recent()
    recent.add([b"no JSON", *(b'{"seq":%d}' % number for number in (7, 8, 9))])
    assert [record["seq"] for record in recent.last(10, after=7)] == [9, 8]
    assert [record["seq"] for record in recent.last(1, after=7)] == [9]
    assert recent.last(10, after=9) == []
