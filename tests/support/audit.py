"""Audits for tests: files of lines that are as the program writes them."""

from __future__ import annotations

from collections.abc import Sequence

from amiws_gevent.audit import records
from amiws_gevent.audit.chain import Head, Key, seal

KEY = Key(b"k" * 32)
NOW = 1_795_000_000.0


def lines_behind(
    head: Head, members: Sequence[bytes], *, key: Key = KEY
) -> tuple[list[bytes], Head]:
    """The lines of records behind a head, and the head then."""
    made = []
    for record in members:
        line, head = seal(record, head, key)
        made.append(line)
    return made, head


def a_file(
    before: tuple[str, Head] | None, number: int, *, key: Key = KEY, why: str = records.FIRST
) -> tuple[list[bytes], Head]:
    """A file with its beginning and ``number`` records."""
    begin = records.begin(NOW, why=why, key=key.name, before=before)
    some = [records.record("login", NOW + n, {"user": f"u{n}"}) for n in range(number)]
    return lines_behind(before[1] if before else Head(), [begin, *some], key=key)
