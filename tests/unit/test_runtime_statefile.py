"""A file that outlives the program: whole or not at all, and never in the program's way."""

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

from amiws_gevent.runtime import statefile
from amiws_gevent.runtime.greenlets import GreenletWatch
from amiws_gevent.runtime.statefile import StateFile, UnreadableError
from tests.support.patience import WAIT

VALUE = {"a": [1, 2], "b": {}}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.json"


def file_of(path: Path) -> StateFile:
    return StateFile(path, "things")


def why_not(path: Path) -> str:
    with pytest.raises(UnreadableError) as caught:
        file_of(path).read()
    return str(caught.value)


def test_what_was_written_is_read(path: Path) -> None:
    assert file_of(path).write(VALUE, WAIT) == ""
    assert file_of(path).read() == VALUE
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(path.parent.iterdir()) == [path]


def test_a_file_that_others_may_read_is_replaced_by_one_that_they_may_not(path: Path) -> None:
    path.write_text("{}")
    path.chmod(0o644)
    file_of(path).write(VALUE, WAIT)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_what_is_there_already_is_not_written(path: Path) -> None:
    file = file_of(path)
    file.write(VALUE, WAIT)
    before = path.stat().st_ino
    file.write(VALUE, WAIT)
    again = file_of(path)
    again.read()
    again.write(VALUE, WAIT)
    assert path.stat().st_ino == before
    again.write({}, WAIT)
    assert file_of(path).read() == {}


def test_no_file_is_no_fault(path: Path) -> None:
    assert file_of(path).read() is None


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"{}",
        b'{"form": 1}',
        b'{"form": 2, "things": {}}',
        b'{"form": 1, "others": 3}',
        b"\xff\xfe",
        b"[" * 100_000,
    ],
    ids=lambda content: content[:20].decode("latin-1"),
)
def test_a_broken_file(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    assert why_not(path)


def test_one_that_is_far_too_large_is_not_read(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statefile, "LARGEST", 10)
    path.write_text(json.dumps({"form": 1, "things": VALUE}))
    assert why_not(path) == "more than 10 bytes"


def test_what_is_no_file_is_not_waited_for(path: Path) -> None:
    os.mkfifo(path)  # to open it for reading waits for who writes
    told: list[str] = []
    reading = threading.Thread(target=lambda: told.append(why_not(path)), daemon=True)
    reading.start()
    reading.join(20)
    stuck = reading.is_alive()
    if stuck:
        path.open("wb").close()
    assert not stuck
    assert told == ["it is no file"]


@pytest.mark.parametrize("place", ["/dev/zero", "/dev/tty", "/"])
def test_devices_and_folders(place: str) -> None:
    assert why_not(Path(place))


def test_a_full_disk_leaves_the_old_file_and_nothing_else(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = file_of(path)
    file.write(VALUE, WAIT)

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    faults: list[Any] = []
    monkeypatch.setattr(statefile.os, "fsync", full)
    monkeypatch.setattr(gevent.get_hub(), "handle_error", lambda *fault: faults.append(fault))
    assert file.write({}, WAIT) == "No space left on device"
    gevent.sleep(0.01)
    assert faults == [], "a fault in a thread of the pool would change the exit status"
    assert file_of(path).read() == VALUE
    assert list(path.parent.iterdir()) == [path]
    monkeypatch.undo()
    assert file.write({}, WAIT) == ""
    assert file_of(path).read() == {}


def test_a_folder_that_is_not_there(path: Path) -> None:
    assert file_of(path / "deeper" / "x").write(VALUE, WAIT) == "No such file or directory"


def test_a_disk_that_hangs_is_not_waited_for_and_gets_no_second_write(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = threading.Event()
    calls: list[Any] = []

    def hang(*given: Any) -> None:
        calls.append(given)
        release.wait(60)

    monkeypatch.setattr(statefile, "_replace", hang)
    file = file_of(path)
    turned = gevent.spawn(lambda: "the loop turns")
    try:
        assert file.write(VALUE, 0.05) == "no end within 0.05 s"
        assert turned.value == "the loop turns"
        assert file.write({}, 0.05) == "the write before has not ended"
        assert len(calls) == 1
    finally:
        release.set()


def test_a_disk_that_fails_is_no_fault_of_the_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = GreenletWatch()
    hub = gevent.get_hub()
    monkeypatch.setattr(hub, "handle_error", hub.handle_error)  # put back at the end
    watch.install(hub)
    assert file_of(tmp_path / "none" / "x").write(VALUE, WAIT)
    assert watch.deaths == 0
