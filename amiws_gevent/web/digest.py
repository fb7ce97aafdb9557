"""HTTP Digest (RFC 7616; RFC 2617 for old clients): MD5 and SHA-256, with ``qop=auth``.

Header texts are as in WSGI: each character is one byte (Latin-1).

A nonce carries the time it was made and an HMAC of it under a secret of this process, so
that a challenge costs no memory. Only a right answer makes an entry: the nonce counts
(``nc``) seen with that nonce. Browsers send requests side by side, so counts come
out of order: any count that is new within a window is taken, a second use is not.

A nonce belongs to a session, which begins with the challenge. The challenge that follows a
stale nonce goes on with its session, so that a logout reaches all nonces of it.

    right answer, nonce good, count new        the user
    right answer, nonce expired or unknown     refused with stale=true: a browser asks again
    right answer, count seen or too far back   with the new nonce, without asking its user
    right answer, session logged out           refused; a browser asks its user
    anything else                              refused; a browser asks its user
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import secrets
import struct
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol
from urllib.parse import unquote_to_bytes

# The uri inside may be as long as a request line (8 KiB), with each character escaped.
MAX_AUTHORIZATION = 16 * 1024
NONCE_LIFETIME = 300.0
NONCE_TABLE = 10_000
# Browsers have 6 connections to a host; a proxy in front may reorder some more.
NC_WINDOW = 256
MD5, SHA256 = "MD5", "SHA-256"

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_PARAMETER = re.compile(
    r"""[ \t,]*([!#$%&'*+.^_`|~0-9A-Za-z-]+)[ \t]*=[ \t]*"""
    r"""(?:"((?:[^"\\]|\\.)*)"|([^ \t",]+))[ \t]*(?:,|$)"""
)
_ESCAPE = re.compile(r"\\(.)")
_NC = re.compile(r"[0-9A-Fa-f]{8}")
_EXTENDED = re.compile(r"UTF-8'[A-Za-z0-9-]*'(.+)", re.IGNORECASE)  # RFC 8187, of username*
_STAMP, _SESSION, _RANDOM, _MAC = 8, 8, 8, 15  # bytes of a nonce


class BadAuthorization(ValueError):
    """An ``Authorization`` header that is no usable Digest login; the text says why."""


def md5_hex(text: bytes) -> bytes:
    """The hash that RFC 7616 calls H; its weakness is the protocol's, not a choice here."""
    return hashlib.md5(text, usedforsecurity=False).hexdigest().encode("ascii")


def sha256_hex(text: bytes) -> bytes:
    """The same by SHA-256."""
    return hashlib.sha256(text).hexdigest().encode("ascii")


_HASHES: Mapping[str, Callable[[bytes], bytes]] = {MD5: md5_hex, SHA256: sha256_hex}


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


class NonceSession(NamedTuple):
    """The session that a nonce belongs to, and the age of the nonce in seconds."""

    id: bytes
    age: float


class NonceTable:
    """Makes nonces and checks them; bounded, whatever clients do.

    When the table is full, the oldest entry is evicted, and every older nonce without an
    entry becomes invalid: forgetting counts must not make a replay valid again.

    ``secret`` signs nonces. ``ahead``: seconds by which the clock of who has made a nonce may be
    ahead of this one.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.monotonic,
        lifetime: float = NONCE_LIFETIME,
        size: int = NONCE_TABLE,
        ahead: float = 0.0,
    ) -> None:
        self._clock = clock
        self._lifetime = lifetime
        self._ahead = ahead
        self._size = size
        self.secret = secrets.token_bytes(32)
        self._used: dict[str, _Counts] = {}
        self._forgotten = -1.0

    def __len__(self) -> int:
        return len(self._used)

    def issue(self, session: bytes = b"") -> str:
        """A nonce that nobody had before, of a new session or the given one; 52 of base64url."""
        stamp = struct.pack(">Q", self._now_ms())
        session = session or secrets.token_bytes(_SESSION)
        return self._encode(stamp + session + secrets.token_bytes(_RANDOM))

    def session(self, nonce: str) -> NonceSession | None:
        """The session of a nonce of this table, which may have expired; None of any other."""
        raw = self._decode(nonce)
        if raw is None:
            return None
        return NonceSession(raw[_STAMP : _STAMP + _SESSION], self._age(_time_of(raw)))

    def claimed_session(self, nonce: str) -> NonceSession | None:
        """The session that a nonce names, although this table has not made it.

        It may be of before a restart, or anybody's: say of it nothing but that it has ended.
        """
        try:
            raw = base64.urlsafe_b64decode(nonce)
        except (ValueError, binascii.Error):
            return None
        if len(raw) != _STAMP + _SESSION + _RANDOM + _MAC:
            return None
        return NonceSession(raw[_STAMP : _STAMP + _SESSION], 0.0)

    def fresh(self, nonce: str) -> bool:
        """Whether this table made the nonce and it has not expired."""
        issued = self.issued(nonce)
        return issued is not None and -self._ahead <= self._age(issued) <= self._lifetime

    def spend(self, nonce: str, count: int) -> bool:
        """Note a count of a fresh nonce after a right answer; False if it was used before."""
        counts = self._used.get(nonce)
        if counts is None:
            issued = self.issued(nonce)
            if issued is None or issued <= self._forgotten:
                return False
            counts = self._used[nonce] = _Counts(issued)
            self._make_room()
        return counts.add(count)

    def issued(self, nonce: str) -> float | None:
        """Seconds of the clock, None for a nonce that is not of this table."""
        raw = self._decode(nonce)
        return None if raw is None else _time_of(raw)

    def _age(self, issued: float) -> float:
        return self._now_ms() / 1000 - issued

    def _now_ms(self) -> int:
        return int(self._clock() * 1000)

    def _encode(self, stamp: bytes) -> str:
        mac = hmac.digest(self.secret, stamp, "sha256")[:_MAC]
        return base64.urlsafe_b64encode(stamp + mac).decode("ascii")

    def _decode(self, nonce: str) -> bytes | None:
        """The bytes of a nonce of this table."""
        try:
            raw = base64.urlsafe_b64decode(nonce)
        except (ValueError, binascii.Error):
            return None
        # Compared as text: another spelling of the same bytes would have its own counts.
        own = self._encode(raw[: _STAMP + _SESSION + _RANDOM]).encode("ascii")
        return raw if hmac.compare_digest(own, nonce.encode("utf-8")) else None

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


def _time_of(raw: bytes) -> float:
    milliseconds: int = struct.unpack(">Q", raw[:_STAMP])[0]
    return milliseconds / 1000


@dataclass(frozen=True)
class Outcome:
    """The result of a login: ``user`` if it was right, otherwise ``reason``.

    ``stale``: the password was right, the nonce was not. ``ended``: it was right, but the user
    has logged out of the nonce's ``session``. ``former``: the password was right
    until it was changed. ``wait``: seconds for which no password of this user is looked at.
    ``reason`` is empty if no login was tried. ``claimed`` is the user name as sent, for the log;
    do not trust it. ``ha1`` is the user's; never show it.
    """

    user: str | None = None
    ha1: bytes = field(default=b"", repr=False)
    session: bytes = b""
    stale: bool = False
    ended: bool = False
    former: bool = False
    wait: float = 0.0
    reason: str = ""
    claimed: str = ""


class Sha256Users(Protocol):
    """Users who may log in by SHA-256 too; `htdigest.HtdigestFile` has them."""

    def sha256(self, user: str) -> bytes | None: ...

    def all_have_sha256(self) -> bool: ...

    def name_of(self, userhash: str) -> str | None: ...


class DigestLogin:
    """Checks logins of one realm.

    ``ha1_of`` gives the 32 lower-case hex digits of MD5(user:realm:password), or None;
    ``former_of`` those of passwords before. ``has_ended`` says whether a user has logged out
    of a session, of which a nonce has the given age.
    """

    def __init__(
        self,
        realm: str,
        ha1_of: Callable[[str], bytes | None],
        nonces: NonceTable,
        *,
        former_of: Callable[[str], Iterable[bytes]] = lambda _: (),
        sha256: Sha256Users | None = None,
        has_ended: Callable[[str, bytes, float], bool] = lambda _user, _id, _age: False,
    ) -> None:
        self._realm = realm
        self._ha1_of = ha1_of
        self._former_of = former_of
        self._sha256 = sha256
        self._nonces = nonces
        self._has_ended = has_ended
        # In place of the HA1 of an unknown user, so that the check takes as long.
        self._nobody = secrets.token_hex(16).encode("ascii")

    def challenges(self, *, stale: bool = False, session: bytes = b"") -> list[str]:
        """The values of ``WWW-Authenticate``, with one new nonce.

        MD5 comes first: clients take the first that they know, and old ones the first at all.
        SHA-256 is offered only if every user has it: whoever chose it could not log in else.
        """
        nonce = self._nonces.issue(session)
        offered = [self._challenge(MD5, nonce, stale=stale)]
        if self._sha256 is not None and self._sha256.all_have_sha256():
            offered.append(self._challenge(SHA256, nonce, stale=stale) + ", userhash=true")
        return offered

    def _challenge(self, algorithm: str, nonce: str, *, stale: bool) -> str:
        parts = [
            f"Digest realm={quote(self._realm)}",
            'qop="auth"',
            f"algorithm={algorithm}",
            f'nonce="{nonce}"',
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
        prefix: str = "",
        judge: Callable[[str, bool], float] = lambda _user, _wrong: 0.0,
    ) -> Outcome:
        """Check one request, once: the second time its nonce count is a replay.

        ``target`` is the raw one of the request line; the client may have seen ``prefix`` before
        it. ``judge`` gets the user name, and whether the password is wrong and never was right; it
        returns the seconds for which nothing is said of it.
        """
        if not authorization:
            return Outcome()
        try:
            parameters = parse_authorization(authorization)
            self._check_parameters(parameters, (target, prefix + target))
            claimed = self._claimed(parameters)
        except BadAuthorization as error:
            return Outcome(reason=str(error))
        ha1 = self._ha1_of(claimed)
        key = ha1 if _algorithm(parameters) == MD5 else self._sha256_of(claimed)
        right = self._is_right(key, method, parameters) and ha1 is not None
        former = self._former_of(claimed) if _algorithm(parameters) == MD5 else ()
        was_right = any(self._is_right(each, method, parameters) for each in former)
        wait = judge(claimed, not (right or was_right))
        if wait:
            return Outcome(wait=wait, reason="too many wrong passwords", claimed=claimed)
        if ha1 is None or not right:
            reason = "no such user" if ha1 is None else "wrong password"
            return Outcome(former=was_right, reason=reason, claimed=claimed)
        return self._of_session(claimed, ha1, parameters)

    def session_of(self, authorization: str | None) -> bytes | None:
        """The session of the nonce in a login, which is not checked; None if it is not ours."""
        try:
            parameters = parse_authorization(authorization or "")
        except BadAuthorization:
            return None
        session = self._nonces.session(parameters.get("nonce", ""))
        return None if session is None else session.id

    def _of_session(self, user: str, ha1: bytes, parameters: Mapping[str, str]) -> Outcome:
        """The password is right; what of the nonce?"""
        nonce, count = parameters["nonce"], int(parameters["nc"], 16)
        session = self._nonces.session(nonce)
        named = session or self._nonces.claimed_session(nonce)
        if named is not None and self._has_ended(user, named.id, named.age):
            return Outcome(ended=True, reason="logged out", claimed=user)
        known = b"" if session is None else session.id
        if not (self._nonces.fresh(nonce) and self._nonces.spend(nonce, count)):  # it may wait
            return Outcome(stale=True, session=known, reason="stale nonce", claimed=user)
        return Outcome(user=user, ha1=ha1, session=known)

    def _sha256_of(self, user: str) -> bytes | None:
        return None if self._sha256 is None else self._sha256.sha256(user)

    def _is_right(self, key: bytes | None, method: str, parameters: Mapping[str, str]) -> bool:
        equal = hmac.compare_digest(
            _response(key or self._nobody, method, parameters),
            parameters["response"].lower().encode("latin-1"),
        )
        return equal and key is not None

    def _claimed(self, parameters: Mapping[str, str]) -> str:
        """The user name; of a hash that is nobody's a name that nobody can have."""
        if parameters.get("username"):
            name = parameters["username"].encode("latin-1").decode("utf-8", "replace")
        else:
            match = _EXTENDED.fullmatch(parameters["username*"])
            if match is None:
                raise BadAuthorization("the user name (username*) is not in UTF-8")
            name = unquote_to_bytes(match[1].encode("latin-1")).decode("utf-8", "replace")
        if parameters.get("userhash", "false").lower() != "true":
            return name
        known = None if self._sha256 is None else self._sha256.name_of(name)
        return f"userhash:{name}" if known is None else known

    def _check_parameters(self, parameters: Mapping[str, str], targets: tuple[str, ...]) -> None:
        names = sum(1 for name in ("username", "username*") if parameters.get(name))
        if names != 1:
            raise BadAuthorization("the login has no username" if not names else "two user names")
        for name in ("realm", "nonce", "uri", "response", "qop", "nc", "cnonce"):
            if not parameters.get(name):
                raise BadAuthorization(f"the login has no {name}")
        if parameters["realm"].encode("latin-1") != self._realm.encode("utf-8"):
            raise BadAuthorization("the login is for another realm")
        if parameters["uri"] not in targets:
            raise BadAuthorization(
                "the login is for another uri than the request (does a proxy change paths?)"
            )
        if parameters["qop"].lower() != "auth":
            raise BadAuthorization("the login does not use qop=auth")
        if _algorithm(parameters) not in _HASHES:
            raise BadAuthorization("the login uses neither algorithm=MD5 nor SHA-256")
        if parameters.get("userhash", "false").lower() not in ("true", "false"):
            raise BadAuthorization("the userhash of the login is neither true nor false")
        if not _NC.fullmatch(parameters["nc"]) or int(parameters["nc"], 16) == 0:
            raise BadAuthorization("the nonce count of the login is not 8 hex digits")


def _algorithm(parameters: Mapping[str, str]) -> str:
    return parameters.get("algorithm", MD5).upper()


def _response(key: bytes, method: str, parameters: Mapping[str, str]) -> bytes:
    """RFC 7616, section 3.4.1; lower-case hex digits."""
    hashed = _HASHES[_algorithm(parameters)]
    middle = ":".join(parameters[name] for name in ("nonce", "nc", "cnonce", "qop"))
    ha2 = hashed(f"{method}:{parameters['uri']}".encode("latin-1"))
    return hashed(b"%s:%s:%s" % (key, middle.encode("latin-1"), ha2))
