from __future__ import annotations

import fcntl
import logging
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from amiws_gevent.runtime import log
from tests.support.clock import Clock
from tests.support.patience import WAIT

LINK = logging.getLogger("amiws_gevent.link")


class Daemon:
    """A syslog daemon: a socket at ``path`` that can be drained, stopped and started."""

    def __init__(self, path: Path, kind: socket.SocketKind = socket.SOCK_DGRAM) -> None:
        self.path = path
        self.kind = kind
        self.peer: socket.socket | None = None
        self.start()

    def start(self) -> None:
        self.socket = socket.socket(socket.AF_UNIX, self.kind)
        self.socket.bind(str(self.path))
        self.socket.setblocking(False)
        if self.kind == socket.SOCK_STREAM:
            self.socket.listen(5)

    def stop(self) -> None:
        if self.peer:
            self.peer.close()
            self.peer = None
        self.socket.close()
        self.path.unlink()

    def lines(self) -> list[str]:
        if self.kind == socket.SOCK_STREAM:
            return self._stream_lines()
        lines = []
        while True:
            try:
                lines.append(self.socket.recv(65536).decode())
            except BlockingIOError:
                return lines

    def _stream_lines(self) -> list[str]:
        if self.peer is None:
            self.peer = self.socket.accept()[0]
            self.peer.setblocking(False)
        data = b""
        while True:
            try:
                data += self.peer.recv(65536)
            except BlockingIOError:
                return data.decode().splitlines()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    running = Daemon(tmp_path / "log")
    yield running
    if running.socket.fileno() >= 0:
        running.stop()


@pytest.fixture
def control(daemon: Daemon, clock: Clock) -> Iterator[log.LogControl]:
    made = log.configure(40, 6, foreground=False, address=str(daemon.path), clock=clock)
    yield made
    made.close()


def fill(daemon: Daemon) -> int:
    """Log until the daemon's queue is full; how many lines were lost."""
    before = lost = 0
    while not lost:
        LINK.info("filling %d", before)
        before += 1
        assert before < 100_000
        lost = sum(h.lost for h in logging.getLogger().handlers if isinstance(h, log.LossyHandler))
    return lost


def test_a_line_has_priority_time_ident_pid_and_room(
    control: log.LogControl, daemon: Daemon
) -> None:
    LINK.info("%s: connected", "asterisk01")
    (line,) = daemon.lines()
    assert re.fullmatch(
        rf"<46>[A-Z][a-z]{{2}} [ \d]\d \d\d:\d\d:\d\d amiws-gevent\[{os.getpid()}\]: "
        r"link: asterisk01: connected",
        line,
    )


@pytest.mark.parametrize(
    ("level", "priority"),
    [(logging.DEBUG, 7), (20, 6), (25, 5), (30, 4), (40, 3), (50, 2), (60, 1), (70, 0)],
)
def test_python_levels_become_syslog_severities(
    daemon: Daemon, clock: Clock, level: int, priority: int
) -> None:
    control = log.configure(128, 7, foreground=False, address=str(daemon.path), clock=clock)
    try:
        LINK.log(level, "x")
        assert daemon.lines()[0].startswith(f"<{128 | priority}>")
    finally:
        control.close()


@pytest.mark.parametrize("priority", range(8))
def test_log_level_passes_its_priority_and_the_graver_ones(
    control: log.LogControl, daemon: Daemon, priority: int
) -> None:
    control.reconfigure(40, priority)
    for one in range(8):
        LINK.log(log.python_level(one), "x")
    assert [line[: line.index(">") + 1] for line in daemon.lines()] == [
        f"<{40 | one}>" for one in range(priority + 1)
    ]


