"""The real program as a child process: a configuration, its log, its port."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from tests.support.forkserver import MAIN, Forked, fork_server
from tests.support.patience import WAIT

ROOT = Path(__file__).parent.parent.parent


def wait_until(condition: Callable[[], object], what: str, timeout: float = WAIT) -> None:
    """Poll until ``condition`` is true; fails the test with ``what`` after ``timeout``."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout:g} s: {what}")
        time.sleep(0.01)


class Program:
    """The program with ``configuration`` (YAML text) in ``folder``, as ``python -m`` starts it.

    Use as a context manager: it listens when the block begins and is gone
    when it ends. ``ws_port: 0`` in the configuration picks a free port.
    ``descriptors`` is how many the program may have open, whatever it asks for. ``python``
    is one in which another copy of the program is installed; that one is started in ``folder``.
    Without these, and without variables that Python reads as it starts, it is a fork of a process
    that has all of it imported. ``module`` is one whose ``main`` is called in the place of its own.
    """

    process: subprocess.Popen[bytes] | Forked

    def __init__(
        self,
        folder: Path,
        configuration: str,
        *options: str,
        environ: Mapping[str, str] | None = None,
        descriptors: int | None = None,
        python: Path | None = None,
        module: str = MAIN,
    ) -> None:
        self.file = folder / "amiws.yaml"
        self.file.write_text(configuration)
        self.log_file = folder / "stderr.log"
        self._module = module
        self._command = [str(python or sys.executable), "-m", "amiws_gevent"]
        self._cwd = folder if python else ROOT
        self._words = ["-f", str(self.file), *options]
        self._environ = environ or {}
        self._limits = f"ulimit -n {descriptors} && " if descriptors else ""
        early = any(name.startswith("PYTHON") for name in self._environ)
        self._forked = not (early or descriptors or python)

    def __enter__(self) -> Self:
        with self.log_file.open("wb") as log:
            self.process = self._fork(log) if self._forked else self._start(log)
        wait_until(lambda: self._listening() or self.process.poll() is not None, "listening")
        assert self._listening(), f"the program ended:\n{self.log}"
        return self

    def _fork(self, log: BinaryIO) -> Forked:
        return fork_server().start(self._words, log, environ=self._environ, module=self._module)

    def _start(self, log: BinaryIO) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            ["/bin/sh", "-c", f'{self._limits}exec "$@"', "sh", *self._command, *self._words],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=self._cwd,
            env={**os.environ, **self._environ},
        )

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(WAIT)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise AssertionError(f"did not end within 60 s of SIGTERM:\n{self.log}") from error
        if error is not None:
            print(self.log)
        assert "Traceback" not in self.log, self.log

    @property
    def log(self) -> str:
        """All that the program wrote to stderr so far."""
        return self.log_file.read_text(errors="replace")

    @property
    def port(self) -> int:
        """The port that it listens on now (the last one it logged)."""
        return int(re.findall(r"listening on https?://\S*:(\d+)/", self.log)[-1])

    def _listening(self) -> bool:
        return "listening on http" in self.log

    def wait_for_log(self, text: str, count: int = 1) -> None:
        """Wait until the log holds ``text`` at least ``count`` times."""
        wait_until(lambda: self.log.count(text) >= count, f"{text!r} in the log:\n{self.log}")

    def reload(self, configuration: str | None = None) -> None:
        """Write a new configuration, if given, and send SIGHUP."""
        if configuration is not None:
            self.file.write_text(configuration)
        self.process.send_signal(signal.SIGHUP)

    def resident_bytes(self) -> int:
        """Resident memory now."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.findall(r"VmRSS:\s+(\d+) kB", status)[0]) * 1024

    def state(self) -> str:
        """What the kernel says of the process: ``T`` while it is stopped by a signal."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return str(re.findall(r"State:\s+(\w)", status)[0])

    def descriptors(self) -> int:
        """Open file descriptors now."""
        return len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))


NO_PINGS = "  ping_interval: 1 h\n"
"""For ``limits``: a client of a test that answers no pings is not taken for gone."""


def ami_host(port: int, name: str = "pbx", more: str = "") -> str:
    """One entry of ``amihosts`` for a scripted server; ``more`` is further YAML lines."""
    lines = [
        f"- name: {name}",
        "  host: 127.0.0.1",
        f"  port: {port}",
        "  username: amiws",
        "  secret: s3cret",
        *(f"  {line}" for line in more.splitlines()),
    ]
    return "\n".join(lines) + "\n"


def configuration(*hosts: str, more: str = "") -> str:
    """A configuration on a free loopback port with these ``amihosts`` entries.

    Without a live state, unless ``more`` has the key: it would ask the scripted servers.
    """
    live = "" if "live_state:" in more else "live_state: no\n"
    return f"ws_host: 127.0.0.1\nws_port: 0\n{more}\namihosts:\n{''.join(hosts)}{live}"
