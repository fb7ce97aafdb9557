"""An entry of a stream, as Redis tells it."""

from __future__ import annotations

from amiws_gevent.bus.entries import Entry, entry_of, number_of


def test_an_entry() -> None:
    found = [b"17-4294967296", [b"d", b"payload", b"b", b"7"]]
    assert entry_of(found) == Entry(b"17-4294967296", 2**32, b"payload")


def test_the_number_alone() -> None:
    assert number_of(b"17-4294967296") == 2**32


def test_one_that_was_removed_while_it_was_read() -> None:
    assert entry_of([b"17-5", None]) == Entry(b"17-5", -1, b"")
