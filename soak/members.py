"""Collectors and edges of a soak, each a process that can be killed, stopped, and cut off.

With `Network` each has a network namespace of its own, and an address on a bridge; so a process
can be cut off from all others without knowing it. Without, all are on the loopback.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path

from soak.follower import Place
from tests.support.patience import WAIT
from tests.support.ports import free_port
from tests.support.program import ROOT, wait_until

COLLECTOR, EDGE = "collector", "edge"

INSIDE = "--in-namespace"
"""Says that this process already has a namespace of its own, with nothing in it."""

_BRIDGE = "soak"
_READY = {COLLECTOR: "collector: ", EDGE: "listening on http"}
_STOP_TIME = 60.0
_FAULTS = ("Traceback", "internal error")


class Network:
    """A bridge in the namespace of this process; hosts are numbered."""

    host = "10.213.0.1"

    def __init__(self) -> None:
        _ip("link", "set", "lo", "up")
        _ip("link", "add", _BRIDGE, "type", "bridge")
        _ip("addr", "add", f"{self.host}/24", "dev", _BRIDGE)
        _ip("link", "set", _BRIDGE, "up")

    @staticmethod
    def wrapped(command: list[str]) -> list[str]:
        """The command in a namespace of its own, once it has read a line."""
        return ["unshare", "--net", "--", "/bin/sh", "-c", 'read _ && exec "$@"', "sh", *command]

    def join(self, number: int, pid: int) -> None:
        """Connect the namespace of a process, which has the address of that number."""
        _ip("link", "add", f"soak{number}", "type", "veth", "peer", "name", "e0", "netns", str(pid))
        self.heal(number)
        _ip("link", "set", f"soak{number}", "up")
        inside = ("nsenter", "-t", str(pid), "-n", "ip")
        for words in (
            ("link", "set", "lo", "up"),
            ("addr", "add", f"{self.address(number)}/24", "dev", "e0"),
            ("link", "set", "e0", "up"),
        ):
            subprocess.run([*inside, *words], check=True)

    @staticmethod
    def address(number: int) -> str:
        return f"10.213.0.{number}"

    @staticmethod
    def cut(number: int) -> None:
        """What is sent to it, and by it, is lost; no end sees that."""
        _ip("link", "set", f"soak{number}", "nomaster")

    @staticmethod
    def heal(number: int) -> None:
        _ip("link", "set", f"soak{number}", "master", _BRIDGE)


def namespaces() -> str:
    """Why there can be none; empty if there can."""
    if os.geteuid() != 0:
        return "only root may make network namespaces"
    for program in ("unshare", "nsenter", "ip"):
        if shutil.which(program) is None:
            return f"there is no program {program}"
    command = ["unshare", "--net", "--", "ip", "link", "add", _BRIDGE, "type", "bridge"]
    tried = subprocess.run(command, capture_output=True, text=True)
    return "" if tried.returncode == 0 else tried.stderr.strip() or "a bridge cannot be made"


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


class Member:
    """A collector or an edge, which can run many times.

    ``configuration`` gets its address and port.
    """

    def __init__(
        self,
        kind: str,
        number: int,
        folder: Path,
        configuration: Callable[[str, int], str],
        network: Network | None,
    ) -> None:
        self.kind = kind
        self.name = f"{kind} {number}"
        self.process: subprocess.Popen[bytes] | None = None
        self.cut_off = False
        self._number = number
        self._network = network
        host = "127.0.0.1" if network is None else network.address(number)
        self.place: Place = host, free_port()
        self._file = folder / f"{kind}{number}.yaml"
        self._file.write_text(configuration(*self.place))
        self._log = folder / f"{kind}{number}.log"
        self._began = 0

    def start(self) -> None:
        """Start it, or start it again, and wait until it is there."""
        self.begin()
        self.wait_ready()

    def begin(self) -> None:
        """Start it."""
        command = [sys.executable, "-m", "amiws_gevent", "-f", str(self._file)]
        command += ["--process", self.kind]
        network = self._network
        if network is not None:
            command = network.wrapped(command)
        self._began = len(self.log)
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=log, stderr=log, cwd=ROOT
            )
        assert self.process.stdin is not None
        if network is not None:
            self._join(network, self.process.pid)
            self.process.stdin.write(b"\n")
        self.process.stdin.close()
        self.cut_off = False

    def _join(self, network: Network, pid: int) -> None:
        """Once the process has its namespace; the one before it may need a moment to go."""
        own = Path("/proc/self/ns/net").readlink()
        wait_until(lambda: Path(f"/proc/{pid}/ns/net").readlink() != own, "a namespace")
        link = f" soak{self._number}:"
        wait_until(lambda: link not in Path("/proc/self/net/dev").read_text(), "no old link")
        network.join(self._number, pid)

    def wait_ready(self) -> None:
        wait_until(
            lambda: _READY[self.kind] in self.log[self._began :] or not self.running,
            f"{self.name} is there",
        )
        assert self.running, f"{self.name} ended:\n{self.log[self._began :]}"

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    @property
    def ended_with(self) -> int | None:
        """The exit status, if it has ended."""
        return None if self.process is None else self.process.poll()

    def metric(self, name: str) -> float:
        """The value of a metric of a collector, all samples together."""
        host, port = self.place
        with urllib.request.urlopen(f"http://{host}:{port}/metrics", timeout=WAIT) as answer:
            text = answer.read().decode()
        return sum(map(float, re.findall(rf"^{name}(?:{{.*}})? (\S+)$", text, re.MULTILINE)))

    def kill(self) -> None:
        self._signal(signal.SIGKILL)
        self._wait()

    def stop(self) -> None:
        """It stands still."""
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self._signal(signal.SIGCONT)

    def terminate(self) -> int:
        """Ask it to end; its exit status."""
        self._signal(signal.SIGTERM)
        return self._wait()

    def cut(self) -> None:
        assert self._network is not None
        self._network.cut(self._number)
        self.cut_off = True

    def heal(self) -> None:
        assert self._network is not None
        self._network.heal(self._number)
        self.cut_off = False

    def _signal(self, number: int) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(number)

    def _wait(self) -> int:
        assert self.process is not None
        return self.process.wait(WAIT)

    def end(self) -> None:
        """At the end of all, whatever it does."""
        self.go_on()
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(_STOP_TIME)
            except subprocess.TimeoutExpired:
                self.kill()

    @property
    def log(self) -> str:
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def faults(self) -> list[str]:
        """What its log says of faults of its own."""
        lines = self.log.splitlines()
        return [f"{self.name}: {line}" for line in lines if any(word in line for word in _FAULTS)]
