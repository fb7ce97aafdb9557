"""An audit that is kept in a list, and can be made to fail, in the place of a trail."""

from __future__ import annotations

from typing import Any

import orjson
from gevent.event import Event

from amiws_gevent.audit.chain import Head, seal
from amiws_gevent.audit.trail import Trail
from amiws_gevent.audit.writer import Ticket, Writer
from amiws_gevent.config import Audit
from tests.support.audit import KEY


class MemoryWriter:
    """Takes records as `Writer` does. While it is not ``open``, who must wait does."""

    def __init__(self) -> None:
        self.records: list[dict[str, Any]] = []
        self.outage = ""
        self.refusing = False
        self.waiting = self.count = self.refused = self.lost = 0
        self.open = Event()
        self.open.set()
        self.fails_next = ""

    def put(self, record: bytes, *, must: bool = False) -> Ticket | None:
        self.records.append(orjson.loads(record))
        return _Held(self) if must else None

    def configure(self, settings: Audit) -> None: ...

    def stop(self, timeout: float) -> None: ...


class _Held(Ticket):
    def __init__(self, writer: MemoryWriter) -> None:
        self._memory = writer

    def wait(self) -> str:
        self._memory.open.wait()
        return self._memory.fails_next


class MemoryTrail(Trail):
    """A trail over a list."""

    def __init__(self, on_failure: str = "refuse") -> None:
        super().__init__()
        self.memory = MemoryWriter()
        writer: Any = self.memory
        self._writer: Writer | None = writer
        self._settings = Audit.model_validate(
            {"file": "/x/a", "key_file": "/y/k", "on_failure": on_failure}
        )

    def fail(self, why: str) -> None:
        """From now on nothing can be written."""
        self.memory.outage, self.memory.refusing = why, True

    def told(self, what: str) -> list[dict[str, Any]]:
        """The records of a kind."""
        return [record for record in self.memory.records if record["what"] == what]

    def remember(self) -> None:
        """Put what was recorded into `recent`, as the writer does."""
        head = Head()
        for record in self.memory.records:
            line, head = seal(orjson.dumps(record), head, KEY)
            self.recent.add([line])
