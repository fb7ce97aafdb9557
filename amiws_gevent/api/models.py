"""The forms of requests and answers. Requests are checked with them; the document has all.

Each model is built when it is first used, most of them for the document alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model
from pydantic.json_schema import WithJsonSchema

from amiws_gevent.api.problems import Problem
from amiws_gevent.v2 import messages
from amiws_gevent.v2.requests import Action, Filters

LIMIT = 1000  # entities in an answer, unless asked otherwise
MOST = 10_000

_Model = TypeVar("_Model", bound=BaseModel)


class _Query(BaseModel):
    """Parameters: all come as text. One that is not known is a mistake, not nothing."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, defer_build=True
    )


_TEXTS = {"type": "array", "items": {"type": "string", "minLength": 1, "maxLength": 256}}
_NUMBERS = {"type": "array", "items": {"type": "integer", "minimum": 0, "maximum": 2**31 - 1}}
_MANY = "Repeated, or separated by commas."

Texts = Annotated[list[str], WithJsonSchema({**_TEXTS, "minItems": 1, "maxItems": 256})]
Numbers = Annotated[list[str], WithJsonSchema({**_NUMBERS, "minItems": 1, "maxItems": 256})]


def _filter(name: str) -> Any:
    """The field of a filter, told as ``subscribe`` tells it; `feeds` checks its values."""
    description = f"{Filters.model_fields[name].description} {_MANY}"
    return Field(default=[], description=description)


class NoQuery(_Query):
    """There are none."""


class EntityQuery(_Query):
    """Which entities of a kind are wanted, and how many at once."""

    server: Numbers = _filter("server")
    queue: Texts = _filter("queue")
    extension: Texts = _filter("extension")
    context: Texts = _filter("context")
    limit: int = Field(
        default=LIMIT, ge=1, le=MOST, description="How many entities an answer has at most."
    )
    next: str = Field(
        default="",
        max_length=1024,
        description="What the answer before gave as `next`: the rest of the same list, as it was "
        "when that began.",
    )


class _StreamQuery(_Query):
    """What both streams are asked with."""

    server: Numbers = _filter("server")
    queue: Texts = _filter("queue")
    extension: Texts = _filter("extension")
    context: Texts = _filter("context")
    last_event_id: str = Field(
        default="",
        max_length=65536,
        description="As the header `Last-Event-ID`, which counts if both are given.",
    )


class StateQuery(_StreamQuery):
    """Which entities are wanted."""

    kind: Texts = _filter("kind")


class EventQuery(_StreamQuery):
    """Which events are wanted."""

    event: Texts = _filter("event")


class AuditQuery(_Query):
    """Which records are wanted."""

    limit: int = Field(
        default=100, ge=1, le=1000, description="How many records an answer has at most."
    )
    before: int = Field(
        default=2**53 - 1,
        ge=1,
        le=2**53 - 1,
        description="Only records with a smaller `seq`: the last one of the answer before, to go "
        "on behind it.",
    )
    after: int = Field(
        default=0,
        ge=0,
        le=2**53 - 1,
        description="Only records with a greater `seq`: the newest one that is known, to learn "
        "what has come since.",
    )
    what: str = Field(default="", max_length=64, description="Only records of this kind.")
    user: str = Field(
        default="", max_length=256, description="Only records of this user, or `token:NAME`."
    )
    action: str = Field(
        default="", max_length=256, description="Only actions of this name, in any case."
    )


FILTERS = frozenset(Filters.model_fields)
"""Of the parameters; they may have many values, the others have one."""


class _Body(BaseModel):
    """As the requests of ``amiws.v2``: members that it does not know are passed over."""

    model_config = ConfigDict(
        frozen=True,
        extra="ignore",
        strict=True,
        allow_inf_nan=False,
        hide_input_in_errors=True,
        defer_build=True,
    )


def _without(model: type[BaseModel], *names: str) -> dict[str, Any]:
    """The fields of a model of ``amiws.v2`` but for some, for `create_model`."""
    fields = model.model_fields.items()
    return {name: (field.annotation, field) for name, field in fields if name not in names}


ActionBody: type[BaseModel] = create_model(
    "ActionBody",
    __base__=_Body,
    __doc__="An action for servers: `action` of `amiws.v2` without `op` and `id`.",
    **_without(Action, "op", "id"),
)


class Nothing(_Body):
    """An empty object: a body, since no form can send one of JSON."""


class LoggedOut(BaseModel):
    """The session has ended."""

    model_config = ConfigDict(extra="forbid", defer_build=True)

    logout_url: str | None = Field(
        description="Where the page has to send the browser, for the session that a reverse proxy "
        "keeps; null: nowhere."
    )


class Me(BaseModel):
    """Who asks, and what it may see and do."""

    model_config = ConfigDict(extra="forbid", defer_build=True)

    user: str | None = Field(description="Who logged in; `token:NAME` of a program; or null.")
    kind: str = Field(description="How: `digest`, `token`, `proxy`; `none` if it did not.")
    address: str = Field(description="Of the client.")
    everything: bool = Field(description="Whether no roles are configured: all is allowed.")
    audit: bool = Field(True, description="Whether the audit trail may be read, if there is one.")
    roles: list[str] = Field([], description="The names of the roles.")
    see: list[dict[str, Any]] = Field(
        [],
        description="What is seen, each as `see` of the configuration without what is unlimited; "
        "one suffices. `servers` are ids.",
    )
    do: list[dict[str, Any]] = Field(
        [],
        description="What may be done, each with `action` (`*`: any), `servers` (ids; all without "
        "it), and `with`: the headers that it may have, each with its patterns; one suffices.",
    )


