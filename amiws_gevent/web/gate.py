"""Decides which HTTP requests and which WebSockets are accepted.

    HTTP request     Host, if allowed_hosts is set; then Digest, if auth_file is set
    WebSocket        Origin and Host; then the session cookie or Digest, if auth_file is set,
                     or a token, if there are api_tokens
    under /api/      as a WebSocket, and the browser must not say that another web site asks

The checks of Origin and login of a WebSocket are deliberate differences from amiws, which
takes any origin and asks nobody to log in there. Every refusal says so, in its body and in
the log, and names the setting that changes it.
"""

from __future__ import annotations

import json
import logging
import math
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from amiws_gevent.config import Settings
from amiws_gevent.plugins.api import Headers as Headers
from amiws_gevent.plugins.api import RequestInfo as RequestInfo
from amiws_gevent.runtime.log import LogLimiter
from amiws_gevent.web.digest import DigestLogin, HtdigestFile, NonceTable, Outcome
from amiws_gevent.web.former import FormerPasswords
from amiws_gevent.web.hosts import HostPolicy, host_name, names_of_this_machine
from amiws_gevent.web.login_throttle import LIMIT, LoginThrottle
from amiws_gevent.web.origin import CrossOrigin, OriginPolicy, parse_origin
from amiws_gevent.web.session import SessionCookies
from amiws_gevent.web.tokens import CHALLENGE, REFUSED, USER_PREFIX, Tokens, bearer_of

_log = logging.getLogger("amiws_gevent.web.gate")

# The heading that README.md gives the section on what differs from amiws.
MIGRATION = 'README.md, "Coming from amiws"'
# An origin that is no web site's but an application's or an extension's.
_APPLICATION = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,40}://[A-Za-z0-9._-]{1,150}")
# Added to the log line of each login that is refused on a WebSocket.
UNLIKE_AMIWS = (
    "; unlike amiws, a WebSocket needs the login of the pages (auth_websocket: false turns this "
    f"off; see {MIGRATION})"
)
# Where operators read what allowed_hosts is for.
NAMES = 'docs/configuration.md, "Names of this server"'
# The user name that wrong tokens are counted and logged under.
_SOME_TOKEN = "token"  # noqa: S105
# Seconds between log lines for each kind of refusal: password guessing must not fill the disk.
LOG_INTERVAL = 1.0
# Host names that a warning was logged for; beyond this number they are forgotten.
MOST_NAMES = 100


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
    secret: bytes = field(default=b"", repr=False)
    """What the login was checked against, for `Gate.still_knows`."""

    @property
    def detail(self) -> str:
        """The words of the body, without the status before them."""
        return self.body.decode().removeprefix(f"{self.status} ").rstrip("\n")


LoginTold = Callable[[str, str | None, str, str], None]
"""Gets each login: the address, the user, how (DIGEST, TOKEN), and why it is refused, or ""."""

DIGEST, TOKEN = "digest", "token"


@dataclass(frozen=True)
class _Login:
    """What a login is checked against; there is none if no login is needed."""

    users: HtdigestFile
    digest: DigestLogin


