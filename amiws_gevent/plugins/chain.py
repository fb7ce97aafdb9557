"""The way of messages, and of entities of the state, through plugins: filters, then transforms.

One chain takes one server's messages of one read through the hooks, or some of its entities. They
are called directly, not through pluggy's hook caller, since this runs for every
message, and in a greenlet of the chain's own for each batch: a hook that waits
is cut off by one timer for the batch, not one for each call, and a hook that
does not let itself be cut off is left behind with its greenlet, while another
takes up the messages where it stands.

Only a hook's own time counts against its timeout, not that of a busy machine: see `Spent`.
"""

from __future__ import annotations

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar

import gevent
from greenlet import GreenletExit, greenlet

from amiws_gevent.ami import Kind, Message, Value
from amiws_gevent.plugins.api import ServerInfo
from amiws_gevent.plugins.guard import HookTimeout, PluginState
from amiws_gevent.plugins.spent import Spent, Worker
from amiws_gevent.runtime.loop import yield_to_loop

FILTER = "amiws_filter_message"
TRANSFORM = "amiws_transform_message"

LONGEST_TURN = 0.005  # seconds of hooks, then others have theirs

_FAILED = object()  # in place of an answer

T = TypeVar("T")
"""What goes through: messages, or entities."""


class MessageHook(NamedTuple):
    """A filter or a transform, and whose it is."""

    state: PluginState
    function: Callable[..., Any]


class Steps(ABC, Generic[T]):
    """The hooks of all plugins in the order in which they are called, and what answers mean."""

    transform: ClassVar[str]
    """The name of the hook that gives another in place of what it gets."""
    wanted: ClassVar[str]
    """What that may answer."""

    def __init__(self, filters: Sequence[MessageHook], transforms: Sequence[MessageHook]) -> None:
        self.all = (*filters, *transforms)
        self.first_transform = len(filters)
        self.tick = min((hook.state.timeout for hook in self.all), default=1.0) / 2
        """Seconds between two looks at how long the running hook has been waiting."""

    def name(self, step: int) -> str:
        """The name of the hook at that place."""
        return FILTER if step < self.first_transform else self.transform

    @abstractmethod
    def replaced(self, answer: object) -> T | None:
        """What a transform's answer is, checked; None for one of a wrong type. May raise."""

    def drop(self, state: PluginState) -> None:
        """Count what a plugin has kept from all."""

    def after(self, answer: object, item: T | None, step: int) -> tuple[T | None, int]:
        """What an answer that is not None makes of an item, and the step that comes next."""
        state, filters = self.all[step].state, step < self.first_transform
        if filters and answer is True:
            return item, self.first_transform
        if filters and answer is False:
            self.drop(state)
            return None, len(self.all)
        if answer is not _FAILED:
            if not filters:
                try:
                    new = self.replaced(answer)
                except Exception as error:  # noqa: BLE001 - a plugin may answer anything
                    state.failed(self.transform, error)
                    return self._failed(state, item, step)
                if new is not None:
                    return new, step + 1
            state.answered(
                self.name(step), answer, "True, False or None" if filters else self.wanted
            )
        return self._failed(state, item, step)

    def _failed(self, state: PluginState, item: T | None, step: int) -> tuple[T | None, int]:
        if state.required:
            self.drop(state)
            return None, len(self.all)
        return item, step + 1


class MessageSteps(Steps[Message]):
    """Those for messages."""

    transform = TRANSFORM
    wanted = "a Message or None"

    def replaced(self, answer: object) -> Message | None:
        if not isinstance(answer, Message):
            return None
        answer.check()
        return answer

    def drop(self, state: PluginState) -> None:
        state.dropped += 1


def watched(hook: MessageHook) -> MessageHook:
    """The hook, checked for changing messages in place: a changed message is restored.

    Such a call fails with TypeError. A message that the hook makes is copied, because the
    hook may keep the dict it was made from. The check takes as long as many a hook, so it
    is used only after a changed message has been found.
    """

    def call(message: Message, server: ServerInfo) -> object:
        kind, headers = message.kind, message.headers
        try:
            answer = hook.function(message, server)
        finally:
            changed = not _is_still(message, kind, headers)
            if changed:
                Message.__init__(message, kind, headers)
        if changed:
            raise TypeError("changed a message in place; it must return a new one instead")
        return Message(answer.kind, answer.headers) if isinstance(answer, Message) else answer

    return hook._replace(function=call)


def _is_still(message: Message, kind: Kind, headers: tuple[tuple[str, Value], ...]) -> bool:
    try:
        return message.kind is kind and message.headers == headers
    except Exception:  # noqa: BLE001 - it may be anything now
        return False


