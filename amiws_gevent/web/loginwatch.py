"""Ends what is open when its login ends: a logout, a changed or removed user, a reload.

New requests are checked anyway. This is for WebSockets and streams, which were checked once.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import NamedTuple, Protocol

import gevent
from gevent.event import Event

from amiws_gevent.identity import PROXY
from amiws_gevent.plugins.api import RequestInfo
from amiws_gevent.web.gate import Gate
from amiws_gevent.web.verdict import LOGGED_OUT, Grant, shown

_log = logging.getLogger("amiws_gevent.web.gate")

INTERVAL = 2.0  # seconds between two looks at `auth_file`

EndOf = Callable[[Grant], str | None]
"""Why a login has ended; None: it has not."""


class Holder(Protocol):
    """Has connections that stay open.

    ``end_of`` is asked of each new one: its login may have ended while it was being opened.
    """

    end_of: EndOf

    def check(self, end_of: EndOf) -> None:
        """End those whose login has ended; may yield."""


class LoggedOut(NamedTuple):
    """``cookie``: the ``Set-Cookie`` that has the browser forget its own, if it may have one.

    ``url``: where the browser has to go for the rest.
    """

    cookie: str | None
    url: str | None


LogoutTold = Callable[[str, str | None, str], None]
"""Gets each logout: the address, the user, and how the login was made (`Identity.kind`)."""


class LoginWatch:
    """Checks all that is open: on demand, and when ``auth_file`` has changed and rests again.

    ``save`` makes a logout outlive the program, and hold at other edges; it may wait. So may
    ``tell``, which gets the user of a proxy who has logged out.
    """

    def __init__(
        self,
        websockets: Holder,
        streams: Holder,
        *,
        told: LogoutTold = lambda _address, _user, _how: None,
        save: Callable[[], None] = lambda: None,
        tell: Callable[[str], None] = lambda _user: None,
        interval: float = INTERVAL,
    ) -> None:
        self._websockets = websockets
        self._streams = streams
        self._told = told
        self._save = save
        self._tell = tell
        self._interval = interval
        self._gate: Gate | None = None
        self._version: int | None = None
        self._asked = Event()
        self._greenlet: gevent.Greenlet[..., None] | None = None

    def start(self) -> gevent.Greenlet[..., None]:
        """Begin to watch."""
        self._greenlet = gevent.spawn(self._run)
        return self._greenlet

    def stop(self) -> None:
        """Watch no more."""
        if self._greenlet is not None:
            self._greenlet.kill()

    def use(self, gate: Gate) -> None:
        """A new configuration is in force: check all by it, soon. Never yields."""
        self._gate = gate
        self._websockets.end_of = partial(gate.end_of, websocket=True)
        self._streams.end_of = partial(gate.end_of, websocket=False)
        self._asked.set()

    def log_out(self, gate: Gate, url: str | None, grant: Grant, request: RequestInfo) -> LoggedOut:
        """End the session of a login, and what is open of it.

        A proxy's session only the proxy can end, at ``url``, and it does not say which browser is
        whose: all that is open of that user closes, and comes back where the login still holds.
        """
        _log.info("logout: address=%s user=%s", request.address, shown(grant.user or ""))
        self._told(request.address, grant.user, grant.kind)
        if grant.kind == PROXY:
            self.end_of_proxy(grant.user or "")
            self._tell(grant.user or "")
            return LoggedOut(None, url)
        cookie = gate.log_out(grant, request)
        self._check(lambda other: _same_session(other, grant))
        self._save()
        return LoggedOut(cookie, None)

    def look(self) -> None:
        """Check all that is open, soon: there are logouts of other edges. Never yields."""
        self._asked.set()

    def end_of_proxy(self, user: str) -> None:
        """End all that is open of somebody who was logged in by a proxy."""
        self._check(lambda other: _same_user(other, user))

    def _run(self) -> None:
        while True:
            self._asked.wait(self._interval)
            asked = self._asked.is_set()  # also if that came just as the wait was given up
            self._asked.clear()
            gate = self._gate
            if gate is None:
                continue
            version = gate.users_version()
            if asked or version not in (None, self._version):
                self._version = version
                self._websockets.check(self._websockets.end_of)
                self._streams.check(self._streams.end_of)

    def _check(self, end_of: EndOf) -> None:
        self._websockets.check(end_of)
        self._streams.check(end_of)


def _same_user(one: Grant, user: str) -> str | None:
    return LOGGED_OUT if (one.user, one.kind) == (user, PROXY) else None


def _same_session(one: Grant, other: Grant) -> str | None:
    same = one.user == other.user and one.sessions & other.sessions
    return LOGGED_OUT if same else None
