"""--passwd edits the file of the users, and nothing else in it; its terminal is in integration."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amiws_gevent.errors import UsageError, UsersFileError
from amiws_gevent.passwd import (
    LONGEST_NAME,
    LONGEST_PASSWORD,
    change,
    check_user,
    edited,
    read_password,
)
from amiws_gevent.web.htdigest import check_of, parse_htdigest, parse_sha256
from tests.support.patience import WAIT

REALM = "call centre"


def md5(user: str, password: str, realm: str = REALM) -> str:
    return hashlib.md5(f"{user}:{realm}:{password}".encode()).hexdigest()


def sha256(user: str, password: str, realm: str = REALM) -> str:
    return hashlib.sha256(f"{user}:{realm}:{password}".encode()).hexdigest()


def lines(user: str, password: str, realm: str = REALM, end: str = "\n") -> bytes:
    """What the program writes for a user."""
    ha1 = md5(user, password, realm)
    comment = f"#SHA-256:{user}:{realm}:{check_of(ha1.encode())}:{sha256(user, password, realm)}"
    return f"{user}:{realm}:{ha1}{end}{comment}{end}".encode()


OTHERS = (
    b"\xef\xbb\xbf# users of the panel\n\nbob:elsewhere:" + b"0" * 32 + b"\n"
    b"anna:elsewhere:" + b"1" * 32 + b"\n# anna: on leave\nbroken line\n\xff\xfe\n"
)


# The content


def test_a_new_user_comes_last() -> None:
    assert edited(b"", REALM, "anna", "one") == lines("anna", "one")
    assert edited(OTHERS, REALM, "anna", "one") == OTHERS + lines("anna", "one")
    assert edited(OTHERS[:-1], REALM, "anna", "one") == OTHERS + lines("anna", "one")


def test_a_new_password_takes_the_place_of_the_old_one() -> None:
    tail = b"carl:call centre:" + b"2" * 32
    before = OTHERS + lines("anna", "one") + tail
    assert edited(before, REALM, "anna", "two") == OTHERS + lines("anna", "two") + tail + b"\n"


def test_lines_that_apache_has_left() -> None:
    """It changes the first line only, and keeps the comment of the password before."""
    old = lines("anna", "old").splitlines(keepends=True)[1]
    new = f"anna:{REALM}:{md5('anna', 'new')}\n".encode()
    assert edited(new + b"#\n" + old, REALM, "anna", "x") == lines("anna", "x") + b"#\n"
    assert edited(old + b"#\n" + new, REALM, "anna", "x") == lines("anna", "x") + b"#\n"


def test_a_user_who_is_there_twice_or_broken() -> None:
    twice = f"anna:{REALM}:{md5('anna', 'a')}\nanna:{REALM}:{md5('anna', 'b')}\n".encode()
    broken = f"anna:{REALM}:oops\nanna:{REALM}\n".encode()
    assert edited(twice + broken, REALM, "anna", "x") == lines("anna", "x")
    assert edited(twice + b"#\n" + broken, REALM, "anna", None) == b"#\n"


def test_a_removed_user() -> None:
    bob = lines("bob", "two")
    assert edited(OTHERS + lines("anna", "one") + bob, REALM, "anna", None) == OTHERS + bob
    assert edited(OTHERS + bob, REALM, "anna", None) is None
    assert edited(b"", REALM, "anna", None) is None


def test_names_that_begin_alike() -> None:
    before = lines("anna", "1") + lines("ann", "2") + lines("anna", "3", "call")
    assert edited(before, REALM, "ann", None) == lines("anna", "1") + lines("anna", "3", "call")


def test_the_ends_of_lines_are_as_they_were() -> None:
    before = b"# Windows\r\n" + lines("anna", "one", end="\r\n")
    after = b"# Windows\r\n" + lines("anna", "two", end="\r\n")
    assert edited(before, REALM, "anna", "two") == after
    mixed = b"# a\rb\r\n"
    assert edited(mixed, REALM, "anna", "two") == mixed + lines("anna", "two", end="\r\n")


def test_a_comment_that_apaches_tool_would_break_is_left_out() -> None:
    user = "x" * 150
    made = edited(b"", REALM, user, "one")
    assert made == f"{user}:{REALM}:{md5(user, 'one')}\n".encode()


@given(
    st.binary(max_size=200),
    st.sampled_from(["anna", "Jürgen ☎", "a b"]),
    st.sampled_from([REALM, "Büro"]),
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1),
)
def test_what_is_written_is_read_and_others_stay(
    content: bytes, user: str, realm: str, password: str
) -> None:
    made = edited(content, realm, user, password)
    assert made is not None
    before, _ = parse_htdigest(content, realm)
    after, _ = parse_htdigest(made, realm)
    assert after == before | {user: md5(user, password, realm).encode()}
    assert parse_sha256(made, realm, after)[user] == sha256(user, password, realm).encode()
    removed = edited(made, realm, user, None)
    assert removed is not None
    before.pop(user, None)
    assert parse_htdigest(removed, realm)[0] == before


# The file


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_new_file_is_not_for_everybody(tmp_path: Path) -> None:
    path = tmp_path / "users"
    told = change(path, REALM, "anna", "one")
    assert told == f"{path}: user 'anna' of the realm {REALM} added"
    assert path.read_bytes() == lines("anna", "one")
    assert mode(path) & ~0o640 == 0
    assert names(tmp_path) == ["users"]


@pytest.mark.parametrize("kept", [0o600, 0o640, 0o440, 0o660])
def test_a_file_keeps_its_mode_and_owner(tmp_path: Path, kept: int) -> None:
    path = tmp_path / "users"
    path.write_bytes(lines("anna", "one"))
    path.chmod(kept)
    if os.geteuid() == 0:
        os.chown(path, 12345, 23456)
    before = path.stat()
    assert "has a new password" in change(path, REALM, "anna", "two")
    after = path.stat()
    assert (after.st_uid, after.st_gid, mode(path)) == (before.st_uid, before.st_gid, kept)
    assert after.st_ino != before.st_ino  # replaced at once
    assert path.read_bytes() == lines("anna", "two")


def test_a_link_stays_one(tmp_path: Path) -> None:
    real, link = tmp_path / "real" / "users", tmp_path / "users"
    real.parent.mkdir()
    real.write_bytes(b"")
    link.symlink_to("real/users")
    change(link, REALM, "anna", "one")
    assert link.is_symlink()
    assert real.read_bytes() == lines("anna", "one")


def test_notes(tmp_path: Path) -> None:
    path = tmp_path / "users"
    path.write_text(f"bob:{REALM}:{md5('bob', 'two')}\n")
    path.chmod(0o644)
    told = change(path, REALM, "anna", "one").splitlines()
    assert "1 of 2 users of the realm have no SHA-256" in told[1]
    assert "chmod o-r" in told[2]
    path.chmod(0o640)
    assert len(change(path, REALM, "bob", "two").splitlines()) == 1
    assert change(path, REALM, "bob", None) == f"{path}: user 'bob' of the realm {REALM} removed"


def test_what_cannot_be_done_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "users"
    path.write_bytes(OTHERS)
    with pytest.raises(UsersFileError, match="there is no user 'anna'"):
        change(path, REALM, "anna", None)
    assert path.read_bytes() == OTHERS
    for wrong, words in [
        (tmp_path / "none" / "users", "folder does not exist"),
        (tmp_path, "."),
        (path / "users", "."),
    ]:
        with pytest.raises(UsersFileError, match=words):
            change(wrong, REALM, "anna", "one")
    assert names(tmp_path) == ["users"]


def test_a_file_that_is_none(tmp_path: Path) -> None:
    path = tmp_path / "users"
    os.mkfifo(path)
    with pytest.raises(UsersFileError, match="not a regular file"):
        change(path, REALM, "anna", "one")


def test_an_owner_that_cannot_be_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "users"
    path.write_bytes(OTHERS)
    real = os.fstat

    def of_another(descriptor: int) -> os.stat_result:
        values = list(real(descriptor))
        values[4] += 1  # st_uid
        return os.stat_result(values)

    def refused(*_: int) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("amiws_gevent.passwd.os.fchown", refused)
    monkeypatch.setattr("amiws_gevent.passwd.os.fstat", of_another)
    with pytest.raises(UsersFileError, match="run this as root or as the owner"):
        change(path, REALM, "anna", "one")
    monkeypatch.undo()
    assert path.read_bytes() == OTHERS
    assert names(tmp_path) == ["users"]


def test_a_disk_that_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "users"
    path.write_bytes(OTHERS)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("amiws_gevent.passwd.os.fsync", full)
    with pytest.raises(UsersFileError, match="No space left on device"):
        change(path, REALM, "anna", "one")
    assert path.read_bytes() == OTHERS
    assert names(tmp_path) == ["users"]


def test_apaches_tool_edits_the_same_file(tmp_path: Path) -> None:
    assert shutil.which("htdigest"), "this test needs htdigest: apt-get install apache2-utils"
    path = tmp_path / "users"
    change(path, REALM, "anna", "one")
    change(path, REALM, "bob", "two")
    subprocess.run(
        ["htdigest", str(path), REALM, "anna"], input="new\nnew\n", text=True, check=True,
        timeout=WAIT, capture_output=True,
    )  # fmt: skip
    users, bad_lines = parse_htdigest(path.read_bytes(), REALM)
    assert (users["anna"], bad_lines) == (md5("anna", "new").encode(), [])
    assert set(parse_sha256(path.read_bytes(), REALM, users)) == {"bob"}
    change(path, REALM, "anna", "three")
    assert path.read_bytes() == lines("anna", "three") + lines("bob", "two")


# Names and passwords


@pytest.mark.parametrize(
    "name", ["anna", "Jürgen ☎", "a", "DOMAIN\\anna", "anna@example.com", "x#"]
)
def test_names(name: str) -> None:
    assert check_user(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        " anna",
        "anna ",
        "\tanna",
        "#anna",
        "a:b",
        "token:crm",
        "a\nb",
        "a\rb",
        "a\0b",
        "a\x1bb",
        "a\x85b",
        "a\u2028b",
        "\udcff",
        "x" * (LONGEST_NAME + 1),
    ],
)
def test_names_that_are_none(name: str) -> None:
    with pytest.raises(UsageError):
        check_user(name)


@pytest.mark.parametrize(
    ("sent", "password"),
    [
        (b"one\n", "one"),
        (b"one\r\n", "one"),
        (b"one", "one"),
        (b"one\ntwo\n", "one"),
        (b" one: \xc3\xbc \n", " one: \u00fc "),
        (b"x" * LONGEST_PASSWORD + b"\n", "x" * LONGEST_PASSWORD),
    ],
)
def test_a_password_on_standard_input(sent: bytes, password: str) -> None:
    assert read_password(io.BytesIO(sent)) == password


@pytest.mark.parametrize(
    "sent", [b"", b"\n", b"a\0b\n", b"a\x1b\n", b"\xff\n", b"x" * (LONGEST_PASSWORD + 1)]
)
def test_passwords_that_are_none(sent: bytes) -> None:
    with pytest.raises(UsageError) as caught:
        read_password(io.BytesIO(sent))
    assert "xxx" not in str(caught.value)
