"""Records as JSON: the words that each kind of them has.

Each has ``time`` (UTC) and ``what``. docs/audit.md says what the others mean. Members that are not
known are left out.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import orjson

from amiws_gevent.audit.chain import Head

FORM = 1
"""Of the files."""

# Kinds
ACTION, REPEAT, REPLY = "action", "repeat", "reply"
LOGIN, LOGOUT, READ, RELOAD, PLUGINS = "login", "logout", "read", "reload", "plugins"
START, STOP, ON, OFF = "start", "stop", "on", "off"
BEGIN, TORN, OUTAGE, REMOVED = "begin", "torn", "outage", "removed"  # of the files themselves

KINDS = (
    ACTION,
    REPEAT,
    REPLY,
    LOGIN,
    LOGOUT,
    READ,
    RELOAD,
    PLUGINS,
    START,
    STOP,
    ON,
    OFF,
    BEGIN,
    TORN,
    OUTAGE,
    REMOVED,
)

# Why a file was begun
FIRST = "first"  # of all
SIZE, AGE = "size", "age"  # the one before was finished
MOVED = "moved"  # the one before is not in its place any more
CHANGED = "changed"  # the one before does not end as it did
NEW_KEY = "key"


class Who(NamedTuple):
    """Who asks for something. ``user`` is ``token:NAME`` of a program; None: no login is asked."""

    user: str | None
    address: str
    roles: Sequence[str] = ()
    view: str = ""

    def members(self) -> Mapping[str, Any]:
        return {
            "user": self.user,
            "address": self.address,
            "roles": list(self.roles) or None,
            "view": self.view or None,
        }


def stamp(seconds: float) -> str:
    """A time (since 1970) as records have it: ``2026-11-29T08:32:57.123Z``."""
    milliseconds = int(seconds * 1000)
    text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(milliseconds // 1000))
    return f"{text}.{milliseconds % 1000:03d}Z"


def record(what: str, seconds: float, members: Mapping[str, Any]) -> bytes:
    """The JSON of a record, for `chain.seal`; a value that is None is left out."""
    told = {"time": stamp(seconds), "what": what}
    told |= {name: value for name, value in members.items() if value is not None}
    try:
        return orjson.dumps(told)
    except TypeError:  # half a surrogate pair, which only a refused action can have
        return orjson.dumps(_writable(told))


def begin(seconds: float, *, why: str, key: str, before: tuple[str, Head] | None) -> bytes:
    """The first record of a file; ``before`` is the file before and its end."""
    end = None
    if before is not None:
        name, head = before
        end = {"file": name, "seq": head.seq, "mac": head.mac.hex()}
    return record(BEGIN, seconds, {"form": FORM, "why": why, "key": key, "before": end})


def torn(seconds: float, size: int) -> bytes:
    """Before this is a line of ``size`` bytes that is not whole."""
    return record(TORN, seconds, {"bytes": size})


def outage(seconds: float, *, since: float, reason: str, refused: int, lost: int) -> bytes:
    """Nothing could be written: ``refused`` actions were not sent, ``lost`` records are gone."""
    members = {"since": stamp(since), "reason": reason, "refused": refused, "lost": lost}
    return record(OUTAGE, seconds, members)


def removed(seconds: float, files: Iterable[str]) -> bytes:
    """The program has removed old files."""
    return record(REMOVED, seconds, {"files": list(files)})


def _writable(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode(errors="replace").decode()
    if isinstance(value, Mapping):
        return {_writable(name): _writable(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_writable(part) for part in value]
    return value
