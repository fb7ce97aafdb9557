"""HTTP Digest (RFC 7616; RFC 2617 for old clients): MD5 with ``qop=auth`` over an htdigest file.

Header texts are as in WSGI: each character is one byte (Latin-1).

A nonce carries the time it was made and an HMAC of it under a secret of this process, so
that a challenge costs no memory. Only a right answer makes an entry: the nonce counts
(``nc``) seen with that nonce. Browsers send requests side by side, so counts come
out of order: any count that is new within a window is taken, a second use is not.

    right answer, nonce good, count new        the user
    right answer, nonce expired or unknown     refused with stale=true: a browser asks again
    right answer, count seen or too far back   with the new nonce, without asking its user
    anything else                              refused; a browser asks its user
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import logging
import os
import re
import secrets
import stat
import struct
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from amiws_gevent.web.former import FormerPasswords

_log = logging.getLogger("amiws_gevent.web.digest")

# The uri inside may be as long as a request line (8 KiB), with each character escaped.
MAX_AUTHORIZATION = 16 * 1024
# Thousands of users fit; more is a wrong file, read between two requests of the AMI reader.
MAX_FILE = 4 * 1024 * 1024
NONCE_LIFETIME = 300.0
NONCE_TABLE = 10_000
# Browsers have 6 connections to a host; a proxy in front may reorder some more.
NC_WINDOW = 256
# A writer has this long to finish; time stamps of file systems may be this coarse.
SETTLE_TIME = 2.0
# How long the last content of an unreadable file stays valid.
GRACE_TIME = 10.0

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_PARAMETER = re.compile(
    r"""[ \t,]*([!#$%&'*+.^_`|~0-9A-Za-z-]+)[ \t]*=[ \t]*"""
    r"""(?:"((?:[^"\\]|\\.)*)"|([^ \t",]+))[ \t]*(?:,|$)"""
)
_ESCAPE = re.compile(r"\\(.)")
_NC = re.compile(r"[0-9A-Fa-f]{8}")
_HA1 = re.compile(r"[0-9A-Fa-f]{32}")


class BadAuthorization(ValueError):
    """An ``Authorization`` header that is no usable Digest login; the text says why."""


def md5_hex(text: bytes) -> bytes:
    """The hash that RFC 7616 calls H; its weakness is the protocol's, not a choice here."""
    return hashlib.md5(text, usedforsecurity=False).hexdigest().encode("ascii")


def quote(text: str) -> str:
    """A quoted-string (RFC 9110, section 5.6.4) as WSGI text; UTF-8 on the wire."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + escaped.encode("utf-8").decode("latin-1") + '"'


def parse_authorization(header: str) -> dict[str, str]:
    """The parameters of a ``Digest`` login: lower-case names, values without their quotes.

    Raises BadAuthorization for another scheme, a syntax error, a parameter that comes
    twice, or a header over MAX_AUTHORIZATION.
    """
    if len(header) > MAX_AUTHORIZATION:
        raise BadAuthorization("the Authorization header is too long")
    scheme, _, rest = header.strip(" \t").partition(" ")
    if scheme.lower() != "digest":
        raise BadAuthorization("the Authorization header is not a Digest login")
    parameters: dict[str, str] = {}
    position, end = 0, len(rest.rstrip(" \t,"))
    while position < end:
        match = _PARAMETER.match(rest, position)
        if match is None or _CONTROL.search(match.group().replace("\t", " ")):
            raise BadAuthorization("the Authorization header cannot be parsed")
        name, quoted, token = match.group(1).lower(), match.group(2), match.group(3)
        if name in parameters:
            raise BadAuthorization(f"the Authorization header has {name} twice")
        parameters[name] = token if quoted is None else _ESCAPE.sub(r"\1", quoted)
        position = match.end()
    return parameters


@dataclass
class _Counts:
    """The nonce counts seen: ``highest``, and bit N of ``seen`` for ``highest - N``."""

    issued: float
    highest: int = 0
    seen: int = 0

    def add(self, count: int) -> bool:
        """Whether the count is new and not too far back."""
        ahead = count - self.highest
        if ahead > 0:
            # Never shift by a count that a client chose: 4,294,967,295 bits are 512 MiB.
            kept = self.seen << ahead if ahead < NC_WINDOW else 0
            self.seen = (kept | 1) & ((1 << NC_WINDOW) - 1)
            self.highest = count
            return True
        if -ahead >= NC_WINDOW or self.seen >> -ahead & 1:
            return False
        self.seen |= 1 << -ahead
        return True


class NonceTable:
    """Makes nonces and checks them; bounded, whatever clients do.

    When the table is full, the oldest entry is evicted, and every older nonce without an
    entry becomes invalid: forgetting counts must not make a replay valid again.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.monotonic,
        lifetime: float = NONCE_LIFETIME,
        size: int = NONCE_TABLE,
    ) -> None:
        self._clock = clock
        self._lifetime = lifetime
        self._size = size
        self._secret = secrets.token_bytes(32)
        self._used: dict[str, _Counts] = {}
        self._forgotten = -1.0

    def __len__(self) -> int:
        return len(self._used)

    def issue(self) -> str:
        """A nonce that nobody had before: 40 characters of base64url."""
        return self._encode(struct.pack(">Q", self._now_ms()) + secrets.token_bytes(7))

    def fresh(self, nonce: str) -> bool:
        """Whether this table made the nonce and it has not expired."""
        issued = self._issued(nonce)
        return issued is not None and 0 <= self._now_ms() / 1000 - issued <= self._lifetime

    def spend(self, nonce: str, count: int) -> bool:
        """Note a count of a fresh nonce after a right answer; False if it was used before."""
        counts = self._used.get(nonce)
        if counts is None:
            issued = self._issued(nonce)
            if issued is None or issued <= self._forgotten:
                return False
            counts = self._used[nonce] = _Counts(issued)
            self._make_room()
        return counts.add(count)

    def _now_ms(self) -> int:
        return int(self._clock() * 1000)

    def _encode(self, stamp: bytes) -> str:
        mac = hmac.digest(self._secret, stamp, "sha256")[:15]
        return base64.urlsafe_b64encode(stamp + mac).decode("ascii")

    def _issued(self, nonce: str) -> float | None:
        """Seconds of the clock, None for a nonce that is not of this table."""
        try:
            raw = base64.urlsafe_b64decode(nonce)
        except (ValueError, binascii.Error):
            return None
        # Compared as text: another spelling of the same bytes would have its own counts.
        own = self._encode(raw[:15]).encode("ascii")
        if not hmac.compare_digest(own, nonce.encode("utf-8")):
            return None
        milliseconds: int = struct.unpack(">Q", raw[:8])[0]
        return milliseconds / 1000

    def _make_room(self) -> None:
        now = self._now_ms() / 1000
        while self._used:
            nonce, oldest = next(iter(self._used.items()))
            expired = now - oldest.issued > self._lifetime
            if not expired and len(self._used) <= self._size:
                return
            if not expired:
                self._forgotten = max(self._forgotten, oldest.issued)
            del self._used[nonce]


