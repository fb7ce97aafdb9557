"""A client of Server-Sent Events, as plain as they are."""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Mapping
from types import TracebackType
from typing import Any, NamedTuple, Self

from tests.support.patience import WAIT


class Event(NamedTuple):
    """An event: its type, its data as JSON has it, and the id that came with it."""

    type: str
    data: Any
    id: str | None


class EventSource:
    """Reads a stream; ``last_id`` is what `Last-Event-ID` would be."""

    def __init__(
        self,
        port: int,
        target: str,
        headers: Mapping[str, str] | None = None,
        *,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        if tls is None:
            self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=WAIT)
        else:
            self._connection = http.client.HTTPSConnection(
                "localhost", port, timeout=WAIT, context=tls
            )
        self._connection.request("GET", target, headers=dict(headers or {}))
        self._answer = self._connection.getresponse()
        self.status = self._answer.status
        self.last_id: str | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self._answer.close()
        self._connection.close()

    def next(self) -> Event | None:
        """The next event; None at the end of the stream."""
        fields: dict[str, str] = {}
        while line := self._answer.readline():
            text = line.decode().rstrip("\n")
            if text and not text.startswith(":"):
                name, _, value = text.partition(": ")
                fields[name] = value
            elif not text:
                self.last_id = fields.get("id", self.last_id)
                if "data" in fields:
                    return Event(fields["event"], json.loads(fields["data"]), fields.get("id"))
                fields = {}
        return None

    def until(self, kind: str) -> Event:
        """The next event of a type; others are passed over."""
        while (event := self.next()) is not None:
            if event.type == kind:
                return event
        raise AssertionError(f"the stream ended without {kind}")

    def ends(self) -> bool:
        """Read to the end, which must come as HTTP has it."""
        while self.next() is not None:
            pass
        return True
