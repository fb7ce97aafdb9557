"""contrib/init.d/amiws-gevent with the real program, in folders of its own."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.daemon import SAID, Daemons, listens
from tests.support.patience import WAIT
from tests.support.ports import free_port
from tests.support.program import ROOT, wait_until

SCRIPT = ROOT / "contrib" / "init.d" / "amiws-gevent"


class InitScript(Daemons):
    """The script, with an operator's defaults file that names this test's places."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        program = folder / "program"
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m amiws_gevent "$@"\n')
        program.chmod(0o755)
        self.defaults = folder / "defaults"
        self.set(
            PROGRAM=program, CONFIG=self.file, PIDFILE=self.pid_file, WDIR=folder, STOP_SECONDS="55"
        )

    def set(self, **variables: str | Path) -> None:
        """Add variables to the defaults file."""
        with self.defaults.open("a") as file:
            file.writelines(f'{name}="{value}"\n' for name, value in variables.items())

    def __call__(self, *words: str) -> tuple[int, str]:
        """Run an action; returns the exit status and what was said."""
        done = subprocess.run(
            ["/bin/sh", SCRIPT, *words],
            env={**os.environ, "AMIWS_DEFAULTS": str(self.defaults), "PYTHONPATH": str(ROOT)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=WAIT,
            check=False,
        )
        return done.returncode, done.stdout


@pytest.fixture
def init(tmp_path: Path) -> Iterator[InitScript]:
    with InitScript(tmp_path) as init:
        yield init


def test_start_status_stop(init: InitScript) -> None:
    assert init("status") == (3, "amiws-gevent is not running\n")
    status, said = init("start")
    assert (status, said) == (0, f"{SAID}amiws-gevent started, process {init.pid}\n")
    assert listens(init.port), "start comes back only once it listens"
    assert init("status") == (0, f"amiws-gevent is running, process {init.pid}\n")
    assert init("start") == (0, f"amiws-gevent is already running, process {init.pid}\n")
    assert init("stop") == (0, "amiws-gevent stopped\n")
    assert not init.pid_file.exists()
    assert not listens(init.port)
    assert init("status")[0] == 3
    assert init("stop") == (0, "amiws-gevent is not running\n")


def test_restart(init: InitScript) -> None:
    assert init("restart")[0] == 0, "of one that does not run is a start"
    first = init.pid
    assert init("restart")[0] == 0
    assert init.pid != first
    assert listens(init.port)
    assert init("try-restart")[0] == 0
    init("stop")
    assert init("try-restart") == (0, "")
    assert init("status")[0] == 3


@pytest.mark.parametrize("action", ["reload", "force-reload"])
def test_reload_applies_the_file(init: InitScript, action: str) -> None:
    assert init(action)[0] == 7, "nothing runs"
    assert init("start")[0] == 0
    pid = init.pid
    init.configure(port=free_port())
    assert init(action)[0] == 0
    wait_until(lambda: listens(init.port), "the port of the changed file")
    assert init.pid == pid


def test_reload_refuses_a_wrong_file(init: InitScript) -> None:
    assert init("start")[0] == 0
    init.file.write_text("ws_port: 8a998\n")
    status, said = init("reload")
    assert status == 6
    assert f"{init.file}:1: ws_port" in said
    assert init("status")[0] == 0
    assert listens(init.port)


def test_a_wrong_configuration_does_not_start(init: InitScript) -> None:
    init.file.write_text("ws_port: 8a998\n")
    status, said = init("start")
    assert status == 6
    assert f"{init.file}:1: ws_port" in said
    assert init("configtest")[0] == 78


def test_a_failed_start_is_a_failure(init: InitScript) -> None:
    init.pid_file.mkdir()
    status, said = init("start")
    assert status == 1
    assert str(init.pid_file) in said
    init.pid_file.rmdir()


def test_a_wrong_variable_is_a_wrong_word(init: InitScript) -> None:
    init.set(WDIR=init.folder / "none")
    status, said = init("start")
    assert status == 2
    assert "working directory" in said


def test_what_a_killed_one_left(init: InitScript) -> None:
    assert init("start")[0] == 0
    InitScript.stop(init, signal.SIGKILL)
    status, said = init("status")
    assert status == 1
    assert "dead" in said
    assert init("start")[0] == 0
    assert init("status")[0] == 0


def test_somebody_elses_process_is_neither_stopped_nor_ours(init: InitScript) -> None:
    other = subprocess.Popen([shutil.which("sleep") or "sleep", "60"])
    init.pid_file.write_text(f"{other.pid}\n")
    assert init("status")[0] == 1
    assert init("stop")[0] == 0
    assert other.poll() is None
    init.pid_file.unlink()
    other.kill()
    other.wait()


def test_not_installed(init: InitScript) -> None:
    init.set(PROGRAM="/nowhere/amiws-gevent")
    status, said = init("start")
    assert status == 5
    assert "/nowhere/amiws-gevent" in said


@pytest.mark.parametrize("words", [(), ("dance",)])
def test_other_words(init: InitScript, words: tuple[str, ...]) -> None:
    status, said = init(*words)
    assert status == 2
    assert "Usage:" in said


def test_the_head_for_the_installing_tools() -> None:
    """insserv, update-rc.d and chkconfig read these lines."""
    text = SCRIPT.read_text()
    head = text.partition("### BEGIN INIT INFO\n")[2].partition("### END INIT INFO")[0]
    fields = dict(line[2:].split(":", 1) for line in head.splitlines() if line[2] != " ")
    assert fields["Provides"].strip() == "amiws-gevent"
    assert {"Required-Start", "Required-Stop", "Default-Start", "Default-Stop"} <= set(fields)
    assert "Short-Description" in fields
    assert "\n# chkconfig: " in text
    assert os.access(SCRIPT, os.X_OK)
