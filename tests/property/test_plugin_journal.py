"""Whatever the disk does and whenever the program is killed: nothing else is lost, all is said."""

from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path

from amiws_plugins.journal.archive import Archive
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from tests.support.journal import Bench, message_lines, messages


class Journal(RuleBasedStateMachine):
    """Numbered messages go in; what is in the files is held against what has to be."""

    folder: Path

    @initialize()
    def begin(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        self.bench = Bench(
            self.folder, max_file_size="64k", max_total="1G", buffer="64k", compress="no"
        )
        self.bench.writer.start()
        self.count = 0
        self.killed: set[int] = set()  # numbers that were only in memory at a kill

    @rule(size=st.sampled_from([0, 10, 1000, 20_000, 70_000]), seconds=st.sampled_from([0, 0.5]))
    def message(self, size: int, seconds: float) -> None:
        self.bench.clock.now += seconds
        self.bench.append(f"{self.count} {'x' * size}")
        self.count += 1

    @rule()
    def flush(self) -> None:
        self.bench.writer.flush()

    @rule(seconds=st.sampled_from([1, 61, 40_000]))
    def time_passes(self, seconds: float) -> None:
        self.bench.clock.now += seconds

    @rule(room=st.none() | st.integers(0, 200) | st.integers(0, 100_000))
    def disk_has_room(self, room: int | None) -> None:
        self.bench.disk.room = room

    @rule()
    def rotate(self) -> None:
        self.bench.writer.rotate()

    @rule()
    def stop(self) -> None:
        self.bench.disk.room = None
        self.bench.writer.stop()
        self.restart()

    @rule(torn=st.binary(max_size=20).filter(lambda torn: b"\n" not in torn))
    def kill(self, torn: bytes) -> None:
        """As SIGKILL does it: what is in memory is gone; a write may be half done."""
        found = self.found()
        self.killed |= set(range(self.count)) - found - self.lost_before(found)
        current = self.bench.writer.current
        if current is not None and current.path.exists():
            with current.path.open("ab") as stream:
                stream.write(torn)
        self.bench.writer._close()
        self.bench.folder.leave()
        self.restart()

    def restart(self) -> None:
        self.bench.disk.room = None
        self.bench.writer = self.bench.make()
        self.bench.writer.start()

    def found(self) -> set[int]:
        return {int(entry.split()[0]) for entry in self.entries() if isinstance(entry, str)}

    def lost_before(self, found: set[int]) -> set[int]:
        """What the files say was lost, as the numbers that are missing just before."""
        missing: set[int] = set()
        after = -1
        for entry in self.entries():
            if isinstance(entry, str):
                after = int(entry.split()[0])
            else:
                gap = [n for n in range(after + 1, self.count) if n not in self.killed | missing]
                assert not set(gap[:entry]) & found, "a line says more than is missing there"
                missing |= set(gap[:entry])
        return missing

    def entries(self) -> list[str | int]:
        if not self.folder.exists():
            return []
        return [entry for path in sorted(self.folder.iterdir()) for entry in _whole(path)]

    def look_after_archive(self) -> None:
        archive = Archive(
            self.bench.settings,
            self.bench.folder,
            current=lambda: self.bench.writer.current,
            in_thread=lambda function, *arguments: function(*arguments),
            log=logging.getLogger("amiws_gevent.plugin.journal"),
        )
        assert archive.work()

    def teardown(self) -> None:
        if not hasattr(self, "bench"):
            return
        self.bench.disk.room = None
        self.bench.writer.stop()
        self.look_after_archive()
        for path in self.folder.iterdir():
            message_lines(path)  # whole lines everywhere
        found = self.found()
        lost = self.lost_before(found)
        assert found | lost | self.killed == set(range(self.count))
        assert not found & self.killed
        numbers = [int(entry.split()[0]) for entry in self.entries() if isinstance(entry, str)]
        assert numbers == sorted(found), "in order, and none twice"
        said = sum(entry for entry in messages(self.folder) if isinstance(entry, int))
        assert said == len(lost)


def _whole(path: Path) -> list[str | int]:
    """The entries of a file's whole lines."""
    lines = path.read_bytes().split(b"\n")[:-1]
    return [json.loads(line).get("message", json.loads(line).get("lost")) for line in lines]


def test_journal(tmp_path: Path) -> None:
    machine = type("JournalIn", (Journal,), {"folder": tmp_path / "journal"})
    run_state_machine_as_test(
        machine, settings=settings(max_examples=100, stateful_step_count=30, deadline=None)
    )
