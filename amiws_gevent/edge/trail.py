"""The audit of an edge is that of the collector, which is told what the edge alone knows."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any

from gevent.event import AsyncResult

from amiws_gevent.actions import ActionProblem
from amiws_gevent.audit.trail import Change, Client, Headers, Trail
from amiws_gevent.audit.writer import Writer
from amiws_gevent.bus.api import Caller, Problem
from amiws_gevent.config import Audit
from amiws_gevent.crossing import calls
from amiws_gevent.crossing.streams import PROGRAM
from amiws_gevent.runtime.log import LogLimiter

TELL_TIME = 30.0  # seconds for which what is told may wait for the collector
READ_TIME = 5.0  # seconds that who reads the audit may wait
AGAIN = 2.0

MOST_WAITING = 1000
"""Of what is told; past it the newest is lost."""

_log = logging.getLogger("amiws_gevent.audit")


class RemoteTrail(Trail):
    """Tells the collector; what it cannot be told is counted as lost, and logged."""

    def __init__(self, caller: Caller) -> None:
        super().__init__()
        self.untold = 0
        """What the collector could not be told."""
        self._caller = caller
        self._waiting = 0
        self._limiter = LogLimiter()

    @property
    def on(self) -> bool:
        """Whether the collector has an audit, by the configuration that all share."""
        return self._settings is not None

    def prepare(self, settings: Audit | None) -> Change:
        """See `Trail.prepare`; nothing is opened here."""
        return Change(self, settings, None)

    def use(self, settings: Audit | None, writer: Writer | None, outage: str) -> None:
        """See `Trail.use`."""
        self._settings = settings

    @property
    def counts(self) -> tuple[int, int, int]:
        return 0, 0, self.untold

    @property
    def waiting(self) -> int:
        """What the collector has not taken yet."""
        return self._waiting

    def refused(
        self,
        client: Client,
        code: str,
        reason: str,
        *,
        name: str | None = None,
        headers: Headers = (),
        servers: Iterable[int] = (),
        repeats: bool = False,
    ) -> None:
        """See `Trail.refused`."""
        if repeats and self._repeated.allow((code, client.user, client.address)) is None:
            return
        self._tell(
            calls.REFUSED,
            client=[client.address, client.user, client.view, client.identity.kind],
            code=code,
            reason=reason,
            name=name,
            headers=[list(pair) for pair in headers],
            servers=list(servers),
            repeats=repeats,
        )

    def login(self, address: str, user: str | None, how: str, refused: str) -> None:
        """See `Trail.login`."""
        limiter = self._repeated if refused else self._logins
        if limiter.allow(("login", address, user, how)) is not None:
            self._tell(calls.LOGIN, address=address, user=user, how=how, refused=refused)

    def logout(self, address: str, user: str | None, how: str) -> None:
        """See `Trail.logout`."""
        self._tell(calls.LOGOUT, address=address, user=user, how=how)

    def _tell(self, what: str, **told: Any) -> None:
        if self._waiting >= MOST_WAITING:
            self._lose(what, "too much waits for it")
            return

        def on_answer(_data: bytes | None, last: bool, problem: Problem) -> None:
            if last:
                self._waiting -= 1
            if problem:
                self._lose(what, problem)

        self._waiting += 1
        self._caller.call(
            PROGRAM, calls.TELL, calls.encode(what=what, told=told), TELL_TIME, on_answer
        )

    def _lose(self, what: str, why: str) -> None:
        self.untold += 1
        self._limiter.log(
            _log,
            logging.ERROR,
            "untold",
            "the collector could not be told of a %s, so its audit may lack it: %s (%d so far)",
            what,
            why,
            self.untold,
        )

    def last(
        self, number: int, *, after: int, before: int, what: str, user: str, action: str
    ) -> dict[str, Any] | None:
        """See `Trail.last`; waits for the collector. Raises ActionProblem if it does not answer."""
        answered: AsyncResult[bytes] = AsyncResult()

        def on_answer(data: bytes | None, _last: bool, _problem: Problem) -> None:
            answered.set(data or b"")

        question = calls.encode(
            number=number, after=after, before=before, what=what, user=user, action=action
        )
        self._caller.call(PROGRAM, calls.AUDIT, question, READ_TIME, on_answer)
        data = answered.get()
        if not data:
            raise ActionProblem(
                "audit_unavailable", "the collector, which has the audit, does not answer", AGAIN
            )
        told: dict[str, Any] | None = calls.decode(data)["last"]
        return told
