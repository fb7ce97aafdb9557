"""A journal's parts for tests: settings, clocks that are set by hand, disks that fail."""

from __future__ import annotations

import errno
import gzip
import json
import logging
import os
from pathlib import Path
from typing import Any

from amiws_plugins.journal.files import Folder
from amiws_plugins.journal.settings import Settings
from amiws_plugins.journal.writer import Writer

from tests.support.clock import Clock

NOON = 1795348800.0  # 2026-11-22 12:00:00 UTC
PREFIX_OF_LINE = len('{"time":"2026-11-22T12:00:00.000Z","message":')


class Disk:
    """`os.write` that takes ``room`` bytes and then fails as a full disk does."""

    def __init__(self) -> None:
        self.room: int | None = None
        self.error = errno.ENOSPC

    def __call__(self, descriptor: int, data: memoryview) -> int:
        if self.room is None:
            return os.write(descriptor, data)
        if self.room <= 0:
            raise OSError(self.error, os.strerror(self.error))
        written = os.write(descriptor, data[: self.room])
        self.room -= written
        return written


def settings(folder: Path, **more: Any) -> Settings:
    return Settings.model_validate({"folder": str(folder), **more})


class Bench:
    """A Writer with a clock and a disk to play with; ``finished`` and ``lost`` count."""

    def __init__(self, folder: Path, **more: Any) -> None:
        self.clock = Clock(NOON)  # the time of day and the other one
        self.disk = Disk()
        self.finished = 0
        self.lost = 0.0
        self.settings = settings(folder, **more)
        self.folder = Folder(self.settings.folder, self.settings.prefix)
        self.writer = self.make()

    def make(self) -> Writer:
        """Another writer on the same folder, as after a new start."""
        return Writer(
            self.settings,
            self.folder,
            log=logging.getLogger("amiws_gevent.plugin.journal"),
            finished=self._finished,
            count_lost=self._count_lost,
            wall=self.clock,
            clock=self.clock,
            write=self.disk,
        )

    def _finished(self) -> None:
        self.finished += 1

    def _count_lost(self, messages: float) -> None:
        self.lost += messages

    def append(self, *texts: str) -> None:
        for text in texts:
            self.writer.append(json.dumps(text).encode())


def message_lines(file: Path, *, live: bool = False) -> list[bytes]:
    """The lines of a file, packed or not; each must be whole JSON with a time.

    With ``live`` the program runs: the last line may be half written, and the
    file packed meanwhile.
    """
    try:
        data = file.read_bytes()
    except FileNotFoundError:
        if not live:
            raise
        data = file.with_name(f"{file.name}.gz").read_bytes()
    if data.startswith(b"\x1f\x8b"):
        data = gzip.decompress(data)
    if live:
        data = data[: data.rfind(b"\n") + 1]
    assert not data or data.endswith(b"\n"), f"{file} ends in a torn line"
    lines = data.splitlines(keepends=True)
    for line in lines:
        entry = json.loads(line)
        assert list(entry) in (["time", "message"], ["time", "lost"]), line
        assert len(entry["time"]) == len("2026-11-22T12:00:00.000Z")
    return lines


def files(folder: Path) -> list[Path]:
    """The files of a journal in order; one that is plain and packed just now is there once."""
    found = {
        path.name.removesuffix(".gz"): path
        for path in sorted(folder.glob("*.jsonl*"), reverse=True)
        if not path.name.endswith(".tmp")
    }
    return [found[name] for name in sorted(found)]


def messages(folder: Path, *, live: bool = False) -> list[Any]:
    """All messages of a folder's files in order; a number for each line that says what was lost."""
    found = []
    for file in files(folder):
        for line in message_lines(file, live=live):
            entry = json.loads(line)
            found.append(entry.get("message", entry.get("lost")))
    return found


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())
