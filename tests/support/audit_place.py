"""A folder with an audit, one with its key, and a disk that can be full."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any

from amiws_gevent.audit import files
from amiws_gevent.audit.chain import Head
from amiws_gevent.audit.ledger import Ledger
from amiws_gevent.audit.verify import Report, Verifier
from amiws_gevent.config import Audit
from tests.support.audit import NOW


class Place:
    """A folder with an audit and one with its key, and the disk that it is on."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "log" / "audit.jsonl"
        self.key = folder / "keys" / "audit.key"
        self.file.parent.mkdir()
        self.key.parent.mkdir()
        self.now = NOW
        self.room = 1 << 40
        """Bytes that the disk takes."""
        self.synced = 0
        self.sync_error: OSError | None = None

    def settings(self, **more: Any) -> Audit:
        return Audit.model_validate({"file": self.file, "key_file": self.key, **more})

    def ledger(self, **more: Any) -> Ledger:
        return Ledger(
            self.settings(**more), wall=lambda: self.now, write=self.write, fsync=self.fsync
        )

    def write(self, descriptor: int, data: memoryview) -> int:
        if not self.room:
            raise OSError(errno.ENOSPC, "No space left on device")
        taken = os.write(descriptor, data[: self.room])
        self.room -= taken
        return taken

    def fsync(self, descriptor: int) -> None:
        if self.sync_error is not None:
            raise self.sync_error
        self.synced += 1
        os.fsync(descriptor)

    def all_files(self) -> list[Path]:
        return [*files.finished_files(self.file), self.file]

    def verify(self, *heads: Head) -> Report:
        verifier = Verifier([files.read_key(self.key)], heads)
        for path in self.all_files():
            verifier.file(path.name, files.lines_of(path))
        return verifier.finish()

    def told(self) -> list[dict[str, Any]]:
        """All records, in the order of the files."""
        return [
            json.loads(line)
            for path in self.all_files()
            if path.exists()
            for line in path.read_bytes().splitlines()
            if line.startswith(b'{"seq"') and line.endswith(b'"}')
        ]

    def whats(self) -> list[str]:
        return [record["what"] for record in self.told()]

    def of(self, what: str) -> list[dict[str, Any]]:
        return [record for record in self.told() if record["what"] == what]

    def users(self) -> list[str]:
        """Of the logins."""
        return [record["user"] for record in self.of("login")]
