"""The real program as a daemon, which outlives the process that started it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

from amiws_gevent import cli
from amiws_gevent.runtime import log
from tests.support.patience import WAIT
from tests.support.ports import free_port
from tests.support.program import ROOT, ami_host, configuration, wait_until

SAID = "" if log.syslog_listens() else f"{cli.NO_SYSLOG}\n"
"""What a start on this machine says when all is well."""


def listens(port: int) -> bool:
    """Whether something takes connections at a loopback port."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=WAIT).close()
    except ConnectionRefusedError:
        return False
    return True


def gone(pid: int) -> bool:
    """Whether a process has ended; one that only nobody waited for has."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


class Daemons:
    """Starts daemons in ``folder``, with one configuration and one pid file there.

    Use as a context manager: whatever still runs when the block ends is killed.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "amiws.yaml"
        self.pid_file = folder / "amiws.pid"
        self.port = free_port()  # since a daemon's log does not tell its own
        self.configure()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.pid_file.exists() and not gone(self.pid):
            os.kill(self.pid, signal.SIGKILL)
            wait_until(lambda: gone(self.pid), "the daemon is killed")

    def configure(self, port: int | None = None, more: str = "") -> None:
        """Write a configuration, with another port if one is given."""
        self.port = port or self.port
        text = configuration(ami_host(1), more=more)
        self.file.write_text(text.replace("ws_port: 0", f"ws_port: {self.port}"))

    def start(
        self, *options: str | Path, cwd: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run ``amiws-gevent -d`` until its first process leaves."""
        return subprocess.run(
            [sys.executable, "-m", "amiws_gevent", "-d", *(options or self.usual)],
            cwd=cwd or self.folder,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=WAIT,
            check=False,
        )

    @property
    def usual(self) -> tuple[str | Path, ...]:
        """The options of an init script."""
        return ("-f", self.file, "-p", self.pid_file, "-D", self.folder)

    @property
    def pid(self) -> int:
        """The process id in the pid file."""
        return int(self.pid_file.read_text())

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Send a signal, and wait for the end."""
        pid = self.pid
        os.kill(pid, number)
        wait_until(lambda: gone(pid), f"the end by {number.name}")
