"""The settings of `webhook`, checked as far as can be without a connection."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Self

from pydantic import (
    BeforeValidator,
    Field,
    PlainSerializer,
    PlainValidator,
    SecretStr,
    model_validator,
)

from amiws_gevent.plugins import AnyPath, Delay, PluginSettings, Seconds, SettingError, Size
from amiws_gevent.plugins.kit import ClientContext

from .._matching import Names, Servers
from .body import Body
from .client import tls_context
from .condition import Condition, parse_condition
from .endpoint import Endpoint, parse_endpoint
from .signing import Key

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, section 5.6.2
_VALUE = re.compile(r"[\x21-\x7e](?:[\t\x20-\x7e]*[\x21-\x7e])?")
_OURS = frozenset(
    {
        *("connection", "content-length", "expect", "host", "te", "transfer-encoding"),
        *("webhook-id", "webhook-timestamp", "webhook-signature"),
    }
)
OWN_PREFIX = "x-amiws-"


def _endpoint(value: object) -> Endpoint:
    return value if isinstance(value, Endpoint) else parse_endpoint(str(value))


def _headers(value: object) -> dict[str, SecretStr]:
    if not isinstance(value, Mapping):
        raise ValueError("must be lines of `Name: value`")
    headers: dict[str, SecretStr] = {}
    for name, secret in value.items():
        text = secret.get_secret_value() if isinstance(secret, SecretStr) else secret
        if not isinstance(name, str) or not _TOKEN.fullmatch(name):
            raise ValueError(f"the name of a header cannot be {name!r:.60}")
        if name.lower() in _OURS or name.lower().startswith(OWN_PREFIX):
            raise ValueError(f"{name} is set by the webhook itself")
        if name.lower() in (known.lower() for known in headers):
            raise ValueError(f"{name} is given twice")
        if not isinstance(text, str) or not _VALUE.fullmatch(text):
            raise ValueError(f"the value of {name} must be one line of printable ASCII")
        headers[name] = SecretStr(str(text))
    return headers


def _conditions(value: object) -> tuple[Condition, ...]:
    many = value if isinstance(value, list | tuple) else [value]
    return tuple(one if isinstance(one, Condition) else parse_condition(one) for one in many)


def _body(value: object) -> Body:
    return value if isinstance(value, Body) else Body(value)


Conditions = Annotated[
    tuple[Condition, ...],
    PlainValidator(_conditions),
    PlainSerializer(lambda many: [one.text for one in many]),
]
BodyOf = Annotated[Body, PlainValidator(_body), PlainSerializer(repr)]
Url = Annotated[Endpoint, BeforeValidator(_endpoint), PlainSerializer(str)]
Headers = Annotated[dict[str, SecretStr], BeforeValidator(_headers)]


class Settings(PluginSettings):
    """Sizes are bytes, times seconds; both take units (``256 KiB``, ``5 min``)."""

    url: Url = Field(
        description="Where to POST: http or https. user:password@ in it becomes Authorization."
    )
    events: Names = Field(
        ("*",), description="Names or patterns (Queue*) of the events to send, in any case."
    )
    servers: Servers = Field((), description="Names, patterns or ids of the servers; none: all.")
    when: Conditions = Field(
        (), description="Conditions on the live state to tell of, in place of events."
    )
    when_pause: Delay = Field(
        60.0, le=86400, description="Seconds until the same is told again of the same entity."
    )
    body: BodyOf | None = Field(
        None, description="The body: a text, or keys and lists of texts for JSON, with {fields}."
    )
    headers: Headers = Field({}, description="Further headers of each request, never logged.")
    secret: SecretStr | None = Field(
        None, description="Key of the signatures: any text, or whsec_ and base64."
    )
    secret_file: AnyPath | None = Field(
        None, description="A file with that key, read again on SIGHUP; a line end is left out."
    )
    ssl_ca: AnyPath | None = Field(
        None, description="Authorities (PEM) to trust instead of the system's."
    )
    ssl_verify: bool = Field(True, description="Check the certificate of an https receiver.")
    batch_messages: int = Field(100, ge=1, le=10000, description="Most messages of one POST.")
    batch_bytes: Size = Field(
        256 * 1024, ge=1024, le=4 << 20, description="Most bytes of one POST."
    )
    batch_delay: Delay = Field(
        1.0, ge=0, le=3600, description="Seconds that a message may wait for others to join it."
    )
    queue_messages: int = Field(
        10000, ge=2, le=1_000_000, description="Most messages that wait; the oldest are dropped."
    )
    queue_bytes: Size = Field(16 << 20, ge=2048, le=1 << 30, description="Most bytes that wait.")
    connect_timeout: Seconds = Field(5.0, ge=0.1, le=300, description="Seconds for connecting.")
    timeout: Seconds = Field(15.0, ge=0.1, le=300, description="Seconds for one POST in all.")
    retry_delay: Seconds = Field(
        1.0, ge=0.01, le=300, description="Most seconds before a retry; doubles with each failure."
    )
    retry_delay_max: Seconds = Field(30.0, ge=0.01, le=3600, description="Its upper limit.")
    circuit_failures: int = Field(
        5, ge=1, le=1000, description="Failures in a row after which sending pauses."
    )
    circuit_cooldown: Seconds = Field(
        30.0, ge=0.1, le=86400, description="Seconds of that pause; doubles with each failure."
    )
    circuit_cooldown_max: Seconds = Field(600.0, ge=0.1, le=86400, description="Its upper limit.")

    @model_validator(mode="before")
    @classmethod
    def _one_body_a_post(cls, given: object) -> object:
        if isinstance(given, dict) and "body" in given:
            if given.get("batch_messages", 1) not in (1, "1"):
                raise SettingError("batch_messages", "is 1 with a body of your own")
            return {**given, "batch_messages": 1}
        return given

    @property
    def sends_events(self) -> bool:
        """Whether events are sent: with conditions only those that were chosen."""
        return not self.when or "events" in self.model_fields_set

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.secret is not None and self.secret_file is not None:
            raise SettingError("secret_file", "and secret: give one of them")
        for batch, queue in (("batch_messages", "queue_messages"), ("batch_bytes", "queue_bytes")):
            if 2 * getattr(self, batch) > getattr(self, queue):
                message = f"must be at least twice {batch}: one batch is being sent"
                raise SettingError(queue, message)
        for first, last in (
            ("retry_delay", "retry_delay_max"),
            ("circuit_cooldown", "circuit_cooldown_max"),
        ):
            if getattr(self, first) > getattr(self, last):
                raise SettingError(last, f"must be at least {first}")
        if any(name.lower() == "authorization" for name in self.headers) and self.url.authorization:
            raise SettingError("headers", "Authorization: url has a login already")
        return self

    @model_validator(mode="after")
    def _files_are_there(self) -> Self:
        """As --check is to find what the start would stumble over."""
        for key, idle in (("ssl_ca", self.ssl_ca is None), ("ssl_verify", self.ssl_verify)):
            if not idle and not self.url.tls:
                raise SettingError(key, "is for a url with https")
        if self.ssl_ca is not None and not self.ssl_verify:
            message = "has no effect with ssl_verify: no; remove one of them"
            raise SettingError("ssl_ca", message)
        self.signing_key()
        if self.ssl_ca is not None:
            self.tls()
        return self

    def signing_key(self) -> Key | None:
        """The key, read from its file if it has one. ValueError that says what to change."""
        if self.secret is not None:
            where, key = "secret", self.secret.get_secret_value().encode()
        elif self.secret_file is not None:
            where = "secret_file"
            try:
                key = _without_line_end(self.secret_file.read_bytes())
            except OSError as error:
                raise SettingError("secret_file", f"{self.secret_file}: {error.strerror}") from None
        else:
            return None
        if not key:
            raise SettingError(where, "is empty; make one with `openssl rand -hex 32`")
        try:
            return Key(key)
        except ValueError as error:
            raise SettingError(where, str(error)) from None

    def tls(self) -> ClientContext | None:
        """The context for an https url, None for http. ValueError as above."""
        return tls_context(self.ssl_ca, verify=self.ssl_verify) if self.url.tls else None


def _without_line_end(data: bytes) -> bytes:
    return data.removesuffix(b"\n").removesuffix(b"\r")