class EntityList(BaseModel):
    """Entities of one kind."""

    model_config = ConfigDict(extra="forbid", defer_build=True)

    position: str = Field(
        description="Where the list stands: for `resume` of `amiws.v2`, and as `Last-Event-ID` of "
        "`GET /api/v1/state` with this `kind` and the same filters."
    )
    items: list[messages.Entity] = Field(description="The entities, whole.")
    next: str | None = Field(description="For the rest of the list; null if this is the end.")


_Reply: Any = create_model(
    "Reply",
    __config__=ConfigDict(extra="allow", defer_build=True),
    __doc__="What became of an action on one server: `reply` of `amiws.v2` without `op` and `id`.",
    **_without(messages.Reply, "op", "id", "replies"),
)

Replies: type[BaseModel] = create_model(
    "Replies",
    __config__=ConfigDict(extra="forbid", defer_build=True),
    __doc__="One reply for each server, in the order of the servers' ids.",
    replies=(list[_Reply], Field(min_length=1)),
)


class AuditServer(BaseModel):
    """A server that an action was for."""

    model_config = ConfigDict(defer_build=True)

    id: int = Field(description="Its id.")
    name: str | None = Field(None, description="Its name then.")


class AuditRecord(BaseModel):
    """A record; which members it has depends on `what`."""

    model_config = ConfigDict(extra="allow", defer_build=True)

    seq: int = Field(description="Its number; there is none left out in the files.")
    time: str = Field(description="When it was, UTC: `2026-11-29T08:32:57.123Z`.")
    what: str = Field(description="Its kind: `action`, `reply`, `repeat`, `login`, `reload` …")
    mac: str = Field(description="The code that proves it; with `seq`, a head of the chain.")
    ref: str = Field(
        "", description="Of an action that is allowed, of its replies and of its repeats."
    )
    allowed: bool = Field(True, description="Of an action, a login, a read, a reload.")
    code: str = Field("", description="Why an action is refused, as in errors.")
    reason: str = Field("", description="For people: why not.")
    user: str | None = Field(None, description="Who logged in; `token:NAME` of a program.")
    address: str = Field("", description="Of the client.")
    roles: list[str] = Field([], description="The roles of the user.")
    view: str = Field("", description="How it came: `classic`, `v2`, `http`.")
    action: str = Field("", description="The name of the action.")
    arguments: dict[str, str | list[str]] = Field(
        {}, description="Its headers, without secrets; a list where one repeats."
    )
    servers: list[AuditServer] = Field([], description="The servers that it is for.")
    server: int = Field(0, description="Of a reply: the id of the server.")
    outcome: str = Field(
        "",
        description="Of a reply: as `outcome` of replies, or `sent` (classic socket; an answer may "
        "follow), or `left` (the client left before the answer).",
    )
    ms: float = Field(0, description="Of a reply: milliseconds since the action came.")


class AuditList(BaseModel):
    """Records, and whether others can be written."""

    model_config = ConfigDict(extra="forbid", defer_build=True)

    writing: bool = Field(description="Whether records can be written now.")
    refusing: bool = Field(description="Whether actions are refused because of that.")
    reason: str = Field(description="Why no records can be written; empty otherwise.")
    items: list[AuditRecord] = Field(description="The records, the newest first.")


class ProblemDocument(BaseModel):
    """Why a request was not done (RFC 9457)."""

    model_config = ConfigDict(extra="forbid", defer_build=True)

    type: str = Field(description="Where the reference page tells of the code.")
    title: str = Field(description="The words of HTTP for the status.")
    status: int = Field(ge=400, le=599)
    detail: str = Field(description="What is wrong, for people; it may change.")
    code: str = Field(description="Rely on this alone: a code never changes its meaning.")
    retry_after: float = Field(
        0, description="Seconds after which the same request may succeed, where that is so."
    )


def query_of(model: type[_Model], given: Mapping[str, Sequence[str]]) -> _Model:
    """The parameters of a request, by name all their values; raises Problem."""
    values: dict[str, Any] = {}
    for name, texts in given.items():
        if name in FILTERS:
            values[name] = [value for text in texts for value in text.split(",")]
        elif len(texts) > 1:
            raise Problem("bad_request", f"the parameter {name} is there twice")
        else:
            values[name] = texts[0]
    return _checked(model, values, "parameter")


def body_of(given: Mapping[str, Any]) -> None:
    """Check the outer form of an action; raises Problem."""
    _checked(ActionBody, given, "member")


def _checked(model: type[_Model], given: Mapping[str, Any], what: str) -> _Model:
    try:
        return model.model_validate(given)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        name = str(first["loc"][0])
        known = name in model.model_fields
        text = f"{name}: {first['msg']}" if known else f"there is no {what} {name[:40]!r}"
        raise Problem("bad_request", text) from None
