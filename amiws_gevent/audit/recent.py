"""The last records, for people: as many as a bound in number and bytes allows."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import orjson

MOST = 1000
MOST_BYTES = 4 * 1024 * 1024


class Recent:
    """Keeps lines as they are in the file, and reads them when somebody asks."""

    def __init__(self, most: int = MOST, most_bytes: int = MOST_BYTES) -> None:
        self._most = most
        self._most_bytes = most_bytes
        self._lines: deque[bytes] = deque()
        self._bytes = 0

    def add(self, lines: Sequence[bytes]) -> None:
        """Keep lines; the oldest go."""
        for line in lines[-self._most :]:
            self._lines.append(line)
            self._bytes += len(line)
        while len(self._lines) > self._most or self._bytes > self._most_bytes:
            self._bytes -= len(self._lines.popleft())

    def clear(self) -> None:
        self._lines.clear()
        self._bytes = 0

    def last(
        self,
        number: int,
        wanted: Callable[[dict[str, Any]], bool] = lambda _record: True,
        *,
        after: int = 0,
    ) -> list[dict[str, Any]]:
        """The last ``number`` that are wanted and come behind ``after``, the newest first."""
        found: list[dict[str, Any]] = []
        for line in reversed(tuple(self._lines)):
            record = orjson.loads(line)
            if record["seq"] <= after:
                break
            if wanted(record):
                found.append(record)
                if len(found) >= number:
                    break
        return found
