"""A bus within a test: what the collector writes waits until it is passed on to the edges.

It keeps what Redis would: of each stream the newest snapshot, and all entries.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from amiws_gevent.bus.api import Follower, Publisher


@dataclass
class _Stream:
    entries: list[bytes] = field(default_factory=list)
    snapshot: bytes | None = None
    behind: int = 0
    """Entries that the snapshot stands for."""
    life: int = 0
    """How often it was lost."""


class LocalBus:
    """Of `bus.api.Writer`; it has the streams of a collector."""

    def __init__(self) -> None:
        self.streams: dict[str, _Stream] = {}

    def append(self, stream: str, data: bytes) -> None:
        self.streams.setdefault(stream, _Stream()).entries.append(data)

    def save(self, stream: str, data: bytes) -> None:
        known = self.streams.setdefault(stream, _Stream())
        known.snapshot, known.behind = data, len(known.entries)

    def remove(self, stream: str) -> None:
        self.streams.pop(stream, None)

    def lose(self, publisher: Publisher, *streams: str) -> None:
        """Redis has lost its data, or that of some streams."""
        for stream in streams or tuple(self.streams):
            life = self.streams.pop(stream).life
            self.streams[stream] = _Stream(life=life + 1)
            publisher.on_broken(stream)

    def trim(self, stream: str) -> None:
        """Drop what the snapshot stands for."""
        known = self.streams[stream]
        del known.entries[: known.behind]
        known.behind = 0
        known.life += 1


class LocalReader:
    """Of `bus.api.Reader`; tells a follower what there is when it is asked to."""

    def __init__(self, bus: LocalBus, follower: Follower) -> None:
        self._bus = bus
        self._follower = follower
        self._followed: tuple[str, ...] = ()
        self._at: dict[str, tuple[_Stream, int, int]] = {}  # the stream, its life, and the place

    def follow(self, streams: Iterable[str]) -> None:
        self._followed = tuple(streams)
        self._at = {stream: at for stream, at in self._at.items() if stream in self._followed}

    def lag(self) -> Mapping[str, int]:
        return {}

    def pass_on(self, most: int = 1000) -> None:
        """Tell all that is new, ``most`` entries of each stream."""
        told: set[str] = set()
        while rest := [stream for stream in self._followed if stream not in told]:
            told.add(rest[0])
            self._tell(rest[0], most)

    def _tell(self, stream: str, most: int) -> None:
        known = self._bus.streams.get(stream)
        at = self._at.get(stream)
        if at is not None and (known is not at[0] or known.life != at[1]):
            del self._at[stream]
            at = None
            self._follower.on_broken(stream, "lost")
        if known is None:
            return
        if at is None:
            place = known.behind if known.snapshot is not None else 0
            self._follower.on_begin(stream, known.snapshot, tuple(known.entries[:place]))
        else:
            place = at[2]
        entries = known.entries[place : place + most]
        if entries:
            self._follower.on_entries(stream, tuple(entries))
        self._at[stream] = known, known.life, place + len(entries)
