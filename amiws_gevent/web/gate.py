"""Who may see a page and who may open a WebSocket: the one place that decides.

    a page           Digest, when there is an auth_file
    a WebSocket      its Origin, then the session cookie or Digest

The two checks of a WebSocket are deliberate differences from amiws, which takes any
origin and asks nobody to log in there. Every refusal says so, in its body and in the log,
and names the setting that changes it.
"""

from __future__ import annotations

import json
import logging
import re
import time
from collections.abc import Callable
from dataclasses import dataclass

from amiws_gevent.config import Settings
from amiws_gevent.request import Headers as Headers
from amiws_gevent.request import RequestInfo as RequestInfo
from amiws_gevent.web.digest import DigestLogin, HtdigestFile, NonceTable, Outcome
from amiws_gevent.web.origin import OriginPolicy, parse_origin
from amiws_gevent.web.session import SessionCookies

_log = logging.getLogger("amiws_gevent.web.gate")

# The heading that README.md gives the section on what differs from amiws.
MIGRATION = 'README.md, "Coming from amiws"'
# An origin that is no web site's but an application's or an extension's.
_APPLICATION = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,40}://[A-Za-z0-9._-]{1,150}")
# Log lines a second, for each kind of refusal: a guessing client must not fill the disk.
LOG_INTERVAL = 1.0


@dataclass(frozen=True)
class Verdict:
    """``status`` 200: go on as ``user`` (None: nobody has to log in).

    Otherwise the whole answer: the status, and a body of text that says what to change.
    ``headers`` belong to the answer either way (the 101 as well): ``Set-Cookie`` with
    200, ``WWW-Authenticate`` and ``Content-Type`` with a refusal. They have no
    ``Content-Length``.
    """

    status: int
    user: str | None = None
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""


