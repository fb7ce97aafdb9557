"""What clients send: the models of the requests, and the careful reading of a text.

Only the outer form is checked here. What a filter may name is known to ``feeds``, what an
action may say to ``actions``; both are given the JSON as it came. Each model is built when it is
first used: the start is no place for what may never be asked.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from amiws_gevent.actions.request import MOST_KEY
from amiws_gevent.feeds.positions import LONGEST
from amiws_gevent.v2.codes import RequestError

MAX_DEPTH = 16
"""Objects and lists within each other. Requests need three; the rest is for members to come."""

MAX_ID = 64
SAFE = 2**53 - 1  # what a number of JavaScript holds exactly

Id = Annotated[str, Field(max_length=MAX_ID)] | Annotated[int, Field(ge=-SAFE, le=SAFE)]
"""A client's name for a request."""

Header = str | int | float | bool | None

Stream = Literal["state", "events"]


class _Model(BaseModel):
    """Members that a model does not know are passed over; nothing is converted."""

    model_config = ConfigDict(
        frozen=True,
        extra="ignore",
        strict=True,
        allow_inf_nan=False,
        hide_input_in_errors=True,
        defer_build=True,
    )


class Request(_Model):
    """What all requests have."""

    op: str
    id: Id = Field(
        description="A string of up to 64 characters or an integer; the answers repeat it."
    )


class Filters(_Model):
    """What a subscription takes in. Each is one value or a list."""

    server: int | list[int] | None = Field(
        default=None, description="Ids of servers; 0 is amiws-gevent itself."
    )
    kind: str | list[str] | None = Field(
        default=None, description="Kinds of entities. Narrows `state` alone."
    )
    event: str | list[str] | None = Field(
        default=None, description="Names of events, in any case. Narrows `events` alone."
    )
    queue: str | list[str] | None = Field(default=None, description="Names of queues.")
    extension: str | list[str] | None = Field(default=None, description="Numbers of extensions.")
    context: str | list[str] | None = Field(default=None, description="Contexts of the dialplan.")


class Subscribe(Request):
    """Asks for a subscription."""

    op: Literal["subscribe"]
    streams: list[Stream] = Field(
        min_length=1, description='`["state"]`, `["events"]`, or both in one list.'
    )
    filters: Filters | None = Field(
        default=None, description="See [Filters](#filters). Without it: everything."
    )


class Resume(Request):
    """Asks for a subscription that goes on where an earlier one was."""

    op: Literal["resume"]
    streams: list[Stream] = Field(min_length=1, description="As in `subscribe`.")
    filters: Filters | None = Field(default=None, description="As in `subscribe`.")
    position: str = Field(
        max_length=LONGEST, description="The last position of the earlier subscription."
    )


class Unsubscribe(Request):
    """Ends a subscription."""

    op: Literal["unsubscribe"]
    subscription: str = Field(description="The id that `subscribed` gave it.")


class Ping(Request):
    """Asks for a `pong`."""

    op: Literal["ping"]


class Action(Request):
    """Sends an action to servers."""

    op: Literal["action"]
    server: int | list[int] | Literal["all"] = Field(
        description='The id of a server, a list of ids, or `"all"`.'
    )
    action: dict[str, Header | list[Header]] = Field(
        description="The headers of the action, `Action` among them. A list gives one header for "
        "each element, `null` gives none."
    )
    timeout: float | None = Field(
        default=None,
        gt=0,
        description="Seconds after which the reply is given with what has come until then.",
    )
    wait: bool = Field(
        default=False,
        description="Of an `Originate`: reply when it is known whether the call was answered.",
    )
    idempotency_key: str | None = Field(
        default=None,
        min_length=1,
        max_length=MOST_KEY,
        description="For 10 minutes the same user gets the first reply again for the same key, "
        "and nothing is sent twice.",
    )


REQUESTS: dict[str, type[Request]] = {
    "subscribe": Subscribe,
    "resume": Resume,
    "unsubscribe": Unsubscribe,
    "action": Action,
    "ping": Ping,
}

FROM_CLIENT: TypeAdapter[Any] = TypeAdapter(
    Annotated[Subscribe | Resume | Unsubscribe | Action | Ping, Field(discriminator="op")],
    config=ConfigDict(defer_build=True),
)

_ID: TypeAdapter[Id] = TypeAdapter(Id, config=ConfigDict(strict=True))


def load_object(text: str) -> dict[str, Any]:
    """The one JSON object that ``text`` is; raises RequestError ``bad_json``.

    Refused is what two readers could read differently (a member twice, NaN, half a surrogate
    pair, a number of thousands of digits), and what is nested deeper than MAX_DEPTH.
    """
    try:
        value = json.loads(
            text,
            object_pairs_hook=_members,
            parse_constant=_refuse_number,
            parse_float=_finite,
        )
        if "\\u" in text:  # the one way to half a pair, since the text itself came as UTF-8
            json.dumps(value, ensure_ascii=False).encode()
    except RecursionError:
        raise RequestError("bad_json", "the message is nested too deeply") from None
    except json.JSONDecodeError as error:
        raise RequestError(
            "bad_json", f"the message is not JSON: {error.msg} at character {error.pos + 1}"
        ) from None
    except UnicodeEncodeError:
        raise RequestError("bad_json", "the message holds half a surrogate pair") from None
    except ValueError:  # of int()
        raise RequestError("bad_json", "the message has a number of too many digits") from None
    if not isinstance(value, dict):
        raise RequestError("bad_json", "the message is not a JSON object")
    if _is_deeper(value, MAX_DEPTH):
        raise RequestError("bad_json", "the message is nested too deeply")
    return value


def id_of(given: Mapping[str, Any]) -> Id | None:
    """The id of a request for the answer, also if all else is wrong with it; None without one."""
    try:
        return _ID.validate_python(given.get("id"))
    except ValidationError:
        return None


def check(given: Mapping[str, Any]) -> Request:
    """The request that an object is; raises RequestError."""
    op = given.get("op")
    model = REQUESTS.get(op) if isinstance(op, str) else None
    if model is None:
        known = ", ".join(REQUESTS)
        raise RequestError("unknown_op", f"there is no such op; there are: {known}")
    try:
        return model.model_validate(given)
    except ValidationError as error:
        raise RequestError(*_what_is_wrong(error)) from None


def _what_is_wrong(error: ValidationError) -> tuple[str, str]:
    """Code and text of the first fault. It names members of ours, and no value of the client."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    place = first["loc"]
    name = ".".join(str(step) for step in place[:1])
    if name == "filters" and len(place) > 1:
        return "bad_filter", f"filters.{place[1]}: {first['msg']}"
    return "bad_request", f"{name}: {first['msg']}"


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise RequestError("bad_json", "an object of the message has a member twice")
    return made


def _refuse_number(name: str) -> object:
    raise RequestError("bad_json", f"the message is not JSON: {name} is no number of JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise RequestError("bad_json", "the message has a number that is too large")
    return number


def _is_deeper(value: Any, depth: int) -> bool:
    """Whether ``value`` has more than ``depth`` objects and lists within each other."""
    inner = [value]
    while depth and inner:
        depth -= 1
        inner = [
            child
            for one in inner
            for child in (one.values() if isinstance(one, dict) else one)
            if isinstance(child, dict | list)
        ]
    return bool(inner)