class Chain(Generic[T]):
    """Takes messages (or entities) through the steps, one batch at a time."""

    def __init__(
        self,
        steps: Steps[T],
        clock: Callable[[], float] = time.monotonic,
        cpu_clock: Callable[[], float] = time.thread_time,
    ) -> None:
        self._steps = steps
        self._clock = clock
        self._cpu_clock = cpu_clock
        self._kept: list[T] = []
        self._rest: Iterator[T] = iter(())
        self._server = ServerInfo(0, "", False)
        self._caller: greenlet = gevent.getcurrent()
        self._worker: Worker | None = None
        # The call that runs or ran last: which, on what.
        self._step = 0
        self._message: T | None = None
        self._cut_since = math.inf  # since when the call ran that was cut off last

    def run(self, messages: Sequence[T], server: ServerInfo) -> list[T]:
        """What is left of a batch, in order."""
        steps = self._steps
        if not steps.all:
            return list(messages)
        self._kept, self._rest, self._server = [], iter(messages), server
        self._caller = gevent.getcurrent()
        timer = gevent.get_hub().loop.timer(steps.tick, steps.tick)
        timer.start(self._look)
        try:
            message, step = None, 0
            while not self._start_worker(message, step):
                steps.all[self._step].state.stuck(steps.name(self._step))
                message, step = steps.after(_FAILED, self._message, self._step)
            return self._kept
        finally:
            timer.close()
            self._leave_worker()

    def _start_worker(self, message: T | None, step: int) -> bool:
        """Take ``message`` up at ``step``, then all others; False if the worker had to be left."""
        self._worker = Worker(self._work)
        self._worker.spent = Spent(self._steps.tick, self._clock, self._cpu_clock)
        return bool(self._worker.switch(message, step))

    def _leave_worker(self) -> None:
        worker, self._worker = self._worker, None
        if worker is not None and not worker.dead:
            worker.parent = gevent.get_hub()  # not back to the caller, should it end after all

    def _look(self) -> None:
        """Cut off a hook that waits too long. Runs in the hub, so only while it waits."""
        worker = self._worker
        if worker is None:
            return
        if worker.spent.look() <= self._steps.all[self._step].state.timeout:
            return
        if self._cut_since != worker.spent.since:
            self._cut_since = worker.spent.since
            worker.throw(HookTimeout)
        else:  # it was, and goes on waiting
            self._leave_worker()
            self._caller.switch(False)

    def _work(self, message: T | None, step: int) -> bool:
        worker = self._worker
        assert worker is not None
        spent = worker.spent
        turn_end = spent.turn() + LONGEST_TURN
        if message is not None:
            self._finish(message, step, worker)
        for each in self._rest:
            if turn_end < spent.since < math.inf:
                spent.since = math.inf
                yield_to_loop()
                turn_end = spent.turn() + LONGEST_TURN
            self._finish(each, 0, worker)
        return True

    def _finish(self, message: T | None, step: int, worker: Worker) -> None:
        """Keep what the hooks from ``step`` on make of a message, if anything."""
        hooks, server, clock = self._steps.all, self._server, self._clock
        spent = worker.spent
        now = clock()
        while step < len(hooks):
            state, function = hooks[step]
            if state.suspended:
                message, step = self._steps.after(_FAILED, message, step)
                continue
            self._step, self._message, spent.since = step, message, now
            try:
                answer = function(message, server)
            except BaseException as error:  # noqa: BLE001 - a plugin may raise anything
                answer = self._raised(error, worker)
            if self._worker is not worker:
                raise GreenletExit  # left behind: another has gone on with the message
            start, now = now, clock()
            state.seconds += now - start
            if now - start > state.timeout:
                self._check_time(spent)
            if answer is None:
                step += 1
            else:
                message, step = self._steps.after(answer, message, step)
        if message is not None:
            self._kept.append(message)

    def _raised(self, error: BaseException, worker: Worker) -> object:
        if self._worker is worker and self._cut_since != worker.spent.since:
            self._steps.all[self._step].state.failed(self._steps.name(self._step), error)
        return _FAILED

    def _check_time(self, spent: Spent) -> None:
        """Count a call that was too long by the wall clock, if its own time was too long."""
        state = self._steps.all[self._step].state
        seconds, cut_off = spent.end(), self._cut_since == spent.since
        if cut_off or seconds > state.timeout:
            state.overran(self._steps.name(self._step), seconds, cut_off=cut_off)


class MessageChain(Chain[Message]):
    """The chain of messages."""
