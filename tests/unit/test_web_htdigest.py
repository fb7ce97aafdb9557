"""An htdigest file that changes, and what it has of SHA-256."""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from amiws_gevent.web.former import FormerPasswords
from amiws_gevent.web.htdigest import (
    GRACE_TIME,
    MAX_FILE,
    SETTLE_TIME,
    HtdigestFile,
    check_of,
    parse_htdigest,
    parse_sha256,
)
from tests.support.clock import Clock
from tests.support.patience import WAIT

REALM = "call centre"
LOGGER = "amiws_gevent.web.htdigest"


def ha1(user: str, password: str, realm: str = REALM) -> bytes:
    return hashlib.md5(f"{user}:{realm}:{password}".encode()).hexdigest().encode()


@pytest.fixture
def clock() -> Clock:
    return Clock(1000.0)


def test_lines_of_an_htdigest_file() -> None:
    good = ha1("anna", "x").upper()
    content = b"\xef\xbb\xbf# a comment\r\n\r\n" + b"\n".join(
        [
            b"anna:call centre:" + good + b"\r",
            b"anna:call centre:" + b"0" * 32,
            b"eve:elsewhere:" + good,
            "Jürgen:call centre:".encode() + good,
        ]
    )
    users, bad_lines = parse_htdigest(content, REALM)
    assert users == {"anna": good.lower(), "Jürgen": good.lower()}
    assert bad_lines == []


@pytest.mark.parametrize(
    "line",
    [
        b"anna",
        b"anna:call centre",
        b"anna:call centre:",
        b"anna:call centre:abc",
        b"anna:call centre:" + b"g" * 32,
        b":call centre:" + b"0" * 32,
        b"a:b:call centre:" + b"0" * 32,
        b"an\x00na:call centre:" + b"0" * 32,
        b"J\xfcrgen:call centre:" + b"0" * 32,
    ],
)
def test_lines_that_are_no_entry(line: bytes) -> None:
    good = b"bob:call centre:" + b"1" * 32
    users, bad_lines = parse_htdigest(b"\n".join([good, line, good]), REALM)
    assert users == {"bob": b"1" * 32}
    assert bad_lines == [2]


def entry(user: str, password: str, realm: str = REALM) -> str:
    return f"{user}:{realm}:{ha1(user, password, realm).decode()}\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "htdigest"
    file.write_text(entry("anna", "one"))
    return file


@pytest.fixture
def htdigest(path: Path, clock: Clock) -> HtdigestFile:
    return HtdigestFile(path, REALM, FormerPasswords(), clock=clock)


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def test_users_of_the_file(htdigest: HtdigestFile) -> None:
    assert htdigest.ha1("anna") == ha1("anna", "one")
    assert htdigest.ha1("eve") is None


def test_a_changed_file_counts_at_once(htdigest: HtdigestFile, path: Path) -> None:
    assert htdigest.ha1("anna") == ha1("anna", "one")
    path.write_text(entry("anna", "two") + entry("bob", "three"))
    assert htdigest.ha1("anna") == ha1("anna", "two")
    assert htdigest.ha1("bob") == ha1("bob", "three")
    path.write_text(entry("bob", "three"))
    assert htdigest.ha1("anna") is None


def test_what_the_file_had_before_is_remembered_behind_it(path: Path, clock: Clock) -> None:
    """Whether one object saw the change or, after a reload, two did."""
    former = FormerPasswords()
    path.write_text(entry("anna", "1") + entry("bob", "1"))
    first = HtdigestFile(path, REALM, former, clock=clock)
    assert first.ha1("anna") == ha1("anna", "1")
    assert former.ha1s("anna") == ()
    path.write_text(entry("anna", "22") + entry("bob", "1"))
    assert first.ha1("anna") == ha1("anna", "22")
    assert former.ha1s("anna") == (ha1("anna", "1"),)
    path.write_text(entry("anna", "22") + entry("carl", "333"))
    second = HtdigestFile(path, REALM, former, clock=clock)
    assert second.ha1("bob") is None
    assert former.ha1s("bob") == (ha1("bob", "1"),)
    assert former.ha1s("anna") == (ha1("anna", "1"),)
    assert former.ha1s("carl") == ()


def test_a_file_that_could_not_be_read_for_long_takes_nothing_from_memory(
    path: Path, clock: Clock
) -> None:
    former = FormerPasswords()
    htdigest = HtdigestFile(path, REALM, former, clock=clock)
    assert htdigest.ha1("anna") is not None
    path.unlink()
    assert htdigest.ha1("anna") is not None
    clock.now += GRACE_TIME
    assert htdigest.ha1("anna") is None
    path.write_text(entry("anna", "two"))
    assert htdigest.ha1("anna") == ha1("anna", "two")
    assert former.ha1s("anna") == (ha1("anna", "one"),)


