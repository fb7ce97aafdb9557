"""What is wrong with the lines of an audit, and what its lines cannot tell.

A line is proven by the code of the one before it (see ``chain``). Where that fails, the line is
taken by what it says of itself, so that one change is told as one and not as the end of all that
follows.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from amiws_gevent.audit.chain import Head, Key, Line, line_of
from amiws_gevent.audit.records import BEGIN, CHANGED, MOVED, NEW_KEY, OUTAGE, REMOVED, TORN

MOST_PROBLEMS = 200
"""That are told; more are counted."""

_REMEMBERED = 4096  # codes of lines, to know one that was moved


@dataclass
class Report:
    """What was found, in the order of the files."""

    problems: list[str] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
    """What somebody may want to look at, and what needs no explanation by a change."""
    more: int = 0
    """Problems that are not in the list."""
    records: int = 0
    first: int = 0
    """The number of the first record."""
    last: Head = field(default_factory=Head)
    times: tuple[str, str] = ("", "")
    """Of the first and the last record."""

    @property
    def sound(self) -> bool:
        return not self.problems


@dataclass
class _Place:
    file: str
    line: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


class Verifier:
    """Reads files one after the other, in their order; ``keys`` are those that lines may have.

    ``heads`` are known from elsewhere, such as the log.
    """

    def __init__(self, keys: Iterable[Key], heads: Iterable[Head] = ()) -> None:
        self._keys = {key.name: key for key in keys}
        self._heads = {head.seq: head for head in heads}
        self._report = Report()
        self._key: Key | None = None
        self._place = _Place("")
        self._head: Head | None = None
        """Behind which the next line is to be; None: before the first file."""
        self._highest = 0
        self._missing: list[tuple[int, int, str]] = []
        self._claimed: OrderedDict[int, list[bytes]] = OrderedDict()
        self._fragment: int | None = None  # bytes of the line before, which is no record
        self._torn = ""  # where the last line has no end

    def file(self, name: str, lines: Iterable[bytes]) -> None:
        """Verify the next file; its lines have their line feeds."""
        if self._torn:
            self._problem(f"{self._torn}: the last line is not whole, though another file follows")
            self._torn = ""
        self._place = _Place(name)
        for data in lines:
            self._place.line += 1
            if not data.endswith(b"\n"):
                self._torn = str(self._place)
                break
            line = line_of(data[:-1])
            if self._place.line == 1:
                self._begin(line)
            if line is None:
                self._close_fragment()
                self._fragment = len(data) - 1
            else:
                self._line(line)
        self._close_fragment()
        if not self._place.line:
            self._note(f"{name}: is empty")

    def finish(self) -> Report:
        """All files were read."""
        report = self._report
        if self._torn:
            self._note(
                f"{self._torn}: the last line is not whole: it was being written when the program "
                "or the machine ended, or somebody has cut it"
            )
        for first, last, place in self._missing:
            what = f"record {first} is" if first == last else f"records {first} to {last} are"
            self._problem(f"{place}: {what} missing before this line")
        for seq, head in sorted(self._heads.items()):
            if seq > self._highest:
                self._problem(
                    f"{self._place.file}: the end is missing: there was a record {head.seq}, "
                    f"and the files end with {self._highest}"
                )
            elif seq < report.first:
                self._note(f"the head {seq} is of before the first file")
        return report

    # -- a line ------------------------------------------------------------------------

    def _begin(self, line: Line | None) -> None:
        """The first line of a file: the key that it has, and the end of the file before."""
        told = line.fields() if line is not None else {}
        if line is None or told.get("what") != BEGIN:
            self._problem(f"{self._place}: the first line, of the file, is missing")
            if self._head is None:
                self._key = next(iter(self._keys.values()), None)
                self._head = Head() if line is None else Head(line.seq - 1)
                self._highest = self._head.seq
            return
        self._key = self._keys.get(told.get("key", ""))
        if self._key is None:
            self._problem(f"{self._place}: the key of this file ({told.get('key')}) is not given")
        before = _head_of(told.get("before"))
        if self._head is None:
            self._highest = before.seq
            if before.seq:
                name = told["before"].get("file")
                self._note(f"{self._place}: goes on from {name}, record {before.seq}: not given")
        elif before != self._head:
            self._apart(before, told["before"].get("file") if told.get("before") else None)
        if told.get("why") in (MOVED, CHANGED, NEW_KEY):
            self._note(f"{self._place}: begun because of the file before: {told['why']}")
        self._head = before
        self._highest = max(self._highest, before.seq)

    def _apart(self, before: Head, file: object) -> None:
        assert self._head is not None
        if before.seq > self._head.seq:
            self._problem(
                f"{self._place}: records {self._head.seq + 1} to {before.seq} are missing: the end "
                f"of the file before, or a file between them (this one goes on from {file})"
            )
        else:
            self._problem(
                f"{self._place}: does not go on where the file before ends: it goes on from record "
                f"{before.seq} of {file}, and the one before ends with {self._head.seq}"
            )

    def _line(self, line: Line) -> None:
        told = line.fields()
        self._count(line, told)
        assert self._head is not None
        if self._key is not None:
            self._prove(line, self._key, self._head)
        else:
            self._head, self._highest = line.head, max(self._highest, line.seq)
        self._claimed.setdefault(line.seq, []).append(line.mac)
        if len(self._claimed) > _REMEMBERED:
            self._claimed.popitem(last=False)
        known = self._heads.get(line.seq)
        if known is not None and known.mac != line.mac:
            self._problem(
                f"{self._place}: record {line.seq} is not the one of the head that is known: "
                "all was written anew with the key"
            )
        self._special(told)

    def _prove(self, line: Line, key: Key, head: Head) -> None:
        mac = key.mac(head.mac, line.body)
        if mac == line.mac:
            if line.seq != self._highest + 1:
                self._problem(f"{self._before()}: the number of this record was changed")
                self._missing = [gap for gap in self._missing if gap[1] < line.seq]
            self._head, self._highest = line.head, line.seq
            return
        known = self._claimed.get(line.seq - 1, ())
        elsewhere = any(key.mac(before, line.body) == line.mac for before in known)
        if line.seq <= self._highest:
            self._problem(f"{self._place}: record {line.seq} {self._misplaced(line.seq)}")
            if elsewhere:
                self._head = line.head
            return
        if line.seq > self._highest + 1:
            self._missing.append((self._highest + 1, line.seq - 1, str(self._place)))
        elif not elsewhere:
            self._problem(f"{self._place}: record {line.seq} was changed")
        self._head, self._highest = line.head, line.seq

    def _misplaced(self, seq: int) -> str:
        for number, (first, last, place) in enumerate(self._missing):
            if first <= seq <= last:
                parts = ((first, seq - 1, place), (seq + 1, last, place))
                self._missing[number : number + 1] = [part for part in parts if part[0] <= part[1]]
                return "is not in its place"
        return "is there twice, or was put in"

    def _count(self, line: Line, told: Mapping[str, Any]) -> None:
        report = self._report
        when = str(told.get("time", ""))
        if not report.records:
            report.first, report.times = line.seq, (when, when)
        report.records += 1
        report.last, report.times = line.head, (report.times[0], when)

    def _special(self, told: Mapping[str, Any]) -> None:
        what = told.get("what")
        fragment, self._fragment = self._fragment, None
        if what == TORN:
            if fragment == told.get("bytes"):
                self._note(
                    f"{self._place}: the line before it ({fragment} bytes) is not whole: it was "
                    "being written when the program ended, or somebody has cut it then"
                )
            else:
                self._problem(f"{self._place}: the line that it tells of is missing")
        elif fragment is not None:
            self._problem(f"{self._before()}: is no record")
        if what == OUTAGE:
            self._note(
                f"{self._place}: nothing could be written since {told.get('since')} "
                f"({told.get('reason')}): {told.get('refused')} actions were refused, "
                f"{told.get('lost')} records are lost"
            )
        elif what == REMOVED:
            files: Sequence[object] = told.get("files") or ()
            self._note(f"{self._place}: old files were removed: {', '.join(map(str, files))}")

    def _before(self) -> str:
        return f"{self._place.file}:{self._place.line - 1}"

    def _close_fragment(self) -> None:
        if self._fragment is not None:
            self._fragment = None
            self._problem(f"{self._place}: is no record, or the line before it is none")

    # -- what is told ------------------------------------------------------------------

    def _problem(self, text: str) -> None:
        if len(self._report.problems) < MOST_PROBLEMS:
            self._report.problems.append(text)
        else:
            self._report.more += 1

    def _note(self, text: str) -> None:
        self._report.notices.append(text)


def _head_of(before: object) -> Head:
    """What the first line of a file says of the end of the one before."""
    if not isinstance(before, Mapping):
        return Head()
    try:
        return Head.of(f"{before.get('seq')}:{before.get('mac')}")
    except ValueError:
        return Head()
