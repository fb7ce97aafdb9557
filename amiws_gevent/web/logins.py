"""Who asks: a program with a token, a user whom a proxy names, or one of ``auth_file``.

Each way takes a request and gives a verdict, or None where the request does not use it. The gate
says which of them a path takes, and in which order.
"""

from __future__ import annotations

import logging
import math
import re
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from amiws_gevent.config import Settings
from amiws_gevent.identity import DIGEST, PROXY, TOKEN
from amiws_gevent.plugins.api import RequestInfo
from amiws_gevent.runtime.log import LogLimiter
from amiws_gevent.web.digest import DigestLogin, NonceTable, Outcome
from amiws_gevent.web.ended import EndedSessions
from amiws_gevent.web.former import FormerPasswords
from amiws_gevent.web.htdigest import HtdigestFile
from amiws_gevent.web.login_throttle import LIMIT, PASSWORD, LoginThrottle
from amiws_gevent.web.logouts import Logouts
from amiws_gevent.web.proxies import Proxies
from amiws_gevent.web.session import SessionCookies
from amiws_gevent.web.tokens import REFUSED, Tokens, bearer_of
from amiws_gevent.web.verdict import (
    LOGGED_OUT,
    LOGIN_GONE,
    Grant,
    Verdict,
    refusal,
    shown,
)

_log = logging.getLogger("amiws_gevent.web.gate")

# Seconds between log lines for each kind of refusal: password guessing must not fill the disk.
LOG_INTERVAL = 1.0
# The user name that wrong tokens are counted and logged under.
_SOME_TOKEN = "token"  # noqa: S105
# A user in a header: no colon, by which programs are known, and no end of a line of any script.
_USER = re.compile(r"[^:\x00-\x1f\x7f-\x9f\u2028\u2029]{1,255}")
_NO_USER = "(null)"  # what Apache writes for a variable that is not set


LoginTold = Callable[[str, str | None, str, str], None]
"""Gets each login: the address, the user, how (`Identity.kind`), and why it is refused, or ""."""


class LoginMemory:
    """What outlives a reload: failures, users and their former passwords, nonces, logouts.

    The last outlives a restart too, where the configuration has a file for it.
    """

    instance: str | None = None
    """What session cookies are called by in place of the port, if others accept them too."""

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self.former = FormerPasswords()
        self._clock = clock
        self._users: HtdigestFile | None = None
        self._make(clock, wall_clock)
        self._logouts = Logouts(self.ended, wall_clock=wall_clock)

    def _make(self, clock: Callable[[], float], wall_clock: Callable[[], float]) -> None:
        """What edges share with each other, see `web.sharedlogins`."""
        self.throttle = LoginThrottle(clock=clock)
        self.nonces = NonceTable(clock=clock)
        self.ended = EndedSessions(clock=clock)

    def users_of(self, file: Path, realm: str) -> HtdigestFile:
        """The users of a file; those of before if it is the same one.

        A new reader cannot tell whether a writer has just emptied the file, and all would be logged
        out.
        """
        users = self._users
        if users is None or (users.path, users.realm) != (file, realm):
            users = self._users = HtdigestFile(file, realm, self.former, clock=self._clock)
        return users

    def save(self) -> None:
        """A logout is to outlive the program; may wait for the disk."""
        self._logouts.save()

    def stop(self) -> None:
        """Write what could not be written yet."""
        self._logouts.stop()

    def proxy_logout(self, user: str) -> None:
        """Somebody whom a proxy has logged in has logged out here."""

    def configure(self, settings: Settings) -> None:
        """Keep logouts where the settings say; the first time, take those of before."""
        self._logouts.configure(settings.logouts_file)


