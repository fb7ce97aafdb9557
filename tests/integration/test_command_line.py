"""The real program as a daemon, with the words that an operator's init script has."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.daemon import SAID, Daemons, gone, listens
from tests.support.patience import WAIT
from tests.support.ports import free_port
from tests.support.program import ROOT, Program, ami_host, configuration, wait_until


@pytest.fixture
def daemons(tmp_path: Path) -> Iterator[Daemons]:
    with Daemons(tmp_path) as daemons:
        yield daemons


def test_the_first_process_leaves_when_the_daemon_listens(daemons: Daemons) -> None:
    done = daemons.start()
    assert (done.returncode, done.stdout, done.stderr) == (0, "", SAID)
    assert listens(daemons.port)
    process = Path(f"/proc/{daemons.pid}")
    assert os.getsid(daemons.pid) == daemons.pid
    assert (process / "cwd").readlink() == daemons.folder
    assert {(process / f"fd/{number}").readlink() for number in range(3)} == {Path(os.devnull)}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_and_removes_the_pid_file(
    daemons: Daemons, number: signal.Signals
) -> None:
    assert daemons.start().returncode == 0
    daemons.stop(number)
    assert not daemons.pid_file.exists()
    assert not listens(daemons.port)


def test_a_second_start_is_refused_and_harms_nothing(daemons: Daemons) -> None:
    assert daemons.start().returncode == 0
    first = daemons.pid
    done = daemons.start()
    assert done.returncode == 73
    assert f"already running as process {first}" in done.stderr
    assert daemons.pid == first
    assert listens(daemons.port)


def test_what_a_killed_one_left_is_taken_over(daemons: Daemons) -> None:
    assert daemons.start().returncode == 0
    first = daemons.pid
    daemons.stop(signal.SIGKILL)
    assert daemons.pid == first
    assert daemons.start().returncode == 0
    assert daemons.pid != first


def test_a_port_in_use_is_the_starters_to_know(daemons: Daemons) -> None:
    with socket.create_server(("127.0.0.1", daemons.port)):
        done = daemons.start()
    assert done.returncode == 71
    assert str(daemons.port) in done.stderr
    assert "Traceback" not in done.stderr
    assert not daemons.pid_file.exists()


def test_a_wrong_configuration_starts_nothing(daemons: Daemons) -> None:
    daemons.file.write_text("ws_port: 8a998\n")
    done = daemons.start()
    assert done.returncode == 78
    assert f"{daemons.file}:1: ws_port" in done.stderr
    assert not daemons.pid_file.exists()


def test_no_such_working_directory(daemons: Daemons) -> None:
    done = daemons.start("-f", daemons.file, "-p", daemons.pid_file, "-D", daemons.folder / "none")
    assert done.returncode == 2
    assert "cannot change to the working directory" in done.stderr


def test_relative_names_are_those_of_the_start(daemons: Daemons) -> None:
    """But the pid file's, which amiws takes from the working directory as well."""
    wdir = daemons.folder / "run"
    wdir.mkdir()
    (daemons.folder / "pages").mkdir()
    daemons.configure(more="web_root: pages")
    daemons.pid_file = wdir / "amiws.pid"
    done = daemons.start("-f", "amiws.yaml", "-p", "amiws.pid", "-D", "run", cwd=daemons.folder)
    assert done.returncode == 0, done.stderr
    assert listens(daemons.port)
    assert (Path(f"/proc/{daemons.pid}") / "cwd").readlink() == wdir

    before = daemons.port
    daemons.configure(port=free_port(), more="web_root: pages")
    os.kill(daemons.pid, signal.SIGHUP)
    wait_until(lambda: listens(daemons.port), "the port of the changed file")
    wait_until(lambda: not listens(before), "the port before is let go of")


def test_a_daemon_that_is_told_to_stop_is_gone(daemons: Daemons) -> None:
    assert daemons.start().returncode == 0
    pid = daemons.pid
    os.kill(pid, signal.SIGTERM)
    wait_until(lambda: gone(pid), "the end")


def test_the_demo_with_a_file_that_has_no_servers_tells_its_address(tmp_path: Path) -> None:
    with Program(tmp_path, "ws_host: 127.0.0.1\n", "--demo", "0") as program:
        program.wait_for_log(f"Open http://127.0.0.1:{program.port}/ in a browser")
        program.wait_for_log(": connected", count=2)


CLOSED = pytest.mark.parametrize("closed", ["2>&-", ">&-", "<&-", "<&- >&- 2>&-"])


def started_with(closed: str, daemons: Daemons, *options: str | Path) -> subprocess.Popen[bytes]:
    """The program with some standard descriptors closed by a shell; the others are pipes' ends."""
    command = [sys.executable, "-m", "amiws_gevent", *map(str, (*options, *daemons.usual))]
    return subprocess.Popen(
        ["/bin/sh", "-c", f'exec "$@" {closed}', "sh", *command],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


@CLOSED
def test_a_daemon_without_standard_descriptors(daemons: Daemons, closed: str) -> None:
    assert started_with(closed, daemons, "-d").wait(WAIT) == 0
    assert listens(daemons.port)
    descriptors = Path(f"/proc/{daemons.pid}/fd")
    assert {(descriptors / f"{number}").readlink() for number in range(3)} == {Path(os.devnull)}
    daemons.stop()
    assert not daemons.pid_file.exists()


@CLOSED
def test_in_the_foreground_without_standard_descriptors(daemons: Daemons, closed: str) -> None:
    process = started_with(closed, daemons)
    try:
        wait_until(lambda: process.poll() is not None or listens(daemons.port), "listening")
        assert process.poll() is None
        descriptors = Path(f"/proc/{process.pid}/fd")
        assert {(descriptors / f"{number}").readlink() for number in range(3)} == {Path(os.devnull)}
        process.terminate()
        assert process.wait(WAIT) == 0
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("closed", ["2>&-", "<&- >&- 2>&-"])
def test_a_failed_start_without_standard_error_has_its_status(
    daemons: Daemons, closed: str
) -> None:
    daemons.file.write_text("ws_port: x\n")
    assert started_with(closed, daemons).wait(WAIT) == 78
    assert started_with(closed, daemons, "-d").wait(WAIT) == 78


@pytest.mark.parametrize("words", [["--demo", "--scenarios"], ["--plugins"]])
def test_who_reads_a_list_may_leave_before_its_end(tmp_path: Path, words: list[str]) -> None:
    file = tmp_path / "amiws.yaml"
    file.write_text(configuration(ami_host(1)))
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "amiws_gevent", "-f", str(file), *words]
    done = subprocess.run(
        command, stdout=writing, stderr=subprocess.PIPE, text=True, cwd=ROOT, timeout=WAIT
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, "")
