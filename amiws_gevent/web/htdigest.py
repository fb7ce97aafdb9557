"""The users of one realm: an htdigest file, and what it has of SHA-256 (RFC 7616) beside MD5.

    alice:example.com:HA1                          as Apache and amiws have it
    #SHA-256:alice:example.com:CHECK:HA1-SHA-256   a comment to them

Apache's ``htdigest`` changes only the first line, and copies comments. So CHECK says beside which
HA1 the second was made: with another one it does not count, or the old password would live on.
Both lines together make the login no stronger than its first line. They are there for clients
that refuse MD5.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import os
import re
import stat
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from amiws_gevent.web.former import FormerPasswords

_log = logging.getLogger("amiws_gevent.web.htdigest")

# Thousands of users fit; more is a wrong file, read between two requests of the AMI reader.
MAX_FILE = 4 * 1024 * 1024
# A writer has this long to finish; time stamps of file systems may be this coarse.
SETTLE_TIME = 2.0
# How long the last content of an unreadable file stays valid.
GRACE_TIME = 10.0
# Apache's tool reads lines into 256 bytes, and would break a longer comment in two.
LONGEST_COMMENT = 250
SHA256_MARK = "#SHA-256:"

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_HA1 = re.compile(r"[0-9A-Fa-f]{32}")
_SHA256_END = re.compile(r"([0-9a-f]{16}):([0-9a-f]{64})")


def check_of(ha1: bytes) -> str:
    """What an entry of SHA-256 has of the HA1 that it was made beside; 16 hex digits."""
    return hashlib.sha256(b"amiws-gevent beside " + ha1.lower()).hexdigest()[:16]


def parse_htdigest(content: bytes, realm: str) -> tuple[dict[str, bytes], list[int]]:
    """The users of a realm with their HA1, and the numbers of the lines that are no entry.

    Blank lines and ``#`` comments are skipped; of two lines for one user the first counts,
    as in amiws. A user name is UTF-8 without control characters.
    """
    users: dict[str, bytes] = {}
    bad_lines: list[int] = []
    for number, line in enumerate(content.removeprefix(b"\xef\xbb\xbf").split(b"\n"), start=1):
        if not line.strip() or line.startswith(b"#"):
            continue
        try:
            user, line_realm, ha1 = line.decode("utf-8").rstrip().split(":")
        except ValueError:
            bad_lines.append(number)
            continue
        if not user or not _HA1.fullmatch(ha1) or _CONTROL.search(user):
            bad_lines.append(number)
        elif line_realm == realm:
            users.setdefault(user, ha1.lower().encode("ascii"))
    return users, bad_lines


def parse_sha256(content: bytes, realm: str, users: Mapping[str, bytes]) -> dict[str, bytes]:
    """The HA1 by SHA-256 of those of ``users`` that have one which counts; 64 hex digits each.

    Of two for one user the first that counts does.
    """
    found: dict[str, bytes] = {}
    for line in content.split(b"\n"):
        if not line.startswith(SHA256_MARK.encode()):
            continue
        try:
            _, user, line_realm, end = line.decode("utf-8").rstrip().split(":", 3)
        except ValueError:
            continue
        match = _SHA256_END.fullmatch(end)
        ha1 = users.get(user)
        if match is None or ha1 is None or line_realm != realm:
            continue
        if hmac.compare_digest(match[1], check_of(ha1)):
            found.setdefault(user, match[2].encode("ascii"))
    return found


class HtdigestFile:
    """The users of one realm in an htdigest file, read again whenever the file changes.

    The file is checked on every call, so that a removed user cannot log in any more; a
    ``stat`` is cheap. A half-written file does no harm: for SETTLE_TIME
    after a change an empty or broken file leaves the users as they were (and is read each
    time, as its time stamp may not show a second change). An unreadable file leaves them
    for GRACE_TIME; then nobody can log in. ``former`` is given the users of each file
    that is read.

    ``version`` counts the changes of the users.
    """

    def __init__(
        self,
        path: Path,
        realm: str,
        former: FormerPasswords,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.path = path
        self.realm = realm
        self._former = former
        self._clock = clock
        self.version = 0
        self._users: dict[str, bytes] = {}
        self._sha256: dict[str, bytes] = {}
        self._hashes: dict[str, str] | None = None
        self._content: bytes | None = None
        self._signature: tuple[int, ...] = ()
        self._changed_at = 0.0
        self._settled = False
        self._unreadable_since: float | None = None

    def ha1(self, user: str) -> bytes | None:
        """32 lower-case hex digits, None for a user that the file does not have now."""
        self._refresh()
        return self._users.get(user)

    def sha256(self, user: str) -> bytes | None:
        """The same by SHA-256, 64 hex digits; None also if the user has none that counts."""
        self._refresh()
        return self._sha256.get(user)

    def all_have_sha256(self) -> bool:
        """Whether it may be offered: a client does not say who it is before it chooses."""
        self._refresh()
        return bool(self._users) and len(self._sha256) == len(self._users)

    def name_of(self, userhash: str) -> str | None:
        """The user of a name that was sent hashed (RFC 7616, section 3.4.4), by SHA-256."""
        self._refresh()
        if self._hashes is None:
            self._hashes = {
                hashlib.sha256(f"{user}:{self.realm}".encode()).hexdigest(): user
                for user in self._sha256
            }
        return self._hashes.get(userhash.lower())

    def is_settled(self) -> bool:
        """Whether a writer has surely finished: the file has not changed for SETTLE_TIME.

        Also while it cannot be read.
        """
        self._refresh()
        return self._settled or self._unreadable_since is not None

    def _refresh(self) -> None:
        now = self._clock()
        try:
            status = self.path.stat()
            signature = (
                status.st_dev,
                status.st_ino,
                status.st_size,
                status.st_mtime_ns,
                status.st_ctime_ns,
            )
            if signature == self._signature and self._settled:
                return
            content = read_regular(self.path)
        except OSError as error:
            self._on_unreadable(error, now)
            return
        self._unreadable_since = None
        if signature != self._signature:
            self._signature = signature
            self._changed_at = now
        self._settled = now - self._changed_at >= SETTLE_TIME
        if content != self._content:
            self._take(content)

    def _take(self, content: bytes) -> None:
        users, bad_lines = parse_htdigest(content, self.realm)
        doubtful = bool(bad_lines) or not users
        if doubtful and self._users and not self._settled:
            return
        if bad_lines:
            _log.warning(
                "auth_file %s: line %s ignored: not user:realm:HA1",
                self.path,
                ", ".join(map(str, bad_lines[:10])),
            )
        if not users:
            _log.warning(
                "auth_file %s has no user of the realm %s (auth_domain): nobody can log in",
                self.path,
                self.realm,
            )
        _log.info("auth_file %s: users of the realm %s: %d", self.path, self.realm, len(users))
        self._former.users_are(self.realm, users)
        self._content = content
        self._use(users, parse_sha256(content, self.realm, users))

    def _use(self, users: dict[str, bytes], sha256: dict[str, bytes]) -> None:
        self.version += users != self._users
        self._users, self._sha256, self._hashes = users, sha256, None

    def _on_unreadable(self, error: OSError, now: float) -> None:
        self._signature = ()
        if self._unreadable_since is None:
            self._unreadable_since = now
            _log.warning(
                "auth_file %s cannot be read (%s): logins are refused%s",
                self.path,
                error.strerror or error,
                f" if this lasts {GRACE_TIME:.0f} s" if self._users else "",
            )
        if self._users and now - self._unreadable_since >= GRACE_TIME:
            _log.warning("auth_file %s still cannot be read: nobody can log in", self.path)
            self._use({}, {})
            self._content = None


def read_regular(path: Path) -> bytes:
    """The bytes of a regular file; OSError for any other, so that a fifo cannot hang us."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb") as file:  # noqa: PTH123 - a descriptor has no path
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise OSError("not a regular file")
        if status.st_size > MAX_FILE:
            raise OSError(f"larger than {MAX_FILE} bytes")
        return file.read(MAX_FILE)
