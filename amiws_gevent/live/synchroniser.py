"""Asks one server for all that it can list, when its connection comes up and again and again.

First ListCommands, then what that allows, one question at a time and behind the actions of
clients: Asterisk reads the next action of a session when the one before is done, so a long list
would keep a client waiting. No client causes a question.

An answer that is not whole is not taken, since what is not in a list is removed. The question
comes again sooner then, and until it is answered the server is ``stale``.
"""

from __future__ import annotations

import logging
import random
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import gevent
from gevent.event import Event

from amiws_gevent.ami import Message
from amiws_gevent.errors import AmiwsError, ConnectionLost, NotConnected
from amiws_gevent.link import Answer
from amiws_gevent.live.permissions import Missing, Permissions, refused
from amiws_gevent.live.questions import QUESTIONS, Detail, Question
from amiws_gevent.runtime.backoff import Backoff
from amiws_gevent.runtime.log import LogLimiter

LIST_COMMANDS = "ListCommands"
SYNCING, LIVE, STALE = "syncing", "live", "stale"

MAX_ITEMS = 200_000
MAX_BYTES = 256 * 1024 * 1024
"""Of one list: what 50,000 channels need, four times over."""

# To 12, ``core show hints`` cuts contexts to 20 characters (main/pbx.c, handle_show_hints).
_HINT = re.compile(r"\s*([^\s@]+)@(\S{1,19})\s*: ")

_log = logging.getLogger("amiws_gevent.live")


@dataclass(frozen=True)
class Pace:
    """Seconds."""

    answer: float = 60.0  # for a whole answer
    clients: float = 5.0  # that a question waits for actions of clients at most
    look: float = 0.05  # between two looks whether these are done
    hint: float = 0.05  # between two hints that are asked one by one
    retry: float = 10.0  # before a question comes again that was not answered; doubled each time
    hurry: float = 3.0  # after a reload of the server: more of them may come together


DEFAULT_PACE = Pace()


class Asked(Protocol):
    """As much of a `Link` as is needed."""

    @property
    def under_way(self) -> int: ...

    def ask(
        self, action: Mapping[str, str], *, timeout: float, max_messages: int, max_bytes: int
    ) -> Answer: ...


class Told(Protocol):
    """Who learns what was answered; its methods must not raise."""

    @property
    def offset(self) -> int:
        """That of the last read."""

    def listed(self, action: str, items: Sequence[Message], asked: int, *, heals: bool) -> None:
        """A whole list; ``heals``: events should have told all of it."""

    def hint_answered(self, response: Message, asked: int) -> None:
        """The answer to ExtensionState."""

    def hints(self) -> list[tuple[str, str]]:
        """Extension and context of those that are known."""

    def allowed(self, permissions: Permissions) -> None:
        """Before the first list: what nobody may ask for can't be put right."""

    def synchronised(self, state: str, reason: str, missing: Sequence[Missing]) -> None:
        """How far it has come."""

    def asked_all(self) -> None:
        """Everything was asked for, and has an answer or is asked for again later."""