def test_a_replaced_file_counts_at_once(htdigest: HtdigestFile, path: Path) -> None:
    assert htdigest.ha1("anna") == ha1("anna", "one")
    other = path.with_name("new")
    other.write_text(entry("anna", "two"))
    other.replace(path)
    assert htdigest.ha1("anna") == ha1("anna", "two")


def test_a_change_that_no_time_stamp_tells(
    htdigest: HtdigestFile, path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two writes within one tick of the file system, of the same size."""
    assert htdigest.ha1("anna") == ha1("anna", "one")
    frozen = path.stat()
    path.write_text(entry("anna", "two"))
    monkeypatch.setattr(Path, "stat", lambda _path: frozen)
    clock.now += 3600
    assert htdigest.ha1("anna") == ha1("anna", "two")


def test_a_settled_file_is_not_read_again(
    htdigest: HtdigestFile, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert htdigest.ha1("anna")
    clock.now += SETTLE_TIME
    assert htdigest.ha1("anna")

    def unexpected(*_arguments: object) -> bytes:
        raise AssertionError("read again")

    monkeypatch.setattr("amiws_gevent.web.htdigest.read_regular", unexpected)
    assert htdigest.ha1("anna") == ha1("anna", "one")


@pytest.mark.parametrize("half", ["", "anna:call cen", entry("anna", "two")[:-5]])
def test_a_half_written_file_changes_nothing_for_a_moment(
    htdigest: HtdigestFile, path: Path, clock: Clock, half: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert htdigest.ha1("anna") == ha1("anna", "one")
    path.write_text(half)
    assert htdigest.ha1("anna") == ha1("anna", "one")
    assert warnings(caplog) == []
    path.write_text(entry("anna", "two"))
    assert htdigest.ha1("anna") == ha1("anna", "two")


def test_a_file_that_stays_empty_lets_nobody_in(
    htdigest: HtdigestFile, path: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    assert htdigest.ha1("anna")
    path.write_text("")
    assert htdigest.ha1("anna")
    clock.now += SETTLE_TIME
    assert htdigest.ha1("anna") is None
    assert htdigest.ha1("anna") is None
    assert [line for line in warnings(caplog) if "no user of the realm" in line] == warnings(caplog)
    assert len(warnings(caplog)) == 1


def test_a_broken_line_is_named_once_and_never_shown(
    path: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    path.write_text(entry("anna", "one") + "bob:secret-in-the-clear\n")
    htdigest = HtdigestFile(path, REALM, FormerPasswords(), clock=clock)
    for _ in range(3):
        assert htdigest.ha1("anna")
        clock.now += SETTLE_TIME
    assert len(warnings(caplog)) == 1
    assert "line 2" in warnings(caplog)[0]
    assert "secret-in-the-clear" not in caplog.text
    assert ha1("anna", "one").decode() not in caplog.text


def test_no_user_of_the_realm_is_told(
    path: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    path.write_text(entry("anna", "one", "elsewhere"))
    assert HtdigestFile(path, REALM, FormerPasswords(), clock=clock).ha1("anna") is None
    assert "no user of the realm call centre" in caplog.text


def test_an_unreadable_file_keeps_its_users_for_a_while(
    htdigest: HtdigestFile, path: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    assert htdigest.ha1("anna")
    path.unlink()
    for _ in range(3):
        assert htdigest.ha1("anna")
    assert len(warnings(caplog)) == 1
    clock.now += GRACE_TIME
    for _ in range(3):
        assert htdigest.ha1("anna") is None
    assert len(warnings(caplog)) == 2
    path.write_text(entry("anna", "one"))
    assert htdigest.ha1("anna")
    assert len(warnings(caplog)) == 2
    path.unlink()
    assert htdigest.ha1("anna")
    assert len(warnings(caplog)) == 3


def test_a_file_that_was_never_there(
    tmp_path: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    htdigest = HtdigestFile(tmp_path / "none", REALM, FormerPasswords(), clock=clock)
    assert htdigest.ha1("anna") is None
    assert "cannot be read (No such file or directory): logins are refused" in caplog.text
    (tmp_path / "none").write_text(entry("anna", "one"))
    assert htdigest.ha1("anna")


def test_a_fifo_does_not_hang(tmp_path: Path, clock: Clock) -> None:
    os.mkfifo(tmp_path / "fifo")
    assert stat.S_ISFIFO((tmp_path / "fifo").stat().st_mode)
    assert (
        HtdigestFile(tmp_path / "fifo", REALM, FormerPasswords(), clock=clock).ha1("anna") is None
    )


def test_a_huge_file_is_not_read(
    tmp_path: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    huge = tmp_path / "huge"
    with huge.open("wb") as file:
        file.truncate(MAX_FILE + 1)
    assert HtdigestFile(huge, REALM, FormerPasswords(), clock=clock).ha1("anna") is None
    assert "larger than" in caplog.text


# SHA-256


def sha256(user: str, password: str, realm: str = REALM) -> str:
    return hashlib.sha256(f"{user}:{realm}:{password}".encode()).hexdigest()


def comment(user: str, password: str, beside: str | None = None, realm: str = REALM) -> str:
    check = check_of(ha1(user, password if beside is None else beside, realm))
    return f"#SHA-256:{user}:{realm}:{check}:{sha256(user, password, realm)}\n"


def test_entries_of_sha256() -> None:
    text = (
        comment("anna", "one")  # before its line, and after it
        + entry("anna", "one")
        + entry("Jürgen", "two")
        + comment("Jürgen", "two")
        + comment("bob", "three")  # no line
        + entry("carl", "four")
        + comment("carl", "old")  # htdigest has changed the line since
        + entry("dora", "five", "elsewhere")
        + comment("dora", "five", realm="elsewhere")
        + "#SHA-256:anna:call centre:short\n#SHA-256:\n#SHA-256:\xff\n# SHA-256 is fine\n"
    )
    content = text.encode()
    users, bad_lines = parse_htdigest(content, REALM)
    assert bad_lines == []
    assert parse_sha256(content, REALM, users) == {
        "anna": sha256("anna", "one").encode(),
        "Jürgen": sha256("Jürgen", "two").encode(),
    }


def test_the_entry_that_was_made_beside_another_password_counts_no_more(
    htdigest: HtdigestFile, path: Path
) -> None:
    path.write_text(entry("anna", "one") + comment("anna", "one"))
    assert htdigest.sha256("anna") == sha256("anna", "one").encode()
    assert htdigest.all_have_sha256()
    path.write_text(entry("anna", "two") + comment("anna", "one"))
    assert htdigest.sha256("anna") is None
    assert not htdigest.all_have_sha256()


def test_all_or_none(htdigest: HtdigestFile, path: Path) -> None:
    assert not htdigest.all_have_sha256()
    path.write_text("")
    path.write_text(entry("anna", "1") + entry("bob", "2") + comment("anna", "1"))
    assert htdigest.sha256("anna")
    assert not htdigest.all_have_sha256()
    path.write_text(path.read_text() + comment("bob", "2"))
    assert htdigest.all_have_sha256()


def test_hashed_names(htdigest: HtdigestFile, path: Path) -> None:
    hashed = hashlib.sha256(f"bob:{REALM}".encode()).hexdigest()
    assert htdigest.name_of(hashed) is None
    path.write_text(entry("bob", "two") + comment("bob", "two"))
    assert htdigest.name_of(hashed) == htdigest.name_of(hashed.upper()) == "bob"
    path.write_text(entry("carl", "two") + comment("carl", "two"))
    assert htdigest.name_of(hashed) is None


def test_versions_and_rest(htdigest: HtdigestFile, path: Path, clock: Clock) -> None:
    assert not htdigest.is_settled()
    version = htdigest.version
    clock.now += SETTLE_TIME
    assert htdigest.is_settled()
    assert htdigest.version == version
    path.write_text(entry("anna", "two") + "# more\n")
    assert not htdigest.is_settled()
    assert htdigest.version == version + 1
    path.write_text(entry("anna", "two"))  # the same users
    clock.now += SETTLE_TIME
    htdigest.is_settled()
    assert htdigest.version == version + 1
    path.unlink()
    assert htdigest.is_settled()
    assert htdigest.version == version + 1
    clock.now += GRACE_TIME
    assert htdigest.is_settled()
    assert htdigest.version == version + 2


def test_the_tool_of_apache_keeps_and_outdates_it(path: Path) -> None:
    assert shutil.which("htdigest"), "this test needs htdigest: apt-get install apache2-utils"
    path.write_text(
        entry("bob", "two") + comment("bob", "two") + entry("anna", "one") + comment("anna", "one")
    )
    subprocess.run(
        ["htdigest", str(path), REALM, "anna"], input="new\nnew\n", text=True, check=True,
        timeout=WAIT, capture_output=True,
    )  # fmt: skip
    content = path.read_bytes()
    users, bad_lines = parse_htdigest(content, REALM)
    assert bad_lines == []
    assert users == {"anna": ha1("anna", "new"), "bob": ha1("bob", "two")}
    assert comment("anna", "one").encode() in content
    assert parse_sha256(content, REALM, users) == {"bob": sha256("bob", "two").encode()}
