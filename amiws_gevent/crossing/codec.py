"""Entries of a server's stream as bytes: what it has said, and what has changed of its state.

An entry is one byte that says what it is, and JSON:

    Head     H  the stream begins, or goes on after a loss: its epoch, and from where on it is told
    Batch    B  messages of one read; after the JSON of the head, which is the same for all of
                an epoch, lines: its offset and that of the batch before it; each message
    Whole    W  some of all entities; those between the first and the last are all there are
    Changes  C  some of what a flush has changed; the last has all that the position stands for

A snapshot is a line with the format's number, a Head and Wholes, each a line, compressed. What is
of another format raises FormatError: then the collector is of another version of the program.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import orjson

from amiws_gevent.batch import Batch, Position, ReadAgain
from amiws_gevent.errors import AmiwsError
from amiws_gevent.feeds.encoding import to_json
from amiws_gevent.plugins.api import ServerInfo
from amiws_gevent.runtime.loop import yield_to_loop
from amiws_gevent.state.store import Change, Known, Name, Tombstone

FORMAT = b"amiws-gevent 2"
"""It has another number when an older edge would not understand what is sent."""

LEVEL = 1  # of zlib: a snapshot of 100,000 entities is 40 MB, and 4 MB in 0.3 s

TURN = 0.003
"""Seconds for which a snapshot is read before others have their turn."""

AT_ONCE = 1 << 20
"""Bytes of a snapshot that are decompressed at once: 2 ms."""

_HEADS = 1024
"""Heads of batches that are remembered: one for each server, and that of plugins."""

_HEAD, _BATCH, _WHOLE, _CHANGES = b"H", b"B", b"W", b"C"


class FormatError(AmiwsError):
    """Bytes of another version of the program, or of another program."""


class Head(NamedTuple):
    """From here on the stream is whole."""

    server: ServerInfo
    events: Position
    """Of the last batch ahead of it; offset 0 if there was none in this epoch."""
    keeps_state: bool


class Told(NamedTuple):
    """A batch, and the offset of the one before it in the same epoch (0: there was none)."""

    batch: Batch
    before: int


class Item(NamedTuple):
    """An entity of a Whole."""

    kind: str
    key: str
    fields: Mapping[str, Any]
    known: Known | None
    """What happened to it behind the floor; None for nothing."""


class Whole(NamedTuple):
    """Some of all that there is at a position."""

    position: Position
    floor: int
    """Offset behind which it is known what has changed."""
    first: bool
    last: bool
    items: Sequence[Item]
    buried: Sequence[tuple[Name, Tombstone]] = ()
    """What was removed behind the floor, the oldest first; of the last."""


class Changes(NamedTuple):
    """Some of what a flush has changed."""

    position: Position
    last: bool
    changes: Sequence[Change]


Entry = Head | Told | Whole | Changes


def encode_head(head: Head) -> bytes:
    """See `decode`."""
    return _HEAD + to_json([*_server(head.server), *head.events, head.keeps_state])


def encode_batch(batch: Batch, before: int) -> bytes:
    """See `decode`. Some 2 µs and what it takes to copy the JSON."""
    epoch, offset = batch.position
    head = to_json([*_server(batch.server), epoch, batch.of_plugins])
    return b"\n".join((_BATCH + head, b"%d %d" % (offset, before), *batch.json))


def encode_whole(whole: Whole) -> bytes:
    """See `decode`."""
    items = [
        [item.kind, item.key, item.fields, *(() if item.known is None else item.known)]
        for item in whole.items
    ]
    buried = [[*name, *tombstone] for name, tombstone in whole.buried]
    told = [*whole.position, whole.floor, whole.first, whole.last, items, buried]
    return _WHOLE + to_json(told)


def encode_changes(changes: Changes) -> bytes:
    """See `decode`."""
    return _CHANGES + to_json([*changes.position, changes.last, changes.changes])


def decode(entry: bytes) -> Entry:
    """What was encoded; raises FormatError for anything else."""
    try:
        return _DECODERS[entry[:1]](entry)
    except (KeyError, ValueError, TypeError, IndexError) as error:
        raise FormatError(f"not an entry of a stream: {type(error).__name__}") from error


def _server(server: ServerInfo) -> tuple[int, str, bool]:
    return server.id, server.name, server.ssl


def _decode_head(entry: bytes) -> Head:
    server, name, ssl, epoch, offset, keeps_state = orjson.loads(entry[1:])
    return Head(ServerInfo(server, name, ssl), Position(epoch, offset), keeps_state)


def _decode_batch(entry: bytes) -> Told:
    head, numbers, *json = entry.split(b"\n")
    server, epoch, of_plugins = _batch_head(head)
    offset, before = numbers.split()
    position = Position(epoch, int(offset))
    return Told(Batch(server, position, ReadAgain(json), json, of_plugins), int(before))


@lru_cache(_HEADS)
def _batch_head(head: bytes) -> tuple[ServerInfo, str, bool]:
    """The server, the epoch, and whether plugins say it.

    An edge is woken for each lone batch, and finds no code of a JSON parser in the cache then.
    """
    server, name, ssl, epoch, of_plugins = orjson.loads(head[1:])
    return ServerInfo(server, name, ssl), epoch, of_plugins


def _decode_whole(entry: bytes) -> Whole:
    epoch, offset, floor, first, last, items, buried = orjson.loads(entry[1:])
    return Whole(
        Position(epoch, offset),
        floor,
        first,
        last,
        [
            Item(kind, key, fields, Known(*known) if known else None)
            for kind, key, fields, *known in items
        ],
        [((kind, key), Tombstone(*rest)) for kind, key, *rest in buried],
    )


def _decode_changes(entry: bytes) -> Changes:
    epoch, offset, last, changes = orjson.loads(entry[1:])
    return Changes(Position(epoch, offset), last, [Change(*change) for change in changes])


_DECODERS: Mapping[bytes, Callable[[bytes], Entry]] = {
    _HEAD: _decode_head,
    _BATCH: _decode_batch,
    _WHOLE: _decode_whole,
    _CHANGES: _decode_changes,
}


class SnapshotWriter:
    """Makes a snapshot of entries, each when it is there: compressing all at once takes long."""

    def __init__(self) -> None:
        self._compressor = zlib.compressobj(LEVEL)
        self._parts = [self._compressor.compress(FORMAT)]

    def add(self, entry: bytes) -> None:
        """The Head is the last that is added: a batch may come until then."""
        self._parts.append(self._compressor.compress(b"\n" + entry))

    def finish(self) -> bytes:
        """All of it."""
        self._parts.append(self._compressor.flush())
        return b"".join(self._parts)


def read_snapshot(snapshot: bytes) -> Iterator[Entry]:
    """Its entries, a step each; raises FormatError."""
    lines = _lines(snapshot)
    check_format(next(lines))
    yield from map(decode, lines)


def ends_of_snapshot(snapshot: bytes) -> tuple[Entry, Entry]:
    """The first and the last entry of a snapshot; raises FormatError.

    They have the positions of all of it, and are read where its entities are not asked for. Others
    have their turn meanwhile.
    """
    lines = _lines(snapshot)
    check_format(next(lines))
    first = last = next(lines)
    turn_end = time.monotonic() + TURN
    for line in lines:
        last = line
        if time.monotonic() > turn_end:
            yield_to_loop()
            turn_end = time.monotonic() + TURN
    return decode(first), decode(last)


def _lines(snapshot: bytes) -> Iterator[bytes]:
    """Its lines, as they are decompressed: of 100,000 entities that takes 0.1 s in all."""
    decompressor = zlib.decompressobj()
    rest = b""
    while not decompressor.eof:
        try:
            piece = decompressor.decompress(snapshot, AT_ONCE)
        except zlib.error as error:
            raise FormatError("not a snapshot") from error
        if not piece and not decompressor.eof:
            raise FormatError("a snapshot without its end")
        snapshot = decompressor.unconsumed_tail
        *lines, rest = (rest + piece).split(b"\n")
        yield from lines
    yield rest


def check_format(line: bytes) -> None:
    """Raise FormatError unless it is the one of this program."""
    if line != FORMAT:
        known = FORMAT.decode()
        raise FormatError(f"of the format {line[:40]!r}; this process knows {known!r}")
