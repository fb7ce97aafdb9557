"""``--audit-verify``: reads files of an audit, and says what was done to them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from amiws_gevent.audit import files
from amiws_gevent.audit.chain import Head, Key, line_of
from amiws_gevent.audit.verify import Report, Verifier
from amiws_gevent.errors import AuditError

CANNOT_TELL = """\
This cannot tell whether records behind the last one were cut off, unless a later head is given
(--audit-head; the log has them), nor what somebody has written who has the key."""


def read_keys(paths: Iterable[Path]) -> list[Key]:
    """The keys in files; raises AuditError."""
    keys = []
    for path in paths:
        try:
            keys.append(files.read_key(path))
        except OSError as error:
            raise AuditError(f"{path}: {error.strerror}") from error
    return keys


def verify_files(paths: Iterable[Path], keys: Sequence[Key], heads: Iterable[Head] = ()) -> Report:
    """Verify files in the order of their records; raises AuditError for one that cannot be read."""
    verifier = Verifier(keys, heads)
    for path in sorted(paths, key=_first):
        verifier.file(str(path), _lines(path))
    return verifier.finish()


def lines_of(report: Report) -> list[str]:
    """What people are told of it."""
    told = [*report.notices, *(f"WRONG: {problem}" for problem in report.problems)]
    if report.more:
        told.append(f"WRONG: {report.more} more")
    if report.records:
        first, last = report.times
        told.append(
            f"{report.records} records, {report.first} to {report.last.seq}, from {first} to "
            f"{last}; head {report.last}"
        )
    else:
        told.append("there is no record")
    word = "no record was changed, moved or removed between the first and the last"
    told.append(word if report.sound else "the audit is not as it was written")
    return [*told, CANNOT_TELL]


def _first(path: Path) -> tuple[int, str]:
    """The number of the first record, by which files are in order."""
    line = line_of(next(_lines(path), b"").rstrip(b"\n"))
    return (0 if line is None else line.seq), str(path)


def _lines(path: Path) -> Iterator[bytes]:
    try:
        yield from files.lines_of(path)
    except OSError as error:
        raise AuditError(f"{path}: {error.strerror}") from error
