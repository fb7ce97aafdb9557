"""The settings of Redis, which lies between a collector and its edges."""

from __future__ import annotations

import re
from typing import Annotated, NamedTuple
from urllib.parse import SplitResult, unquote, urlsplit

from pydantic import Field, PlainSerializer, PlainValidator, WithJsonSchema

from amiws_gevent import values
from amiws_gevent.checked import Checked, Found, Given, written
from amiws_gevent.config import fields, rules, units
from amiws_gevent.values import shown, text_pattern

PORT = 6379
SENTINEL_PORT = 26379
SENTINEL = "sentinel"
CLUSTER = "cluster"
_DATABASES = 1_000_000  # far more than any Redis has
_MOST_HOSTS = 64

_SEVERAL = re.compile(r"(rediss?)\+(sentinel|cluster)://([^/?#]*)(?:/([^?#]*))?")

_ONE_FORM = (
    "must be unix:///PATH, redis://HOST:PORT or rediss://HOST:PORT (with TLS), with /NUMBER or, "
    "for a socket, ?db=NUMBER for another database than 0; or a list of HOST:PORT with commas "
    "between them: redis+sentinel://LIST/NAME or redis+cluster://LIST (rediss+... with TLS); "
)
_FORMS = {
    SENTINEL: "must be redis+sentinel://HOST:PORT,HOST:PORT/NAME, with the NAME by which the "
    "sentinels know the primary, and /NUMBER behind it for another database than 0; ",
    CLUSTER: "must be redis+cluster://HOST:PORT,HOST:PORT, without a database: a cluster has "
    "number 0 only; ",
}


class Endpoint(NamedTuple):
    """A host's name or address, and a port."""

    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


class RedisAddress(NamedTuple):
    """Where Redis is: a Unix socket at ``path``, or ``hosts``, with TLS or without.

    One host is Redis itself; of ``kind`` SENTINEL they are sentinels, which know the primary by
    the name ``service``; of ``kind`` CLUSTER nodes, from which the others are found.
    """

    path: str = ""
    hosts: tuple[Endpoint, ...] = ()
    tls: bool = False
    database: int = 0
    kind: str = ""
    service: str = ""

    def __str__(self) -> str:
        if self.path:
            return f"unix://{self.path}" + (f"?db={self.database}" if self.database else "")
        scheme = f"redis{'s' * self.tls}" + (f"+{self.kind}" if self.kind else "")
        service = f"/{self.service}" if self.service else ""
        end = f"/{self.database}" if self.database else ""
        return f"{scheme}://{','.join(map(str, self.hosts))}{service}{end}"


def redis_address(value: object) -> RedisAddress:
    """A URL without credentials: ``unix:///path``, ``redis://host:port/db``, ``rediss://…``.

    With several hosts: ``redis+sentinel://…/name/db`` or ``redis+cluster://…``.
    """
    if isinstance(value, RedisAddress):
        return value
    text = fields.text(value)
    several = re.match(r"rediss?\+(sentinel|cluster)://", text)
    form = _FORMS[several[1]] if several else _ONE_FORM
    wrong = ValueError(f"{form.removesuffix('; ')}, not {shown(value)}")
    if "@" in text.partition("://")[2].partition("/")[0]:
        more = ", sentinel_username and sentinel_password_file" if several else ""
        raise ValueError(f"must have no user and password: give username and password_file{more}")
    return _several(text, wrong) if several else _one(text, wrong)


def _one(text: str, wrong: ValueError) -> RedisAddress:
    try:
        url = urlsplit(text)
    except ValueError:
        raise wrong from None
    port = _port(url, text, wrong) or PORT
    host = unquote(url.hostname or "")
    if url.scheme == "unix" and not host and url.path.startswith("/") and not url.fragment:
        return RedisAddress(path=unquote(url.path), database=_database(url.query, "db=", wrong))
    if url.scheme in ("redis", "rediss") and host and not url.query and not url.fragment:
        if "," in host:
            raise ValueError(
                "must have one host; name several as redis+sentinel://HOST:PORT,HOST:PORT/NAME "
                f"or redis+cluster://HOST:PORT,HOST:PORT, not {shown(text)}"
            )
        database = _database(url.path.rstrip("/"), "/", wrong)
        place = Endpoint(fields.host_name(host), port)
        return RedisAddress("", (place,), url.scheme == "rediss", database)
    raise wrong


