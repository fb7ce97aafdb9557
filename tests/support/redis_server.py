"""A real redis-server as a child process: on a Unix socket in a folder of its own, bounded.

It has no port, unless one is asked for, and writes nothing to the disk but what `save` asks for. It
can be killed, frozen and started again, with or without its data. The system's own Redis is not
touched.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from amiws_gevent.bus.connection import Connection
from amiws_gevent.config import Redis
from tests.support.patience import WAIT
from tests.support.ports import free_port
from tests.support.program import wait_until

PROGRAM = shutil.which("redis-server") or "/usr/bin/redis-server"

MOST_MEMORY = 256 * 1024 * 1024


class RedisServer:
    """The server. Use as a context manager: it answers when the block begins.

    ``options`` are lines of redis.conf. Its address is ``redis://`` or ``rediss://`` with a
    port if ``tcp`` is "redis" or "rediss".
    """

    def __init__(self, folder: Path, options: Sequence[str] = (), tcp: str = "") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.options = tuple(options)
        self.socket = folder / "redis.sock"
        self.port = free_port() if tcp else 0
        self.url = f"{tcp}://127.0.0.1:{self.port}" if tcp else f"unix://{self.socket}"
        self.process: subprocess.Popen[bytes] | None = None
        self._connection: Connection | None = None
        port = f"tls-port {self.port}\nport 0" if tcp == "rediss" else f"port {self.port}"
        self._configuration = folder / "redis.conf"
        self._configuration.write_text(
            "\n".join(
                [
                    f"unixsocket {self.socket}",
                    "unixsocketperm 700",
                    f"dir {folder}",
                    port,
                    "bind 127.0.0.1",
                    'save ""',
                    "appendonly no",
                    f"maxmemory {MOST_MEMORY}",
                    "maxmemory-policy noeviction",
                    *options,
                    "",
                ]
            )
        )

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.kill()
        if error is not None:
            print((self.folder / "redis.log").read_text(errors="replace"))

    @property
    def settings(self) -> Redis:
        """How to reach it, as the configuration has it."""
        return Redis.model_validate({"url": self.url})

    @property
    def pid(self) -> int:
        """Of the process that runs."""
        assert self.process is not None
        return self.process.pid

    def start(self) -> None:
        """Run it until it takes connections."""
        self.socket.unlink(missing_ok=True)
        with (self.folder / "redis.log").open("ab") as log:
            self.process = subprocess.Popen(
                [PROGRAM, str(self._configuration)], stdin=subprocess.DEVNULL, stdout=log
            )
        wait_until(self._listens, f"redis-server listens; see {self.folder / 'redis.log'}")

    def _listens(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, (self.folder / "redis.log").read_text()
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            try:
                probe.connect(str(self.socket))
            except OSError:
                return False
        return True

    def ask(self, *command: bytes | str | int) -> Any:
        """The reply to a command of a test's own."""
        if self._connection is None:
            address = Redis.model_validate({"url": f"unix://{self.socket}"})
            self._connection = Connection(address, "test", 30.0)
            self._connection.open()
        return self._connection.ask(*command)

    def keep_data(self) -> None:
        """Write all that it has to the disk: after `kill` and `start` it is there again."""
        self.ask("SAVE")

    def settle(self, prefix: str = "{amiws}") -> None:
        """Make it one that has been used for longer than a lease may last: it grants them."""
        known = f"{self.ask('INFO', 'server').decode().partition('run_id:')[2].split()[0]} 0"
        self.ask("HSET", f"{prefix}:leases", "run", known)

    def hang_up(self) -> None:
        """Close the connection of `ask`; the next one makes another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def kill(self) -> None:
        """End it at once, if it runs."""
        self.hang_up()
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait(WAIT)
            self.process = None

    def freeze(self) -> None:
        """It answers nothing, and closes nothing, until `thaw`."""
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGSTOP)
        while "T" not in Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2][:3]:
            time.sleep(0.01)

    def thaw(self) -> None:
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGCONT)