class Logins:
    """The ways to log in of one configuration."""

    def __init__(
        self,
        settings: Settings,
        memory: LoginMemory,
        limiter: LogLimiter,
        told: LoginTold,
        *,
        wall_clock: Callable[[], float],
    ) -> None:
        self.tokens = Tokens(settings.api_tokens)
        self.users: HtdigestFile | None = None
        self._digest: DigestLogin | None = None
        self._cookies = SessionCookies(
            memory.instance or settings.ws_port,
            settings.session_lifetime,
            clock=wall_clock,
            has_ended=memory.ended.holds,
        )
        self._header = settings.auth_header
        self._proxies = Proxies(settings.trusted_proxies)
        self._memory = memory
        self._limiter = limiter
        self._told = told
        self._most_failures = settings.limits.failed_logins
        if settings.auth_file is not None and settings.auth_domain is not None:
            realm = settings.auth_domain
            self.users = users = memory.users_of(settings.auth_file, realm)
            self._digest = DigestLogin(
                realm,
                users.ha1,
                memory.nonces,
                former_of=memory.former.ha1s,
                sha256=users,
                has_ended=memory.ended.holds,
            )

    @property
    def needed(self) -> bool:
        """Whether people have to log in."""
        return self.users is not None or self._header is not None

    # Tokens

    def by_token(self, request: RequestInfo) -> Verdict | None:
        """Accept a token, or refuse and count it.

        The right ones are accepted however many wrong ones came from the same address: they
        are random, so that nobody finds one by trying, and its owner shall not suffer.
        """
        token = bearer_of(request.headers.get("Authorization"))
        if token is None or not self.tokens:
            return None
        user = self.tokens.user(token)
        if user is not None:
            self._told(request.address, user, TOKEN, "")
            return Verdict(200, Grant(user, TOKEN, self.tokens.hash(user) or b""))
        outcome = Outcome(reason="no such token", claimed=_SOME_TOKEN)
        judge = self._memory.throttle.judge
        wait = judge(request.address, _SOME_TOKEN, self._most_failures, wrong=True)
        if wait:
            return self._pass_over(request, replace(outcome, wait=wait))
        self._warn(request, outcome)
        return refusal(401, "There is no such token in api_tokens.", ("WWW-Authenticate", REFUSED))

    # Proxies

    def by_proxy(self, request: RequestInfo) -> Verdict | None:
        """The user whom a trusted proxy names in ``auth_header``; nobody else is heard."""
        if self._header is None or not request.proxy:
            return None
        names = request.headers.getall(self._header)
        if len(names) > 1:
            return self._refuse_proxy(request, f"sends {self._header} more than once")
        if not names or names[0] in ("", _NO_USER):
            return None
        try:
            user = names[0].encode("latin-1").decode("utf-8")
        except UnicodeDecodeError:
            user = ""
        if not _USER.fullmatch(user):
            return self._refuse_proxy(request, f"sends a {self._header} that is no user name")
        self._told(request.address, user, PROXY, "")
        return Verdict(200, Grant(user, PROXY, self._proof(request.proxy)))

    def _proof(self, proxy: str) -> bytes:
        return f"{self._header}\n{proxy}".encode()

    def _refuse_proxy(self, request: RequestInfo, reason: str) -> Verdict:
        self._told(request.address, None, PROXY, f"the proxy {request.proxy} {reason}")
        self._limiter.log(
            _log,
            logging.WARNING,
            "proxy",
            "request of address=%s refused with 403: the proxy %s %s",
            request.address,
            request.proxy,
            reason,
        )
        return refusal(403, f"This request is refused: the proxy {reason}.")

    # Users of auth_file

    def by_cookie(self, request: RequestInfo) -> Verdict | None:
        """The session cookie; not for pages, which renew it."""
        if self.users is None:
            return None
        sessions = self._cookies.all(request.headers.getall("Cookie"), self.users.ha1)
        if not sessions:
            return None
        user = sessions[0].user
        ids = {session.id for session in sessions if session.user == user}
        grant = Grant(user, DIGEST, self.users.ha1(user) or b"", frozenset(ids))
        return Verdict(200, self._with_nonce(grant, request))

    def _with_nonce(self, grant: Grant, request: RequestInfo) -> Grant:
        """With the session of the nonce that came beside the cookie, for a logout.

        The answer to it is not checked: only the user's own login can end by it.
        """
        assert self._digest is not None
        session = self._digest.session_of(request.headers.get("Authorization"))
        if session is None:
            return grant
        return replace(grant, sessions=grant.sessions | {session})

    def has_cookie(self, request: RequestInfo) -> bool:
        """Whether there is one at all, valid or not."""
        return bool(self._cookies.sent(request.headers.getall("Cookie")))

    def by_digest(self, request: RequestInfo, more: str = "") -> Verdict | Outcome:
        """A right login with the cookie that it gets, or 429; else what is wrong with it.

        A failure is counted, and logged with ``more`` behind it. A user with a valid session
        cookie is not throttled because of others at the same address: the cookie is made from
        the password, so its owner learns nothing by trying.
        """
        if self._digest is None or self.users is None:
            return Outcome()
        users, throttle = self.users, self._memory.throttle

        def judge(user: str, wrong: bool) -> float:
            wait = throttle.judge(request.address, user, self._most_failures, wrong=wrong)
            if not wait:
                return 0.0
            session = self._cookies.check(request.headers.getall("Cookie"), users.ha1)
            if session is None or session.user != user:
                return wait
            throttle.refused[PASSWORD] += wrong
            return 0.0

        outcome = self._digest.verify(
            request.method,
            request.target,
            request.headers.get("Authorization"),
            prefix=request.prefix,
            judge=judge,
        )
        if outcome.user is not None:
            return self._welcome(request, outcome.user, outcome)
        if outcome.wait:
            return self._pass_over(request, outcome)
        if outcome.former:
            self._told(request.address, outcome.claimed, DIGEST, "a former password")
            self._limiter.log(
                _log,
                logging.WARNING,
                "former password",
                "login with a former password: address=%s user=%s%s",
                request.address,
                shown(outcome.claimed),
                more,
            )
        elif outcome.claimed and not (outcome.stale or outcome.ended):
            self._warn(request, outcome, more)
        return outcome

    def _welcome(self, request: RequestInfo, user: str, outcome: Outcome) -> Verdict:
        """Accept; set a cookie unless the request has one in the first half of its lifetime."""
        assert self.users is not None
        self._told(request.address, user, DIGEST, "")
        sent = self._cookies.all(request.headers.getall("Cookie"), self.users.ha1)
        own = [session for session in sent if session.user == user]
        ids = {outcome.session, *(session.id for session in own)}
        grant = Grant(user, DIGEST, outcome.ha1, frozenset(ids))
        if own and sent[0] == own[0] and own[0].age <= self._cookies.lifetime / 2:
            return Verdict(200, grant)
        cookie = self._cookies.issue(
            user,
            outcome.ha1,
            own[0].id if own else outcome.session,
            secure=request.scheme == "https",
            prefix=request.prefix,
        )
        return Verdict(200, grant, (("Set-Cookie", cookie),))

    def challenge(self, outcome: Outcome, text: str) -> Verdict:
        """Ask for a login in the way that there is for people."""
        if self._digest is None:
            return refusal(
                403,
                f"{text} It comes from a reverse proxy (auth_header), which has sent none with "
                "this request, or is not in trusted_proxies.",
            )
        challenges = self._digest.challenges(stale=outcome.stale, session=outcome.session)
        return refusal(401, text, *(("WWW-Authenticate", value) for value in challenges))

    def log_out(self, grant: Grant, request: RequestInfo) -> str:
        """End the sessions of a user of ``auth_file``; the ``Set-Cookie`` that forgets them."""
        assert grant.user is not None
        self._memory.ended.end(grant.user, grant.sessions, self._cookies.lifetime)
        return self._cookies.expire(secure=request.scheme == "https", prefix=request.prefix)

    # Later

    def end_of(self, grant: Grant) -> str | None:
        """Why the login of somebody does not hold any more; None: it does."""
        if grant.kind == TOKEN:
            holds = self.tokens.hash(grant.user or "") == grant.secret
        elif grant.kind == PROXY:
            proxy = grant.secret.decode().partition("\n")[2]
            holds = grant.secret == self._proof(proxy) and self._proxies.trusts(proxy)
        else:
            user = grant.user or ""
            if any(self._memory.ended.holds(user, each, 0.0) for each in grant.sessions):
                return LOGGED_OUT
            holds = self.users is not None and self.users.ha1(user) == grant.secret
        return None if holds else LOGIN_GONE

    # The log

    def _warn(self, request: RequestInfo, outcome: Outcome, more: str = "") -> None:
        """Log a refused login; fail2ban parses this line (see docs/operations.md)."""
        how = TOKEN if outcome.claimed == _SOME_TOKEN else DIGEST
        self._told(request.address, outcome.claimed or None, how, outcome.reason)
        self._limiter.log(
            _log,
            logging.WARNING,
            "login",
            "login refused: address=%s user=%s: %s%s",
            request.address,
            shown(outcome.claimed),
            outcome.reason,
            more,
        )

    def warn_of_unusable(self, request: RequestInfo, outcome: Outcome) -> None:
        """Log a login that is none, and that names nobody."""
        if outcome.reason and not outcome.claimed:
            self._warn(request, outcome)

    def _pass_over(self, request: RequestInfo, outcome: Outcome) -> Verdict:
        """Answer 429; it does not say whether the password is right."""
        self._memory.throttle.refused[LIMIT] += 1
        seconds = max(1, math.ceil(outcome.wait))
        self._warn(request, outcome)
        return refusal(
            429,
            "There were too many logins with a wrong name or password from your address "
            f"(limits.failed_logins). Try again in {seconds} s.",
            ("Retry-After", str(seconds)),
        )