@dataclass(frozen=True)
class Outcome:
    """The result of a login: ``user`` if it was right, otherwise ``reason``.

    ``stale``: the password was right, the nonce was not. ``former``: the password was right
    until it was changed. ``passed_over``: the password was not checked. ``reason`` is empty
    if no login was tried. ``claimed`` is the user name as sent, for the log; do not trust
    it. ``ha1`` is the user's; never show it.
    """

    user: str | None = None
    ha1: bytes = field(default=b"", repr=False)
    stale: bool = False
    former: bool = False
    passed_over: bool = False
    reason: str = ""
    claimed: str = ""


class DigestLogin:
    """Checks logins of one realm.

    ``ha1_of`` gives the 32 lower-case hex digits of MD5(user:realm:password), or None;
    ``former_of`` those of the password before.
    """

    def __init__(
        self,
        realm: str,
        ha1_of: Callable[[str], bytes | None],
        nonces: NonceTable,
        *,
        former_of: Callable[[str], bytes | None] = lambda _: None,
    ) -> None:
        self._realm = realm
        self._ha1_of = ha1_of
        self._former_of = former_of
        self._nonces = nonces
        # In place of the HA1 of an unknown user, so that the check takes as long.
        self._nobody = secrets.token_hex(16).encode("ascii")

    def challenge(self, *, stale: bool = False) -> str:
        """The value of ``WWW-Authenticate``, with a new nonce."""
        parts = [
            f"Digest realm={quote(self._realm)}",
            'qop="auth"',
            "algorithm=MD5",
            f'nonce="{self._nonces.issue()}"',
            "charset=UTF-8",
        ]
        if stale:
            parts.append("stale=true")
        return ", ".join(parts)

    def verify(
        self,
        method: str,
        target: str,
        authorization: str | None,
        *,
        may_try: Callable[[str], bool] = lambda _: True,
    ) -> Outcome:
        """Check one request, once: the second time its nonce count is a replay.

        ``target`` is the raw one of the request line. ``may_try`` is asked with the user
        name before the password is checked.
        """
        if not authorization:
            return Outcome()
        try:
            parameters = parse_authorization(authorization)
            self._check_parameters(parameters, target)
        except BadAuthorization as error:
            return Outcome(reason=str(error))
        claimed = parameters["username"].encode("latin-1").decode("utf-8", "replace")
        if not may_try(claimed):
            return Outcome(passed_over=True, reason="too many wrong passwords", claimed=claimed)
        ha1 = self._ha1_of(claimed)
        right = self._is_right(ha1, method, parameters)
        if ha1 is None or not right:
            reason = "no such user" if ha1 is None else "wrong password"
            former = self._is_right(self._former_of(claimed), method, parameters)
            return Outcome(former=former, reason=reason, claimed=claimed)
        nonce, count = parameters["nonce"], int(parameters["nc"], 16)
        if not (self._nonces.fresh(nonce) and self._nonces.spend(nonce, count)):
            return Outcome(stale=True, reason="stale nonce", claimed=claimed)
        return Outcome(user=claimed, ha1=ha1)

    def _is_right(self, ha1: bytes | None, method: str, parameters: Mapping[str, str]) -> bool:
        equal = hmac.compare_digest(
            _response(ha1 or self._nobody, method, parameters),
            parameters["response"].lower().encode("latin-1"),
        )
        return equal and ha1 is not None

    def _check_parameters(self, parameters: Mapping[str, str], target: str) -> None:
        for name in ("username", "realm", "nonce", "uri", "response", "qop", "nc", "cnonce"):
            if not parameters.get(name):
                raise BadAuthorization(f"the login has no {name}")
        if parameters["realm"].encode("latin-1") != self._realm.encode("utf-8"):
            raise BadAuthorization("the login is for another realm")
        if parameters["uri"] != target:
            raise BadAuthorization(
                "the login is for another uri than the request (does a proxy change paths?)"
            )
        if parameters["qop"].lower() != "auth":
            raise BadAuthorization("the login does not use qop=auth")
        if parameters.get("algorithm", "MD5").upper() != "MD5":
            raise BadAuthorization("the login does not use algorithm=MD5")
        if parameters.get("userhash", "false").lower() != "false":
            raise BadAuthorization("the login hides its user name (userhash)")
        if not _NC.fullmatch(parameters["nc"]) or int(parameters["nc"], 16) == 0:
            raise BadAuthorization("the nonce count of the login is not 8 hex digits")