class Synchroniser:
    """Keeps one connection's server in step; made for each connection anew.

    ``interval`` is in seconds; ``version`` is Asterisk's, None if unknown.
    """

    def __init__(
        self,
        link: Asked,
        told: Told,
        *,
        name: str,
        version: int | None,
        interval: float,
        pace: Pace = DEFAULT_PACE,
        clock: Callable[[], float] = time.monotonic,
        random: Callable[[], float] = random.random,
    ) -> None:
        self.interval = interval
        self._link = link
        self._told = told
        self._name = name
        self._version = version
        self._pace = pace
        self._clock = clock
        self._random = random
        self._permissions = Permissions(None)  # before it has been asked
        self._questions: list[Question] = []
        self._due: dict[str, float] = {}  # by action; one that is not in here is due now
        self._answered: set[str] = set()
        self._rounds = 0  # how often all has begun anew
        self._failures: dict[str, str] = {}  # by action, why it has no whole answer
        self._refused: dict[str, list[Missing]] = {}
        self._backoffs: dict[str, Backoff] = {}
        self._woken = Event()
        self._limiter = LogLimiter(clock=clock)
        self._greenlet: gevent.Greenlet[..., None] | None = None

    def start(self) -> None:
        """Begin to ask."""
        self._greenlet = gevent.spawn(self._run)

    def stop(self) -> None:
        """End; an answer that is under way goes to nobody."""
        if self._greenlet is not None and self._greenlet is not gevent.getcurrent():
            self._greenlet.kill(block=False)

    def hurry(self) -> None:
        """Ask for everything soon: the server was reloaded, or has only now booted."""
        soon = self._clock() + self._pace.hurry
        self._due = {action: min(due, soon) for action, due in self._due.items()}
        self._woken.set()

    def begin_anew(self, pause: float) -> None:
        """Ask for everything after so many seconds, as if nothing had been answered yet."""
        self._rounds += 1
        self._answered.clear()
        asked = (LIST_COMMANDS, *(question.action for question in self._questions))
        self._due = dict.fromkeys(asked, self._clock() + pause)
        self._woken.set()

    def _run(self) -> None:
        try:
            self._tell()
            while True:
                self.ask_all_due()
                self._told.asked_all()
                self._woken.wait(max(0.0, min(self._due.values()) - self._clock()))
                self._woken.clear()
        except (NotConnected, ConnectionLost):
            return  # the link says why, and a new connection has a synchroniser of its own

    def ask_all_due(self) -> None:
        """One round. Raises NotConnected and ConnectionLost."""
        if self._is_due(LIST_COMMANDS):
            self._ask(Question(LIST_COMMANDS, ()), self._list_commands)
        for question in self._questions:
            if self._is_due(question.action):
                self._ask(question, self._hints if self._is_of_hints(question) else self._list)

    # -- one question ------------------------------------------------------------------

    def _ask(self, question: Question, ask: Callable[[Question], str]) -> None:
        """Ask by a function that gives the reason why there is no whole answer, or ""."""
        action, rounds = question.action, self._rounds
        try:
            failure = ask(question)
        except (NotConnected, ConnectionLost):
            raise
        except AmiwsError as error:  # SendBufferFull; a name that no action can carry
            failure = str(error)
        except Exception as error:  # noqa: BLE001 - of ours; the other questions go on
            failure = f"internal error: {type(error).__name__}"
            self._limiter.log(
                _log,
                logging.ERROR,
                action,
                "%s: internal error while asking %s",
                self._name,
                action,
                exc_info=error,
            )
        if rounds != self._rounds:
            return
        if failure:
            self._failures[action] = failure
            self._due[action] = self._clock() + self._backoff(action).next()
        else:
            self._failures.pop(action, None)
            self._backoffs.pop(action, None)
            self._answered.add(action)
            self._due[action] = self._clock() + self._next_time()
        self._tell()

    def _next_time(self) -> float:
        """Seconds to the next time: by chance, so that no two servers and kinds stay together."""
        return self.interval * (0.75 + 0.25 * self._random())

    def _backoff(self, action: str) -> Backoff:
        if action not in self._backoffs:
            longest = max(self._pace.retry, self.interval)
            self._backoffs[action] = Backoff(
                self._pace.retry / 2, longest, spread=0.25, random=self._random
            )
        return self._backoffs[action]

    def _is_due(self, action: str) -> bool:
        return self._due.get(action, 0.0) <= self._clock()

    def _put(self, headers: Mapping[str, str]) -> tuple[Answer, int]:
        """Send one action, behind those of clients; its answer, and the offset before it."""
        end = self._clock() + self._pace.clients
        while self._link.under_way and self._clock() < end:
            gevent.sleep(self._pace.look)
        asked = self._told.offset
        answer = self._link.ask(
            headers, timeout=self._pace.answer, max_messages=MAX_ITEMS, max_bytes=MAX_BYTES
        )
        return answer, asked

    def _list_commands(self, question: Question) -> str:
        answer, _ = self._put({"Action": LIST_COMMANDS})
        if not answer.complete:
            return answer.reason
        if answer.refusal or answer.response is None:
            self._permissions = Permissions(None)
        else:
            self._permissions = Permissions.told_by(answer.response)
        if LIST_COMMANDS not in self._answered:
            self._told.allowed(self._permissions)
        asked = [question for question in QUESTIONS if self._permissions.asks(question)]
        self._questions = list({question.action: question for question in asked}.values())
        kept = {LIST_COMMANDS, *(question.action for question in self._questions)}
        for known in (self._due, self._failures, self._refused):
            for action in known.keys() - kept:
                del known[action]  # a module was unloaded
        return ""

    def _list(self, question: Question) -> str:
        answer, asked = self._put({"Action": question.action})
        if not answer.complete:
            return answer.reason
        if answer.refusal:
            self._refused[question.action] = refused(question, answer.refusal)
            return ""
        self._refused.pop(question.action, None)
        items = answer.items
        if question.single:
            items = () if answer.response is None else (answer.response,)
        heals = question.action in self._answered and not question.single
        self._told.listed(question.action, items, asked, heals=heals)
        return "" if question.detail is None else self._details(question.detail, items, heals)

    def _details(self, detail: Detail, items: Sequence[Message], heals: bool) -> str:
        names = dict.fromkeys(item.get(detail.header) or "" for item in items)
        if not self._permissions.may(detail.action):
            return ""
        for name in names:
            answer, asked = self._put({"Action": detail.action, detail.header: name})
            if not answer.complete:
                return f"{detail.action}: {answer.reason}"
            if not answer.refusal:
                self._told.listed(detail.action, answer.items, asked, heals=heals)
        return ""

    # -- hints of Asterisk 11 and 12 ---------------------------------------------------

    def _is_of_hints(self, question: Question) -> bool:
        return question.action == "ExtensionState"

    def _hints(self, question: Question) -> str:
        """Ask for each hint: those that are known, and those that the dialplan has."""
        for exten, context in dict.fromkeys((*self._told.hints(), *self._dialplan_hints())):
            gevent.sleep(self._pace.hint)
            answer, asked = self._put(
                {"Action": question.action, "Exten": exten, "Context": context}
            )
            if not answer.complete or answer.response is None:
                return answer.reason
            if answer.refusal:
                self._refused[question.action] = refused(question, answer.refusal)
                return ""
            self._told.hint_answered(answer.response, asked)
        return ""

    def _dialplan_hints(self) -> Iterator[tuple[str, str]]:
        """No action lists them, but a command does, if the AMI user may send commands."""
        if not self._permissions.write_class("command"):
            return
        answer, _ = self._put({"Action": "Command", "Command": "core show hints"})
        if not answer.complete or answer.response is None:
            return
        for line in (answer.response.get("Output") or "").splitlines():
            found = _HINT.match(line)
            if found is not None and not found[1].startswith("_"):  # a pattern is no extension
                yield found[1], found[2]

    # -- what is told ------------------------------------------------------------------

    def _tell(self) -> None:
        missing = self._permissions.missing(self._version)
        missing += [each for refusals in self._refused.values() for each in refusals]
        self._told.synchronised(*self._state(), missing)

    def _state(self) -> tuple[str, str]:
        asked = {LIST_COMMANDS, *(question.action for question in self._questions)}
        if self._failures:
            failures = [f"{action}: {reason}" for action, reason in self._failures.items()]
            return STALE, "; ".join(failures)
        if not asked <= self._answered:
            return SYNCING, ""
        return LIVE, ""
