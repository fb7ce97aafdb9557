"""Reads a trace of Chromium: what its main thread did, how fast it answered, what frames it lost.

Times are in milliseconds; those of a trace are microseconds. A window is a part of the time, from
one mark of the page (``performance.mark``) to another.
"""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Iterator
from typing import Any, NamedTuple

CATEGORIES = [
    "blink.user_timing",
    "devtools.timeline",
    "disabled-by-default-devtools.timeline",
    "devtools.timeline.frame",
    "disabled-by-default-devtools.timeline.frame",
]

Event = dict[str, Any]


class Window(NamedTuple):
    """From when to when, in microseconds of the trace."""

    start: int
    end: int

    @property
    def milliseconds(self) -> float:
        return (self.end - self.start) / 1000


class Answer(NamedTuple):
    """How long an answer took, and how long the main thread worked in that time."""

    milliseconds: float
    own: float


class Trace:
    """The trace of one page: of the process that made its marks."""

    def __init__(self, content: bytes) -> None:
        events: list[Event] = json.loads(content)["traceEvents"]
        marks = [one for one in events if one.get("cat") == "blink.user_timing"]
        self._marks: dict[str, list[int]] = {}
        for one in marks:
            self._marks.setdefault(one["name"], []).append(one["ts"])
        newest = marks[-1]
        self._thread = newest["pid"], newest["tid"]
        self._events = [one for one in events if one["pid"] == newest["pid"]]
        self._commits = self._times("Commit")
        self._pictures = self._times("DrawFrame")

    def window(self, start: str, end: str) -> Window:
        """The time between two marks."""
        return Window(self._marks[start][-1], self._marks[end][-1])

    def tasks(self, window: Window) -> list[float]:
        """How long each task of the main thread was, in its own time.

        In time of the thread, so that what else the machine does is not in it; what Chromium
        adds to be slower is.
        """
        return [one["tdur"] / 1000 for one in self._of("RunTask", window) if "tdur" in one]

    def longest_parts(self, window: Window, count: int = 8) -> list[tuple[str, float]]:
        """What the longest tasks had in them, for who looks for the cause: name, own time."""
        parts = [
            (str(one["name"]), one["tdur"] / 1000)
            for one in self._within(window)
            if one.get("ph") == "X" and one["name"] != "RunTask" and one.get("tdur", 0) > 1000
        ]
        return sorted(parts, key=lambda part: -part[1])[:count]

    def totals(self, window: Window) -> dict[str, float]:
        """For each kind of work of the main thread, its time in all, parts included."""
        found: dict[str, float] = {}
        for one in self._within(window):
            if one.get("ph") == "X" and (one["pid"], one["tid"]) == self._thread:
                found[one["name"]] = found.get(one["name"], 0) + one.get("tdur", 0) / 1000
        return found

    def answers(self, window: Window, drawn: str | None = None) -> list[Answer]:
        """From each press of a key or button to the picture that shows what came of it.

        Chromium's own figure ends with the next picture. If the page draws what a click asks for
        in a later task, ``drawn`` names the mark that it then makes, for which we wait too.
        """
        found: dict[int, Answer] = {}
        for one in self._of("EventTiming", window):
            data = one.get("args", {}).get("data", {})
            if interaction := data.get("interactionId"):
                end: int = one["ts"] + round(1000 * data["duration"])
                if data["type"] == "click" and drawn is not None:
                    begin = one["ts"] + round(1000 * (data["processingStart"] - data["timeStamp"]))
                    end = max(end, self._shown(begin, drawn))
                own = sum(self.tasks(Window(one["ts"] - 1, end)))
                answer = Answer((end - one["ts"]) / 1000, own)
                found[interaction] = max(found.get(interaction, answer), answer)
        return list(found.values())

    def _shown(self, begin: int, drawn: str) -> int:
        """When that was to be seen which was drawn first after ``begin``."""
        marked = _first(self._marks.get(drawn, []), begin)
        return _first(self._pictures, _first(self._commits, marked))

    def lost_frames(self, window: Window) -> tuple[int, int]:
        """How many pictures were lost, and how many were shown.

        One for which the compositor had the scrolling in time, and the page not yet its change,
        was shown.
        """
        dropped = (one["args"] for one in self._of("DroppedFrame", window))
        lost = sum(not one.get("hasPartialUpdate") for one in dropped)
        return lost, sum(1 for _ in self._of("DrawFrame", window))

    def _times(self, name: str) -> list[int]:
        """When each of them was over."""
        return sorted(one["ts"] + one.get("dur", 0) for one in self._events if one["name"] == name)

    def _of(self, name: str, window: Window) -> Iterator[Event]:
        everywhere = name in ("DroppedFrame", "DrawFrame", "EventTiming")
        for one in self._within(window):
            is_here = everywhere or (one["pid"], one["tid"]) == self._thread
            if is_here and one["name"] == name:
                yield one

    def _within(self, window: Window) -> Iterator[Event]:
        return (one for one in self._events if window.start <= one["ts"] < window.end)


def _first(times: list[int], begin: int) -> int:
    """The first of the sorted times that is not before ``begin``; else that itself."""
    place = bisect_left(times, begin)
    return times[place] if place < len(times) else begin
