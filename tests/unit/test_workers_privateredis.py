"""The Redis of this machine."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from gevent import socket

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


def test_what_a_killed_program_has_left_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))
    monkeypatch.setattr(privateredis, "LONGEST_PATH", 1000)
    monkeypatch.chdir(tmp_path)  # paths of sockets are short
    names = {"dead": "4194305-a", "alive": "4194305-b", "running": "1-c", "beginning": "4194305-d"}
    folders = {name: Path(f"amiws-redis-{end}") for name, end in names.items()}
    for name, folder in folders.items():
        folder.mkdir()
        if name == "beginning":
            continue
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(str(folder / "redis.sock"))
        if name == "alive":
            listener.listen()
            alive = listener
        else:
            listener.close()
    privateredis._remove_left(Path())
    assert [name for name, folder in folders.items() if folder.exists()] == [
        "alive",
        "running",
        "beginning",
    ]
    alive.close()
