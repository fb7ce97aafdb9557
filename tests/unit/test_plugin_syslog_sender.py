"""The greenlet that sends: attempts, outages, what is counted and told, the end."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator

import gevent
import pytest
from amiws_plugins.syslog_events import sender as module
from amiws_plugins.syslog_events.sender import FIRST_DELAY, Sender

from amiws_gevent.plugins.kit import Backoff, Outbox
from tests.support.clock import Clock
from tests.support.greenlets import until
from tests.support.patience import WAIT


class FakeTransport:
    """Takes lines, or fails where a test says."""

    def __init__(self) -> None:
        self.blocked = False
        self.sent: list[bytes] = []
        self.opened = 0
        self.closed = 0
        self.finished = 0
        self.refuses: OSError | None = None
        self.breaks: OSError | None = None
        self.room: int | None = None
        self.in_hand = 0
        self.before_flush: Callable[[], None] = lambda: None
        self._read, self._write = os.pipe()

    def open(self) -> None:
        self.opened += 1
        if self.refuses is not None:
            raise self.refuses

    def fileno(self) -> int:
        return self._read

    def flush(self, outbox: Outbox[bytes]) -> bool:
        self.before_flush()
        self.blocked = False
        if self.breaks is not None:
            error, self.breaks = self.breaks, None
            raise error
        if not len(outbox):
            return False
        if self.room is not None and len(self.sent) >= self.room:
            self.blocked = True
            return False
        self.sent.append(outbox.pop())
        return True

    def give_up(self, outbox: Outbox[bytes]) -> int:
        lost, self.in_hand = self.in_hand, 0
        return lost

    def finish(self) -> None:
        self.finished += 1

    def close(self) -> None:
        self.closed += 1

    def close_pipe(self) -> None:
        os.close(self._read)
        os.close(self._write)

    def wake(self) -> None:
        """There is something to read, or the end of the connection."""
        os.write(self._write, b"x")


@pytest.fixture
def transport() -> Iterator[FakeTransport]:
    made = FakeTransport()
    yield made
    made.close_pipe()


class Running:
    """A sender with its greenlet."""

    def __init__(
        self, transport: FakeTransport, max_lines: int = 1000, retry: Backoff | None = None
    ) -> None:
        """Without ``retry`` the delays are the sender's own."""
        self.transport = transport
        self.outbox: Outbox[bytes] = Outbox(max_lines, 1 << 20)
        self.clock = Clock(0.0)
        self.lost = 0.0
        self.sender = Sender(
            transport,
            self.outbox,
            where="tcp://logs:1",
            tell_loss=lambda dropped, uncertain: b"lost %d %d" % (dropped, uncertain),
            log=logging.getLogger("test.syslog"),
            clock=self.clock,
            retry=retry,
            count_lost=self.count_lost,
        )
        self.greenlet = gevent.spawn(self.sender.run)

    def count_lost(self, lines: float) -> None:
        self.lost += lines

    def put(self, *lines: bytes) -> None:
        for line in lines:
            self.sender.put(line)

    def wait_sent(self, *lines: bytes) -> None:
        until(lambda: self.transport.sent == list(lines))


def quick() -> Backoff:
    return Backoff(0.005, 30.0, spread=0.0)


@pytest.fixture
def running(transport: FakeTransport, monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:
    monkeypatch.setattr(module, "BLOCKED_TIME", 0.01)
    made = Running(transport, retry=quick())
    yield made
    made.greenlet.kill()


@pytest.fixture(autouse=True)
def _log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "test.syslog")


def told(caplog: pytest.LogCaptureFixture, level: int = logging.WARNING) -> list[str]:
    ours = [record for record in caplog.records if record.name == "test.syslog"]
    return [record.getMessage() for record in ours if record.levelno >= level]


def test_lines_go_in_order(running: Running, caplog: pytest.LogCaptureFixture) -> None:
    until(lambda: running.sender.connected)
    running.put(b"a", b"b")
    running.put(b"c")
    running.wait_sent(b"a", b"b", b"c")
    assert told(caplog, logging.INFO) == ["tcp://logs:1: lines are being sent"]
    assert told(caplog) == []


