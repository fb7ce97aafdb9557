"""The file of the queues' figures: whole or not at all, and never in the program's way."""

from __future__ import annotations

import errno
import json
import os
import stat
import threading
from pathlib import Path
from typing import Any

import gevent
import pytest

from amiws_gevent.live import figuresfile
from amiws_gevent.live.figuresfile import FiguresFile, name_of
from amiws_gevent.runtime.greenlets import GreenletWatch
from tests.support.hosts import ami_host
from tests.support.patience import WAIT

FIGURES = {"1 pbx:5038": {"day": "2026-11-29", "queues": {}}}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.json"


def test_what_was_written_is_read(path: Path) -> None:
    FiguresFile(path).write(FIGURES)
    assert FiguresFile(path).read() == FIGURES
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(path.parent.iterdir()) == [path]


def test_a_file_that_others_may_read_is_replaced_by_one_that_they_may_not(path: Path) -> None:
    path.write_text("{}")
    path.chmod(0o644)
    FiguresFile(path).write(FIGURES)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_what_is_there_already_is_not_written(path: Path) -> None:
    file = FiguresFile(path)
    file.write(FIGURES)
    before = path.stat().st_ino
    file.write(FIGURES)
    again = FiguresFile(path)
    again.read()
    again.write(FIGURES)
    assert path.stat().st_ino == before
    again.write({})
    assert FiguresFile(path).read() == {}


def test_no_file_is_no_fault(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert FiguresFile(path).read() == {}
    assert caplog.records == []


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"{}",
        b'{"form": 1}',
        b'{"form": 2, "servers": {}}',
        b'{"form": 1, "servers": 3}',
        b"\xff\xfe",
        b"[" * 100_000,
    ],
    ids=lambda content: content[:20].decode("latin-1"),
)
def test_a_broken_file_costs_the_figures_alone(
    path: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    path.write_bytes(content)
    assert FiguresFile(path).read() == {}
    assert f"state_file {path} cannot be read" in caplog.text


def test_one_that_is_far_too_large_is_not_read(
    path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(figuresfile, "LARGEST", 10)
    path.write_text(json.dumps({"form": 1, "servers": FIGURES}))
    assert FiguresFile(path).read() == {}
    assert "more than 10 bytes" in caplog.text


def test_what_is_no_file_is_not_waited_for(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    os.mkfifo(path)  # to open it for reading waits for who writes
    reading = threading.Thread(target=FiguresFile(path).read, daemon=True)
    reading.start()
    reading.join(WAIT)
    stuck = reading.is_alive()
    if stuck:
        path.open("wb").close()
    assert not stuck
    assert f"state_file {path} cannot be read (it is no file)" in caplog.text


@pytest.mark.parametrize("place", ["/dev/zero", "/dev/tty", "/"])
def test_devices_and_folders_cost_the_figures_alone(
    place: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert FiguresFile(Path(place)).read() == {}
    assert f"state_file {place} cannot be read" in caplog.text


def test_a_full_disk_leaves_the_old_file_and_nothing_else(
    path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = FiguresFile(path)
    file.write(FIGURES)

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    faults: list[Any] = []
    monkeypatch.setattr(figuresfile.os, "fsync", full)
    monkeypatch.setattr(gevent.get_hub(), "handle_error", lambda *fault: faults.append(fault))
    file.write({})
    file.write({})
    gevent.sleep(0.01)
    assert faults == [], "a fault in a thread of the pool would change the exit status"
    assert FiguresFile(path).read() == FIGURES
    assert list(path.parent.iterdir()) == [path]
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 1, "once a minute"
    assert f"state_file {path} cannot be written (No space left on device)" in lines[0]
    monkeypatch.undo()
    file.write({})
    assert FiguresFile(path).read() == {}


def test_a_folder_that_is_not_there(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    FiguresFile(path / "deeper" / "state.json").write(FIGURES)
    assert "No such file or directory" in caplog.text


def test_a_disk_that_hangs_is_not_waited_for_and_gets_no_second_write(
    path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = threading.Event()
    calls: list[Any] = []

    def hang(*given: Any) -> None:
        calls.append(given)
        release.wait(WAIT)

    monkeypatch.setattr(figuresfile, "_replace", hang)
    file = FiguresFile(path)
    turned = gevent.spawn(lambda: "the loop turns")
    try:
        file.write(FIGURES, timeout=0.05)
        assert turned.value == "the loop turns"
        assert "no end within 0.05 s" in caplog.text
        file.write({}, timeout=0.05)
        assert len(calls) == 1
    finally:
        release.set()


def test_figures_are_of_a_server_at_an_address() -> None:
    first = name_of(ami_host(id=1, host="a"))
    assert first != name_of(ami_host(id=2, host="a"))
    assert first != name_of(ami_host(id=1, host="b"))
    assert first == name_of(ami_host(id=1, host="a", name="renamed"))


def test_a_disk_that_fails_is_no_fault_of_the_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = GreenletWatch()
    hub = gevent.get_hub()
    monkeypatch.setattr(hub, "handle_error", hub.handle_error)  # put back at the end
    watch.install(hub)
    FiguresFile(tmp_path / "none" / "x").write({"1 a:1": {}})
    assert watch.deaths == 0
