"""What the server sends: the models of its messages, from which docs/protocol.md is made.

``snapshot``, ``state``, ``event`` and ``gap`` are made by ``feeds``, the others by `Session`.
A client must pass over members that it does not know, so the schema allows them. Each model is
built when it is first used; some are so for the page alone.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import orjson
from pydantic import BaseModel, ConfigDict, Field, JsonValue, TypeAdapter

from amiws_gevent.v2.requests import Id, Stream

Headers = dict[str, str | list[str]]
"""Of a message of a server: values are text, of a header that repeats a list of texts."""

_SUBSCRIPTION = "The id of the subscription that it belongs to."
_POSITION = "Where the subscription is then, for `resume`."


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)


class Name(_Model):
    """What an entity is known by."""

    model_config = ConfigDict(extra="allow")

    server: int = Field(description="The id of its server; 0 is amiws-gevent itself.")
    kind: str = Field(description="Its kind.")
    id: str = Field(description="Its key, unique for its server and kind.")


class Entity(Name):
    """An entity: its name, and the fields of its kind beside it."""


class ServerEntity(Name):
    """The entity of a server: of kind `server`, of server 0, its `id` that of the server."""

    server: Literal[0]
    kind: Literal["server"]


class Limits(_Model):
    """What a client may do at most."""

    subscriptions: int = Field(description="Subscriptions at once.")
    message: int = Field(description="Bytes of one message of the client (close code 1009).")
    actions: int = Field(description="Actions of the client that are under way at once.")


class May(_Model):
    """What a client may do."""

    subscribe: bool = Field(description="Whether it may subscribe.")
    action: bool | list[str] = Field(
        description="Whether it may send actions: any, or those of these names. Plugins may refuse "
        "single ones."
    )
    rights: dict[str, JsonValue] = Field(
        description="What its [roles](roles.md) let it see and do: see [Rights](#rights)."
    )


class Message(_Model):
    """What all messages have."""

    op: str


class Hello(Message):
    """The first message, without being asked for."""

    op: Literal["hello"]
    protocol: Literal[2] = Field(description="Always 2 on `amiws.v2`.")
    version: str = Field(description="Of amiws-gevent.")
    time: int = Field(description="The clock of amiws-gevent, UTC in milliseconds.")
    heartbeat: int = Field(description="Milliseconds between two `position`.")
    user: str | None = Field(description="Who logged in; null where nobody has to.")
    features: list[str] = Field(
        description="Names of what there is: `state`, `events`, `resume`, `actions`, "
        "`idempotency`; `audit`, if there is an audit trail. Later versions add to them. Without "
        "`state` (`live_state: no`, or a plugin keeps it back) there is that of the kind `server` "
        "alone. A reload may change it."
    )
    limits: Limits = Field(description="`subscriptions`, `message`, `actions`.")
    may: May = Field(description="`subscribe`, `action`, `rights`: what this client may do.")
    servers: list[ServerEntity] = Field(
        description="The servers that it sees as they are now, as entities of kind `server`."
    )


class Subscribed(Message):
    """The answer to `subscribe` and `resume`."""

    op: Literal["subscribed"]
    id: Id = Field(description="Of the request.")
    subscription: str = Field(
        description="Its id; the same for the same streams and filters, also of other clients."
    )
    streams: list[Stream] = Field(description="What it has.")
    filters: dict[str, list[int] | list[str]] = Field(
        description="The filters as they were understood, each a sorted list."
    )
    resumed: bool = Field(
        description="Whether it goes on at the position of `resume` in everything. If not, each "
        "`gap` that follows says what is missing."
    )
    position: str = Field(
        "", description=f"{_POSITION} Left out if it comes with a `gap` or `snapshot` that follows."
    )


class Unsubscribed(Message):
    """The answer to `unsubscribe`; nothing more comes with that subscription."""

    op: Literal["unsubscribed"]
    id: Id = Field(description="Of the request.")
    subscription: str = Field(description="The id that is free now.")


class Snapshot(Message):
    """One page of all that a subscription to `state` has now."""

    op: Literal["snapshot"]
    subscription: str = Field(description=_SUBSCRIPTION)
    page: int = Field(ge=1, description="Its number, from 1. A page 1 begins anew.")
    pages: int = Field(ge=1, description="How many there are in all.")
    items: list[Entity] = Field(description="Entities, whole.")
    position: str = Field("", description=f"On the last page only. {_POSITION}")


class State(Message):
    """What has changed since the message before."""

    op: Literal["state"]
    subscription: str = Field(description=_SUBSCRIPTION)
    set: list[Entity] = Field(
        description="Entities that are new or have changed: name, and all fields or those that "
        "changed. Merge each over what you have."
    )
    unset: list[Name] = Field(
        description="Names of entities that are gone or left the filter; `last` are the last words "
        "of one that ended."
    )
    position: str = Field("", description=f"On the last part of a change. {_POSITION}")


class Classic(_Model):
    """A message as on the classic socket."""

    type: int = Field(ge=0, le=6)
    server_id: int
    server_name: str
    ssl: bool
    data: dict[str, JsonValue]


class Event(Message):
    """A message of a server."""

    op: Literal["event"]
    subscription: str = Field(description=_SUBSCRIPTION)
    message: Classic = Field(
        description="As on the classic socket: `type`, `server_id`, `server_name`, `ssl`, `data`."
    )
    position: str = Field("", description=f"On the last of those that came together. {_POSITION}")


class Gap(Message):
    """Something was left out here."""

    op: Literal["gap"]
    subscription: str = Field(description=_SUBSCRIPTION)
    stream: Stream = Field(
        description="Which stream it is of. After one of `state` comes a `snapshot`."
    )
    reason: str = Field(description="See [Gaps](#gaps).")
    lost: int | None = Field(
        description="How many messages of this subscription; null if that is not known."
    )
    server: int = Field(0, description="The server that it is of; without it: of all.")
    position: str = Field("", description=_POSITION)


class Reply(Message):
    """What became of an action on one server."""

    op: Literal["reply"]
    id: Id = Field(description="Of the request.")
    server: int = Field(description="The id of the server.")
    replies: int = Field(ge=1, description="How many replies the request gets, this one included.")
    outcome: Literal["answered", "refused", "unknown", "timeout", "unreachable"] = Field(
        description="See [Actions](#actions)."
    )
    response: Headers | None = Field(description="The server's response; null if there is none.")
    items: list[Headers] = Field(description="The items of a list, in order.")
    end: Headers | None = Field(description="The event that ended the list.")
    complete: bool = Field(description="Whether all has come that was to come.")
    reason: str = Field(
        description="For people: why it is not complete, or why the server refused."
    )
    output: list[str] = Field([], description="Of a `Command`: the lines that it printed.")
    action_id: str = Field("", description="The `ActionID` that the client gave.")
    channel: str | None = Field(None, description="Of an `Originate`: the name of its channel.")
    uniqueid: str | None = Field(None, description="Of an `Originate`: the id of its channel.")
    call: str | None = Field(None, description="Of an `Originate`: the id of the call it made.")
    retry_after: float = Field(
        0, description="Seconds after which the same request may succeed, if it was not sent."
    )


class Position(Message):
    """The heartbeat."""

    op: Literal["position"]
    time: int = Field(description="The clock of amiws-gevent, UTC in milliseconds.")
    positions: dict[str, str] = Field(
        description="By the id of each subscription, where it is now, for `resume`. One that has "
        "none yet, such as before its snapshot, is left out."
    )


class Pong(Message):
    """The answer to `ping`."""

    op: Literal["pong"]
    id: Id = Field(description="Of the request.")
    time: int = Field(description="The clock of amiws-gevent, UTC in milliseconds.")


class Error(Message):
    """A request that was not done."""

    op: Literal["error"]
    id: Id = Field("", description="Of the request, if it could be read.")
    code: str = Field(description="See [Errors](#errors). Rely on this alone.")
    message: str = Field(description="What is wrong, for people.")
    retry_after: float = Field(
        0, description="Seconds after which the same request may succeed. Without it: it will not."
    )


MESSAGES: dict[str, type[Message]] = {
    "hello": Hello,
    "subscribed": Subscribed,
    "unsubscribed": Unsubscribed,
    "snapshot": Snapshot,
    "state": State,
    "event": Event,
    "gap": Gap,
    "reply": Reply,
    "position": Position,
    "pong": Pong,
    "error": Error,
}

FROM_SERVER: TypeAdapter[Any] = TypeAdapter(
    Annotated[
        Hello
        | Subscribed
        | Unsubscribed
        | Snapshot
        | State
        | Event
        | Gap
        | Reply
        | Position
        | Pong
        | Error,
        Field(discriminator="op"),
    ],
    config=ConfigDict(defer_build=True),
)


def encode(message: Message) -> bytes:
    """The JSON of a message: the members that were given."""
    return orjson.dumps(message.model_dump(exclude_unset=True))