def _response(ha1: bytes, method: str, parameters: Mapping[str, str]) -> bytes:
    """RFC 7616, section 3.4.1; 32 lower-case hex digits."""
    middle = ":".join(parameters[name] for name in ("nonce", "nc", "cnonce", "qop"))
    ha2 = md5_hex(f"{method}:{parameters['uri']}".encode("latin-1"))
    return md5_hex(b"%s:%s:%s" % (ha1, middle.encode("latin-1"), ha2))


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


class HtdigestFile:
    """The users of one realm in an htdigest file, read again whenever the file changes.

    The file is checked on every call, so that a removed user cannot log in any more; a
    ``stat`` is cheap. A half-written file does no harm: for SETTLE_TIME
    after a change an empty or broken file leaves the users as they were (and is read each
    time, as its time stamp may not show a second change). An unreadable file leaves them
    for GRACE_TIME; then nobody can log in. ``former`` is given the users of each file
    that is read.
    """

    def __init__(
        self,
        path: Path,
        realm: str,
        former: FormerPasswords,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._path = path
        self._realm = realm
        self._former = former
        self._clock = clock
        self._users: dict[str, bytes] = {}
        self._content: bytes | None = None
        self._signature: tuple[int, ...] = ()
        self._changed_at = 0.0
        self._settled = False
        self._unreadable_since: float | None = None

    def ha1(self, user: str) -> bytes | None:
        """32 lower-case hex digits, None for a user that the file does not have now."""
        self._refresh()
        return self._users.get(user)

    def _refresh(self) -> None:
        now = self._clock()
        try:
            status = self._path.stat()
            signature = (
                status.st_dev,
                status.st_ino,
                status.st_size,
                status.st_mtime_ns,
                status.st_ctime_ns,
            )
            if signature == self._signature and self._settled:
                return
            content = _read_regular(self._path)
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
        users, bad_lines = parse_htdigest(content, self._realm)
        doubtful = bool(bad_lines) or not users
        if doubtful and self._users and not self._settled:
            return
        if bad_lines:
            _log.warning(
                "auth_file %s: line %s ignored: not user:realm:HA1",
                self._path,
                ", ".join(map(str, bad_lines[:10])),
            )
        if not users:
            _log.warning(
                "auth_file %s has no user of the realm %s (auth_domain): nobody can log in",
                self._path,
                self._realm,
            )
        _log.info("auth_file %s: %d users of the realm %s", self._path, len(users), self._realm)
        self._former.users_are(self._realm, users)
        self._content = content
        self._users = users

    def _on_unreadable(self, error: OSError, now: float) -> None:
        self._signature = ()
        if self._unreadable_since is None:
            self._unreadable_since = now
            _log.warning(
                "auth_file %s cannot be read (%s): logins are refused%s",
                self._path,
                error.strerror or error,
                f" if this lasts {GRACE_TIME:.0f} s" if self._users else "",
            )
        if self._users and now - self._unreadable_since >= GRACE_TIME:
            _log.warning("auth_file %s still cannot be read: nobody can log in", self._path)
            self._users = {}
            self._content = None


def _read_regular(path: Path) -> bytes:
    """The bytes of a regular file; OSError for any other, so that a fifo cannot hang us."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb") as file:  # noqa: PTH123 - a descriptor has no path
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise OSError("not a regular file")
        if status.st_size > MAX_FILE:
            raise OSError(f"larger than {MAX_FILE} bytes")
        return file.read(MAX_FILE)
