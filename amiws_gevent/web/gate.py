"""Decides which HTTP requests and which WebSockets are accepted.

    HTTP request     Host, if allowed_hosts is set; then Digest, if auth_file is set, or the user
                     whom a trusted proxy names, if auth_header is set
    WebSocket        Origin and Host; then the same or the session cookie, or a token, if there
                     are api_tokens
    under /api/      as a WebSocket, and the browser must not say that another web site asks

The checks of Origin and login of a WebSocket are deliberate differences from amiws, which
takes any origin and asks nobody to log in there. Every refusal says so, in its body and in
the log, and names the setting that changes it.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable
from dataclasses import replace

from amiws_gevent.config import Settings
from amiws_gevent.plugins.api import Headers as Headers
from amiws_gevent.plugins.api import RequestInfo as RequestInfo
from amiws_gevent.runtime.log import LogLimiter
from amiws_gevent.web.digest import Outcome
from amiws_gevent.web.hosts import HostPolicy, host_name, names_of_this_machine
from amiws_gevent.web.logins import LOG_INTERVAL as LOG_INTERVAL
from amiws_gevent.web.logins import LoginMemory, Logins, LoginTold
from amiws_gevent.web.origin import CrossOrigin, OriginPolicy, parse_origin
from amiws_gevent.web.tokens import CHALLENGE
from amiws_gevent.web.verdict import LOGIN_GONE, NOBODY, Grant, refusal, shown
from amiws_gevent.web.verdict import Verdict as Verdict

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
# Host names that a warning was logged for; beyond this number they are forgotten.
MOST_NAMES = 100


class Gate:
    """Decides on requests by one configuration; a reload makes a new one.

    Ask once per request: a Digest answer is valid for one check. ``memory`` is shared by all
    gates. ``clock`` is for nonces and the log, ``wall_clock`` for session cookies, which outlive
    the process.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        memory: LoginMemory | None = None,
        told: LoginTold = lambda _address, _user, _how, _refused: None,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._origins = OriginPolicy(settings.allowed_origins)
        self._cross_origin = CrossOrigin(self._origins)
        self._hosts = HostPolicy(
            settings.allowed_hosts, {settings.ws_host, *names_of_this_machine()}
        )
        self._limiter = LogLimiter(LOG_INTERVAL, clock)
        self._logins = Logins(
            settings,
            memory or LoginMemory(clock=clock),
            self._limiter,
            told,
            wall_clock=wall_clock,
        )
        self._login_on_websocket = settings.auth_websocket
        self._told_hosts: set[str] = set()

    def check_request(self, request: RequestInfo) -> Verdict:
        """Check an HTTP request: 200, or 401 with a challenge. A login may set the cookie.

        403 for a host name that is not in ``allowed_hosts``, and without the login of a proxy
        where there is no other; 429 after too many failed logins.
        """
        hosts = request.headers.getall("Host")
        if self._hosts.enforced and not all(map(self._hosts.allows, hosts)):
            return self._refuse_host(request, hosts[0])
        if not self._logins.needed:
            return Verdict(200)
        by_proxy = self._logins.by_proxy(request)
        if by_proxy is not None:
            return by_proxy
        checked = self._logins.by_digest(request)
        if isinstance(checked, Verdict):
            return checked
        self._logins.warn_of_unusable(request, checked)
        return self._logins.challenge(checked, "Log in to see this page.")

    def check_upgrade(self, request: RequestInfo) -> Verdict:
        """Check a WebSocket: 200; 403 for another web site; 401 without a cookie or a login.

        429 after too many failed logins; 400 with two ``Origin`` or ``Host`` headers, which
        no browser sends.
        """
        refused = self._check_site(request, "WebSocket")
        if refused is not None:
            return refused
        logins = self._logins
        verdict = logins.by_token(request)
        if verdict is not None:
            return verdict
        if not logins.needed:
            return Verdict(200)
        verdict = logins.by_proxy(request) or logins.by_cookie(request)
        if verdict is not None:
            return verdict
        if not self._login_on_websocket:
            return Verdict(200)
        checked = logins.by_digest(request, UNLIKE_AMIWS)
        return checked if isinstance(checked, Verdict) else self._refuse_upgrade(request, checked)

    def check_api(self, request: RequestInfo) -> Verdict:
        """Check a request under ``/api/``, of whatever method: 200; 204 answers a preflight.

        400, 401, 403 and 429 as for a WebSocket. Also 403 if the browser says that another web
        site asks (``Sec-Fetch-Site``), unless that site is allowed: it sends cached Digest
        logins with the GETs of any site. The headers have what CORS asks for.
        """
        verdict = self._check_api(request)
        cross = self._cross_origin.headers(request.headers.getall("Origin"))
        return replace(verdict, headers=(*verdict.headers, *cross))

    def log_out(self, grant: Grant, request: RequestInfo) -> str:
        """End the sessions of a user of ``auth_file``; the ``Set-Cookie`` that forgets them."""
        return self._logins.log_out(grant, request)

    def end_of(self, grant: Grant, *, websocket: bool) -> str | None:
        """Why what was granted before would not be now; None: it would.

        ``websocket``: to a WebSocket; else to a request under ``/api/``.
        """
        if grant != NOBODY:
            return self._logins.end_of(grant)
        if websocket:
            closed = self._logins.needed and self._login_on_websocket
        else:
            closed = self._logins.needed or bool(self._logins.tokens)
        return LOGIN_GONE if closed else None

    def users_version(self) -> int | None:
        """Another number whenever ``auth_file`` has other users; None while it is written."""
        users = self._logins.users
        if users is None:
            return 0
        return users.version if users.is_settled() else None

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
            if "Sec-Fetch-Site" in request.headers and not self._logins.tokens:
                self._warn_of_host(request, hosts[0], "request")
        preflight = self._cross_origin.preflight(request)
        if preflight is not None:
            return Verdict(204, headers=preflight)
        verdict = self._logins.by_token(request)
        if verdict is not None:
            return verdict
        if self._logins.needed:
            return self._log_in_to_api(request)
        if not self._logins.tokens:
            return Verdict(200)
        return refusal(
            401,
            "This request needs a token (api_tokens): send Authorization: Bearer TOKEN.",
            ("WWW-Authenticate", CHALLENGE),
        )

    def _log_in_to_api(self, request: RequestInfo) -> Verdict:
        """By a proxy, the session cookie or Digest, also where ``auth_websocket`` is off."""
        logins = self._logins
        verdict = logins.by_proxy(request) or logins.by_cookie(request)
        if verdict is not None:
            return verdict
        checked = logins.by_digest(request)
        if isinstance(checked, Verdict):
            return checked
        logins.warn_of_unusable(request, checked)
        verdict = logins.challenge(checked, "This request needs a login, or a token (api_tokens).")
        if logins.tokens and verdict.status == 401:
            verdict = replace(verdict, headers=(*verdict.headers, ("WWW-Authenticate", CHALLENGE)))
        return verdict

    def _check_site(self, request: RequestInfo, what: str) -> Verdict | None:
        """A refusal if the page that asks is another web site's; ``what`` is asked for."""
        origins = request.headers.getall("Origin")
        hosts = request.headers.getall("Host")
        if len(origins) > 1 or len(hosts) > 1:
            return refusal(400, "The request has more than one Origin or Host header.")
        if not self._origins.allows(origins, hosts, request.scheme):
            return self._refuse_origin(request, origins[0], what)
        # An unlisted origin is accepted because it equals Host, so Host must be a known name.
        if origins and not self._origins.names(origins[0]) and not self._hosts.allows(hosts[0]):
            if self._hosts.enforced:
                return self._refuse_host(request, hosts[0])
            self._warn_of_host(request, hosts[0], what)
        return None

    def _warn(self, kind: str, text: str, *arguments: object) -> bool:
        """Log one line of each kind per LOG_INTERVAL; whether this one was logged."""
        return self._limiter.log(_log, logging.WARNING, kind, text, *arguments)

    def _refuse_upgrade(self, request: RequestInfo, outcome: Outcome) -> Verdict:
        reason = outcome.reason or "no login"
        if not outcome.reason and self._logins.has_cookie(request):
            reason = "its session cookie is not valid any more; load the page again"
        if not outcome.claimed or outcome.ended:  # else `by_digest` has logged it
            self._warn(
                "401",
                "WebSocket refused with 401: address=%s: %s%s",
                request.address,
                reason,
                UNLIKE_AMIWS,
            )
        if outcome.claimed and not (outcome.stale or outcome.ended):
            reason = "the user name or the password is wrong"  # only the log says which of them
        return self._logins.challenge(
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
            shown(site),
        )
        return refusal(
            403,
            "This request is refused: the browser says that another web site asks "
            f"(Sec-Fetch-Site: {shown(site)}). A site that is in allowed_origins must ask by "
            "CORS, with an Origin.",
        )

    def _refuse_origin(self, request: RequestInfo, origin: str, what: str) -> Verdict:
        setting = f"allowed_origins: [{shown(_allowing(origin))}]"
        seen = shown(origin)
        self._warn(
            "origin",
            "%s refused with 403: address=%s origin=%s is another web site (amiws accepts "
            "all); to accept it, set %s (%s)",
            what,
            request.address,
            seen,
            setting,
            MIGRATION,
        )
        return refusal(
            403,
            f"This {what} is refused: the page that made it is from another web site "
            f"(Origin: {seen}).\n"
            "amiws accepts all origins, so any web site that a user visits can control the PBX; "
            "this is a deliberate difference. To accept this web site, add to the "
            f"configuration:\n\n    {setting}\n\nSee {MIGRATION}.",
        )

    def _refuse_host(self, request: RequestInfo, host: str) -> Verdict:
        setting, seen = _allowing_host(host), shown(host)
        self._warn(
            "host",
            "request refused with 403: address=%s host=%s is not in allowed_hosts; if it is a "
            "name of this server, add it: %s (%s)",
            request.address,
            seen,
            setting,
            NAMES,
        )
        return refusal(
            403,
            f"This request is refused: its host name is not in allowed_hosts (Host: {seen}).\n"
            "Without this check any web site that a user visits could control the PBX through a "
            "name that points here (DNS rebinding). If it is a name of this server, add it to "
            "those in the configuration:\n\n"
            f"    {setting}\n\nSee {NAMES}.",
        )

    def _warn_of_host(self, request: RequestInfo, host: str, what: str) -> None:
        """Warn once for each name, unless a login or TLS already stops the attack."""
        asks = self._logins.needed and self._login_on_websocket
        name = host_name(host)
        if asks or request.scheme == "https" or name is None or name in self._told_hosts:
            return
        if self._warn(
            "doubtful host",
            "%s accepted for host=%s (address=%s) without a login: any web site can "
            "control the PBX through a name that points here (DNS rebinding); if this is the "
            "name of this server, set %s (%s)",
            what,
            shown(name),
            request.address,
            _allowing_host(host),
            NAMES,
        ):
            if len(self._told_hosts) >= MOST_NAMES:
                self._told_hosts.clear()
            self._told_hosts.add(name)


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
    return f"allowed_hosts: [{shown(host_name(host) or '*')}]"
