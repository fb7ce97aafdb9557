"""The lines that wait for the receiver: bounded, the oldest go first."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence


class Outbox:
    """At most ``max_lines`` lines and ``max_bytes`` bytes; past either the oldest are dropped."""

    def __init__(self, max_lines: int, max_bytes: int) -> None:
        self.max_lines = max_lines
        self.max_bytes = max_bytes
        self.dropped = 0
        """Lines dropped since the start, none of which went on its way."""
        self._lines: deque[bytes] = deque()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._lines)

    def put(self, line: bytes) -> None:
        """Take a line, in the place of the oldest ones if there is no room."""
        self._lines.append(line)
        self._bytes += len(line)
        self._hold_bounds()

    def put_first(self, line: bytes) -> None:
        """Take a line before all others, whatever the bounds: the next to be sent."""
        self._lines.appendleft(line)
        self._bytes += len(line)

    def first(self) -> bytes:
        """The line that is next; IndexError without one."""
        return self._lines[0]

    def pop(self) -> bytes:
        """Take the next line out; IndexError without one."""
        line = self._lines.popleft()
        self._bytes -= len(line)
        return line

    def put_back(self, lines: Sequence[bytes]) -> None:
        """Lines taken out and not begun go first again, in the order given."""
        self._lines.extendleft(reversed(lines))
        self._bytes += sum(map(len, lines))
        self._hold_bounds()

    def _hold_bounds(self) -> None:
        while len(self._lines) > self.max_lines or self._bytes > self.max_bytes:
            self.pop()
            self.dropped += 1
