"""The settings of Redis, which lies between a collector and its edges."""

from __future__ import annotations

import re
from typing import Annotated, NamedTuple
from urllib.parse import unquote, urlsplit

from pydantic import Field, PlainSerializer, PlainValidator, WithJsonSchema

from amiws_gevent import values
from amiws_gevent.checked import Checked, Found, Given, written
from amiws_gevent.config import fields, rules, units
from amiws_gevent.values import shown, text_pattern

PORT = 6379
_DATABASES = 1_000_000  # far more than any Redis has


class RedisAddress(NamedTuple):
    """Where Redis is: a Unix socket at ``path``, or ``host`` and ``port``, with TLS or without."""

    path: str = ""
    host: str = ""
    port: int = PORT
    tls: bool = False
    database: int = 0

    def __str__(self) -> str:
        end = f"/{self.database}" if self.database else ""
        if self.path:
            return f"unix://{self.path}" + (f"?db={self.database}" if self.database else "")
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"redis{'s' * self.tls}://{host}:{self.port}{end}"


def redis_address(value: object) -> RedisAddress:
    """A URL without credentials: ``unix:///path``, ``redis://host:port/db``, ``rediss://…``."""
    if isinstance(value, RedisAddress):
        return value
    wrong = ValueError(
        "must be unix:///PATH, redis://HOST:PORT or rediss://HOST:PORT (with TLS), with /NUMBER "
        f"or, for a socket, ?db=NUMBER for another database than 0, not {shown(value)}"
    )
    try:
        url = urlsplit(fields.text(value))
        port = url.port or PORT
    except ValueError:
        raise wrong from None
    if url.username is not None or url.password is not None:
        raise ValueError("must have no user and password: give username and password_file")
    host = unquote(url.hostname or "")
    if url.scheme == "unix" and not host and url.path.startswith("/") and not url.fragment:
        return RedisAddress(path=unquote(url.path), database=_database(url.query, "db=", wrong))
    if url.scheme in ("redis", "rediss") and host and not url.query and not url.fragment:
        database = _database(url.path.rstrip("/"), "/", wrong)
        host = fields.host_name(host)
        return RedisAddress("", host, port, url.scheme == "rediss", database)
    raise wrong


def _database(text: str, before: str, wrong: ValueError) -> int:
    if not text:
        return 0
    if not re.fullmatch(re.escape(before) + "[0-9]{1,6}", text):
        raise wrong
    return units.whole_number(text.removeprefix(before), 0, _DATABASES)


def key_prefix(value: object) -> str:
    """What the names of all keys begin with, before a colon. Braces are the hash tags of Redis."""
    name = fields.text(value)
    if not re.fullmatch(r"[A-Za-z0-9._:{}-]{1,64}", name):
        raise ValueError(
            f"must be 1 to 64 letters, digits, or any of . _ : {{ }} -, not {shown(value)}"
        )
    return name


Url = Annotated[
    RedisAddress,
    PlainValidator(redis_address),
    PlainSerializer(str, return_type=str),
    WithJsonSchema(text_pattern("^(unix:///|rediss?://)[^@]+$")),
]
Prefix = Annotated[
    str,
    PlainValidator(key_prefix),
    WithJsonSchema(text_pattern("^[A-Za-z0-9._:{}-]{1,64}$")),
]


class Redis(Checked):
    """Which Redis, and how to get in."""

    url: Url = Field(
        description="`unix:///PATH` of a socket, `redis://HOST:PORT`, or `rediss://HOST:PORT` with "
        "TLS; for another database than 0 with `/NUMBER`, or `?db=NUMBER` for a socket."
    )
    username: fields.UserName | None = Field(
        default=None, description="User of the ACL of Redis; without it `default`."
    )
    password: fields.Secret | None = Field(
        default=None,
        description="Password of that user, exactly as written here. Instead of it: "
        "`password_file`.",
    )
    password_file: values.AnyPath | None = Field(
        default=None,
        description="File whose first line is the password, so that it need not be here.",
    )
    prefix: Prefix = written(
        "amiws",
        description="What the names of all keys begin with. A collector and its edges have the "
        "same one; another collector at the same Redis has another one.",
    )
    ssl_ca: values.AnyPath | None = Field(
        default=None,
        description="File with the CAs (PEM) that verify the certificate of Redis, instead of the "
        "system's.",
    )
    ssl_cert: values.AnyPath | None = Field(
        default=None, description="Client certificate (PEM); with `ssl_key`."
    )
    ssl_key: values.AnyPath | None = Field(
        default=None, description="Private key (PEM, no passphrase) of `ssl_cert`."
    )

    @classmethod
    def completed(cls, given: Given, context: object) -> list[Found]:
        return [*rules.complete_redis(given, context), *_needless_tls(given)]


def _needless_tls(given: Given) -> list[Found]:
    try:
        tls = redis_address(given.get("url")).tls
    except ValueError:
        return []
    keys = [key for key in ("ssl_ca", "ssl_cert", "ssl_key") if key in given]
    return [((key,), "has no effect without rediss:// in url") for key in keys if not tls]
