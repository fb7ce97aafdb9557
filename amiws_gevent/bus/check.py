"""What ``--check --connect`` finds out of Redis: whether it lets us in, and what is wrong with it.

With the connection of the program itself, so by Sentinel or Cluster too. Each command that the
program uses is asked once, with keys of the program's own that hold nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from amiws_gevent.bus.connection import Away, Connection, Refusal
from amiws_gevent.bus.keys import Keys
from amiws_gevent.bus.scripts import LOOK, RELEASE, Command
from amiws_gevent.config import Redis

OLDEST = (7, 0)
"""Version of Redis: the first with EVALSHA_RO for users that may only read."""

ANSWER_TIME = 5.0  # seconds
_NAME = "check"
"""Of a stream, a lease and an edge that nobody has."""
_LIFE = 1000  # milliseconds of what is written

_MEANINGS = {
    "Connection refused": "nothing listens there: bind and port, or unixsocket, in redis.conf",
    "No such file": "there is no such socket: unixsocket in redis.conf",
    "Permission denied": "this user may not open the socket: unixsocketperm in redis.conf",
    "Name or service not known": "the name in redis.url is misspelt, or DNS does not have it",
    "does not answer": "a firewall drops what is sent there, or only one side speaks TLS (rediss://)",
    "WRONG_VERSION_NUMBER": "the port speaks no TLS (then: redis://)",
    "Protocol error": "the port is that of another program than Redis",
    "DB index": "the number at the end of redis.url is not one of `databases` in redis.conf",
}
"""What a problem in such words often means."""


@dataclass
class Report:
    """What was found out."""

    settings: Redis
    edge: bool
    """Whether the rights of an edge were looked at, or those of a collector."""
    problem: str = ""
    """Why it cannot be used; "" if it can."""
    version: str = ""
    forbidden: Sequence[str] = ()
    """Commands that its ACL does not permit, with a key where that is why."""
    hints: list[str] = field(default_factory=list)


def check_redis(settings: Redis, *, edge: bool) -> Report:
    """Connect and ask; never raises."""
    report = Report(settings, edge)
    connection = Connection(settings, "amiws-check", ANSWER_TIME)
    try:
        connection.open()
        _look(connection, report)
        _try_all(connection, report)
    except Away as away:
        report.problem = str(away)
    finally:
        connection.close()
    return report


def lines_of(report: Report) -> list[str]:
    """A report for people."""
    place = f"Redis at {report.settings.url}"
    if report.problem:
        causes = (text for word, text in _MEANINGS.items() if word in report.problem)
        return [f"{place}: {report.problem}", *(f"  perhaps {cause}" for cause in causes)]
    kind = "an edge" if report.edge else "a collector"
    user = report.settings.username or "default"
    lines = [f"{place}: {report.version or 'logged in to'}, as {user}, for {kind}"]
    if report.forbidden:
        lines.append(f"  its ACL does not permit {user}: {', '.join(report.forbidden)}")
        lines.append(f"  compare the line of this user with that of {kind} in docs/redis.md")
    return lines + [f"  {hint}" for hint in report.hints]


def commands(keys: Keys, *, edge: bool, fails_over: bool) -> list[Command]:
    """Each command that the program uses, on keys that this kind of process may use so.

    They change nothing that anybody looks at. Those for connecting are not among them.
    """
    replicas: list[Command] = [("ROLE",), ("WAIT", 0, 1)] if fails_over else []
    calls, answers = keys.calls(_NAME), keys.answers(_NAME)
    number, answers_bytes = keys.calls_bytes(_NAME), keys.answers_bytes(_NAME)
    both: list[Command] = [
        ("PING",),
        ("TIME",),
        ("INFO", "server"),
        ("EXISTS", keys.slot),
        ("HGET", keys.leases, _NAME),
        RELEASE([]),
        *(("XADD", key, "NOMKSTREAM", "*", "f", "") for key in (calls, answers)),
        ("XREAD", "COUNT", 1, "STREAMS", answers, "0-0"),
        ("XTRIM", answers, "MAXLEN", 0),
        *(("XDEL", key, "0-1") for key in (calls, answers)),
        *(("XLEN", key) for key in (calls, answers)),
        *(("SET", key, 0, "PX", _LIFE) for key in (number, answers_bytes)),
        *(("INCRBY", key, 0) for key in (number, answers_bytes)),
        *(("DECRBY", key, 0) for key in (number, answers_bytes)),
        ("GET", number),
        *(("PEXPIRE", key, _LIFE) for key in (number, answers_bytes)),
    ]
    stream, about = keys.stream(_NAME), keys.about(_NAME)
    read: list[Command] = [
        ("XREAD", "COUNT", 1, "STREAMS", stream, "0-0"),
        ("HMGET", about, "base"),
    ]
    if edge:
        return [
            *both,
            *read,
            *replicas[:1],
            LOOK([keys.leases], _NAME),
            ("XREVRANGE", stream, "+", "-", "COUNT", 1),
            *_shared(keys),
        ]
    return [
        *both,
        *read,
        *replicas,
        ("XREAD", "COUNT", 1, "STREAMS", calls, "0-0"),
        ("XRANGE", stream, "-", "+", "COUNT", 1),
        ("HSET", about, _NAME, ""),
        ("HGETALL", keys.members),
        *(("HDEL", key, _NAME) for key in (keys.leases, keys.members, about)),
        ("TYPE", stream),
        ("UNLINK", stream, about),
    ]


def _shared(keys: Keys) -> list[Command]:
    """Those for what edges share."""
    names, entries = keys.shared(f"{_NAME}-names"), keys.shared(_NAME)
    return [
        ("HSETNX", names, _NAME, 0),
        ("PEXPIRE", names, _LIFE),
        ("HINCRBY", names, _NAME, 0),
        ("HSET", names, _NAME, 0),
        ("HDEL", names, _NAME),
        ("ZADD", entries, "XX", 0, _NAME),
        ("ZREM", entries, _NAME),
        ("ZSCORE", entries, _NAME),
        ("ZCARD", entries),
        ("ZRANGE", entries, 0, 0),
        ("ZRANGEBYSCORE", entries, 0, 0),
    ]


def _try_all(connection: Connection, report: Report) -> None:
    settings = report.settings
    asked = commands(Keys(settings.prefix), edge=report.edge, fails_over=bool(settings.url.kind))
    refused = [
        (command, reply)
        for command, reply in zip(asked, connection.ask_all(asked), strict=True)
        if isinstance(reply, Refusal)
    ]
    named = [_named(command, reply.reason) for command, reply in refused if reply.forbidden]
    report.forbidden = list(dict.fromkeys(named))
    report.problem = next((reply.reason for _, reply in refused if not reply.forbidden), "")


def _named(command: Command, reason: str) -> str:
    """A command, with its key if that is what is not permitted."""
    keys = [word.decode() for word in command if isinstance(word, bytes)]
    whole = "permissions to run" in reason
    return " ".join([str(command[0]), *([] if whole else keys[:1])])


def _look(connection: Connection, report: Report) -> None:
    """What it says of itself, as far as this user may ask."""
    asked: list[Command] = [("INFO", part) for part in ("server", "memory", "persistence")]
    replies = connection.ask_all([*asked, ("CONFIG", "GET", "save"), ("ROLE",)])
    about: dict[str, str] = {}
    for reply in replies[: len(asked)]:
        if isinstance(reply, bytes):
            about |= dict(re.findall(r"(?m)^(\w+):(.*?)\r?$", reply.decode()))
    if not about:
        report.hints.append("what INFO says was not looked at: this user may not ask for it")
        return
    saves = replies[-2][1] if isinstance(replies[-2], list) else b""
    replicas = replies[-1][2] if isinstance(replies[-1], list) else None
    _see_version(about, report)
    report.hints += _hints(about, saves=bool(saves))
    if report.settings.url.kind and replicas == []:
        report.hints.append("no replica is connected: nothing can take its place")


def _see_version(about: Mapping[str, str], report: Report) -> None:
    valkey = about.get("valkey_version")
    version = about.get("redis_version", "0")
    report.version = f"Valkey {valkey}" if valkey else f"Redis {version}"
    numbers = tuple(int(number) for number in re.findall(r"\d+", version)[:2])
    if not valkey and numbers < OLDEST:
        raise Away(f"it is Redis {version}: Redis 7.0 or newer, or Valkey, is needed")


def _hints(about: Mapping[str, str], *, saves: bool) -> Iterator[str]:
    policy = about.get("maxmemory_policy", "")
    if about.get("maxmemory") == "0":
        yield "maxmemory is not set: it may take all memory of its machine"
    elif policy != "noeviction":
        yield f"maxmemory-policy is {policy}, so that it drops what is needed; set noeviction"
    began = int(about.get("server_time_usec", "0")) // 1_000_000 - int(
        about.get("uptime_in_seconds", "0")
    )
    saved = int(about.get("rdb_last_save_time", "0")) > began + 1 > 1
    if saves or saved or about.get("aof_enabled") == "1":
        yield (
            "it writes callers' data to its disk, which the program does not need: "
            'save "" and appendonly no'
        )
