"""From the JSON of a message back to AMI: the bytes that are read as the same message.

A journal keeps what clients got, not what a server sent: blanks round a colon,
lines without one and bytes that were not UTF-8 are gone, a queue's members are
a number. So the bytes differ from the server's, but the parser makes the same
JSON of them, for every message that it can make itself. :class:`Proof` finds
out for each message, since plugins may have written what AMI cannot say.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator, Mapping

from amiws_gevent.ami import Kind, Message, Parser
from amiws_gevent.errors import AmiwsError

Data = Mapping[str, object]

_BANNER = b"Asterisk Call Manager/0.0\r\n"
_END = "--END COMMAND--\r\n\r\n"

# More than fit into a packet of the parser's own limit: a wrong number, not a queue.
_MOST_ENTRIES = 600_000


class CannotRebuild(AmiwsError):
    """A message for which there are no bytes; ``str()`` says what is missing."""


class Outcome(enum.Enum):
    """What the parser makes of rebuilt bytes."""

    SAME = "same"
    CHANGED = "changed"  # one message of the same kind, but with other headers
    WRONG = "wrong"  # something else


def rebuild(kind: Kind, data: Data) -> bytes:
    """One packet (or, for PROMPT, the banner's line) with its end. Raises CannotRebuild."""
    if kind is Kind.PROMPT:
        text = f"{_text(data, 'Product')}/{_text(data, 'Version')}\r\n"
    elif kind is Kind.UNKNOWN:
        text = _text(data, "Text").replace("\n", "\r\n") + "\r\n\r\n"
    elif kind is Kind.QUEUE:
        text = _queue(data)
    elif kind is Kind.COMMAND:
        text = _block(data) if _follows(data) else _packet(_command_headers(data))
    else:
        text = _packet(_headers(data))
    return text.encode()


class Proof:
    """Reads rebuilt bytes as the program will."""

    def __init__(self) -> None:
        self._parser = _parser_in_session()

    def outcome(self, kind: Kind, data: Data, raw: bytes) -> Outcome:
        """How far what is read from ``raw`` is the message it was made of."""
        if kind is Kind.PROMPT:
            return _compare(Parser().receive_data(raw), kind, data)
        outcome = _compare(self._parser.receive_data(raw), kind, data)
        if outcome is Outcome.WRONG:  # it may wait for more
            self._parser = _parser_in_session()
        return outcome


def _parser_in_session() -> Parser:
    parser = Parser()
    parser.receive_data(_BANNER)
    return parser


def _compare(messages: list[Message], kind: Kind, data: Data) -> Outcome:
    if len(messages) != 1 or messages[0].kind is not kind:
        return Outcome.WRONG
    read = messages[0].data()
    # Their order counts as well; a dict does not compare it.
    same = read == data and list(read) == list(data)
    return Outcome.SAME if same else Outcome.CHANGED


def _headers(data: Data) -> Iterator[tuple[str, str]]:
    """The headers, repeated ones next to each other (as they stand in the JSON)."""
    for name, value in data.items():
        if isinstance(value, list):
            for element in value:
                yield name, _as_text(element)
        else:
            yield name, _as_text(value)


def _as_text(value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    raise CannotRebuild(f"a header's value is neither text nor a number: {value!r:.60}")


def _packet(headers: Iterable[tuple[str, str]]) -> str:
    return "".join([_line(name, value) for name, value in headers]) + "\r\n"


def _line(name: str, value: str) -> str:
    """One line, whatever a plugin wrote: what would end the line or the name goes as a blank."""
    name = name.replace(":", " ")
    return f"{name}: {value}".replace("\n", " ") + "\r\n"


def _command_headers(data: Data) -> Iterator[tuple[str, str]]:
    """As Asterisk sends output from version 14 on: an ``Output`` header for each line."""
    for name, value in _headers(data):
        if name.lower() != "output":
            yield name, value
        elif value:
            for line in value.removesuffix("\n").split("\n"):
                yield name, line


def _follows(data: Data) -> bool:
    """Whether this is an answer of Asterisk up to 13, its output sent as plain text."""
    for name, value in _headers(data):
        if name.lower() == "response":
            return value.strip(" \t\r").lower() == "follows"
    return False


def _block(data: Data) -> str:
    """As Asterisk up to 13 sends output.

    The text is the last value of ``Output``. Its lines end by LF, so that a line
    that looks like one of the headers before it (which end by CRLF) is none. One
    that ends by CR needs the ``Output:`` that some versions put before the text.
    """
    headers = list(_headers(data))
    outputs = [place for place, (name, _) in enumerate(headers) if name == "Output"]
    if not outputs:
        raise CannotRebuild("the answer to a command has no Output")
    _, output = headers.pop(outputs[-1])
    text = output.replace("\r\n", "\r\r\n")
    if text.partition("\n")[0].endswith("\r"):
        text = f"Output: {text}"
    return "".join([_line(name, value) for name, value in headers]) + text + _END


def _queue(data: Data) -> str:
    """As ``__queues_show`` of Asterisk's app_queue.c; who the members are is not known."""
    maxlen = _number(data, "Maxlen")
    members, callers = _number(data, "MembersCount"), _number(data, "CallersCount")
    if members + callers > _MOST_ENTRIES:
        raise CannotRebuild(f"the queue has too many entries: {members} members, {callers} callers")
    summary = (
        f"{_text(data, 'QueueName')} has {_number(data, 'Calls')} calls"
        f" (max {maxlen or 'unlimited'}) in '{_text(data, 'Strategy')}' strategy"
        f" ({_number(data, 'Holdtime')}s holdtime, {_number(data, 'Talktime')}s talktime),"
        f" W:{_number(data, 'Weight')}, C:{_number(data, 'CallsCompleted')},"
        f" A:{_number(data, 'CallsAbandoned')}, SL:{_text(data, 'ServiceLevel')}"
        f" within {_number(data, 'ServiceLevelPeriod')}s"
    )
    lines = [
        summary,
        "   Members: " if members else "   No Members",
        *(f"      Member {number}" for number in range(1, members + 1)),
        "   Callers: " if callers else "   No Callers",
        *(f"      {number}. Caller {number}" for number in range(1, callers + 1)),
    ]
    return "\r\n".join(lines) + "\r\n\r\n"


def _text(data: Data, name: str) -> str:
    value = data.get(name)
    if not isinstance(value, str):
        raise CannotRebuild(f"{name!r} is missing or not text")
    return value


def _number(data: Data, name: str) -> int:
    value = data.get(name)
    if not isinstance(value, int):
        raise CannotRebuild(f"{name!r} is missing or not a number")
    return value
