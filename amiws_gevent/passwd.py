"""Edits the users in an htdigest file: what ``amiws-gevent --passwd`` does.

All that is not of the user in the realm stays as it was, byte by byte. The file is replaced at
once, so that neither the program nor a crash ever meets half of it.
"""

from __future__ import annotations

import argparse
import errno
import fcntl
import getpass
import os
import re
import secrets
import stat
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from amiws_gevent.errors import UsageError, UsersFileError
from amiws_gevent.web.digest import md5_hex, sha256_hex
from amiws_gevent.web.htdigest import (
    LONGEST_COMMENT,
    SHA256_MARK,
    check_of,
    parse_htdigest,
    parse_sha256,
    read_regular,
)

NEEDS = {"delete": "passwd", "stdin": "passwd"}
"""Options that mean something together with another alone."""

NEW_MODE = 0o640
LONGEST_NAME = 255  # characters
LONGEST_PASSWORD = 1024  # bytes

_BOM = b"\xef\xbb\xbf"
_USER = re.compile(r"(?![#\s])[^:\x00-\x1f\x7f-\x9f\u2028\u2029]+(?<!\s)")
_LINE = re.compile(rb"[^\n]*\n|[^\n]+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Those of the command line."""
    parser.add_argument(
        "--passwd",
        metavar="USER",
        help="set the password of a user in auth_file of the configuration, and exit; asks for it",
    )
    parser.add_argument(
        "--delete", action="store_true", help="with --passwd: remove the user instead"
    )
    parser.add_argument(
        "--stdin",
        action="store_true",
        help="with --passwd: the password is the first line of standard input",
    )


def check_user(name: str) -> str:
    """The name, if a line of the file and a login can have it; else raises UsageError."""
    try:
        name.encode()
    except UnicodeEncodeError:
        raise UsageError("--passwd: the user name must be UTF-8") from None
    if len(name) > LONGEST_NAME or not _USER.fullmatch(name):
        raise UsageError(
            f"--passwd: a user name has 1 to {LONGEST_NAME} characters, no colon, no control "
            "characters, no blank at its beginning or end, and no # at its beginning"
        )
    return name


def ask_password(user: str, realm: str) -> str:
    """Ask twice on the terminal, without an echo; raises UsageError."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", getpass.GetPassWarning)  # before it would ask with an echo
        try:
            password = getpass.getpass(f"New password of {user} ({realm}): ")
            again = getpass.getpass("The same again: ")
        except (getpass.GetPassWarning, EOFError):
            raise UsageError(
                "--passwd: there is no terminal to ask for the password; with --stdin it is the "
                "first line of standard input"
            ) from None
    if password != again:
        raise UsageError("--passwd: the two passwords differ; nothing was changed")
    return _checked(password)


def read_password(stream: BinaryIO) -> str:
    """The first line of a stream, without its end; raises UsageError."""
    line = stream.readline(LONGEST_PASSWORD + 3)
    try:
        return _checked(line.removesuffix(b"\n").removesuffix(b"\r").decode())
    except UnicodeDecodeError:
        raise UsageError("--passwd: the password must be UTF-8") from None


def _checked(password: str) -> str:
    if not password:
        raise UsageError("--passwd: the password must not be empty")
    try:
        size = len(password.encode())
    except UnicodeEncodeError:  # of a terminal with another encoding
        raise UsageError("--passwd: the password must be UTF-8") from None
    if size > LONGEST_PASSWORD or _CONTROL.search(password):
        raise UsageError(
            f"--passwd: a password has at most {LONGEST_PASSWORD} bytes and no control characters"
        )
    return password


def edited(content: bytes, realm: str, user: str, password: str | None) -> bytes | None:
    """The file with the user's new password, or without the user (None).

    The answer is None if there is no such user to remove. A user that the realm has twice is
    there once then: only the first line counts, and would hide that the other is still good.
    """
    body = content.removeprefix(_BOM)
    lines: list[bytes] = _LINE.findall(body)
    ours = [_is_of(line, realm, user) for line in lines]
    if password is None and not any(ours):
        return None
    ending = b"\r\n" if lines and lines[0].endswith(b"\r\n") else b"\n"
    if lines and not lines[-1].endswith(b"\n"):
        lines[-1] += ending
    at = ours.index(True) if any(ours) else len(lines)
    kept = [line for line, own in zip(lines, ours, strict=True) if not own]
    if password is not None:
        kept[at:at] = _entry(realm, user, password, ending)  # none before it has gone
    return content[: len(content) - len(body)] + b"".join(kept)


def _entry(realm: str, user: str, password: str, ending: bytes) -> list[bytes]:
    plain = f"{user}:{realm}:{password}".encode()
    ha1 = md5_hex(plain)
    entry = [f"{user}:{realm}:{ha1.decode()}".encode() + ending]
    sha256 = sha256_hex(plain).decode()
    comment = f"{SHA256_MARK}{user}:{realm}:{check_of(ha1)}:{sha256}".encode()
    if len(comment) <= LONGEST_COMMENT:
        entry.append(comment + ending)
    return entry


def _is_of(line: bytes, realm: str, user: str) -> bool:
    """Whether a line is the user's in the realm, also if the rest of it is broken."""
    own = f"{user}:{realm}:".encode()
    return line.startswith((own, SHA256_MARK.encode() + own)) or line.rstrip() == own[:-1]


def change(path: Path, realm: str, user: str, password: str | None) -> str:
    """Edit the file; what was done, for people. Raises UsersFileError, and changes nothing then."""
    real = Path(os.path.realpath(path))
    try:
        with _locked(real.parent):
            content, status = _read(real)
            made = edited(content, realm, user, password)
            if made is None:
                raise UsersFileError(f"{path}: there is no user {user!r} of the realm {realm}")
            _replace(real, made, status)
    except OSError as error:
        raise UsersFileError(f"{path}: {_reason(error)}") from None
    known = parse_htdigest(content, realm)[0]
    return "\n".join(
        [_told(path, realm, user, password, known=user in known), *_notes(made, realm, status)]
    )


def _told(path: Path, realm: str, user: str, password: str | None, *, known: bool) -> str:
    done = "removed" if password is None else "has a new password" if known else "added"
    return f"{path}: user {user!r} of the realm {realm} {done}"


def _notes(made: bytes, realm: str, status: os.stat_result | None) -> Iterator[str]:
    users = parse_htdigest(made, realm)[0]
    without = len(users) - len(parse_sha256(made, realm, users))
    if without:
        yield (
            f"{without} of {len(users)} users of the realm have no SHA-256: it is offered beside "
            "MD5 once all have it (set their passwords with --passwd)"
        )
    if status is not None and status.st_mode & stat.S_IROTH:
        yield "every user of this machine can read the file; run chmod o-r on it"


def _read(path: Path) -> tuple[bytes, os.stat_result | None]:
    """Nothing of a file that is not there yet."""
    try:
        return read_regular(path), path.stat()
    except FileNotFoundError:
        return b"", None


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Keeps two of us from editing at once; Apache's tool knows no lock."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _replace(path: Path, content: bytes, status: os.stat_result | None) -> None:
    """Put a new file in the place of the old one, with its owner and mode."""
    new = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(new, flags, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            if status is None:
                os.fchmod(file.fileno(), NEW_MODE & ~_umask())
            else:
                _keep(file.fileno(), status)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    except BaseException:
        with suppress(OSError):
            new.unlink()
        raise


def _keep(descriptor: int, status: os.stat_result) -> None:
    own = os.fstat(descriptor)
    if (own.st_uid, own.st_gid) != (status.st_uid, status.st_gid):
        try:
            os.fchown(descriptor, status.st_uid, status.st_gid)
        except PermissionError:
            raise OSError(
                errno.EPERM,
                f"belongs to uid {status.st_uid} and gid {status.st_gid}, which this user cannot "
                "keep; run this as root or as the owner",
            ) from None
    os.fchmod(descriptor, stat.S_IMODE(status.st_mode))


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _reason(error: OSError) -> str:
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return "its folder does not exist"
    if isinstance(error, PermissionError) and error.filename is not None:
        return f"cannot be changed by the user this runs as (uid {os.geteuid()})"
    return str(error.strerror or error)


def run(path: Path, realm: str, user: str, *, delete: bool, stdin: bool) -> str:
    """Ask for the password as wished, and change the file; what was done, for people."""
    password = None
    if not delete:
        password = read_password(sys.stdin.buffer) if stdin else ask_password(user, realm)
    return change(path, realm, user, password)
