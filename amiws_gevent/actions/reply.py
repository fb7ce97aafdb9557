"""What a client gets for an action: one reply for each server, as plain data."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from amiws_gevent.actions.request import ActionRequest
from amiws_gevent.ami import Kind, Message
from amiws_gevent.ami.jsonform import JsonValue, encodable_data
from amiws_gevent.link import Answer
from amiws_gevent.policy import Rights
from amiws_gevent.runtime.loop import yield_to_loop

# Outcomes
ANSWERED = "answered"
REFUSED = "refused"  # the server's response is an error
UNKNOWN = "unknown"  # sent, and the connection was lost before all of the answer: done or not
TIMEOUT = "timeout"  # sent, and the answer is not there, or not whole, in time
UNREACHABLE = "unreachable"  # not sent: not connected, or the server does not read
OUTCOMES = (ANSWERED, REFUSED, UNKNOWN, TIMEOUT, UNREACHABLE)

RETRY_AFTER = 1.0  # seconds until a server that does not read may have read something

ITEMS_PER_TURN = 200  # made in 3 ms, with 20 headers each

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


Shown = Callable[[Sequence[Message]], Sequence[Message]]
"""What of messages a client may see; may wait."""


def reply_of(
    request: ActionRequest,
    server: int,
    answer: Answer,
    shown: Shown,
    rights: Rights = Rights.everything,
) -> Reply:
    """The reply that has an answer, whole or not; passes the event loop on the way.

    ``shown`` is what plugins let be seen, ``rights`` what the client sees of that.
    """
    view = _View(request, server, shown, rights)
    response, end = view.one(answer.response), view.one(answer.end)
    items: list[Headers] = []
    for start in range(0, len(answer.items), ITEMS_PER_TURN):
        if start:
            yield_to_loop()
        part = view.all(answer.items[start : start + ITEMS_PER_TURN])
        items += [encodable_data(message) for message in part]
    output, response = _split(response)
    return Reply(
        server,
        _outcome(answer),
        complete=answer.complete and not view.withheld,
        reason=_reason(answer, response, view.withheld),
        response=None if response is None else encodable_data(response),
        items=items,
        end=None if end is None else encodable_data(end),
        output=output,
        action_id=request.action_id,
        size=answer.size,
    )


def _outcome(answer: Answer) -> str:
    if answer.timed_out:
        return TIMEOUT
    if answer.refusal:
        return REFUSED
    if answer.lost:
        return UNKNOWN
    nothing = answer.response is None and not answer.items and answer.end is None
    return UNKNOWN if nothing and not answer.complete else ANSWERED


def _reason(answer: Answer, response: Message | None, withheld: int) -> str:
    if answer.refusal:
        said = "" if response is None else response.get("Message") or ""
        return said.strip().encode(errors="replace").decode() or "Error"
    if answer.reason or not withheld:
        return answer.reason
    return f"plugins hold back {withheld} of its messages"


class _View:
    """Messages as the client may see them, with its own ActionID in place of ours."""

    def __init__(self, request: ActionRequest, server: int, shown: Shown, rights: Rights) -> None:
        self.withheld = 0
        """Messages that plugins hold back, of those that the client would see."""
        self._action_id = request.action_id
        self._shown = shown
        self._seen: Shown | None = None
        if rights is not Rights.everything:
            self._seen = functools.partial(rights.reply, server, request.name)

    def all(self, messages: Sequence[Message]) -> Sequence[Message]:
        restored = self._with_own_id(messages)
        shown = self._shown(restored)
        if self._seen is None:
            self.withheld += len(restored) - len(shown)
            return shown
        seen = self._seen(shown)
        if len(shown) != len(restored):
            self.withheld += max(0, len(self._seen(restored)) - len(seen))
        return self._with_own_id(seen)  # as it was sent, whatever is masked in it

    def _with_own_id(self, messages: Sequence[Message]) -> Sequence[Message]:
        own = self._action_id
        return [one.replace("ActionID", own) if one.has("ActionID") else one for one in messages]

    def one(self, message: Message | None) -> Message | None:
        return next(iter(self.all([message])), None) if message is not None else None


def _split(response: Message | None) -> tuple[Sequence[str] | None, Message | None]:
    """The lines of a command's output, and the response without them."""
    if response is None or response.kind is not Kind.COMMAND:
        return None, response
    output = Message(response.kind, {"Output": response.get("Output") or ""})
    lines = str(encodable_data(output)["Output"]).split("\n")
    if not lines[-1]:
        lines.pop()
    return lines, response.replace("Output", None)


def originated(request: ActionRequest, reply: Reply) -> tuple[str | None, str | None]:
    """The uniqueid and the name of the channel that an Originate has made, where known."""
    uniqueid = told_uniqueid(reply) or request.header("channelid")
    return uniqueid, _known(reply.end or {}, "channel")


def told_uniqueid(reply: Reply) -> str | None:
    """What the server says of it, not the client: a ChannelId may be that of another channel."""
    return _known(reply.end or {}, "uniqueid")


def _known(headers: Headers, folded: str) -> str | None:
    value = next((value for name, value in headers.items() if name.lower() == folded), "")
    first = str(value[0] if isinstance(value, list) else value)
    return None if first.lower() in _TEXTS else first