def test_lines_wait_for_a_receiver_that_is_not_there(
    transport: FakeTransport, running: Running, caplog: pytest.LogCaptureFixture
) -> None:
    transport.refuses = ConnectionRefusedError(111, "Connection refused")
    running.put(b"a", b"b")
    until(lambda: transport.opened >= 3)
    assert transport.sent == []
    assert transport.closed >= 2
    transport.refuses = None
    running.wait_sent(b"a", b"b")
    # Each outage is told once, at its beginning and at its end.
    assert told(caplog) == [
        "tcp://logs:1: cannot be reached: Connection refused; lines are kept",
        "tcp://logs:1: lines are being sent",
    ]


def test_attempts_get_rarer_until_a_connection_is_sound(transport: FakeTransport) -> None:
    running = Running(transport)
    retry = running.sender._retry
    retry._random = lambda: 1.0
    delays = [retry.next() for _ in range(9)]
    assert delays == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]
    retry._random = lambda: 0.0
    assert retry.next() == 15.0
    until(lambda: running.sender.connected)
    running.clock.now = 11.0
    transport.breaks = ConnectionResetError(104, "Connection reset by peer")
    running.put(b"a")
    until(lambda: not running.sender.connected)
    assert retry._step == FIRST_DELAY  # the first one again, which it waits for now
    running.greenlet.kill()


def test_a_short_connection_is_not_sound(transport: FakeTransport, running: Running) -> None:
    transport.before_flush = lambda: setattr(transport, "breaks", OSError("flaps"))
    until(lambda: transport.opened >= 4)
    assert running.sender._retry.next() >= 8 * 0.01


def test_a_break_is_counted_and_told_to_the_receiver_first(
    transport: FakeTransport, running: Running, caplog: pytest.LogCaptureFixture
) -> None:
    until(lambda: running.sender.connected)
    running.put(b"a")
    running.wait_sent(b"a")
    transport.breaks, transport.in_hand = ConnectionResetError(104, "Connection reset"), 3
    running.put(b"b", b"c")
    running.wait_sent(b"a", b"lost 0 3", b"b", b"c")
    assert running.sender.uncertain == running.lost == 3
    assert told(caplog)[0] == (
        "tcp://logs:1: connection lost: Connection reset; 3 lines may be lost, 2 are kept"
    )
    transport.breaks = OSError("again")
    running.put(b"d")
    running.wait_sent(b"a", b"lost 0 3", b"b", b"c", b"d")


def test_the_end_of_a_connection_is_noticed_without_a_line(
    transport: FakeTransport, running: Running
) -> None:
    until(lambda: running.sender.connected)
    transport.breaks = ConnectionAbortedError("it closed the connection")
    transport.wake()
    until(lambda: transport.opened == 2)


def test_what_the_queue_dropped_is_told_first(
    transport: FakeTransport, running: Running, caplog: pytest.LogCaptureFixture
) -> None:
    running.outbox.most = 3
    transport.refuses = OSError("away")
    until(lambda: transport.opened >= 1)
    running.put(*(b"%d" % number for number in range(10)))
    transport.refuses = None
    running.wait_sent(b"lost 7 0", b"7", b"8", b"9")
    until(lambda: told(caplog)[-1] == "tcp://logs:1: lines are being sent")
    assert "tcp://logs:1: the queue was full, 7 lines were dropped" in told(caplog)
    assert running.lost == 7


def test_what_was_dropped_while_it_took_nothing_is_told_afterwards(
    transport: FakeTransport, running: Running, caplog: pytest.LogCaptureFixture
) -> None:
    until(lambda: running.sender.connected)
    running.outbox.most = 2
    transport.room = 1
    running.put(b"a")
    running.wait_sent(b"a")
    running.put(b"b", b"c", b"d", b"e", b"f")
    until(lambda: transport.blocked)
    transport.room = None
    running.wait_sent(b"a", b"e", b"f", b"lost 3 0")
    assert told(caplog) == ["tcp://logs:1: the queue was full, 3 lines were dropped"]


