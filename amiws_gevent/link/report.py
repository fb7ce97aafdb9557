"""Logs the state of one link: each change once, with its reason.

INFO for each change, WARNING once the link has been down for long, ERROR for a refused
login. A reason that repeats while the link is down is logged at DEBUG.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from amiws_gevent.config import AmiHost
from amiws_gevent.link.dial import Dialled
from amiws_gevent.link.tls import setting_for

_MAX_REASONS = 16  # different reasons remembered during one downtime

_log = logging.getLogger("amiws_gevent.link")

IN_USE = "login already in use"
"""What Asterisk says to a second login with ``allowmultiplelogin = no``, after a second
(process_message in main/manager.c)."""

_LET_IN_ONCE = (
    "it holds another session of this user, perhaps one whose end it has not noticed, and "
    "allowmultiplelogin = no in its manager.conf permits one only"
)
_NOT_LET_IN = (
    "check username and secret here against its manager.conf, and permit, deny and acl there"
)


class Report:
    """The log of one link; ``patience`` is the downtime in seconds before a warning."""

    def __init__(
        self, name: str, host: AmiHost, patience: float, clock: Callable[[], float]
    ) -> None:
        self.up = False
        self._name = name
        self._host = host
        self._patience = patience
        self._clock = clock
        self._down_since: float | None = None
        self._attempts = 0
        self._warned = False
        self._logged: set[str] = set()
        self._address = ""
        self._warned_unverified = False

    def dialled(self, dialled: Dialled, unverified: bool) -> None:
        """The connection is made; the login follows."""
        self._address = dialled.address + (", TLS" if dialled.fingerprint else "")
        if unverified and dialled.fingerprint and not self._warned_unverified:
            self._warned_unverified = True
            _log.warning(
                "%s: the certificate is not verified, so another machine could pose as the server; "
                "to accept only this certificate, set %s",
                self._name,
                setting_for(dialled.fingerprint),
            )

    def connected(self, banner: str) -> None:
        """The login was accepted."""
        after = ""
        if self._down_since is not None:
            after = f", after {self._clock() - self._down_since:.0f} s"
        _log.info(
            "%s: connected to %s as user %s: %s%s",
            self._name,
            self._address,
            self._host.username,
            banner,
            after,
        )
        self.up = True
        self._down_since = None
        self._attempts = 0
        self._warned = False
        self._logged.clear()

    def lost(self, reason: str, delay: float) -> None:
        """A connection that was logged in ended."""
        self._go_down()
        _log.info("%s: connection lost: %s; next attempt in %.1f s", self._name, reason, delay)

    def failed(self, reason: str, advice: str, delay: float) -> None:
        """An attempt to connect failed."""
        downtime = self._go_down()
        self._attempts += 1
        _log.log(
            logging.INFO if self._is_new(reason) else logging.DEBUG,
            "%s: not connected: %s; next attempt in %.1f s",
            self._name,
            reason,
            delay,
        )
        if advice and self._is_new(advice):
            _log.warning("%s: %s: %s", self._name, reason, advice)
        if downtime >= self._patience and not self._warned:
            self._warned = True
            _log.warning(
                "%s: still not connected after %.0f s and %d attempts: %s",
                self._name,
                downtime,
                self._attempts,
                reason,
            )

    def refused(self, answer: str, delay: float) -> None:
        """The server refused the login."""
        self._go_down()
        _log.log(
            logging.ERROR if self._is_new(answer) else logging.DEBUG,
            "%s: the server refused the login of user %r: %s; %s; next attempt in %.0f s",
            self._name,
            self._host.username,
            answer,
            _LET_IN_ONCE if IN_USE in answer.casefold() else _NOT_LET_IN,
            delay,
        )

    def stopped(self) -> None:
        """The link was told to end."""
        if self.up:
            _log.info("%s: connection closed", self._name)
        self.up = False

    def _go_down(self) -> float:
        """Seconds since the link has been down."""
        self.up = False
        if self._down_since is None:
            self._down_since = self._clock()
        return self._clock() - self._down_since

    def _is_new(self, text: str) -> bool:
        if text in self._logged or len(self._logged) >= _MAX_REASONS:
            return False
        self._logged.add(text)
        return True
