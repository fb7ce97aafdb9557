"""Packs finished files in a thread, and removes the oldest past the bound."""

from __future__ import annotations

import logging
import os
import zlib
from collections.abc import Callable
from pathlib import Path

from .files import FILE_MODE, Folder, JournalFile, mend, open_file
from .settings import Settings

_CHUNK = 256 * 1024
_GZIP = 16 + zlib.MAX_WBITS  # zlib's way to ask for a gzip header
_LEVEL = 6


class Stopped(Exception):
    """The program ends: packing is begun again at the next start."""


class Archive:
    """Looks after the finished files of a folder.

    ``current`` gives the file that is being written to, which is left alone;
    ``in_thread`` calls a function in another thread and waits for it.
    """

    def __init__(
        self,
        settings: Settings,
        folder: Folder,
        *,
        current: Callable[[], JournalFile | None],
        in_thread: Callable[..., object],
        log: logging.Logger,
    ) -> None:
        self._settings = settings
        self._folder = folder
        self._current = current
        self._in_thread = in_thread
        self._log = log
        self._stopped = False
        self._fault = ""

    def work(self) -> bool:
        """Pack what is finished and keep to the bound; False if the disk did not let it.

        Told once in the log, until it works again.
        """
        try:
            self._work()
        except Stopped:
            return True
        except OSError as error:
            fault = error.strerror or str(error)
            if fault != self._fault:
                self._log.error("cannot compress or remove old files: %s; will retry", fault)
            self._fault = fault
            return False
        self._fault = ""
        return True

    def stop(self) -> None:
        """Give up what is being packed."""
        self._stopped = True

    def _work(self) -> None:
        for file in self._folder.plain():
            # Asked for anew each time: others run while a file is packed.
            if file == self._current():
                continue
            size = self._whole_size(file)
            if size == 0:
                file.path.unlink()
            elif self._settings.compress:
                self._keep_to_bound(size)
                if file.path.exists():  # else it was the oldest itself
                    self._in_thread(self._pack, file)
        self._keep_to_bound(0)

    def _whole_size(self, file: JournalFile) -> int:
        """Its bytes, once a torn last line is cut off, and all are on the disk."""
        descriptor = open_file(file.path)
        try:
            cut = mend(descriptor)
            if cut:
                self._log.warning(
                    "%s ended in an incomplete line: removed its %d bytes", file.path, cut
                )
            if self._settings.fsync_interval is not None:
                self._in_thread(os.fsync, descriptor)
            return os.fstat(descriptor).st_size
        finally:
            os.close(descriptor)

    def _keep_to_bound(self, more: int) -> None:
        """Remove the oldest files so that ``more`` bytes fit beside the largest present file."""
        room = self._settings.max_total - self._settings.max_file_size - more
        current = self._current()
        sizes = [
            (path, size)
            for path, size in self._folder.sizes()
            if current is None or path != current.path
        ]
        total = sum(size for _, size in sizes)
        for path, size in sizes:
            if total <= room:
                return
            path.unlink()
            total -= size
            self._log.info("removed %s: the files together exceeded max_total", path)

    def _pack(self, file: JournalFile) -> None:
        """In a thread of its own, so nothing here may touch what belongs to greenlets."""
        temporary = file.packed.with_name(f"{file.packed.name}.tmp")
        try:
            self._pack_to(temporary, file.path)
            temporary.rename(file.packed)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        folder = os.open(file.path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)  # so that a power cut leaves one of the two
        finally:
            os.close(folder)
        file.path.unlink()

    def _pack_to(self, target: Path, source: Path) -> None:
        packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP)
        with source.open("rb") as plain, target.open("wb") as packed:
            os.fchmod(packed.fileno(), FILE_MODE)
            while chunk := plain.read(_CHUNK):
                if self._stopped:
                    raise Stopped
                packed.write(packer.compress(chunk))
            packed.write(packer.flush())
            packed.flush()
            os.fsync(packed.fileno())
