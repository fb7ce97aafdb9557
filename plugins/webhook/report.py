"""What an operator is told of a receiver: each change once, what repeats once a minute."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from amiws_gevent.plugins.kit import LogLimiter

from .circuit import State

INTERVAL = 60.0
"""Seconds between two lines about the same kind of fault."""


class Report:
    """Log lines about one receiver, each beginning with ``receiver``.

    ``count_lost`` is called with the number of messages that it will never have.
    All texts given to it must be fit for the log.
    """

    def __init__(
        self,
        log: logging.Logger,
        receiver: str,
        clock: Callable[[], float] = time.monotonic,
        *,
        count_lost: Callable[[float], object] = lambda _messages: None,
    ) -> None:
        self._log = log
        self._receiver = receiver
        self._limiter = LogLimiter(INTERVAL, clock)
        self._count_lost = count_lost
        self._dropped = 0
        self._refused = 0

    def dropped(self, number: int) -> None:
        """Messages went for want of room."""
        self._count_lost(number)
        self._dropped += number
        self._seldom(
            "dropped",
            "the queue is full; oldest messages dropped: %d so far",
            self._dropped,
        )

    def refused(self, number: int, answer: str) -> None:
        """The receiver will never have these messages, as its answer says."""
        self._count_lost(number)
        self._refused += number
        self._seldom("refused", "refuses messages; dropped: %d so far: %s", self._refused, answer)

    def failed(self, why: str, pause: float) -> None:
        """An attempt failed; the next one is ``pause`` seconds away."""
        self._seldom("failed", "a batch was not delivered and will be retried: %s", why)
        self._log.debug("%s: next attempt in %.3g s: %s", self._receiver, pause, why)

    def delivered(self, number: int, status: int) -> None:
        """A batch of so many messages was taken."""
        self._log.debug("%s: took a batch of %d (%d)", self._receiver, number, status)
        if self._dropped and self._seldom(
            "lost", "accepts messages again; dropped while the queue was full: %d", self._dropped
        ):
            self._dropped = 0
        if self._refused and self._seldom(
            "takes", "accepts messages again; refused before: %d", self._refused
        ):
            self._refused = 0

    def circuit(self, before: State, after: State, why: str, pause: float) -> None:
        """The circuit went from one state to another; ``why`` is the last failure."""
        if after is State.HALF_OPEN:
            self._log.info("%s: testing whether it works again", self._receiver)
        elif after is State.CLOSED:
            self._log.info("%s: works again", self._receiver)
        else:
            level = logging.WARNING if before is State.CLOSED else logging.INFO
            text = "%s: keeps failing, nothing is sent for %.3g s: %s"
            self._log.log(level, text, self._receiver, pause, why)

    def given_up(self, number: int) -> None:
        """The plugin ends while messages still wait."""
        self._count_lost(number)
        self._log.warning("%s: stopped with messages not delivered: %d", self._receiver, number)

    def _seldom(self, kind: str, text: str, *arguments: object) -> bool:
        """Log it unless that was done within the interval; whether it was."""
        if self._limiter.allow(kind) is None:
            return False
        self._log.warning(f"%s: {text}", self._receiver, *arguments)
        return True
