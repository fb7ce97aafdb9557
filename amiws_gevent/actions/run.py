"""One request on its way to its servers, and those who wait for its replies.

Usually that is one client. With an idempotency key it may be several, one after the other:
who asks again gets the replies that there are, and those that come.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Protocol

import gevent

from amiws_gevent.actions.reply import UNKNOWN, Reply, failed
from amiws_gevent.actions.request import ActionRequest
from amiws_gevent.policy import Rights

_log = logging.getLogger("amiws_gevent.actions")

Told = Callable[[Reply, int], None]
"""Gets a reply, and how many come in all."""


class Joined(Protocol):
    """What is asked for (`Run`)."""

    @property
    def servers(self) -> Sequence[int]:
        """Those that reply."""

    def join(self, submission: Submission) -> None: ...

    def leave(self, submission: Submission) -> None: ...


class Submission:
    """What a client has asked for and waits for; ``done`` is called once it waits no more."""

    def __init__(self, run: Joined, tell: Told, done: Callable[[], None]) -> None:
        self.servers = run.servers
        """Those that reply."""
        self.replies = len(run.servers)
        """How many come."""
        self._run = run
        self._tell = tell
        self._done = done
        self._left = self.replies

    def cancel(self) -> None:
        """The client has left: what comes later goes to nobody. Call it as often as you like."""
        if self._left:
            self._left = 0
            self._done()
            self._run.leave(self)

    def tell(self, reply: Reply) -> None:
        """Of `Run`: a reply has come."""
        if not self._left:
            return
        self._left -= 1
        if not self._left:
            self._done()
        try:
            self._tell(reply, self.replies)
        except Exception:  # noqa: BLE001 - whatever it is, it is this client's alone
            _log.exception(
                "internal error: a client does not get the reply of server %d", reply.server
            )


class Run:
    """Asks ``servers`` with ``ask``, each in a greenlet; ``on_end`` hears when all are done.

    If it is ``kept``, its replies are there for who comes later, and it goes on although
    nobody waits.
    """

    def __init__(
        self,
        request: ActionRequest,
        servers: Sequence[int],
        ask: Callable[[ActionRequest, int], Reply],
        *,
        kept: bool,
        on_end: Callable[[Run], None],
        rights: Rights = Rights.everything,
        ref: str = "",
    ) -> None:
        self.request = request
        self.ref = ref
        """What its record in the audit is called; empty: it has none."""
        self.rights = rights
        """By which its replies were made."""
        self.servers = servers
        self.kept: list[Reply] | None = [] if kept else None
        self._ask = ask
        self._on_end = on_end
        self._waiting: dict[Submission, None] = {}
        # in the order of the servers, and behind those of earlier requests
        self._working = {gevent.spawn(self._work, server) for server in servers}

    @property
    def at_work(self) -> int:
        """Servers that have not replied yet."""
        return len(self._working)

    def join(self, submission: Submission) -> None:
        """Tell ``submission`` all replies, from other greenlets."""
        if self._working:
            self._waiting[submission] = None
        if self.kept:
            gevent.spawn(self._catch_up, submission, tuple(self.kept))

    def leave(self, submission: Submission) -> None:
        """Stop telling; ends what nobody waits for."""
        self._waiting.pop(submission, None)
        if not self._waiting and self.kept is None and self._working:
            working, self._working = self._working, set()
            gevent.killall(list(working), block=False)
            self._on_end(self)

    def _catch_up(self, submission: Submission, replies: Sequence[Reply]) -> None:
        for reply in replies:
            submission.tell(reply)

    def _work(self, server: int) -> None:
        try:
            reply = self._ask(self.request, server)
        except Exception as error:  # noqa: BLE001 - the client is to have a reply for each server
            _log.exception("internal error in the action %s", self.request.name)
            reason = f"internal error: {type(error).__name__}"
            reply = failed(self.request, server, UNKNOWN, reason)
        if gevent.getcurrent() not in self._working:
            return  # nobody waits any more
        self._working.discard(gevent.getcurrent())
        waiting = tuple(self._waiting)
        if self.kept is not None:
            self.kept.append(reply)
        if not self._working:
            self._waiting.clear()
            self._on_end(self)
        for submission in waiting:
            submission.tell(reply)
