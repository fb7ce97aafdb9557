"""Actions: the JSON of a client to headers, headers to the bytes for a server.

Asterisk ends a line at CRLF and at a bare LF, and a value at a NUL
(``main/manager.c``, get_input and process_message): any of them in a name or a
value would let a client write headers or whole actions of its own, past every
check made here and after. Such a header is refused, never cleaned and sent.
:func:`encode_action` is the one place that makes bytes for a server, and checks
whatever it is given.

It also skips all bytes up to 0x20 before a value, so that ``" Logoff"`` logs
off: names of actions are compared without such bytes.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..errors import AmiwsError
from .messages import Kind, Message

# Asterisk's buffer for a line has 1,025 bytes, one of them for the NUL; the line
# end counts. A message has room for 128 lines (AST_MAX_MANHEADERS).
MAX_LINE = 1024
MAX_HEADERS = 128

ORIGINATE_TIMEOUT = 30.0  # seconds that an Originate without a Timeout has, manager.c

# All clients share one session: these would end or change it for all of them.
SESSION_ACTIONS = frozenset(("login", "logoff", "challenge", "events", "filter", "waitevent"))

OWN_ACTION_ID = "amiws-gevent-"
"""How the ActionIDs begin that the program gives; their answers go to who asked alone."""

# Of ours; past 67 bytes Asterisk breaks the items of ConfbridgeList.
LONGEST_ACTION_ID = 60

_SKIPPED_BY_ASTERISK = "".join(map(chr, range(0x21)))
# That and all of Unicode's white space: a name that only seems to be another is refused.
_BLANKS = _SKIPPED_BY_ASTERISK + "".join(
    sign for sign in map(chr, range(0x21, 0x3001)) if sign.isspace()
)
_SERVER_ID = re.compile(r"-?[0-9]{1,15}")
_TRUE = frozenset(("yes", "true", "y", "t", "1", "on"))  # utils.c, ast_true
_SCANNED = re.compile(r"[+-]?[0-9]+")  # what sscanf takes for %d; the rest is left alone
_BREAKS = {"\r": "a carriage return", "\n": "a line feed", "\0": "a NUL"}
_EXAMPLE = '{"Action": "Ping"}'


class ActionError(AmiwsError):
    """An action that cannot be sent; ``message`` tells the client why, and what to do.

    ``action_id`` is the action's own where it could be read, for the answer.
    ``message`` never holds a header's value (but the name of an action that is
    refused), so it may be logged.
    """

    def __init__(self, message: str, action_id: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.action_id = action_id


class SessionActionError(ActionError):
    """One of SESSION_ACTIONS: well-formed, and never sent."""


@dataclass(frozen=True)
class ClientAction:
    """An action that a client asks for, checked: ``encode_action(headers)`` will succeed.

    ``name`` is without blanks round it; ``server_id`` None means all servers;
    ``action_id`` is as the server will send it back; ``headers`` are those to
    send, in order, without ``AMIServerID``.
    """

    name: str
    server_id: int | None
    action_id: str | None
    headers: tuple[tuple[str, str], ...]

    @property
    def action_ids(self) -> tuple[str, ...]:
        """Each ActionID in the headers as the server will read it; it should be one at most."""
        return tuple(
            value.lstrip(_SKIPPED_BY_ASTERISK)
            for name, value in self.headers
            if name.lower() == "actionid"
        )


class _Number(str):
    """A JSON number, kept as it was written."""

    __slots__ = ()


_Members = tuple[tuple[str, object], ...]


def parse_client_action(text: str | bytes) -> ClientAction:
    """Read one message of a client. Raises ActionError for all that cannot be sent.

    Each member of the object is a header, in order; a list gives one header for
    each element; a number or boolean goes as its JSON text; null is left out.
    ``AMIServerID`` (in any case) chooses a server and is no header.
    """
    members = _load_members(text)
    try:
        return client_action(members)
    except ActionError as error:
        raise type(error)(error.message, _readable_action_id(members)) from None


def client_action(members: Iterable[tuple[str, object]]) -> ClientAction:
    """The action that the members of a JSON object are; see `parse_client_action`."""
    headers: list[tuple[str, str]] = []
    server_ids: list[int] = []
    for name, value in members:
        if value is None:
            continue
        if name.lower() == "amiserverid":
            server_ids.append(_server_id(value))
        elif name.lower() == "action" and (
            not isinstance(value, str) or isinstance(value, _Number)
        ):
            raise ActionError('the member "Action" must be a string, the name of one action')
        else:
            headers += [(name, element) for element in _header_values(name, value)]
    if len(server_ids) > 1:
        raise ActionError('"AMIServerID" is given more than once; name one server or none')
    action = check_action_name(headers)
    encode_action(headers)
    action_id = _first(headers, "actionid")
    return ClientAction(
        name=action,
        server_id=server_ids[0] if server_ids else None,
        action_id=None if action_id is None else action_id.lstrip(_SKIPPED_BY_ASTERISK),
        headers=tuple(headers),
    )


def encode_action(headers: Iterable[tuple[str, str]]) -> bytes:
    """The bytes of one action, blank line included. Raises ActionError.

    Refused are: no ``Action`` header or two, a header that is not one line of at
    most 1,024 bytes for Asterisk, more than 128 headers.
    """
    listed = tuple(headers)
    try:
        _action_name(listed)
        if len(listed) > MAX_HEADERS:
            raise ActionError(
                f"the action has {len(listed)} headers, Asterisk accepts at most {MAX_HEADERS}"
            )
        lines = [_encode_header(name, value) for name, value in listed]
    except ActionError as error:
        raise ActionError(error.message, _first(listed, "actionid")) from None
    return b"".join(lines) + b"\r\n"


def error_response(message: str, action_id: str | None) -> Message:
    """The answer to the one client whose action was not sent, in the shape of Asterisk's own."""
    headers = {"Response": "Error"}
    if action_id is not None:
        headers["ActionID"] = action_id
    headers["Message"] = message
    return Message(Kind.RESPONSE, headers)