class _Throttle:
    """Lets one log line through each LOG_INTERVAL, and says how many it held back."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._next_at = float("-inf")
        self._held_back = 0

    def warning(self, text: str, *arguments: object) -> None:
        now = self._clock()
        if now < self._next_at:
            self._held_back += 1
            return
        if self._held_back:
            text += " (and %d more like it)"
            arguments = (*arguments, self._held_back)
        self._next_at = now + LOG_INTERVAL
        self._held_back = 0
        _log.warning(text, *arguments)


@dataclass(frozen=True)
class _Login:
    """What a login is checked against; there is none when everyone may come in."""

    users: HtdigestFile
    digest: DigestLogin


class Gate:
    """Decides on requests by one configuration; a reload makes a new one.

    Ask once a request: a Digest answer is good for one check. ``clock`` is for nonces and
    the log, ``wall_clock`` for session cookies, which outlive the process.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._origins = OriginPolicy(settings.allowed_origins)
        self._cookies = SessionCookies(
            settings.ws_port, settings.session_lifetime, clock=wall_clock
        )
        self._login = _make_login(settings, clock)
        self._login_on_websocket = settings.auth_websocket
        self._failed_logins = _Throttle(clock)
        self._refused_origins = _Throttle(clock)
        self._refused_upgrades = _Throttle(clock)

    def check_page(self, request: RequestInfo) -> Verdict:
        """200, or 401 with a challenge. A right login sets the session cookie if need be."""
        if self._login is None:
            return Verdict(200)
        outcome = _verify(self._login, request)
        if outcome.user is not None:
            return self._welcome(self._login, request, outcome.user, outcome.ha1)
        if outcome.reason and not outcome.stale:
            self._failed_logins.warning(
                "login refused: address=%s user=%s: %s",
                request.address,
                _shown(outcome.claimed),
                outcome.reason,
            )
        return _challenge(self._login, outcome, "Log in to see this page.")

    def check_upgrade(self, request: RequestInfo) -> Verdict:
        """200; 403 for a foreign web site; 401 without a session cookie or a login.

        400 with two ``Origin`` or ``Host`` headers, which no browser sends.
        """
        origins = request.headers.getall("Origin")
        hosts = request.headers.getall("Host")
        if len(origins) > 1 or len(hosts) > 1:
            return _refusal(400, "The request has more than one Origin or Host header.")
        if not self._origins.allows(origins, hosts, request.scheme):
            return self._refuse_origin(request, origins[0])
        if self._login is None:
            return Verdict(200)
        session = self._cookies.check(request.headers.getall("Cookie"), self._login.users.ha1)
        if session is not None:
            return Verdict(200, user=session.user)
        if not self._login_on_websocket:
            return Verdict(200)
        outcome = _verify(self._login, request)
        if outcome.user is not None:
            return self._welcome(self._login, request, outcome.user, outcome.ha1)
        return self._refuse_upgrade(self._login, request, outcome)

    def _welcome(self, login: _Login, request: RequestInfo, user: str, ha1: bytes) -> Verdict:
        """Go on; with a cookie, unless the request has one in the first half of its life."""
        session = self._cookies.check(request.headers.getall("Cookie"), login.users.ha1)
        if session and session.user == user and session.age <= self._cookies.lifetime / 2:
            return Verdict(200, user=user)
        cookie = self._cookies.issue(user, ha1, secure=request.scheme == "https")
        return Verdict(200, user=user, headers=(("Set-Cookie", cookie),))

    def _refuse_upgrade(self, login: _Login, request: RequestInfo, outcome: Outcome) -> Verdict:
        reason = outcome.reason or "no login"
        if not outcome.reason and self._cookies.sent(request.headers.getall("Cookie")):
            reason = "its session cookie is no longer good: load the page again"
        if not outcome.stale:
            # Apart, so that pages without a login never hide guesses at passwords.
            log = self._failed_logins if outcome.reason else self._refused_upgrades
            log.warning(
                "WebSocket refused with 401: address=%s user=%s: %s; unlike amiws, the WebSocket "
                "asks for the login of the pages: auth_websocket: false turns that off (%s)",
                request.address,
                _shown(outcome.claimed),
                reason,
                MIGRATION,
            )
        if outcome.claimed and not outcome.stale:  # which of the two is told in the log alone
            reason = "the user name or the password is wrong"
        return _challenge(
            login,
            outcome,
            f"This WebSocket is refused: {reason}.\n"
            "It asks for the login of the pages (auth_file): load a page of this server and "
            "log in there, or answer the Digest challenge.\n"
            "amiws leaves its WebSocket open; this is a deliberate difference. To have it "
            "back, put into the configuration:\n\n    auth_websocket: false\n\n"
            f"See {MIGRATION}.",
        )

    def _refuse_origin(self, request: RequestInfo, origin: str) -> Verdict:
        setting = f"allowed_origins: [{_shown(_allowing(origin))}]"
        shown = _shown(origin)
        self._refused_origins.warning(
            "WebSocket refused with 403: address=%s origin=%s is not this server's; unlike "
            "amiws, pages of other web sites are refused: %s lets it in (%s)",
            request.address,
            shown,
            setting,
            MIGRATION,
        )
        return _refusal(
            403,
            f"This WebSocket is refused: the page that opened it is from another web site "
            f"(Origin: {shown}).\n"
            "amiws takes any origin, so that any web site that a user visits can drive the "
            "PBX; this is a deliberate difference. To let this one in, put into the "
            f"configuration:\n\n    {setting}\n\nSee {MIGRATION}.",
        )


def _make_login(settings: Settings, clock: Callable[[], float]) -> _Login | None:
    if settings.auth_file is None or settings.auth_domain is None:
        return None
    realm = settings.auth_domain
    users = HtdigestFile(settings.auth_file, realm, clock=clock)
    return _Login(users, DigestLogin(realm, users.ha1, NonceTable(clock=clock)))


def _verify(login: _Login, request: RequestInfo) -> Outcome:
    return login.digest.verify(request.method, request.target, request.headers.get("Authorization"))


def _challenge(login: _Login, outcome: Outcome, text: str) -> Verdict:
    challenge = login.digest.challenge(stale=outcome.stale)
    return _refusal(401, text, ("WWW-Authenticate", challenge))


def _allowing(text: str) -> str:
    """The entry of ``allowed_origins`` that would let an ``Origin`` in.

    ``*`` where nothing less would: ``null``, ``file://``, and what no browser sends.
    """
    origin = parse_origin(text)
    if origin is not None:
        return str(origin)
    return text if _APPLICATION.fullmatch(text) else "*"


def _shown(text: str) -> str:
    """Text of a client, fit for a log line and a plain-text body: quoted, ASCII, cut."""
    return json.dumps(text[:200])


def _refusal(status: int, text: str, *headers: tuple[str, str]) -> Verdict:
    return Verdict(
        status,
        headers=(
            *headers,
            ("Content-Type", "text/plain; charset=utf-8"),
            ("X-Content-Type-Options", "nosniff"),
            ("Cache-Control", "no-store"),
        ),
        body=f"{status} {text}\n".encode(),
    )