def _several(text: str, wrong: ValueError) -> RedisAddress:
    found = _SEVERAL.fullmatch(text)
    if found is None:
        raise wrong
    scheme, kind, listed, rest = found[1], found[2], found[3], found[4] or ""
    service, _, database = rest.rstrip("/").partition("/")
    if kind == CLUSTER and rest.strip("/") not in ("", "0"):
        raise wrong
    if kind == SENTINEL and not re.fullmatch(r"[A-Za-z0-9._-]+", service):
        raise wrong  # the names that Sentinel itself permits
    port = SENTINEL_PORT if kind == SENTINEL else PORT
    hosts = tuple(dict.fromkeys(_endpoint(part, port, wrong) for part in listed.split(",")))
    if len(hosts) > _MOST_HOSTS:
        raise ValueError(f"must have at most {_MOST_HOSTS} hosts, not {len(hosts)}")
    if kind == CLUSTER:
        return RedisAddress("", hosts, scheme == "rediss", 0, kind)
    number = _database(database and f"/{database}", "/", wrong)
    return RedisAddress("", hosts, scheme == "rediss", number, kind, service)


def _endpoint(text: str, port: int, wrong: ValueError) -> Endpoint:
    try:
        url = urlsplit(f"//{text.strip()}")
        host = fields.host_name(unquote(url.hostname or ""))
    except ValueError:
        raise wrong from None
    return Endpoint(host, _port(url, text, wrong) or port)


def _port(url: SplitResult, text: str, wrong: ValueError) -> int | None:
    try:
        return url.port
    except ValueError:
        if re.search(":[0-9]+(/|$)", text) is None:
            raise wrong from None
        raise ValueError(f"must have a port from 1 to 65535, not {shown(text)}") from None


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
    if re.search("[{}]", name) and not re.fullmatch(r"[^{}]*\{[^{}]+\}[^{}]*", name):
        raise ValueError(
            "must have one pair of braces with something in it, or none: a Redis Cluster keeps "
            f"keys together by what is in it; not {shown(value)}"
        )
    return name


Url = Annotated[
    RedisAddress,
    PlainValidator(redis_address),
    PlainSerializer(str, return_type=str),
    WithJsonSchema(text_pattern(r"^(unix:///|rediss?(\+sentinel|\+cluster)?://)[^@]+$")),
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
        "TLS; for another database than 0 with `/NUMBER`, or `?db=NUMBER` for a socket. With "
        "Sentinel `redis+sentinel://HOST:PORT,HOST:PORT,…/NAME`, with the name of the primary; "
        "with Cluster `redis+cluster://HOST:PORT,HOST:PORT,…`; each `rediss+…` with TLS. See "
        "[Sentinel and Cluster](redis.md#sentinel-and-cluster)."
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
    sentinel_username: fields.UserName | None = Field(
        default=None, description="User of the ACL of the sentinels; without it `default`."
    )
    sentinel_password: fields.Secret | None = Field(
        default=None,
        description="Password of the sentinels, if they ask for one; `password` is not sent to "
        "them. Instead of it: `sentinel_password_file`.",
    )
    sentinel_password_file: values.AnyPath | None = Field(
        default=None, description="File whose first line is that password."
    )
    prefix: Prefix = written(
        "amiws",
        description="What the names of all keys begin with. Collectors that share servers, and "
        "their edges, have the same one; others at the same Redis have another one.",
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
        return [*rules.complete_redis(given, context), *_needless(given)]


def _needless(given: Given) -> list[Found]:
    """Keys that mean nothing with this url."""
    try:
        address = redis_address(given.get("url"))
    except ValueError:
        return []
    found: list[Found] = []
    if not address.tls:
        keys = ("ssl_ca", "ssl_cert", "ssl_key")
        found += [((key,), "has no effect without rediss in url") for key in keys if key in given]
    if address.kind != SENTINEL:
        keys = ("sentinel_username", "sentinel_password", "sentinel_password_file")
        why = "has no effect without redis+sentinel:// or rediss+sentinel:// in url"
        found += [((key,), why) for key in keys if key in given]
    return found
