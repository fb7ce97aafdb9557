"""What a process is told by the supervisor at its start: its configuration, and its place."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from itertools import chain
from typing import Any

from amiws_gevent.config import Source


@dataclass(frozen=True)
class Seat:
    """The place of an edge among all that there may be, as descriptors; see `spread`."""

    number: int
    memory: int
    """The counters of all."""
    ends: tuple[tuple[int, int], ...]
    """Of each, where it is sent connections and where it takes them."""

    @classmethod
    def of(cls, data: dict[str, Any]) -> Seat:
        """From plain data."""
        return cls(**{**data, "ends": tuple((sends, takes) for sends, takes in data["ends"])})


@dataclass(frozen=True, repr=False)
class Beginning:
    """All that a process is told at its start."""

    source: Source
    foreground: bool
    """Whether it logs to standard error too."""
    alone: bool
    """Whether Redis is this machine's own."""
    private_files: tuple[str, ...] = ()
    """Never served."""
    listener: int | None = None
    """The descriptor of the socket at which it listens first."""
    seat: Seat | None = None

    @property
    def descriptors(self) -> list[int]:
        """Those that it inherits."""
        found = [] if self.listener is None else [self.listener]
        if self.seat is not None:
            found += [self.seat.memory, *chain.from_iterable(self.seat.ends)]
        return found

    def as_data(self) -> dict[str, Any]:
        """Plain data, for the channel."""
        return asdict(self)

    @classmethod
    def of(cls, data: dict[str, Any]) -> Beginning:
        """From that data."""
        files = tuple(data["private_files"])
        seat = data["seat"] and Seat.of(data["seat"])
        made = {"source": Source(**data["source"]), "private_files": files, "seat": seat}
        return cls(**{**data, **made})
