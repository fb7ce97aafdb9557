"""Starts the program by forks of a process that has imported all of it.

The imports are most of what a start takes: half a second of CPU, for each of a thousand tests.
What runs is `amiws_gevent.__main__.main`, as ``python -m amiws_gevent`` would run it, up to the
interpreter's own end. Tests of the way in start that instead.

``python -m tests.support.forkserver DESCRIPTOR`` is the server. It ends with the other side of
its socket.
"""

from __future__ import annotations

import atexit
import functools
import gc
import importlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from tests.support.patience import WAIT

ROOT = Path(__file__).parent.parent.parent

MAIN = "amiws_gevent.__main__"

LONGEST = 128 << 10  # bytes of an order: the words and the environment


class Forked:
    """A process that the server has made; what tests use of `subprocess.Popen`."""

    def __init__(self, line: socket.socket) -> None:
        self._line = line
        line.settimeout(WAIT)
        self.pid = int(line.recv(64))
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """The exit status, minus the number of the signal that ended it; None while it runs."""
        with suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """The same once it has ended; raises `subprocess.TimeoutExpired`."""
        if self.returncode is None:
            self._line.settimeout(timeout)
            try:
                self.returncode = int(self._line.recv(64))
            except (TimeoutError, BlockingIOError):
                raise subprocess.TimeoutExpired("amiws-gevent", timeout or 0) from None
            self._line.close()
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Nothing is sent to one that has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Send SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL."""
        self.send_signal(signal.SIGKILL)


class ForkServer:
    """The server as tests have it; there is one for each process that runs tests."""

    def __init__(self) -> None:
        self._orders, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            number = theirs.fileno()
            self._process = subprocess.Popen(
                [sys.executable, "-m", __name__, str(number)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                cwd=ROOT,
                pass_fds=[number],
            )

    def start(
        self,
        words: Sequence[str],
        log: BinaryIO,
        *,
        said: BinaryIO | None = None,
        given: BinaryIO | None = None,
        environ: Mapping[str, str] | None = None,
        module: str = MAIN,
    ) -> Forked:
        """The program with these words.

        ``log`` is its standard error, and its output unless that is ``said``; it reads ``given``.
        ``environ`` is beside this environment. ``module`` has the ``main`` that is called.
        """
        wanted = {"words": words, "environ": {**os.environ, **(environ or {})}, "module": module}
        order = json.dumps(wanted).encode()
        assert len(order) < LONGEST
        line, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs, Path(os.devnull).open("rb") as nothing:
            streams = (given or nothing, said or log, log)
            descriptors = [theirs.fileno(), *(stream.fileno() for stream in streams)]
            socket.send_fds(self._orders, [order], descriptors)
        return Forked(line)

    def close(self) -> None:
        """End it; what it has started goes on."""
        self._orders.close()
        self._process.wait()


@functools.cache
def fork_server() -> ForkServer:
    """That of this process, started when it is first needed."""
    server = ForkServer()
    atexit.register(server.close)
    return server


def run_program(*words: str | Path, given: str = "") -> subprocess.CompletedProcess[str]:
    """The program that ends by itself, and what it has said; ``given`` is its standard input."""
    texts = [str(word) for word in words]
    with (
        tempfile.TemporaryFile() as standard_input,
        tempfile.TemporaryFile() as said,
        tempfile.TemporaryFile() as log,
    ):
        standard_input.write(given.encode())
        standard_input.seek(0)
        process = fork_server().start(texts, log, said=said, given=standard_input)
        status = process.wait(WAIT)
        for stream in (said, log):
            stream.seek(0)
        return subprocess.CompletedProcess(texts, status, said.read().decode(), log.read().decode())


def main() -> int:
    """Serve, and be what is asked for: returns in the server, and in each program at its end."""
    orders = socket.socket(fileno=int(sys.argv[1]))

    from amiws_gevent.runtime.patching import patch_all

    patch_all()
    from gevent.monkey import get_original

    prepare()
    gc.freeze()
    fork = get_original("os", "fork")  # gevent's own would start the event loop
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for holders
    while True:
        order, descriptors, _, _ = socket.recv_fds(orders, LONGEST, 4)
        if not order:
            return 0
        if fork() == 0:
            orders.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            line, *streams = descriptors
            program = fork()
            if program == 0:
                os.close(line)
                return be_program(streams, **json.loads(order))
            hold(program, line)
        for descriptor in descriptors:
            os.close(descriptor)


def prepare() -> None:
    """Have in this process what each fork would make anew: modules, and models of pydantic."""
    import encodings.idna  # noqa: F401

    import gevent.resolver.thread
    import gevent.threadpool  # noqa: F401
    from pydantic import BaseModel

    from amiws_gevent import cli, processes, reload  # noqa: F401

    models = [BaseModel]
    for model in models:  # it grows
        models += model.__subclasses__()
        if model.__module__.startswith("amiws_") and not model.__pydantic_complete__:
            model.model_rebuild()


def hold(program: int, line: int) -> None:
    """Be the parent of a program, and tell how it ends."""
    from gevent.monkey import get_original

    os.write(line, str(program).encode())
    _, status = get_original("os", "waitpid")(program, 0)
    with suppress(BrokenPipeError):  # a test that has not waited
        os.write(line, str(os.waitstatus_to_exitcode(status)).encode())
    os._exit(0)


def be_program(
    streams: Sequence[int], words: list[str], environ: dict[str, str], module: str
) -> int:
    """Be the program in this process."""
    main: Callable[[], int] = importlib.import_module(module).main
    os.environ.clear()
    os.environ.update(environ)
    time.tzset()
    for standard, descriptor in enumerate(streams):
        os.dup2(descriptor, standard)
        os.close(descriptor)
    sys.argv[1:] = words
    return main()


if __name__ == "__main__":
    sys.exit(main())