def test_a_loss_that_could_not_be_told_is_told_the_next_time(
    transport: FakeTransport, running: Running
) -> None:
    """As over UDP, where the line about the loss finds out that nobody is there yet."""
    until(lambda: running.sender.connected)
    transport.breaks, transport.in_hand = ConnectionRefusedError(111, "refused"), 1
    running.put(b"b")
    attempts = 0

    def refuse_twice() -> None:
        nonlocal attempts
        if running.outbox.first() == b"lost 0 1" and attempts < 2:
            attempts += 1
            running.outbox.pop()
            transport.breaks, transport.in_hand = ConnectionRefusedError(111, "refused"), 1

    until(lambda: not running.sender.connected)
    transport.before_flush = lambda: refuse_twice() if len(running.outbox) else None
    running.wait_sent(b"lost 0 1", b"b")
    assert attempts == 2
    assert running.sender.uncertain == 1


def test_a_loss_line_that_was_not_begun_is_not_told_twice(
    transport: FakeTransport, running: Running
) -> None:
    until(lambda: running.sender.connected)
    transport.breaks, transport.in_hand = OSError("broken"), 2
    running.put(b"b")
    until(lambda: not running.sender.connected)
    transport.breaks = OSError("broken again, before anything was sent")
    running.wait_sent(b"lost 0 2", b"b")


def test_a_new_connection_on_demand_loses_nothing(
    transport: FakeTransport, running: Running, caplog: pytest.LogCaptureFixture
) -> None:
    until(lambda: running.sender.connected)
    running.put(b"a", b"b")
    running.sender.reconnect()
    until(lambda: transport.opened == 2)
    assert transport.sent == [b"a", b"b"]
    assert transport.finished == 1
    running.put(b"c")
    running.wait_sent(b"a", b"b", b"c")
    running.sender.reconnect()
    until(lambda: transport.opened == 3)
    assert told(caplog) == []


def test_a_new_connection_that_fails_is_tried_again(
    transport: FakeTransport, running: Running
) -> None:
    until(lambda: running.sender.connected)
    transport.refuses = OSError("away")
    running.sender.reconnect()
    until(lambda: transport.opened >= 3)
    running.put(b"a")
    transport.refuses = None
    running.wait_sent(b"a")


def test_stop_sends_what_waits(transport: FakeTransport, running: Running) -> None:
    until(lambda: running.sender.connected)
    running.put(*(b"%d" % number for number in range(500)))
    running.sender.stop(600.0)
    assert len(transport.sent) == 500
    assert transport.finished == 1
    assert transport.closed
    assert running.greenlet.ready() or running.greenlet.join(1) is None


def test_stop_without_a_receiver_does_not_wait(
    transport: FakeTransport, running: Running, caplog: pytest.LogCaptureFixture
) -> None:
    transport.refuses = OSError("away")
    running.put(b"a", b"b")
    until(lambda: transport.opened >= 1)
    with gevent.Timeout(WAIT):
        running.sender.stop(600.0)
    assert told(caplog)[-1] == "tcp://logs:1: stopped with 2 lines not sent"
    assert running.lost == 2
    assert transport.sent == []


def test_stop_with_a_receiver_that_takes_nothing_ends_in_time(
    transport: FakeTransport, running: Running, caplog: pytest.LogCaptureFixture
) -> None:
    until(lambda: running.sender.connected)
    transport.room = 0
    running.put(b"a")
    until(lambda: transport.blocked)
    with gevent.Timeout(WAIT):
        running.sender.stop(0.05)
    assert "tcp://logs:1: stopped with 1 lines not sent" in told(caplog)
    assert transport.closed


def test_a_kill_closes_the_socket(transport: FakeTransport, running: Running) -> None:
    until(lambda: running.sender.connected)
    running.greenlet.kill()
    assert transport.closed
