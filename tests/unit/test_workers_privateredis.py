"""The Redis of this machine."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from amiws_gevent.bus.connection import Connection
from amiws_gevent.config import Redis
from amiws_gevent.errors import MissingLibraryError, StartError
from amiws_gevent.workers import privateredis
from amiws_gevent.workers.privateredis import NotYet, RedisFolder, RedisProcess, memory
from tests.support.patience import WAIT


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[RedisFolder]:
    monkeypatch.delenv("RUNTIME_DIRECTORY", raising=False)
    made = RedisFolder()
    yield made
    made.remove()
    assert not made.path.exists()


def test_it_is_on_a_socket_of_this_user_without_a_disk(folder: RedisFolder) -> None:
    process = RedisProcess(folder)
    try:
        process.begin()
        connection = Connection(Redis.model_validate({"url": folder.url}), "test", WAIT)
        connection.open()
        found = connection.ask("CONFIG", "GET", "*")
        settings = dict(zip(found[::2], found[1::2], strict=True))
        connection.close()
        assert settings[b"port"] == b"0"
        assert settings[b"save"] == b""
        assert settings[b"appendonly"] == b"no"
        assert settings[b"maxmemory-policy"] == b"noeviction"
        assert 0 < int(settings[b"maxmemory"]) <= memory() // 2
        assert folder.path.stat().st_mode & 0o777 == 0o700
        assert folder.socket.stat().st_mode & 0o777 == 0o700
        assert process.answers(WAIT)
    finally:
        process.signal(signal.SIGKILL)
        assert process.wait(WAIT)
    assert process.ending().startswith("it was ended by SIGKILL")
    assert not process.answers(WAIT)
    process.close()
    again = RedisProcess(folder)  # where a dead one has left its socket
    try:
        again.begin()
    finally:
        again.signal(signal.SIGKILL)
        assert again.wait(WAIT)
        again.close()


def test_without_a_program_it_is_said_what_to_install(
    folder: RedisFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/none")
    with pytest.raises(MissingLibraryError, match="apt install redis-server") as caught:
        RedisProcess(folder)
    assert caught.value.exit_status == 69


def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    program = tmp_path / "redis-server"
    program.write_text(f"#!/bin/sh\n{text}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")


def test_one_that_ends_at_once_says_why(
    folder: RedisFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script(tmp_path, monkeypatch, "cat > /dev/null; echo 'bad directive'; exit 1")
    process = RedisProcess(folder)
    with pytest.raises(StartError, match="redis-server: it ended with status 1: bad directive"):
        process.begin()
    process.close()


def test_one_that_does_not_answer(
    folder: RedisFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script(tmp_path, monkeypatch, "exec sleep 1000")
    monkeypatch.setattr(privateredis, "BEGIN_TIME", 0.001)
    process = RedisProcess(folder)
    with pytest.raises(NotYet, match="does not answer"):
        process.begin()
    process.signal(signal.SIGKILL)
    assert process.wait(WAIT)
    process.close()


def test_the_folder_of_systemd_if_its_path_is_short(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(privateredis, "LONGEST_PATH", len(str(tmp_path)) + 50)
    monkeypatch.setenv("RUNTIME_DIRECTORY", f"{tmp_path}:/other")
    made = RedisFolder()
    assert made.path.parent == tmp_path
    made.remove()
    long = tmp_path / ("x" * 60)
    long.mkdir()
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(long))
    made = RedisFolder()
    assert made.path.parent == Path("/tmp")
    made.remove()
    assert list(long.iterdir()) == []
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path / "none"))
    with pytest.raises(StartError, match="set RUNTIME_DIRECTORY or TMPDIR"):
        RedisFolder()


@pytest.fixture
def parent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where folders are made."""
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))
    monkeypatch.setattr(privateredis, "LONGEST_PATH", 1000)
    return tmp_path


KILLED = """
import subprocess
from amiws_gevent.workers.privateredis import RedisFolder
made = RedisFolder()
made.socket.touch()
child = subprocess.Popen(["sleep", "1000"], stdout=subprocess.DEVNULL)
print(made.path, child.pid, flush=True)
child.wait()
"""


@pytest.mark.slow
def test_what_a_killed_program_has_left_is_removed_by_the_next(parent: Path) -> None:
    """Not while it runs; and not later because one that it has started outlives it."""
    command = [sys.executable, "-c", KILLED]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout is not None
        path, child = first.stdout.readline().split()
        second = RedisFolder()
        assert Path(path, "redis.sock").exists()
        first.kill()
    third = RedisFolder()
    assert set(parent.iterdir()) == {second.path, third.path}
    os.kill(int(child), signal.SIGKILL)
    second.remove()
    third.remove()
    assert list(parent.iterdir()) == []


def test_nothing_else_is_removed(parent: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = parent / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "file").touch()
    (parent / "amiws-redis-1-link").symlink_to(elsewhere)
    (parent / "amiws-redis-2-file").touch()
    left = parent / "amiws-redis-1-left"  # in a container all have the process id 1
    left.mkdir()
    with monkeypatch.context() as patch:
        patch.setattr("os.geteuid", lambda: left.stat().st_uid + 1)
        RedisFolder().remove()
    assert left.exists(), "it belongs to another user"
    RedisFolder().remove()
    names = {path.name for path in parent.rglob("*")}
    assert names == {"elsewhere", "file", "amiws-redis-1-link", "amiws-redis-2-file"}


@pytest.mark.parametrize("step", ["is about to remove it", "has removed it", "removes it"])
def test_a_folder_that_another_start_takes_for_one_that_was_left(
    parent: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """It begins when the folder has no lock yet."""
    made: list[Path] = []
    locked: list[int] = []
    mkdtemp, flock = tempfile.mkdtemp, fcntl.flock

    def make(**options: Any) -> str:
        made.append(Path(mkdtemp(**options)))
        if len(made) == 1 and step == "is about to remove it":
            locked.append(os.open(made[0], os.O_RDONLY))
            flock(locked[0], fcntl.LOCK_EX)
        if len(made) == 1 and step == "has removed it":
            made[0].rmdir()
        return str(made[-1])

    def lock(descriptor: int, operation: int) -> None:
        if len(made) == 1 and step == "removes it":
            made[0].rmdir()
        flock(descriptor, operation)

    monkeypatch.setattr(tempfile, "mkdtemp", make)
    monkeypatch.setattr(fcntl, "flock", lock)
    folder = RedisFolder()
    assert folder.path == made[1]
    assert folder.path.exists()
    folder.remove()
    for descriptor in locked:
        os.close(descriptor)


def test_where_there_are_no_locks_nothing_is_removed(
    parent: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lock(_descriptor: int, _operation: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", lock)
    first = RedisFolder()
    second = RedisFolder()
    assert set(parent.iterdir()) == {first.path, second.path}
    first.remove()
    second.remove()
