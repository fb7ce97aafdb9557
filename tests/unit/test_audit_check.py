"""What people are told of an audit."""

from __future__ import annotations

from pathlib import Path

import pytest

from amiws_gevent.audit import check, files
from amiws_gevent.errors import AuditError
from tests.support.audit import KEY, a_file


@pytest.fixture
def two_files(tmp_path: Path) -> list[Path]:
    first, head = a_file(None, 3)
    second, _ = a_file(("a", head), 3)
    paths = [tmp_path / "z", tmp_path / "a"]
    for path, lines in zip(paths, (first, second), strict=True):
        path.write_bytes(b"".join(lines))
    return paths


def test_files_are_put_in_order(two_files: list[Path]) -> None:
    for paths in (two_files, two_files[::-1]):
        report = check.verify_files(paths, [KEY])
        assert (report.problems, report.records) == ([], 8)
    told = check.lines_of(report)
    assert told[0].startswith("8 records, 1 to 8, from 2026-")
    assert told[0].endswith(f"head {report.last}")
    assert told[-1] == check.CANNOT_TELL


def test_what_is_wrong_is_told(two_files: list[Path]) -> None:
    data = two_files[0].read_bytes()
    two_files[0].write_bytes(data.replace(b"u1", b"u2"))
    told = check.lines_of(check.verify_files(two_files, [KEY]))
    assert told[0] == f"WRONG: {two_files[0]}:3: record 3 was changed"
    assert "not as it was written" in told[-2]


def test_a_long_list_is_cut(tmp_path: Path) -> None:
    lines, _ = a_file(None, 300)
    (tmp_path / "a").write_bytes(b"".join(lines).replace(b"login", b"logon"))
    told = check.lines_of(check.verify_files([tmp_path / "a"], [KEY]))
    assert "WRONG: 100 more" in told


def test_nothing_at_all(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("")
    assert "there is no record" in check.lines_of(check.verify_files([tmp_path / "a"], [KEY]))


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none"):
        with pytest.raises(AuditError, match=str(path)):
            check.verify_files([path], [KEY])
        with pytest.raises(AuditError, match=str(path)):
            check.read_keys([path])
    files.make_key(tmp_path / "key")
    assert len(check.read_keys([tmp_path / "key"])) == 1
