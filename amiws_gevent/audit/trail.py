"""What the program has of its audit: records of actions, logins, reloads, of start and end.

There is one for the life of the program. A reload turns it on or off, or moves it, by `prepare` and
then `Change.finish` or `Change.undo`. While it is off, each method returns at once.
"""

from __future__ import annotations

import errno
import itertools
import logging
import secrets
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

import gevent

from amiws_gevent import __version__
from amiws_gevent.audit import records
from amiws_gevent.audit.ledger import Ledger
from amiws_gevent.audit.recent import Recent
from amiws_gevent.audit.records import Who
from amiws_gevent.audit.redaction import redacted
from amiws_gevent.audit.writer import RETRY, Ticket, Writer
from amiws_gevent.config import Audit
from amiws_gevent.errors import AuditError
from amiws_gevent.identity import Identity
from amiws_gevent.runtime.log import LogLimiter
from amiws_gevent.runtime.threads import in_thread

# What may pass by itself, so that it does not refuse the start.
_PASSING = (errno.ENOSPC, errno.EDQUOT, errno.EIO)

# Seconds
STOP_TIME = 1.0
LOGIN_AGAIN = 3600.0  # in which a login of the same user from the same address counts as one
READ_AGAIN = 3600.0  # in which reading the audit with the same filter, or trying to, counts as one
REPEATED = 1.0  # in which refusals that an asker may make without end are told once

_MOST_LOGINS = 20_000
MOST_READS = 1_000  # in READ_AGAIN that have a record each
_LONGEST_REASON = 2000  # characters; a configuration can have many mistakes

# Results of actions; those of `actions.reply` as well
ANSWERED, REFUSED = "answered", "refused"
SENT = "sent"  # on the classic socket; an answer may follow
NOT_SENT = "unreachable"
LEFT = "left"  # the client left before the answer, which nobody has seen

Headers = Iterable[tuple[str, str]]

_log = logging.getLogger("amiws_gevent.audit")


class Client(Protocol):
    """Who asks."""

    @property
    def address(self) -> str: ...

    @property
    def user(self) -> str | None: ...

    @property
    def view(self) -> str: ...

    @property
    def identity(self) -> Identity: ...


class Audited:
    """An action in the audit: its record is being written. Without an audit nothing is."""

    __slots__ = ("_begun", "_ticket", "_trail", "ref")

    @property
    def recorded(self) -> bool:
        """Whether there is an audit that it is in."""
        return self._trail is not None

    def __init__(
        self, trail: Trail | None = None, ref: str = "", ticket: Ticket | None = None
    ) -> None:
        self._trail = trail
        self.ref = ref
        """What its record is called; empty: there is none."""
        self._ticket = ticket
        self._begun = 0.0 if trail is None else trail.clock()

    def wait(self) -> str:
        """Wait until it may be sent; why it may not be, empty if it may."""
        if self._ticket is None or self._trail is None:
            return ""
        reason = self._ticket.wait()
        return reason if self._trail.refuses else ""

    def result(self, server: int, outcome: str, reason: str = "") -> None:
        """What has become of it on one server."""
        if self._trail is not None:
            seconds = self._trail.clock() - self._begun
            self._trail.replied(self.ref, server, outcome, reason, seconds)


_NOTHING = Audited()


