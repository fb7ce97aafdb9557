"""The file in which the queues' figures of the day survive a restart of the program.

A hundred queues of fifty servers are 20 MiB at most, and a hundred thousand members with a busy day
6 MiB. A file that cannot be read or written costs the figures: they begin anew, and say that they
are ``incomplete``.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from amiws_gevent.config import AmiHost
from amiws_gevent.runtime.log import LogLimiter
from amiws_gevent.runtime.statefile import StateFile, UnreadableError

WRITE_TIME = 30.0  # seconds that a write is waited for

Figures = Mapping[str, Any]
"""What ``QueueFigures.export`` gives."""

_log = logging.getLogger("amiws_gevent.live")


def name_of(host: AmiHost) -> str:
    """Which server's figures they are: those of another address are another's."""
    return f"{host.id} {host.host}:{host.port}"


class FiguresFile:
    """Reads and writes the figures of all servers, by ``name_of``."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = StateFile(path, "servers")
        self._limiter = LogLimiter()

    def read(self) -> dict[str, Figures]:
        """What the file has; nothing if there is none, or none that can be read."""
        try:
            found = self._file.read()
            if not isinstance(found, dict | None):
                raise UnreadableError("its servers are no object")
        except UnreadableError as error:
            _log.error(
                "state_file %s cannot be read (%s): the queues' figures begin anew",
                self.path,
                error,
            )
            return {}
        return found or {}

    def write(self, servers: Mapping[str, Figures], timeout: float = WRITE_TIME) -> None:
        """Write them if they are other than in the file; waits up to ``timeout`` seconds.

        They must not be changed after.
        """
        why = self._file.write(servers, timeout)
        if why:
            self._limiter.log(
                _log,
                logging.ERROR,
                "write",
                "state_file %s cannot be written (%s): a restart would lose the queues' figures",
                self.path,
                why,
            )
