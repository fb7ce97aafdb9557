"""A process that was started by this one, and ends with it, however that ends."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from gevent import socket, subprocess

from amiws_gevent.workers.channel import Channel, ChannelLost, Method, NoAnswer
from amiws_gevent.workers.handover import Beginning

BEGIN_TIME = 120.0
"""Seconds for a process to serve: its plugins may take their time."""

_PR_SET_PDEATHSIG = 1  # linux/prctl.h

_OF_SYSTEMD = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")
"""It is the supervisor that systemd hears."""


class Process:
    """Any program; a name of it for the log, and how it is started."""

    def __init__(self, command: Sequence[str], **options: Any) -> None:
        environ = {key: text for key, text in os.environ.items() if key not in _OF_SYSTEMD}
        self._process = subprocess.Popen(
            command, env=environ, start_new_session=True, preexec_fn=dying_with_parent(), **options
        )

    @property
    def pid(self) -> int:
        return int(self._process.pid)

    def signal(self, number: int) -> None:
        """Send it a signal, if it runs."""
        with suppress(ProcessLookupError):
            self._process.send_signal(number)

    def wait(self, timeout: float | None = None) -> bool:
        """Whether it has ended; waits up to ``timeout`` seconds for that."""
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            return False
        return True

    def ending(self) -> str:
        """How it has ended, in words."""
        status = self._process.returncode
        if status >= 0:
            return f"it ended with status {status}"
        with suppress(ValueError):
            return f"it was ended by {signal.Signals(-status).name}"
        return f"it was ended by signal {-status}"


class ProgramProcess(Process):
    """The program once more, under a name such as ``edge-1``; it is asked over a channel."""

    def __init__(
        self,
        name: str,
        beginning: Beginning,
        methods: Mapping[str, Method],
        *,
        streams: int | None,
    ) -> None:
        """``streams`` is where its standard output and error go; None: where ours do."""
        ours, theirs = socket.socketpair()
        command = [sys.executable, "-P", "-m", "amiws_gevent"]
        with theirs:
            super().__init__(
                [*command, "--worker", f"{name}:{theirs.fileno()}"],
                pass_fds=[theirs.fileno(), *beginning.descriptors],
                stdin=subprocess.DEVNULL,
                stdout=streams,
                stderr=streams,
            )
        self._beginning = beginning
        self._channel = Channel(ours, methods)
        self._channel.start()

    def begin(self) -> None:
        """Have it serve. Raises StartError if it refuses, ChannelLost or NoAnswer."""
        self.ask("begin", self._beginning.as_data(), timeout=BEGIN_TIME)

    def ask(self, method: str, data: Any = None, *, timeout: float) -> Any:
        """See `Channel.ask`."""
        return self._channel.ask(method, data, timeout=timeout)

    def answers(self, timeout: float) -> bool:
        """Whether anything was heard of it within ``timeout`` seconds after a question."""
        before = self._channel.received
        try:
            self.ask("ping", timeout=timeout)
        except NoAnswer:
            return self._channel.received > before
        except ChannelLost:  # it ends, or does not read
            return self.wait(timeout)
        return True

    def close(self) -> None:
        """It has ended."""
        self._channel.close()


def dying_with_parent() -> Callable[[], None]:
    """What a child calls before its program is begun: it gets SIGKILL when its parent ends."""
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    parent = os.getpid()

    def arrange() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:  # it has ended before that
            os._exit(1)

    return arrange
