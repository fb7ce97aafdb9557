"""Starts what is measured, each as a process of its own, and reads what it cost."""

from __future__ import annotations

import atexit
import contextlib
import functools
import json
import re
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

ROOT = Path(__file__).parent.parent
COMPILED_TREE = ROOT / ".make" / "compiled"
"""Like this tree, with the program of a compiled wheel; see scripts/compiled-tree.sh."""


def cpu_of(pid: int) -> float:
    """CPU seconds of a process, user and system, of all its threads so far.

    As the scheduler counts them, in nanoseconds: /proc/PID/stat samples by a clock tick, and a
    stream paced at a divisor of it would be seen too often or never.
    """
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


def connections_of(pid: int, port: int) -> int:
    """How many connections to a port of this machine a process has."""
    sockets = set()
    for one in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            sockets.add(str(one.readlink()))
    lines = Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]
    own = (line.split() for line in lines if f":{port:04X} " in line and " 01 " in line)
    return sum(
        words[1].endswith(f":{port:04X}") and f"socket:[{words[9]}]" in sockets for words in own
    )


class Child:
    """A process that speaks in lines: prints answers, reads commands."""

    def __init__(
        self,
        *words: str,
        stderr: IO[bytes] | None = None,
        python: str = sys.executable,
        cwd: Path = ROOT,
    ) -> None:
        self.process = subprocess.Popen(
            [python, *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            bufsize=1,
            cwd=cwd,
        )

    def line(self) -> str:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.process.args} ended early: {self.process.wait()}")
        return line.strip()

    def say(self, command: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(command + "\n")

    def ask(self, command: str) -> dict[str, Any]:
        self.say(command)
        answer: dict[str, Any] = json.loads(self.line())
        return answer

    def cpu(self) -> float:
        """See `cpu_of`."""
        return cpu_of(self.process.pid)

    def memory(self, field: str) -> int:
        """Bytes of resident memory: ``VmRSS`` now, ``VmHWM`` at the peak."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith(field + ":"):
                return int(line.split()[1]) * 1024
        raise KeyError(field)

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()


@contextlib.contextmanager
def running(child: Child) -> Iterator[Child]:
    """The child, stopped at the end whatever happens."""
    try:
        yield child
    finally:
        child.stop()


class Subject(Child):
    """Something between AMI and clients; ``port`` is where clients connect.

    ``metrics`` is where it tells of itself, as an URL, and ``log`` what it logs; None if it
    does not.
    """

    port: int
    metrics: str | None = None
    log: Path | None = None

    def metric(self, name: str) -> float:
        """The sum over all samples of that name; 0 if there is none."""
        assert self.metrics is not None
        unchecked = ssl._create_unverified_context()  # the benchmark's own certificate
        with urllib.request.urlopen(self.metrics, context=unchecked, timeout=20) as answer:
            text = answer.read().decode()
        return sum(map(float, re.findall(rf"^{name}(?:\{{.*\}})? (\S+)", text, re.MULTILINE)))

    def logged(self, pattern: str) -> str:
        """Wait for a line of its log: what the first group of the pattern holds, or all of it."""
        assert self.log is not None
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if found := re.search(pattern, self.log.read_text()):
                return found[found.lastindex or 0]
            if self.process.poll() is not None:
                break
            time.sleep(0.02)
        raise RuntimeError(f"amiws-gevent has not logged {pattern!r}:\n{self.log.read_text()}")

    def log_lines(self) -> int:
        """How many lines it has logged so far."""
        assert self.log is not None
        return self.log.read_bytes().count(b"\n")

    def costs(self) -> dict[str, float]:
        """Peak memory in bytes, and in ms the longest time that no AMI socket was looked at."""
        costs = {"peak_memory": float(self.memory("VmHWM"))}
        if self.metrics is not None:
            costs["reader_pause_ms"] = self.metric("amiws_reader_pause_longest_seconds") * 1e3
        return costs


Certificate = tuple[str, str] | None
"""Files of a certificate and its key, for those that speak TLS."""


def start_naive(ami_port: int, certificate: Certificate) -> Subject:
    """The baseline in bench/naive.py."""
    words = ["--cert", certificate[0], "--key", certificate[1]] if certificate else []
    return _start_printing("bench.naive", ami_port, *words)


def start_uws(ami_port: int, certificate: Certificate) -> Subject:
    """uWebSockets, in bench/uws_bridge.py."""
    return _start_printing("bench.uws_bridge", ami_port)


def start_bare_loop(ami_port: int, certificate: Certificate) -> Subject:
    """One ``send`` a client and event, in bench/bare_loop.py."""
    return _start_printing("bench.bare_loop", ami_port)


def _start_printing(module: str, ami_port: int, *words: str) -> Subject:
    subject = Subject("-m", module, "--ami-port", str(ami_port), *words)
    subject.port = int(subject.line())
    return subject


def start_ours(
    ami_port: int,
    certificate: Certificate,
    extra: str = "",
    neighbours: Sequence[str] = (),
    *,
    python: str = sys.executable,
    tree: Path = ROOT,
    process: str = "both",
    listens: str = r"listening on https?://\S*:(\d+)/",
) -> Subject:
    """The program itself, with nothing but what the run needs in its configuration.

    ``extra`` is YAML; ``neighbours`` are the ports of further AMI servers. The program is the one
    that is installed for ``python``, or this one's that is in ``tree``. ``listens`` is what it
    logs when clients may come.
    """
    folder = Path(tempfile.mkdtemp(dir=scratch()))
    tls = f"ssl_cert: {certificate[0]}\nssl_key: {certificate[1]}\n" if certificate else ""
    configuration = folder / "amiws.yaml"
    configuration.write_text(
        f"ws_host: 127.0.0.1\nws_port: 0\n{tls}{extra}"
        "limits:\n  connections: 20000\n  ping_interval: 1 h\n"
        "amihosts:\n"
        f"- {{name: bench, host: 127.0.0.1, port: {ami_port}, username: b, secret: b}}\n"
        + "".join(
            f"- {{name: bench{number}, host: 127.0.0.1, port: {port}, username: b, secret: b}}\n"
            for number, port in enumerate(neighbours)
        )
    )
    log = folder / "log"
    with log.open("wb") as stderr:
        # Not in this checkout, where `-m` would find its own package first.
        cwd = tree if python == sys.executable else folder
        words = ["-m", "amiws_gevent", "-f", str(configuration)]
        if process != "both":  # which another commit may not know
            words += ["--process", process]
        subject = Subject(*words, stderr=stderr, python=python, cwd=cwd)
    subject.log = log
    if process == "collector":  # which serves nobody
        subject.logged("collector: ")
        return subject
    subject.port = int(subject.logged(listens))
    scheme = "https" if certificate else "http"
    subject.metrics = f"{scheme}://127.0.0.1:{subject.port}/metrics"
    return subject


@functools.cache
def scratch() -> Path:
    """A folder for this run, gone at its end."""
    folder = tempfile.TemporaryDirectory(prefix="amiws-bench-")
    atexit.register(folder.cleanup)
    return Path(folder.name)
