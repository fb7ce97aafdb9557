"""The greenlet of one receiver: batches go out in order, each until it was taken or refused."""

from __future__ import annotations

from typing import Protocol

from gevent.event import Event

from .answer import Answer, Verdict
from .circuit import Circuit, State
from .client import NoAnswer
from .outbox import Batch, Outbox
from .report import Report


class Carrier(Protocol):
    """What the sender needs of a `Courier`."""

    def deliver(self, batch: Batch) -> Answer:
        """Within a bounded time. Raises NoAnswer only."""

    def pause(self, answer: Answer) -> float:
        """Seconds."""

    def describe(self, answer: Answer) -> str:
        """Fit for the log."""


class Sender:
    """Sends what is `put`, from `run` in a greenlet of its own, until `flush`."""

    def __init__(self, outbox: Outbox, circuit: Circuit, report: Report, carrier: Carrier) -> None:
        self._outbox = outbox
        self._circuit = circuit
        self._report = report
        self._carrier = carrier
        self._due = Event()
        self._ending = Event()
        self._ended = Event()

    def put(self, json: bytes) -> None:
        """Take a message; never waits."""
        lost = self._outbox.put(json)
        if lost:
            self._report.dropped(lost)
        if len(self._outbox) == 1 or self._outbox.due_in() == 0:
            self._due.set()

    def run(self) -> None:
        """Send until `flush` ends it."""
        try:
            while self._collect():
                if not self._pause() or (not self._attempt() and self._ending.is_set()):
                    break
        finally:
            self._ended.set()

    def flush(self, timeout: float) -> None:
        """Send what waits, with no pause and no second attempt, for ``timeout`` seconds at most.

        `run` may go on after them. A receiver whose circuit is open is not tried again.
        """
        self._ending.set()
        self._due.set()
        if self._outbox.due_in() is not None:
            self._ended.wait(timeout)
        if len(self._outbox):
            self._report.given_up(len(self._outbox))

    def _collect(self) -> bool:
        """Wait until a batch is due; False if it is time to end and nothing waits."""
        while not self._ending.is_set():
            due = self._outbox.due_in()
            if due == 0:
                return True
            self._due.clear()
            self._due.wait(due)
        return self._outbox.due_in() is not None

    def _pause(self) -> bool:
        """Wait until an attempt may be made; False if it is time to end instead."""
        while (seconds := self._circuit.wait()) and not self._ending.is_set():
            self._ending.wait(seconds)
        return self._circuit.state is not State.OPEN or not self._circuit.wait()

    def _attempt(self) -> bool:
        """One POST; False if the batch is to be tried again."""
        batch = self._outbox.take()
        before = self._circuit.state
        self._circuit.begin()
        self._tell_circuit(before, "")
        try:
            answer = self._carrier.deliver(batch)
        except NoAnswer as error:
            self._failed(str(error), 0.0)
            return False
        if answer.verdict is Verdict.LATER:
            told = f"it answered {self._carrier.describe(answer)}"
            self._failed(told, self._carrier.pause(answer))
            return False
        before = self._circuit.state
        self._circuit.succeeded()
        self._tell_circuit(before, "")
        if answer.verdict is Verdict.DELIVERED:
            self._outbox.delivered()
            self._report.delivered(len(batch.messages), answer.status)
        else:
            self._outbox.refused()
            self._report.refused(len(batch.messages), self._carrier.describe(answer))
        return True

    def _failed(self, why: str, retry_after: float) -> None:
        self._outbox.failed()
        before = self._circuit.state
        self._circuit.failed(retry_after)
        if self._circuit.state is before:
            self._report.failed(why, self._circuit.wait())
        else:
            self._tell_circuit(before, why)

    def _tell_circuit(self, before: State, why: str) -> None:
        if self._circuit.state is not before:
            self._report.circuit(before, self._circuit.state, why, self._circuit.wait())