def test_a_line_now_passes_whoever_holds_the_locks(
    control: log.LogControl, daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Held:
        """A lock for which one would wait for ever; Python 3.13 enters it without acquire()."""

        def acquire(self) -> None:
            raise AssertionError("somebody holds the lock")

        __enter__ = acquire

        def release(self, *error: object) -> None: ...

        __exit__ = release

    logger: logging.Logger | None = LINK
    while logger is not None:
        for handler in logger.handlers:
            monkeypatch.setattr(handler, "lock", Held())
        logger = logger.parent
    with pytest.raises(AssertionError):
        LINK.info("as all other lines")
    control.tell_now(LINK, logging.CRITICAL, "100 % lost")
    (line,) = daemon.lines()
    assert line.endswith(f"[{os.getpid()}]: link: 100 % lost")
    assert line.startswith("<42>")


def test_reconfigure_changes_facility_and_level(control: log.LogControl, daemon: Daemon) -> None:
    LINK.debug("no")
    control.reconfigure(128, 7)
    LINK.debug("yes")
    (line,) = daemon.lines()
    assert line.startswith("<135>")
    assert line.endswith("yes")


def test_other_libraries_are_heard_from_warning_on_whatever_the_level(
    control: log.LogControl, daemon: Daemon
) -> None:
    control.reconfigure(40, 7)
    logging.getLogger("other_library.pool").debug("Authorization: Basic c2VjcmV0")
    logging.getLogger("other_library.pool").warning("pool is full")
    logging.getLogger("amiws_plugins.mask").debug("ready")
    assert [line.split("]: ")[1] for line in daemon.lines()] == [
        "other_library.pool: pool is full",
        "amiws_plugins.mask: ready",
    ]


def test_control_characters_cannot_forge_a_line(control: log.LogControl, daemon: Daemon) -> None:
    LINK.info("user %s", "x\r\n<32>root: gone\x1b[2J\x00\x85\u2028\u202e é")
    (line,) = daemon.lines()
    assert line.endswith(r"user x\r\n<32>root: gone\x1b[2J\x00\x85\u2028\u202e " + "é")


def test_a_lone_surrogate_is_escaped() -> None:
    """Not through the logger: pytest-xdist cannot carry what pytest captures of it."""
    assert log.fit("a\ud800b") == rb"a\ud800b"


@pytest.mark.parametrize("text", ["x" * 5000, "é" * 5000, "aé€" * 4000, "\n" * 5000])
def test_long_lines_are_cut_between_characters(
    control: log.LogControl, daemon: Daemon, text: str
) -> None:
    LINK.info("%s", text)
    (line,) = daemon.lines()
    assert log.MAX_LINE - 4 <= len(line.encode()) <= log.MAX_LINE
    assert line.endswith("...")


def test_an_exception_is_one_line_with_its_frames(control: log.LogControl, daemon: Daemon) -> None:
    def inner() -> None:
        raise ValueError("bad\nthing")

    try:
        inner()
    except ValueError:
        LINK.exception("reading")
    (line,) = daemon.lines()
    assert re.search(
        r"link: reading: ValueError: bad\\nthing "
        r"\[test_runtime_log\.py:\d+ test_an_exception\w+ > test_runtime_log\.py:\d+ inner\]$",
        line,
    )


def test_a_log_call_with_wrong_arguments_raises_nothing(daemon: Daemon) -> None:
    handler = log.SyslogHandler(log.SyslogSocket(str(daemon.path)), 40, "amiws-gevent")
    record = logging.LogRecord(LINK.name, logging.INFO, "", 0, "%d calls", ("many",), None)
    handler.emit(record)
    handler.close()
    assert daemon.lines()[0].endswith("link: %d calls (log call with wrong arguments: TypeError)")


def test_an_absent_daemon_costs_lines_only_and_is_told_when_it_comes(
    tmp_path: Path, clock: Clock
) -> None:
    control = log.configure(40, 6, foreground=False, address=str(tmp_path / "log"), clock=clock)
    try:
        for number in range(3):
            LINK.info("lost %d", number)
        daemon = Daemon(tmp_path / "log")
        LINK.info("still within the second")
        clock.now += log.RECONNECT_INTERVAL
        LINK.info("heard")
        LINK.info("again")
        lines = [line.split("]: ")[1] for line in daemon.lines()]
        assert lines == ["log: 4 log lines were lost", "link: heard", "link: again"]
        assert control.lost == 4
        daemon.stop()
    finally:
        control.close()


def test_without_syslog_nothing_is_lost_that_the_terminal_has(tmp_path: Path, clock: Clock) -> None:
    read, write = os.pipe()
    control = log.configure(
        40, 6, foreground=True, address=str(tmp_path / "log"), terminal=write, clock=clock
    )
    try:
        LINK.info("in a container")
        assert b"in a container" in os.read(read, 4096)
        assert control.lost == 0
        daemon = Daemon(tmp_path / "log")
        clock.now += log.RECONNECT_INTERVAL
        LINK.info("heard")
        daemon.stop()
        LINK.info("lost where it is looked for")
        assert control.lost > 0
    finally:
        control.close()
        os.close(read)
        os.close(write)


def test_reconnects_are_tried_once_a_second(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = []
    outlet = log.SyslogSocket(str(tmp_path / "log"), clock)
    original = outlet._open
    monkeypatch.setattr(outlet, "_open", lambda kind: (tried.append(kind), original(kind))[1])
    for _ in range(30):
        outlet.write(b"x")
        clock.now += 0.25
    assert len(tried) == 8


def test_a_full_queue_drops_and_counts_and_recovers(
    control: log.LogControl, daemon: Daemon
) -> None:
    lost = fill(daemon)
    LINK.info("lost too")
    daemon.lines()
    LINK.warning("after")
    assert [line.split("]: ")[1] for line in daemon.lines()] == [
        f"log: {lost + 1} log lines were lost",
        "link: after",
    ]


def test_a_restarted_daemon_gets_the_next_line(
    control: log.LogControl, daemon: Daemon, clock: Clock
) -> None:
    LINK.info("before")
    daemon.stop()
    daemon.start()
    clock.now += log.RECONNECT_INTERVAL
    LINK.info("after")
    assert [line.split("]: ")[1] for line in daemon.lines()] == ["link: after"]


def test_a_daemon_that_ends_loses_lines_until_it_is_back(
    control: log.LogControl, daemon: Daemon, clock: Clock
) -> None:
    LINK.info("before")
    daemon.stop()
    clock.now += 10
    LINK.info("lost")
    clock.now += 10
    LINK.info("lost too")
    daemon.start()
    clock.now += 10
    LINK.info("after")
    assert [line.split("]: ")[1] for line in daemon.lines()] == [
        "log: 2 log lines were lost",
        "link: after",
    ]


def test_a_stream_socket_is_spoken_to_in_lines(tmp_path: Path, clock: Clock) -> None:
    daemon = Daemon(tmp_path / "log", socket.SOCK_STREAM)
    control = log.configure(40, 6, foreground=False, address=str(tmp_path / "log"), clock=clock)
    try:
        LINK.info("one")
        LINK.info("two")
        assert [line.split("]: ")[1] for line in daemon.lines()] == ["link: one", "link: two"]
    finally:
        control.close()
        daemon.stop()


def test_a_stuck_stream_never_splits_a_line(tmp_path: Path, clock: Clock) -> None:
    daemon = Daemon(tmp_path / "log", socket.SOCK_STREAM)
    control = log.configure(40, 6, foreground=False, address=str(tmp_path / "log"), clock=clock)
    try:
        fill(daemon)
        for _ in range(50):
            daemon.lines()
            LINK.info("after")
        text = "\n".join(daemon.lines())
        assert text.endswith("link: after")
        assert all(line.startswith("<4") for line in text.splitlines())
    finally:
        control.close()
        daemon.stop()


def test_a_stream_daemon_that_ends_is_connected_again(tmp_path: Path, clock: Clock) -> None:
    daemon = Daemon(tmp_path / "log", socket.SOCK_STREAM)
    control = log.configure(40, 6, foreground=False, address=str(tmp_path / "log"), clock=clock)
    try:
        LINK.info("one")
        daemon.lines()
        daemon.stop()
        daemon.start()
        clock.now += 10
        LINK.info("two")
        assert [line.split("]: ")[1] for line in daemon.lines()] == ["link: two"]
    finally:
        control.close()
        daemon.stop()


def test_whether_a_daemon_listens_can_be_asked(daemon: Daemon, tmp_path: Path) -> None:
    assert log.syslog_listens(str(daemon.path))
    assert not log.syslog_listens(str(tmp_path / "none"))


def test_no_file_descriptor_left_costs_lines_only(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none_left(*_: object) -> socket.socket:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(log.socket, "socket", none_left)
    assert log.SyslogSocket(str(tmp_path / "log"), clock).write(b"x") is False


class TestForeground:
    @pytest.fixture
    def pipe(self) -> Iterator[tuple[int, int]]:
        ends = os.pipe()
        yield ends
        for end in ends:
            try:
                os.close(end)
            except OSError:
                continue

    @pytest.fixture
    def shown(
        self, daemon: Daemon, clock: Clock, pipe: tuple[int, int]
    ) -> Iterator[log.LogControl]:
        made = log.configure(
            40, 6, foreground=True, address=str(daemon.path), clock=clock, terminal=pipe[1]
        )
        yield made
        made.close()

    def test_time_level_and_room(
        self, shown: log.LogControl, pipe: tuple[int, int], daemon: Daemon
    ) -> None:
        LINK.warning("a\nb")
        assert re.fullmatch(
            rb"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} WARNING link: a\\nb\n",
            os.read(pipe[0], 65536),
        )
        assert len(daemon.lines()) == 1

    def test_a_traceback_is_shown_in_full(
        self, shown: log.LogControl, pipe: tuple[int, int]
    ) -> None:
        try:
            raise ValueError("bad\x1b")
        except ValueError as error:
            LINK.error("reading", exc_info=error)
        lines = os.read(pipe[0], 65536).decode().splitlines()
        assert lines[0].endswith("ERROR   link: reading")
        assert lines[1] == "    Traceback (most recent call last):"
        assert lines[-1] == r"    ValueError: bad\x1b"

    def test_a_broken_pipe_ends_nothing(
        self, shown: log.LogControl, pipe: tuple[int, int], daemon: Daemon
    ) -> None:
        os.close(pipe[0])
        LINK.info("one")
        LINK.info("two")
        assert len(daemon.lines()) == 2

    def test_a_closed_descriptor_ends_nothing(
        self, shown: log.LogControl, pipe: tuple[int, int], daemon: Daemon
    ) -> None:
        LINK.info("the first line opens the syslog socket")
        os.close(pipe[1])
        LINK.info("two")
        assert len(daemon.lines()) == 2

    def test_a_pipe_that_nobody_reads_loses_lines_and_is_told(
        self, shown: log.LogControl, pipe: tuple[int, int]
    ) -> None:
        size = fcntl.fcntl(pipe[1], fcntl.F_GETPIPE_SZ)
        for number in range(size // 1000):
            LINK.info("%d %s", number, "x" * 1500)
        os.read(pipe[0], size)
        LINK.info("after")
        told, after = os.read(pipe[0], size).decode().splitlines()
        assert re.search(r"WARNING log: \d+ log lines were lost$", told)
        assert after.endswith("link: after")

    def test_without_a_usable_stderr_stream_descriptor_2_is_taken(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sys, "stderr", None)
        assert log._stderr_descriptor() == 2


PATCHED_PROGRAM = """
import gevent.monkey
gevent.monkey.patch_all()
import logging, sys
from amiws_gevent.runtime import log
log.configure(40, 6, foreground=True, address=sys.argv[1])
logging.getLogger("amiws_gevent.link").info("patched")
"""


def test_under_monkey_patching_lines_go_the_same_way(daemon: Daemon) -> None:
    """The real program patches first: gevent's sockets, locks and poll stand in."""
    done = subprocess.run(
        [sys.executable, "-c", PATCHED_PROGRAM, str(daemon.path)],
        capture_output=True,
        text=True,
        timeout=WAIT,
        check=True,
    )
    assert done.stderr.endswith("link: patched\n")
    assert daemon.lines()[0].endswith("link: patched")


MANY_GREENLETS = """
import gevent.monkey
gevent.monkey.patch_all()
import gevent, logging, os, threading
from amiws_gevent.runtime import log
log.configure(40, 6, foreground=True, address=os.devnull)
def client():
    logging.getLogger("amiws_gevent.web").info("opened")
    gevent.sleep(60)
clients = [gevent.spawn(client) for _ in range(10)]
gevent.sleep(0)
print(threading.active_count())
"""


def test_a_greenlet_that_logs_keeps_no_thread_object() -> None:
    done = subprocess.run(
        [sys.executable, "-c", MANY_GREENLETS],
        capture_output=True,
        text=True,
        timeout=WAIT,
        check=True,
    )
    assert done.stderr.count("web: opened") == 10
    assert done.stdout == "1\n"


class TestLimiter:
    def test_one_line_a_key_and_interval_and_the_rest_counted(self, clock: Clock) -> None:
        limiter = log.LogLimiter(60, clock)
        assert [limiter.allow("a") for _ in range(4)] == [0, None, None, None]
        assert limiter.allow("b") == 0
        clock.now += 59.9
        assert limiter.allow("a") is None
        clock.now += 0.2
        assert limiter.allow("a") == 4
        clock.now += 60
        assert limiter.allow("a") == 0

    def test_keys_without_room_share_a_line(self, clock: Clock) -> None:
        limiter = log.LogLimiter(60, clock, max_keys=2)
        assert [limiter.allow(key) for key in "abcdacde"] == [0, 0, 0, *[None] * 5]
        clock.now += 60
        assert [limiter.allow(key) for key in "abcd"] == [1, 0, 4, None]

    def test_a_key_that_is_over_makes_room(self, clock: Clock) -> None:
        limiter = log.LogLimiter(60, clock, max_keys=2)
        limiter.allow("a")
        clock.now += 30
        limiter.allow("b")
        limiter.allow("a")
        clock.now += 30
        assert limiter.allow("c") == 0
        assert limiter.allow("b") is None
        assert limiter.allow("c") is None

    def test_lines_are_bounded_however_many_keys_there_are(self, clock: Clock) -> None:
        limiter = log.LogLimiter(60, clock, max_keys=10)
        said = 0
        for number in range(6000):
            clock.now += 0.1
            said += limiter.allow(number % 1000) is not None
        assert said <= 11 * 11

    def test_log_says_how_many_were_left_out(
        self, clock: Clock, caplog: pytest.LogCaptureFixture
    ) -> None:
        limiter = log.LogLimiter(60, clock)
        for _ in range(3):
            limiter.log(LINK, logging.WARNING, "k", "fault in %s", "x")
        clock.now += 60
        limiter.log(LINK, logging.WARNING, "k", "fault in %s", "y")
        assert caplog.messages == ["fault in x", "fault in y (2 more like it were not logged)"]

    def test_a_level_that_is_off_uses_no_turn(
        self, clock: Clock, caplog: pytest.LogCaptureFixture
    ) -> None:
        limiter = log.LogLimiter(60, clock)
        with caplog.at_level(logging.WARNING, "amiws_gevent.link"):
            limiter.log(LINK, logging.INFO, "k", "quiet")
            limiter.log(LINK, logging.WARNING, "k", "heard")
        assert caplog.messages == ["heard"]


def test_a_line_says_which_of_several_processes_it_is_of(daemon: Daemon) -> None:
    reading, writing = os.pipe()
    control = log.configure(
        40, 6, foreground=True, address=str(daemon.path), terminal=writing, process="edge-1"
    )
    logging.getLogger("amiws_gevent.web").info("there")
    control.close()
    assert f" amiws-gevent/edge-1[{os.getpid()}]: web: there" in daemon.lines()[-1]
    assert os.read(reading, 200).decode().endswith(" INFO    edge-1 web: there\n")
    os.close(reading)
    os.close(writing)
