"""Requests with a key: who asks again with the same key gets the first replies.

A key is the user's own (without a login, the address's). Past the bounds the oldest go, but
never one that is still at work.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

from amiws_gevent.actions.problems import ActionProblem
from amiws_gevent.actions.reply import UNREACHABLE
from amiws_gevent.actions.request import ActionRequest
from amiws_gevent.actions.run import Run
from amiws_gevent.policy import Rights

LIFETIME = 600.0  # seconds from the last reply

MOST = 1000
MOST_BYTES = 16 * 1024 * 1024  # of answers
LARGEST = 1024 * 1024  # bytes: of more, only that it came is kept

Owner = tuple[str, ...]


class _Kept:
    __slots__ = ("ended", "run", "size")

    def __init__(self, run: Run) -> None:
        self.run = run
        self.ended: float | None = None  # None: at work
        self.size = 0


class KeptRuns:
    """The runs of the last LIFETIME by owner and key; ``clock`` gives seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        # those at work anywhere, the others in the order in which they ended
        self._kept: OrderedDict[tuple[Owner, str], _Kept] = OrderedDict()
        self._size = 0

    def __len__(self) -> int:
        return len(self._kept)

    def find(
        self, owner: Owner, request: ActionRequest, rights: Rights = Rights.everything
    ) -> Run | None:
        """The run of an earlier request with the same key; None if there is none.

        Raises ActionProblem if that request was another one, or made with other rights: its
        replies show what these let see, and it must not be sent twice.
        """
        if request.idempotency_key is None:
            return None
        self._evict()
        kept = self._kept.get((owner, request.idempotency_key))
        if kept is None:
            return None
        if kept.run.request != request:
            raise ActionProblem(
                "idempotency_conflict",
                "the idempotency key was used for another request; choose a new one",
            )
        if kept.run.rights != rights:
            raise ActionProblem(
                "idempotency_conflict",
                "your rights have changed since the idempotency key was used; choose a new one",
            )
        return kept.run

    def add(self, owner: Owner, run: Run) -> None:
        """Keep a run that begins."""
        if run.request.idempotency_key is not None:
            self._kept[owner, run.request.idempotency_key] = _Kept(run)
            self._evict()

    def ended(self, owner: Owner, run: Run) -> None:
        """A run is done. It is forgotten if nothing was sent: asking again sends nothing twice."""
        name = owner, run.request.idempotency_key or ""
        kept = self._kept.get(name)
        if kept is None or run.kept is None:
            return
        if all(reply.outcome == UNREACHABLE for reply in run.kept):
            del self._kept[name]
            return
        if sum(reply.size for reply in run.kept) > LARGEST:
            told = "the answer was too large to be kept for a repeated request"
            run.kept[:] = [reply.without_answer(told) for reply in run.kept]
        kept.ended = self._clock()
        kept.size = sum(reply.size for reply in run.kept)
        self._size += kept.size
        self._kept.move_to_end(name)
        self._evict()

    def _evict(self) -> None:
        over = self._clock() - LIFETIME
        for name, kept in list(self._kept.items()):
            if kept.ended is None:
                continue
            if kept.ended > over and len(self._kept) <= MOST and self._size <= MOST_BYTES:
                break
            self._size -= kept.size
            del self._kept[name]
