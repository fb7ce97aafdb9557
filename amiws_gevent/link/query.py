"""A query: its answer is collected while one greenlet waits for it."""

from __future__ import annotations

from dataclasses import dataclass

from gevent.event import Event

from amiws_gevent.ami import Kind, Message
from amiws_gevent.ami.lists import is_refusal, list_form
from amiws_gevent.errors import ConnectionLost

MAX_MESSAGES = 10_000
MAX_BYTES = 8 * 1024 * 1024


@dataclass(frozen=True)
class Answer:
    """What a server has answered, as plain data: all of it, or why not all."""

    response: Message | None
    """None if none came; ``Queues`` of Asterisk 13 has none."""
    items: tuple[Message, ...]
    """The items of a list, without the event that ends it; or packets of text."""
    end: Message | None
    """The event that ended the list (some carry totals, or details), or that came later."""
    complete: bool
    reason: str
    """Why the answer is not complete; "" if it is."""
    refusal: str
    """The error message of the server; "" if there is none or it means an empty list."""
    timed_out: bool = False
    """Whether it is not complete because the time was over."""
    size: int = 0
    """About how many bytes of it came."""
    lost: bool = False
    """Whether it is not complete because the connection has ended."""


class AnswerLost(ConnectionLost):
    """The connection has ended; ``answer`` is what had come."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.reason)
        self.answer = answer


class Query:
    """Collects the answer to one action; a `link.pending.Taker`.

    Past ``max_messages`` or ``max_bytes`` (about what they have on the wire) it takes no
    more. `wait` is for one greenlet.
    """

    def __init__(self, name: str, *, max_messages: int, max_bytes: int) -> None:
        self._form = list_form(name)
        self._max_messages = max_messages
        self._max_bytes = max_bytes
        self._messages = 0
        self._bytes = 0
        self._response: Message | None = None
        self._items: list[Message] = []
        self._end: Message | None = None
        self._complete = False
        self._reason = ""
        self._lost = False
        self._done = Event()

    def take(self, message: Message, *, ends: bool) -> bool:
        """Of `Taker`: a message of the answer."""
        self._messages += 1
        self._bytes += _size(message)
        if self._messages > self._max_messages or self._bytes > self._max_bytes:
            most = f"{self._max_messages} messages or {self._max_bytes} bytes"
            self.over(f"the answer has more than {most}")
            return False
        if message.kind in (Kind.RESPONSE, Kind.COMMAND):
            self._response = message
        elif ends:
            self._end = message
        else:
            self._items.append(message)
        return True

    def over(self, reason: str) -> None:
        """Of `Taker`: no more comes."""
        self._complete = not reason
        self._reason = reason
        self._done.set()

    def lost(self, reason: str) -> None:
        """Of `Taker`: the connection has ended."""
        self._lost = True
        self._reason = reason
        self._done.set()

    def wait(self, timeout: float) -> Answer:
        """Wait up to ``timeout`` seconds; raises AnswerLost."""
        timed_out = not self._done.wait(timeout)
        if timed_out:
            self._reason = f"no whole answer within {timeout:g} s"
        answer = Answer(
            self._response,
            tuple(self._items),
            self._end,
            self._complete,
            self._reason,
            self._refusal(),
            timed_out,
            self._bytes,
            self._lost,
        )
        if self._lost:
            raise AnswerLost(answer)
        return answer

    def _refusal(self) -> str:
        if self._response is None or not is_refusal(self._form, self._response):
            return ""
        return (self._response.get("Message") or "").strip() or "Error"


def _size(message: Message) -> int:
    return sum(len(name) + len(str(value)) + 4 for name, value in message.headers)