def check_action_name(headers: Iterable[tuple[str, str]]) -> str:
    """The name of the one action in the headers, without the blanks round it.

    Raises ActionError where there is none or several, SessionActionError for one of
    SESSION_ACTIONS.
    """
    name = _action_name(tuple(headers))
    if name.lower() in SESSION_ACTIONS:
        raise SessionActionError(
            f"the action {_quoted(name)} is refused:"
            " it would end or change the AMI session that all clients share"
        )
    return name


def holding_time(headers: Iterable[tuple[str, str]]) -> float:
    """Seconds for which Asterisk may answer nothing else in the session that sent this action.

    0.0 but for an ``Originate`` without a true ``Async``: Asterisk answers that, and reads
    on, once somebody has picked up or ``Timeout`` (milliseconds) is over (``manager.c``,
    action_originate). `math.inf` for a ``Timeout`` of 0 or less, which is none (``dial.c``).
    """
    listed = tuple(headers)
    if _action_name(listed).lower() != "originate":
        return 0.0
    if _value(listed, "async").lower() in _TRUE:
        return 0.0
    timeout = _value(listed, "timeout")
    if not timeout:
        return ORIGINATE_TIMEOUT
    number = _SCANNED.match(timeout)
    if number is None:
        return 0.0  # Asterisk refuses it
    milliseconds = int(number[0])
    return milliseconds / 1000 if milliseconds > 0 else math.inf


