"""Processes that are started, and end with their parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from amiws_gevent.config import Source
from amiws_gevent.workers.channel import ChannelLost, Refusal
from amiws_gevent.workers.handover import Beginning
from amiws_gevent.workers.process import Process, ProgramProcess
from tests.support.patience import WAIT
from tests.support.program import wait_until

PARENT = """
from gevent import monkey
monkey.patch_all()
import gevent
from amiws_gevent.workers.process import Process
print(Process(["sleep", "1000"]).pid, flush=True)
gevent.sleep(1000)
"""


def is_there(pid: int) -> bool:
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def test_it_ends_with_a_parent_that_is_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert is_there(child)
        os.kill(child, signal.SIGSTOP)  # it could do nothing of its own
        parent.kill()
        parent.wait(WAIT)
    wait_until(lambda: not is_there(child), "the child's end")


@pytest.mark.parametrize(
    ("command", "number", "told"),
    [
        ("exit 3", None, "it ended with status 3"),
        ("exec sleep 1000", signal.SIGKILL, "it was ended by SIGKILL"),
        ("exec sleep 1000", signal.SIGRTMIN + 1, "it was ended by signal 35"),
    ],
)
def test_how_it_has_ended(command: str, number: int | None, told: str) -> None:
    process = Process(["sh", "-c", command])
    if number is not None:
        assert not process.wait(0)
        process.signal(number)
    assert process.wait(WAIT)
    assert process.ending() == told
    process.signal(signal.SIGTERM)  # nobody gets it


def test_it_hears_nothing_of_systemd_and_nothing_from_a_terminal(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", "/run/notify")
    monkeypatch.setenv("OTHER", "here")
    seen = tmp_path / "seen"
    process = Process(["sh", "-c", f"env > {seen}; ps -o sid= -p $$ >> {seen}; echo $$ >> {seen}"])
    assert process.wait(WAIT)
    lines = seen.read_text().splitlines()
    assert "OTHER=here" in lines
    assert not any(line.startswith("NOTIFY") for line in lines)
    assert lines[-2].strip() == lines[-1] == str(process.pid)


def test_a_configuration_that_it_cannot_use_is_told(tmp_path: Path) -> None:
    """The program itself, once: its word on the command line, its channel, its refusal."""
    source = Source(str(tmp_path / "amiws.yaml"), text="ws_port: x")
    process = ProgramProcess(
        "edge-1", Beginning(source, foreground=False, alone=True), {}, streams=None
    )
    command = Path(f"/proc/{process.pid}/cmdline").read_bytes().split(b"\0")
    assert command[-3] == b"--worker"
    assert command[-2].startswith(b"edge-1:")
    with pytest.raises(Refusal, match="amihosts: is missing"):
        process.begin()
    assert process.wait(WAIT)
    assert process.answers(WAIT)
    process.close()
    with pytest.raises(ChannelLost):
        process.ask("ping", timeout=WAIT)