class Gate:
    """Decides on requests by one configuration; a reload makes a new one.

    Ask once per request: a Digest answer is valid for one check. ``login_throttle`` and
    ``former_passwords`` are shared by all gates. ``clock`` is for nonces and the log,
    ``wall_clock`` for session cookies, which outlive the process.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        login_throttle: LoginThrottle | None = None,
        former_passwords: FormerPasswords | None = None,
        told: LoginTold = lambda _address, _user, _how, _refused: None,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._origins = OriginPolicy(settings.allowed_origins)
        self._cross_origin = CrossOrigin(self._origins)
        self._tokens = Tokens(settings.api_tokens)
        self._hosts = HostPolicy(
            settings.allowed_hosts, {settings.ws_host, *names_of_this_machine()}
        )
        self._cookies = SessionCookies(
            settings.ws_port, settings.session_lifetime, clock=wall_clock
        )
        self._login = _make_login(settings, former_passwords or FormerPasswords(), clock)
        self._login_on_websocket = settings.auth_websocket
        self._login_throttle = (
            LoginThrottle(clock=clock) if login_throttle is None else login_throttle
        )
        self._most_failures = settings.limits.failed_logins
        self._told = told
        self._limiter = LogLimiter(LOG_INTERVAL, clock)
        self._told_hosts: set[str] = set()

    def check_request(self, request: RequestInfo) -> Verdict:
        """Check an HTTP request: 200, or 401 with a challenge. A login may set the cookie.

        403 for a host name that is not in ``allowed_hosts``; 429 after too many failed logins.
        """
        hosts = request.headers.getall("Host")
        if self._hosts.enforced and not all(map(self._hosts.allows, hosts)):
            return self._refuse_host(request, hosts[0])
        if self._login is None:
            return Verdict(200)
        outcome = self._verify(self._login, request)
        if outcome.user is not None:
            return self._welcome(self._login, request, outcome.user, outcome.ha1)
        if outcome.passed_over:
            return self._pass_over(request, outcome)
        if outcome.reason and not outcome.claimed:
            self._warn_of_login(request, outcome)
        return _challenge(self._login, outcome, "Log in to see this page.")

    def check_upgrade(self, request: RequestInfo) -> Verdict:
        """Check a WebSocket: 200; 403 for another web site; 401 without a cookie or a login.

        429 after too many failed logins; 400 with two ``Origin`` or ``Host`` headers, which
        no browser sends.
        """
        refused = self._check_site(request, "WebSocket")
        if refused is not None:
            return refused
        token = bearer_of(request.headers.get("Authorization"))
        if token is not None and self._tokens:
            return self._check_token(request, token)
        if self._login is None:
            return Verdict(200)
        session = self._cookies.check(request.headers.getall("Cookie"), self._login.users.ha1)
        if session is not None:
            return Verdict(200, user=session.user)
        if not self._login_on_websocket:
            return Verdict(200)
        outcome = self._verify(self._login, request, UNLIKE_AMIWS)
        if outcome.user is not None:
            return self._welcome(self._login, request, outcome.user, outcome.ha1)
        if outcome.passed_over:
            return self._pass_over(request, outcome)
        return self._refuse_upgrade(self._login, request, outcome)

    def check_api(self, request: RequestInfo) -> Verdict:
        """Check a request under ``/api/``, of whatever method: 200; 204 answers a preflight.

        400, 401, 403 and 429 as for a WebSocket. Also 403 if the browser says that another web
        site asks (``Sec-Fetch-Site``), unless that site is allowed: it sends cached Digest
        logins with the GETs of any site. The headers have what CORS asks for.
        """
        verdict = self._check_api(request)
        cross = self._cross_origin.headers(request.headers.getall("Origin"))
        return replace(verdict, headers=(*verdict.headers, *cross))

    def still_knows(self, user: str | None, secret: bytes) -> bool:
        """Whether what `check_api` has said of a request would still hold for its login."""
        if user is None:
            return self._login is None and not self._tokens
        if user.startswith(USER_PREFIX):
            return self._tokens.hash(user) == secret
        return self._login is not None and self._login.users.ha1(user) == secret

    def _check_api(self, request: RequestInfo) -> Verdict:
        refused = self._check_site(request, "request")
        if refused is not None:
            return refused
        if self._cross_origin.is_foreign(request.headers):
            return self._refuse_site(request)
        hosts = request.headers.getall("Host")
        if not all(map(self._hosts.allows, hosts)):
            if self._hosts.enforced:
                return self._refuse_host(request, hosts[0])
            # A browser sends no Origin with a GET of a page whose name points here.
            if "Sec-Fetch-Site" in request.headers and not self._tokens:
                self._warn_of_host(request, hosts[0], "request")
        preflight = self._cross_origin.preflight(request)
        if preflight is not None:
            return Verdict(204, headers=preflight)
        token = bearer_of(request.headers.get("Authorization"))
        if token is not None and self._tokens:
            return self._check_token(request, token)
        if self._login is not None:
            return self._log_in_to_api(self._login, request)
        if not self._tokens:
            return Verdict(200)
        return _refusal(
            401,
            "This request needs a token (api_tokens): send Authorization: Bearer TOKEN.",
            ("WWW-Authenticate", CHALLENGE),
        )

    def _log_in_to_api(self, login: _Login, request: RequestInfo) -> Verdict:
        """By the session cookie or Digest, also where ``auth_websocket`` is off."""
        session = self._cookies.check(request.headers.getall("Cookie"), login.users.ha1)
        if session is not None:
            return Verdict(200, session.user, secret=login.users.ha1(session.user) or b"")
        outcome = self._verify(login, request)
        if outcome.user is not None:
            verdict = self._welcome(login, request, outcome.user, outcome.ha1)
            return replace(verdict, secret=outcome.ha1)
        if outcome.passed_over:
            return self._pass_over(request, outcome)
        if outcome.reason and not outcome.claimed:
            self._warn_of_login(request, outcome)
        verdict = _challenge(login, outcome, "This request needs a login, or a token (api_tokens).")
        if self._tokens:
            verdict = replace(verdict, headers=(*verdict.headers, ("WWW-Authenticate", CHALLENGE)))
        return verdict

    def _check_site(self, request: RequestInfo, what: str) -> Verdict | None:
        """A refusal if the page that asks is another web site's; ``what`` is asked for."""
        origins = request.headers.getall("Origin")
        hosts = request.headers.getall("Host")
        if len(origins) > 1 or len(hosts) > 1:
            return _refusal(400, "The request has more than one Origin or Host header.")
        if not self._origins.allows(origins, hosts, request.scheme):
            return self._refuse_origin(request, origins[0], what)
        # An unlisted origin is accepted because it equals Host, so Host must be a known name.
        if origins and not self._origins.names(origins[0]) and not self._hosts.allows(hosts[0]):
            if self._hosts.enforced:
                return self._refuse_host(request, hosts[0])
            self._warn_of_host(request, hosts[0], what)
        return None

    def _check_token(self, request: RequestInfo, token: str) -> Verdict:
        """Accept a token, or refuse and count it.

        The right ones are accepted however many wrong ones came from the same address: they
        are random, so that nobody finds one by trying, and its owner shall not suffer.
        """
        user = self._tokens.user(token)
        if user is not None:
            self._told(request.address, user, TOKEN, "")
            return Verdict(200, user, secret=self._tokens.hash(user) or b"")
        outcome = Outcome(reason="no such token", claimed=_SOME_TOKEN)
        if self._login_throttle.wait(request.address, _SOME_TOKEN, self._most_failures):
            return self._pass_over(request, replace(outcome, passed_over=True))
        self._login_throttle.failed(request.address, _SOME_TOKEN)
        self._warn_of_login(request, outcome)
        return _refusal(
            401,
            "There is no such token in api_tokens.",
            ("WWW-Authenticate", REFUSED),
        )

    def _verify(self, login: _Login, request: RequestInfo, more: str = "") -> Outcome:
        """Check a Digest login unless too many have failed; count and log a failure.

        A user with a valid session cookie is not throttled because of others at the same
        address: the cookie is made from the password, so its owner learns nothing by trying.
        """

        def may_try(user: str) -> bool:
            if not self._login_throttle.wait(request.address, user, self._most_failures):
                return True
            session = self._cookies.check(request.headers.getall("Cookie"), login.users.ha1)
            return session is not None and session.user == user

        outcome = login.digest.verify(
            request.method, request.target, request.headers.get("Authorization"), may_try=may_try
        )
        if outcome.former:
            self._told(request.address, outcome.claimed, DIGEST, "a former password")
            self._warn(
                "former password",
                "login with a former password: address=%s user=%s%s",
                request.address,
                _shown(outcome.claimed),
                more,
            )
        elif outcome.claimed and not (outcome.stale or outcome.passed_over):
            self._login_throttle.failed(request.address, outcome.claimed)
            self._warn_of_login(request, outcome, more)
        return outcome

    def _warn(self, kind: str, text: str, *arguments: object) -> bool:
        """Log one line of each kind per LOG_INTERVAL; whether this one was logged."""
        return self._limiter.log(_log, logging.WARNING, kind, text, *arguments)

    def _warn_of_login(self, request: RequestInfo, outcome: Outcome, more: str = "") -> None:
        """Log a refused login; fail2ban parses this line (see docs/operations.md)."""
        how = TOKEN if outcome.claimed == _SOME_TOKEN else DIGEST
        self._told(request.address, outcome.claimed or None, how, outcome.reason)
        self._warn(
            "login",
            "login refused: address=%s user=%s: %s%s",
            request.address,
            _shown(outcome.claimed),
            outcome.reason,
            more,
        )

    def _pass_over(self, request: RequestInfo, outcome: Outcome) -> Verdict:
        """Answer 429; it does not say whether the password is right, which was not checked."""
        self._login_throttle.refused[LIMIT] += 1
        wait = self._login_throttle.wait(request.address, outcome.claimed, self._most_failures)
        seconds = max(1, math.ceil(wait))
        self._warn_of_login(request, outcome)
        return _refusal(
            429,
            "There were too many logins with a wrong name or password from your address "
            f"(limits.failed_logins). Try again in {seconds} s.",
            ("Retry-After", str(seconds)),
        )

    def _welcome(self, login: _Login, request: RequestInfo, user: str, ha1: bytes) -> Verdict:
        """Accept; set a cookie unless the request has one in the first half of its lifetime."""
        self._told(request.address, user, DIGEST, "")
        session = self._cookies.check(request.headers.getall("Cookie"), login.users.ha1)
        if session and session.user == user and session.age <= self._cookies.lifetime / 2:
            return Verdict(200, user=user)
        cookie = self._cookies.issue(user, ha1, secure=request.scheme == "https")
        return Verdict(200, user=user, headers=(("Set-Cookie", cookie),))

    def _refuse_upgrade(self, login: _Login, request: RequestInfo, outcome: Outcome) -> Verdict:
        reason = outcome.reason or "no login"
        if not outcome.reason and self._cookies.sent(request.headers.getall("Cookie")):
            reason = "its session cookie is not valid any more; load the page again"
        if not outcome.claimed:  # else `_verify` has logged it
            self._warn(
                "401",
                "WebSocket refused with 401: address=%s: %s%s",
                request.address,
                reason,
                UNLIKE_AMIWS,
            )
        if outcome.claimed and not outcome.stale:  # only the log says which of the two
            reason = "the user name or the password is wrong"
        return _challenge(
            login,
            outcome,
            f"This WebSocket is refused: {reason}.\n"
            "It needs the login of the pages (auth_file): load a page from here and log in, or "
            "answer the Digest challenge.\n"
            "amiws asks for no login here; this is a deliberate difference. To open the "
            "WebSocket to everyone, add to the configuration:\n\n    auth_websocket: false\n\n"
            f"See {MIGRATION}.",
        )

    def _refuse_site(self, request: RequestInfo) -> Verdict:
        site = request.headers.get("Sec-Fetch-Site", "")
        self._warn(
            "site",
            "request refused with 403: address=%s: the browser says that another web site asks "
            "(Sec-Fetch-Site: %s)",
            request.address,
            _shown(site),
        )
        return _refusal(
            403,
            "This request is refused: the browser says that another web site asks "
            f"(Sec-Fetch-Site: {_shown(site)}). A site that is in allowed_origins must ask by "
            "CORS, with an Origin.",
        )

    def _refuse_origin(self, request: RequestInfo, origin: str, what: str) -> Verdict:
        setting = f"allowed_origins: [{_shown(_allowing(origin))}]"
        shown = _shown(origin)
        self._warn(
            "origin",
            "%s refused with 403: address=%s origin=%s is another web site (amiws accepts "
            "all); to accept it, set %s (%s)",
            what,
            request.address,
            shown,
            setting,
            MIGRATION,
        )
        return _refusal(
            403,
            f"This {what} is refused: the page that made it is from another web site "
            f"(Origin: {shown}).\n"
            "amiws accepts all origins, so any web site that a user visits can control the PBX; "
            "this is a deliberate difference. To accept this web site, add to the "
            f"configuration:\n\n    {setting}\n\nSee {MIGRATION}.",
        )

    def _refuse_host(self, request: RequestInfo, host: str) -> Verdict:
        setting, shown = _allowing_host(host), _shown(host)
        self._warn(
            "host",
            "request refused with 403: address=%s host=%s is not in allowed_hosts; if it is a "
            "name of this server, add it: %s (%s)",
            request.address,
            shown,
            setting,
            NAMES,
        )
        return _refusal(
            403,
            f"This request is refused: its host name is not in allowed_hosts (Host: {shown}).\n"
            "Without this check any web site that a user visits could control the PBX through a "
            "name that points here (DNS rebinding). If it is a name of this server, add it to "
            "those in the configuration:\n\n"
            f"    {setting}\n\nSee {NAMES}.",
        )

    def _warn_of_host(self, request: RequestInfo, host: str, what: str) -> None:
        """Warn once for each name, unless a login or TLS already stops the attack."""
        asks = self._login is not None and self._login_on_websocket
        name = host_name(host)
        if asks or request.scheme == "https" or name is None or name in self._told_hosts:
            return
        if self._warn(
            "doubtful host",
            "%s accepted for host=%s (address=%s) without a login: any web site can "
            "control the PBX through a name that points here (DNS rebinding); if this is the "
            "name of this server, set %s (%s)",
            what,
            _shown(name),
            request.address,
            _allowing_host(host),
            NAMES,
        ):
            if len(self._told_hosts) >= MOST_NAMES:
                self._told_hosts.clear()
            self._told_hosts.add(name)


def _make_login(
    settings: Settings, former: FormerPasswords, clock: Callable[[], float]
) -> _Login | None:
    if settings.auth_file is None or settings.auth_domain is None:
        return None
    realm = settings.auth_domain
    users = HtdigestFile(settings.auth_file, realm, former, clock=clock)
    digest = DigestLogin(realm, users.ha1, NonceTable(clock=clock), former_of=former.ha1)
    return _Login(users, digest)


def _challenge(login: _Login, outcome: Outcome, text: str) -> Verdict:
    challenge = login.digest.challenge(stale=outcome.stale)
    return _refusal(401, text, ("WWW-Authenticate", challenge))


def _allowing(text: str) -> str:
    """The entry of ``allowed_origins`` that allows an ``Origin``.

    ``*`` if nothing less does: ``null``, ``file://``, and values that no browser sends.
    """
    origin = parse_origin(text)
    if origin is not None:
        return str(origin)
    return text if _APPLICATION.fullmatch(text) else "*"


def _allowing_host(host: str) -> str:
    """The configuration line that allows a ``Host``; it allows all if that is no name."""
    return f"allowed_hosts: [{_shown(host_name(host) or '*')}]"


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
