"""Names of the streams and of their leases, and the directory: which servers there are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import orjson

from amiws_gevent.crossing.codec import FORMAT, FormatError, check_format
from amiws_gevent.feeds.encoding import to_json
from amiws_gevent.plugins.api import ServerInfo

DIRECTORY = "directory"
PROGRAM = "program"
"""The lease of the directory, and of server 0, which is the program itself."""

_SERVER = "server-"


def stream_of(server: int) -> str:
    """The name of a server's stream."""
    return f"{_SERVER}{server}"


@lru_cache(1024)
def server_of(stream: str) -> int | None:
    """The server of a stream; None for that of the directory."""
    return int(stream.removeprefix(_SERVER)) if stream.startswith(_SERVER) else None


def lease_of(stream: str) -> str:
    """The lease of a stream: each server has its own, by the name of its stream."""
    return PROGRAM if stream in (DIRECTORY, stream_of(0)) else stream


def lease_of_server(server: int) -> str:
    """The lease of a server's stream: who holds it is connected to that server."""
    return lease_of(stream_of(server))


def leases_of(servers: Iterable[int]) -> list[str]:
    """All leases of a program with these servers."""
    return list(dict.fromkeys([PROGRAM, *map(lease_of_server, servers)]))


@dataclass(frozen=True)
class Directory:
    """What an edge has to know of all collectors; each entry of its stream has all of it."""

    servers: tuple[ServerInfo, ...]
    """In the order of the configuration, the program itself (0) first."""
    with_state: frozenset[int]
    """Servers of which there is state."""
    keeps_state: bool
    """``live_state`` of the collector."""
    withheld: str
    """Why no state but that of the program itself is shown; empty: it is."""
    key: bytes
    """That makes pseudonyms, the same at all edges: else nobody could take them back."""

    def encode(self) -> bytes:
        """See `decode_directory`."""
        members: Mapping[str, Any] = {
            "servers": [[one.id, one.name, one.ssl] for one in self.servers],
            "with_state": sorted(self.with_state),
            "keeps_state": self.keeps_state,
            "withheld": self.withheld,
            "key": self.key.hex(),
        }
        return FORMAT + b"\n" + to_json(members)


def decode_directory(data: bytes) -> Directory:
    """What was encoded; raises FormatError for anything else."""
    line, _, text = data.partition(b"\n")
    check_format(line)
    try:
        given = orjson.loads(text)
        return Directory(
            tuple(ServerInfo(*one) for one in given["servers"]),
            frozenset(given["with_state"]),
            given["keeps_state"],
            given["withheld"],
            bytes.fromhex(given["key"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise FormatError(f"not a directory of servers: {type(error).__name__}") from error
