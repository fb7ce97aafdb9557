"""What a process is told by the supervisor at its start: its configuration, and its place."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from amiws_gevent.config import Source


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

    def as_data(self) -> dict[str, Any]:
        """Plain data, for the channel."""
        return asdict(self)

    @classmethod
    def of(cls, data: dict[str, Any]) -> Beginning:
        """From that data."""
        files = tuple(data["private_files"])
        return cls(**{**data, "source": Source(**data["source"]), "private_files": files})
