"""What a client gets for an action: one reply for each server, as plain data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from amiws_gevent.actions.request import ActionRequest
from amiws_gevent.ami import Kind, Message
from amiws_gevent.ami.jsonform import JsonValue, encodable_data
from amiws_gevent.link import Answer
from amiws_gevent.runtime.loop import yield_to_loop

# Outcomes
ANSWERED = "answered"
REFUSED = "refused"  # the server's response is an error
UNKNOWN = "unknown"  # sent, and the connection was lost before the answer: it may be done or not
TIMEOUT = "timeout"  # sent, and the answer is not there, or not whole, in time
UNREACHABLE = "unreachable"  # not sent: not connected, or the server does not read
OUTCOMES = (ANSWERED, REFUSED, UNKNOWN, TIMEOUT, UNREACHABLE)

RETRY_AFTER = 1.0  # seconds until a server that does not read may have read something

ITEMS_PER_TURN = 500  # made in some 2 ms

Headers = Mapping[str, JsonValue]
"""By name as the server writes it, in order; a list where the header repeats."""

_TEXTS = ("", "<null>", "<none>", "<unknown>")  # for: there is none


@dataclass(frozen=True)
class Reply:
    """What has become of an action on one server.

    The headers of all messages have the ActionID of the client, or none.
    """

    server: int
    outcome: str
    """One of OUTCOMES."""
    complete: bool = False
    """Whether all of the answer is here."""
    reason: str = ""
    """For people: why it is not complete, or what the server said in its refusal."""
    response: Headers | None = None
    items: Sequence[Headers] = ()
    """Of a list."""
    end: Headers | None = None
    """The event that ends a list; OriginateResponse where that was waited for."""
    output: Sequence[str] | None = None
    """The lines that a command has printed; None for what is no command."""
    action_id: str | None = None
    """The client's own."""
    originated: Mapping[str, str | None] | None = None
    """Of an Originate: ``uniqueid`` and ``channel`` of the call's first channel, and ``call``,
    its id in the live model, each as far as it is known."""
    retry_after: float | None = None
    """Seconds after which the same request may succeed."""
    size: int = 0
    """About how many bytes the answer had."""

    def as_json(self) -> dict[str, Any]:
        """The members of the object that clients get; it can be made JSON."""
        given = {
            "server": self.server,
            "outcome": self.outcome,
            "response": self.response,
            "items": list(self.items),
            "end": self.end,
            "complete": self.complete,
            "reason": self.reason,
        }
        if self.output is not None:
            given["output"] = list(self.output)
        if self.action_id is not None:
            given["action_id"] = self.action_id
        if self.originated is not None:
            given |= self.originated
        if self.retry_after is not None:
            given["retry_after"] = self.retry_after
        return given

    def without_answer(self, reason: str) -> Reply:
        """What remains of the reply where the answer is too large."""
        return Reply(
            self.server,
            self.outcome,
            reason=reason,
            action_id=self.action_id,
            originated=self.originated,
        )


def failed(request: ActionRequest, server: int, outcome: str, reason: str) -> Reply:
    """The reply where nothing came."""
    return Reply(server, outcome, reason=reason, action_id=request.action_id)


def reply_of(request: ActionRequest, server: int, answer: Answer) -> Reply:
    """The reply that has an answer, whole or not; passes the event loop on the way."""
    restore = _Restored(request.action_id)
    output, response = _split(answer.response)
    items = []
    for number, item in enumerate(answer.items, 1):
        items.append(restore(item))
        if not number % ITEMS_PER_TURN:
            yield_to_loop()
    return Reply(
        server,
        _outcome(answer),
        complete=answer.complete,
        reason=answer.refusal or answer.reason,
        response=None if response is None else restore(response),
        items=items,
        end=None if answer.end is None else restore(answer.end),
        output=output,
        action_id=request.action_id,
        size=answer.size,
    )


def _outcome(answer: Answer) -> str:
    if answer.timed_out:
        return TIMEOUT
    if answer.refusal:
        return REFUSED
    nothing = answer.response is None and not answer.items and answer.end is None
    return UNKNOWN if nothing and not answer.complete else ANSWERED


class _Restored:
    """Makes headers of a message, with the client's ActionID in place of ours."""

    def __init__(self, action_id: str | None) -> None:
        self._action_id = action_id

    def __call__(self, message: Message) -> Headers:
        if message.has("ActionID"):
            message = message.replace("ActionID", self._action_id)
        return encodable_data(message)


def _split(response: Message | None) -> tuple[Sequence[str] | None, Message | None]:
    """The lines of a command's output, and the response without them."""
    if response is None or response.kind is not Kind.COMMAND:
        return None, response
    headers = encodable_data(response)
    lines = "".join(
        str(value) for name, value in headers.items() if name.lower() == "output"
    ).split("\n")
    if not lines[-1]:
        lines.pop()
    return lines, response.replace("Output", None)


def originated(request: ActionRequest, reply: Reply) -> tuple[str | None, str | None]:
    """The uniqueid and the name of the channel that an Originate has made, where known."""
    end = reply.end or {}
    uniqueid = _known(end, "uniqueid") or request.header("channelid")
    return uniqueid, _known(end, "channel")


def _known(headers: Headers, folded: str) -> str | None:
    value = next((value for name, value in headers.items() if name.lower() == folded), "")
    first = str(value[0] if isinstance(value, list) else value)
    return None if first.lower() in _TEXTS else first