def _load_members(text: str | bytes) -> _Members:
    try:
        # json.loads would guess at UTF-16 and UTF-32 in bytes.
        decoded = text if isinstance(text, str) else text.decode()
        value = json.loads(
            decoded,
            object_pairs_hook=tuple,
            parse_int=_Number,
            parse_float=_Number,
            parse_constant=_refuse_constant,
        )
    except UnicodeDecodeError:
        raise ActionError("the message is not UTF-8") from None
    except RecursionError:
        raise ActionError(
            f"the message is nested too deeply; an action is a flat object, such as {_EXAMPLE}"
        ) from None
    except json.JSONDecodeError as error:
        raise ActionError(
            f"the message is not valid JSON: {error.msg} at character {error.pos + 1};"
            f" send one object, such as {_EXAMPLE}"
        ) from None
    if not isinstance(value, tuple):
        raise ActionError(f"the message is not a JSON object; send one, such as {_EXAMPLE}")
    return value


def _refuse_constant(name: str) -> object:
    raise ActionError(f"the message is not valid JSON: {name} is not a JSON number")


def _server_id(value: object) -> int:
    if isinstance(value, str) and _SERVER_ID.fullmatch(value):
        return int(value)
    raise ActionError(
        '"AMIServerID" must be the number of a server, such as 1 or "1";'
        " leave it out to reach all servers"
    )


def _header_values(name: str, value: object) -> list[str]:
    if isinstance(value, list):
        return [_header_value(name, element) for element in value if element is not None]
    return [_header_value(name, value)]


def _header_value(name: str, value: object) -> str:
    if isinstance(value, str):
        return str(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float) and math.isfinite(value):
        return json.dumps(value)
    kinds = {list: "a list in a list", float: "a number that is none"}
    what = kinds.get(type(value), "an object")
    raise ActionError(
        f"the member {_quoted(name)} holds {what}; a header's value is a string, a number,"
        " a boolean, or a flat list of them"
    )


def _action_name(headers: Sequence[tuple[str, str]]) -> str:
    """The name of the one action in the headers, without the blanks round it."""
    actions = [value for name, value in headers if name.lower() == "action"]
    if not actions:
        raise ActionError(f'there is no "Action"; name one, such as {_EXAMPLE}')
    if len(actions) > 1:
        raise ActionError('"Action" is given more than once; send one action in a message')
    action = actions[0].strip(_BLANKS)
    if not action:
        raise ActionError('"Action" is empty; it must be the name of an action')
    return action


def _encode_header(name: str, value: str) -> bytes:
    for sign, called in _BREAKS.items():
        if sign in name:
            raise ActionError(f"the header name {_quoted(name)} holds {called}")
        if sign in value:
            raise ActionError(
                f"the value of {_quoted(name)} holds {called}, which cannot be sent in a header"
            )
    if ":" in name:
        raise ActionError(f"the header name {_quoted(name)} holds a colon")
    if not name or name != name.strip(_BLANKS):
        raise ActionError(
            f"the header name {_quoted(name)} is empty, or begins or ends with a blank"
        )
    try:
        line = f"{name}: {value}\r\n".encode()
    except UnicodeEncodeError:
        raise ActionError(
            f"the header {_quoted(name)} holds half a surrogate pair, which is no character"
        ) from None
    if len(line) > MAX_LINE:
        raise ActionError(
            f"the header {_quoted(name)} makes a line of {len(line)} bytes,"
            f" Asterisk takes at most {MAX_LINE} with name and line end"
        )
    return line


def _first(headers: Iterable[tuple[str, str]], folded: str) -> str | None:
    return next((value for name, value in headers if name.lower() == folded), None)


def _value(headers: Iterable[tuple[str, str]], folded: str) -> str:
    """A header's value as Asterisk reads it; empty if there is none."""
    return (_first(headers, folded) or "").lstrip(_SKIPPED_BY_ASTERISK)


def _readable_action_id(members: _Members) -> str | None:
    """The ActionID of an action that cannot be sent, as the client wrote it."""
    for name, value in members:
        if name.lower() == "actionid":
            first = value[0] if isinstance(value, list) and value else value
            if isinstance(first, str):
                return str(first)
    return None


def _quoted(name: str) -> str:
    """A name for a message: at most 60 signs of it, control characters escaped."""
    return json.dumps(name if len(name) <= 60 else name[:59] + "…")
