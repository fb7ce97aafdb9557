"""How long the thread was blocked, told from a machine that is busy and from a stop."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from gevent.monkey import get_original

from amiws_gevent.runtime import blocked
from amiws_gevent.runtime.blocked import INTERVAL, BlockedTime

sleep_in_c = get_original("time", "sleep")


@pytest.fixture
def noted() -> Iterator[None]:
    """Stops are noted, as in the program."""
    before = signal.getsignal(signal.SIGCONT)
    blocked.note_stops()
    yield
    signal.signal(signal.SIGCONT, before)


def measured(deed: Callable[[], object]) -> float:
    times = BlockedTime()
    wall, cpu = time.monotonic(), time.thread_time()
    before = times.snapshot(wall)
    assert before is not None
    deed()
    return times.since(before, time.monotonic() - wall, time.thread_time() - cpu)


def compute(seconds: float) -> None:
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


@pytest.mark.usefixtures("noted")
class TestBlocked:
    def test_a_wait_in_c_counts(self) -> None:
        assert measured(lambda: sleep_in_c(0.2)) > 0.15

    def test_so_does_a_lock_of_sqlite(self, tmp_path: Path) -> None:
        def query() -> None:
            with pytest.raises(sqlite3.OperationalError, match="locked"):
                waiting.execute("SELECT * FROM calls")

        holding = sqlite3.connect(tmp_path / "calls", isolation_level=None)
        waiting = sqlite3.connect(tmp_path / "calls", timeout=0.5)
        holding.execute("CREATE TABLE calls (id)")
        holding.execute("BEGIN EXCLUSIVE")
        assert measured(query) > 0.25
        waiting.close()
        holding.close()

    def test_computing_does_not_whatever_else_computes(self) -> None:
        command = (sys.executable, "-c", "import time\nwhile time.process_time() < 30: pass")
        others = [subprocess.Popen(command) for _ in range(4)]
        try:
            assert measured(lambda: compute(0.1)) == 0
        finally:
            for other in others:
                other.kill()
                other.wait()

    def test_nor_does_waiting_for_another_thread_that_computes(self) -> None:
        thread = threading.Thread(target=compute, args=(0.2,))
        thread.start()
        assert measured(lambda: compute(0.1)) < 0.05
        thread.join()

    def test_nor_does_a_call_in_which_the_process_was_continued(self) -> None:
        def deed() -> None:
            sleep_in_c(0.2)
            signal.raise_signal(signal.SIGCONT)

        assert measured(deed) == 0


def test_a_process_that_is_stopped_is_not_blocked() -> None:
    program = """
        import os, signal, time
        from amiws_gevent.runtime import blocked
        blocked.note_stops()
        times = blocked.BlockedTime()
        wall, cpu = time.monotonic(), time.thread_time()
        before = times.snapshot(wall)
        os.kill(os.getpid(), signal.SIGSTOP)
        wall, cpu = time.monotonic() - wall, time.thread_time() - cpu
        print(wall > 0.2, times.since(before, wall, cpu))
    """
    with subprocess.Popen(
        (sys.executable, "-c", textwrap.dedent(program)), stdout=subprocess.PIPE, text=True
    ) as process:
        while Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0] != "T":
            sleep_in_c(0.01)
        sleep_in_c(0.25)
        process.send_signal(signal.SIGCONT)
        assert process.communicate()[0] == "True 0.0\n"


@pytest.fixture
def not_noted() -> Iterator[None]:
    """Stops are not noted, whatever an earlier test has left."""
    before = signal.signal(signal.SIGCONT, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGCONT, before)


@pytest.mark.usefixtures("not_noted")
def test_where_stops_are_not_noted_nothing_is_told() -> None:
    assert measured(lambda: sleep_in_c(0.2)) == 0


def test_a_snapshot_is_taken_each_interval_at_most() -> None:
    times = BlockedTime()
    assert times.snapshot(10.0) is not None
    assert times.snapshot(10.0 + INTERVAL / 2) is None
    assert times.snapshot(10.0 + INTERVAL) is not None


@pytest.mark.usefixtures("noted")
def test_without_the_kernels_figures_nothing_is_told(tmp_path: Path) -> None:
    before = BlockedTime().snapshot(0.0)
    assert before is not None
    times = BlockedTime(tmp_path / "none")
    assert times.snapshot(0.0) is None
    assert times.since(before, 1.0, 0.0) == 0
    (tmp_path / "empty").write_bytes(b"")
    assert BlockedTime(tmp_path / "empty").snapshot(0.0) is None