class Trail:
    """``clock`` gives seconds, ``wall`` those since 1970."""

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.clock = clock
        self.recent = Recent()
        self.roles_of: Callable[[Identity], Sequence[str]] = lambda _identity: ()
        """The roles of a client, for its records."""
        self.may_read: Callable[[Identity], bool] = lambda _identity: True
        """Whether a client may see the last records."""
        self.servers: Callable[[], Mapping[int, str]] = dict
        """The names of the servers, by id."""
        self._wall = wall
        self._writer: Writer | None = None
        self._settings: Audit | None = None
        self._ref = secrets.token_hex(4)
        self._numbers = itertools.count(1)
        self._repeated = LogLimiter(REPEATED, clock)
        self._logins = LogLimiter(LOGIN_AGAIN, clock, max_keys=_MOST_LOGINS)
        self._reads = LogLimiter(READ_AGAIN, clock, max_keys=MOST_READS)
        self._refused_reads = LogLimiter(READ_AGAIN, clock, max_keys=MOST_READS)
        self._leaving: gevent.Greenlet[..., None] | None = None
        self._former: Writer | None = None  # the one before, which may have some to write
        self._earlier = (0, 0, 0)  # counts of those before it

    # -- what it is now ----------------------------------------------------------------

    @property
    def on(self) -> bool:
        """Whether there is an audit."""
        return self._writer is not None

    @property
    def refuses(self) -> bool:
        """Whether an action whose record cannot be written is refused."""
        return self._settings is not None and self._settings.on_failure == "refuse"

    @property
    def outage(self) -> str:
        """Why the audit cannot be written; empty: it can, or there is none."""
        return self._writer.outage if self._writer is not None else ""

    @property
    def closed(self) -> str:
        """Why no action may be sent now; empty: they may."""
        return self.outage if self._writer is not None and self._writer.refusing else ""

    @property
    def retry_after(self) -> float:
        """Seconds after which a refused action may be sent."""
        return 2 * RETRY

    @property
    def counts(self) -> tuple[int, int, int]:
        """Records written, actions refused because of outages, and records lost."""
        return _sums(self._earlier, _counts(self._former), _counts(self._writer))

    @property
    def state(self) -> dict[str, Any] | None:
        """For ``/readyz``: ``writing``, ``refusing`` and ``reason``; None: there is none."""
        if self._writer is None:
            return None
        refusing = self._writer.refusing
        return {"writing": not self.outage, "refusing": refusing, "reason": self.outage}

    def last(
        self, number: int, *, after: int, before: int, what: str, user: str, action: str
    ) -> dict[str, Any] | None:
        """`state`, and as ``items`` the last records that are chosen, the newest first.

        Chosen are those between the numbers ``after`` and ``before``, and of what is not empty of
        the rest. None: there is no audit.
        """

        def is_wanted(record: Mapping[str, Any]) -> bool:
            return (
                record["seq"] < before
                and what in ("", record["what"])
                and user in ("", record.get("user"))
                and action.lower() in ("", str(record.get("action", "")).lower())
            )

        state = self.state
        if state is None:
            return None
        return {**state, "items": self.recent.last(number, is_wanted, after=after)}

    @property
    def waiting(self) -> int:
        """Records that are not written yet."""
        return self._writer.waiting if self._writer is not None else 0

    # -- what is recorded --------------------------------------------------------------

    def action(
        self, client: Client, name: str, headers: Headers, servers: Iterable[int]
    ) -> Audited:
        """An action that is allowed: wait with it before it is sent, and tell its results."""
        if self._writer is None:
            return _NOTHING
        ref = f"{self._ref}-{next(self._numbers)}"
        members = self._of_action(client, name, headers, servers)
        record = self._record(records.ACTION, {"ref": ref, "allowed": True, **members})
        return Audited(self, ref, self._writer.put(record, must=True))

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
        """An action that is refused; ``repeats``: once a second for each client is enough."""
        if self._writer is None:
            return
        if code == "audit_unavailable":
            self._writer.refused += 1
        more: int | None = 0
        if repeats:
            more = self._repeated.allow((code, client.user, client.address))
            if more is None:
                return
        told = {"allowed": False, "code": code, "reason": reason, "more": more or None}
        members = self._of_action(client, name, headers, servers)
        self._put(records.ACTION, {**told, **members})

    def repeated(self, client: Client, ref: str, name: str, servers: Iterable[int]) -> None:
        """A request with the idempotency key of the action ``ref``: nothing is sent again."""
        if self._writer is not None:
            members = self._of_action(client, name, (), servers)
            self._put(records.REPEAT, {"ref": ref or None, **members, "arguments": None})

    def replied(self, ref: str, server: int, outcome: str, reason: str, seconds: float) -> None:
        """Of `Audited`."""
        milliseconds = round(seconds * 1000, 1)
        members = {"ref": ref, "server": server, "outcome": outcome, "ms": milliseconds}
        self._put(records.REPLY, members | {"reason": reason or None})

    def login(self, address: str, user: str | None, how: str, refused: str) -> None:
        """A login that was accepted (``refused`` is empty), or why it was not."""
        if self._writer is None:
            return
        limiter = self._repeated if refused else self._logins
        more = limiter.allow(("login", address, user, how))
        if more is None:
            return
        roles = () if refused else self.roles_of(Identity(user, how, address))
        members = {"user": user, "address": address, "how": how, "allowed": not refused}
        told = {"reason": refused or None, "more": more if refused and more else None}
        self._put(records.LOGIN, {**members, "roles": list(roles) or None, **told})

    def logout(self, address: str, user: str | None, how: str) -> None:
        """A user has ended the session of a login."""
        self._put(records.LOGOUT, {"user": user, "address": address, "how": how})

    def read(self, client: Client, chosen: Mapping[str, str]) -> None:
        """Somebody was shown the last records, those of ``chosen`` values where it has any.

        Pages, and those who ask again and again, count as one.
        """
        if self._writer is None or not self._is_first_read(client, chosen):
            return
        members = {"allowed": True, **self._who(client).members(), "filter": dict(chosen) or None}
        self._put(records.READ, members)

    def _is_first_read(self, client: Client, chosen: Mapping[str, str]) -> bool:
        return self._reads.allow((*_asker(client), *sorted(chosen.items()))) is not None

    def read_refused(self, client: Client, reason: str, more: int = 0) -> None:
        """Somebody may not see the last records; ``more``: tries before that were not told here.

        Who tries again and again has one record an hour.
        """
        others = None if self._writer is None else self._other_refused_reads(client)
        if others is not None:
            told = {"allowed": False, "reason": reason, "more": more + others or None}
            self._put(records.READ, {**told, **self._who(client).members()})

    def _other_refused_reads(self, client: Client) -> int | None:
        """How many this one stands for besides; None: a later one stands for it."""
        return self._refused_reads.allow(_asker(client))

    def reloaded(self, changed: Sequence[str]) -> None:
        """A configuration was applied; ``changed`` are the keys that are other than before."""
        self._put(records.RELOAD, {"allowed": True, "changed": list(changed)})

    def reload_refused(self, reason: str) -> None:
        """A configuration was not applied."""
        self._put(records.RELOAD, {"allowed": False, "reason": reason[:_LONGEST_REASON]})

    def plugins(self, loaded: Iterable[tuple[str, str]]) -> None:
        """The plugins that are in use from now on: their names, and the files that they are in."""
        told = [{"name": name, "from": origin} for name, origin in loaded]
        self._put(records.PLUGINS, {"plugins": told})

    def started(self) -> None:
        """The program begins to serve."""
        self._put(records.START, {"version": __version__})

    def stop(self, timeout: float = STOP_TIME) -> None:
        """The program ends: write what waits, at most for ``timeout`` seconds."""
        if self._writer is not None:
            self._put(records.STOP, {})
            self._writer.stop(timeout)

    # -- from one configuration to the next --------------------------------------------

    def prepare(self, settings: Audit | None) -> Change:
        """Open what `Change.finish` will use; raises AuditError with nothing left open."""
        if settings is None or self._is_same(settings):
            return Change(self, settings, None)
        if self._settings is not None and self._settings.file == settings.file:
            raise AuditError("audit: a new key_file needs a new file, or a restart")
        if self._leaving is not None:  # it may have the file that is to be opened
            self._leaving.join(STOP_TIME)
        ledger = Ledger(settings, wall=self._wall)
        outage = ""
        try:
            in_thread(ledger.open)
        except OSError as error:
            if error.errno not in _PASSING:
                raise AuditError(f"audit: {settings.file}: {error.strerror}") from error
            outage = error.strerror or str(error)
        writer = Writer(
            ledger, settings, written=self.recent.add, clock=self.clock, wall=self._wall
        )
        return Change(self, settings, writer, outage)

    def use(self, settings: Audit | None, writer: Writer | None, outage: str) -> None:
        """Of `Change`: go over to a new writer, or to other settings of the same."""
        if writer is None and settings is not None:
            assert self._writer is not None
            self._settings = settings
            self._writer.configure(settings)
            return
        before, self._writer = self._writer, writer
        old, self._settings = self._settings, settings
        if writer is not None:
            writer.start()
            if outage:
                writer.fails(outage)
            if before is not None and old is not None:
                self._put(records.ON, {"before": str(old.file)})
        if before is not None:
            to = None if settings is None else str(settings.file)
            before.put(self._record(records.OFF, {"to": to}))
            self._earlier = _sums(self._earlier, _counts(self._former))
            self._former = before
            self._leaving = gevent.spawn(before.stop, STOP_TIME)
        if writer is None:
            self.recent.clear()

    def _is_same(self, settings: Audit) -> bool:
        old = self._settings
        return old is not None and (old.file, old.key_file) == (settings.file, settings.key_file)

    # -- records -----------------------------------------------------------------------

    def _of_action(
        self, client: Client, name: str | None, headers: Headers, servers: Iterable[int]
    ) -> dict[str, Any]:
        known = self.servers()
        where = [{"id": server, "name": known.get(server)} for server in servers]
        arguments = redacted(name, headers) if name is not None else None
        who = self._who(client).members()
        return {**who, "action": name, "arguments": arguments, "servers": where or None}

    def _who(self, client: Client) -> Who:
        return Who(client.user, client.address, self.roles_of(client.identity), client.view)

    def _record(self, what: str, members: Mapping[str, Any]) -> bytes:
        return records.record(what, self._wall(), members)

    def _put(self, what: str, members: Mapping[str, Any]) -> None:
        if self._writer is not None:
            self._writer.put(self._record(what, members))


class Change:
    """A trail on its way to other settings."""

    def __init__(
        self, trail: Trail, settings: Audit | None, writer: Writer | None, outage: str = ""
    ) -> None:
        self._trail = trail
        self._settings = settings
        self._writer = writer
        self._outage = outage

    def undo(self) -> None:
        """Let go of what was opened."""
        if self._writer is not None:
            self._writer.stop(0)

    @property
    def is_new(self) -> bool:
        """Whether there is another audit than before, not only other settings of the same."""
        return self._writer is not None

    def finish(self) -> bool:
        """Use it; cannot fail. Returns `is_new`."""
        self._trail.use(self._settings, self._writer, self._outage)
        return self.is_new


def _asker(client: Client) -> tuple[str | None, str, str]:
    return client.user, client.identity.kind, client.address


Counts = tuple[int, int, int]


def _sums(*counts: Counts) -> Counts:
    written, refused, lost = map(sum, zip(*counts, strict=True))
    return written, refused, lost


def _counts(writer: Writer | None) -> Counts:
    return (0, 0, 0) if writer is None else (writer.count, writer.refused, writer.lost)
