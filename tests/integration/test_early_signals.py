"""Signals that reach the real program while it is still starting, and at its end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.daemon import gone
from tests.support.patience import WAIT
from tests.support.program import ROOT, ami_host, configuration, wait_until

# Says where the start is, and waits there until the test lets it go on.
PLUGIN = """
import time
from pathlib import Path

HERE = Path(__file__).parent

def wait_at(place):
    if (HERE / "stop-at").read_text() == place:
        (HERE / "arrived").touch()
        while not (HERE / "go").exists():
            time.sleep(0.01)

wait_at("import")

def amiws_startup(context):
    wait_at("startup")

def amiws_shutdown():
    (HERE / "shut-down").touch()
    wait_at("shutdown")
"""


class Start:
    """A start that waits at ``place``; a daemon has its pid file."""

    def __init__(self, folder: Path, place: str, *options: str) -> None:
        self.folder = folder
        self.pid_file = folder / "amiws.pid"
        (folder / "stop-at").write_text(place)
        (folder / "mine.py").write_text(PLUGIN)
        (folder / "mine.py").chmod(0o600)
        file = folder / "amiws.yaml"
        plugins = f"plugins:\n- {folder}/mine.py"
        file.write_text(configuration(ami_host(1), more=plugins))
        self._log_file = folder / "log"
        words = ["-f", str(file), "-p", str(self.pid_file), "-D", str(folder), *options]
        with self._log_file.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "amiws_gevent", *words],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=ROOT,
            )

    def wait_until_there(self) -> None:
        arrived = self.folder / "arrived"
        wait_until(lambda: arrived.exists() or self.process.poll() is not None, "it is there")
        assert arrived.exists(), self.log

    @property
    def log(self) -> str:
        return self._log_file.read_text()

    def go_on(self) -> None:
        (self.folder / "go").touch()

    def wait_for_log(self, text: str) -> None:
        ended = self.process.poll
        wait_until(lambda: text in self.log or ended() is not None, text)
        assert text in self.log


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    pid_file = tmp_path / "amiws.pid"
    if pid_file.exists() and not gone(pid := int(pid_file.read_text())):
        os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("place", ["import", "startup"])
def test_a_reload_is_made_once_there_is_something_to_reload(folder: Path, place: str) -> None:
    start = Start(folder, place)
    start.wait_until_there()
    for _ in range(6):
        start.process.send_signal(signal.SIGHUP)
    start.go_on()
    start.wait_for_log("configuration applied")
    start.process.send_signal(signal.SIGTERM)
    assert start.process.wait(WAIT) == 0
    assert not start.pid_file.exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("place", ["import", "startup"])
def test_an_end_is_one_in_order(folder: Path, place: str, number: signal.Signals) -> None:
    start = Start(folder, place)
    start.wait_until_there()
    assert start.pid_file.exists() == (place == "startup")
    start.process.send_signal(number)
    assert start.process.wait(WAIT) == 0
    assert not start.pid_file.exists()
    assert "Traceback" not in start.log
    assert ("stopped" in start.log) == (place == "startup")


def test_a_daemon_that_ends_while_it_starts(folder: Path) -> None:
    start = Start(folder, "startup", "-d")
    start.wait_until_there()
    daemon = int(start.pid_file.read_text())
    os.kill(daemon, signal.SIGHUP)
    os.kill(daemon, signal.SIGTERM)
    assert start.process.wait(WAIT) == 1
    assert gone(daemon)
    assert not start.pid_file.exists()
    assert "the daemon was told to end before it had started" in start.log


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_while_it_ends_nothing_cuts_that_short(folder: Path, number: signal.Signals) -> None:
    start = Start(folder, "shutdown")
    start.wait_for_log("listening on")
    start.process.send_signal(signal.SIGTERM)
    start.wait_until_there()
    start.process.send_signal(number)
    start.go_on()
    assert start.process.wait(WAIT) == 0
    assert not start.pid_file.exists()
    assert "Traceback" not in start.log
