"""The audit of an edge is that of the collectors.

The one that holds the program is told what the edge alone knows; to read it, all are asked.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from gevent.queue import Queue

from amiws_gevent.actions import ActionProblem
from amiws_gevent.audit.trail import Change, Client, Headers, Trail
from amiws_gevent.audit.writer import Writer
from amiws_gevent.bus.api import Caller, Problem
from amiws_gevent.config import Audit
from amiws_gevent.crossing import calls
from amiws_gevent.crossing.records import merged
from amiws_gevent.crossing.streams import PROGRAM
from amiws_gevent.runtime.log import LogLimiter

TELL_TIME = 30.0  # seconds for which what is told may wait for the collector
READ_TIME = 5.0  # seconds that who reads the audit may wait
AGAIN = 2.0

_SILENT: dict[str, Any] = {"writing": True, "refusing": False, "items": []}
"""What is told of collectors that do not answer, beside the reason."""

MOST_WAITING = 1000
"""Of what is told; past it the newest is lost."""

Holders = Callable[[], Sequence[str]]
"""A lease of each collector that has any."""

_log = logging.getLogger("amiws_gevent.audit")


class RemoteTrail(Trail):
    """Tells the collector; what it cannot be told is counted as lost, and logged."""

    def __init__(self, caller: Caller, holders: Holders) -> None:
        super().__init__()
        self.untold = 0
        """What the collector could not be told."""
        self._caller = caller
        self._holders = holders
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
            client=_members(client),
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

    def read(self, client: Client, chosen: Mapping[str, str]) -> None:
        """See `Trail.read`."""
        if self._is_first_read(client, chosen):
            self._tell(calls.READ, client=_members(client), chosen=dict(chosen))

    def read_refused(self, client: Client, reason: str, more: int = 0) -> None:
        """See `Trail.read_refused`."""
        others = self._other_refused_reads(client)
        if others is not None:
            self._tell(
                calls.READ_REFUSED, client=_members(client), reason=reason, more=more + others
            )

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
        """The last of all collectors, see `crossing.records`; waits for them.

        Raises ActionProblem if none answers.
        """
        question = calls.encode(
            number=number, after=after, before=before, what=what, user=user, action=action
        )
        leases = self._holders()
        answers: Queue[bytes | None] = Queue()

        def on_answer(data: bytes | None, _last: bool, _problem: Problem) -> None:
            answers.put(data)

        for lease in leases:
            self._caller.call(lease, calls.AUDIT, question, READ_TIME, on_answer)
        given = [data for _ in leases if (data := answers.get())]
        told = {one["collector"]: one["last"] for one in map(calls.decode, given)}
        if not told:
            raise ActionProblem(
                "audit_unavailable", "no collector, which have the audit, answers", AGAIN
            )
        there = [last for last in told.values() if last is not None]
        if not there:
            return None
        if len(given) < len(leases):
            silent = len(leases) - len(given)
            there.append(
                {**_SILENT, "reason": f"{silent} of {len(leases)} collectors do not answer"}
            )
        return merged(there, number)


def _members(client: Client) -> list[str | None]:
    """Of `crossing.calls.client_of`."""
    return [client.address, client.user, client.view, client.identity.kind]
