"""Log lines to syslog, and in the foreground to standard error too, without blocking.

A syslog daemon that is stuck, absent or restarted, or a terminal or pipe that nobody reads,
may lose log lines but never stops the program. Every write is non-blocking, a line that
cannot be written is dropped and counted, and the next line that can be written says how
many were lost.

Syslog lines have the form of RFC 3164, section 4.1, as glibc's ``syslog(3)``
writes it on a local socket (no host name)::

    <46>Nov  2 19:23:01 amiws-gevent[4711]: link: asterisk01.local (192.0.2.1:5038): connected

A line is at most `MAX_LINE` bytes of UTF-8. Control characters are escaped,
so that no text from a server or a client can forge a second line.
"""

from __future__ import annotations

import abc
import errno
import logging
import os
import re
import select
import socket
import sys
import time
import traceback
from collections import OrderedDict
from collections.abc import Callable, Hashable
from pathlib import Path

from gevent.monkey import get_original

OWN_LOGGERS = ("amiws_gevent", "amiws_plugins")
"""Loggers that follow ``log_level``. Other libraries' are heard from WARNING on: their
lower levels print requests with their headers, and so secrets."""

MAX_LINE = 2048
"""Bytes of one line, its head included: what common syslog daemons take whole."""

RECONNECT_INTERVAL = 1.0
"""Seconds between two attempts to reach the syslog daemon."""

MAX_FRAMES = 8
"""Innermost stack frames of an exception that its one-line form names."""

SYSLOG = "/dev/log"
"""Where syslog daemons listen."""

NOTICE = 25
"""The level that syslog calls so: nothing is wrong, and somebody may want to keep it."""

_CUT = "..."
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_FACILITY_MASK = 0x3F8

# syslog priority (RFC 5424, table 2) -> the lowest Python level that has it, and its name.
# Python has no levels of its own for notice, alert and emergency.
_PRIORITIES = (
    (0, 70, "EMERGENCY"),
    (1, 60, "ALERT"),
    (2, logging.CRITICAL, "CRITICAL"),
    (3, logging.ERROR, "ERROR"),
    (4, logging.WARNING, "WARNING"),
    (5, NOTICE, "NOTICE"),
    (6, logging.INFO, "INFO"),
    (7, logging.DEBUG, "DEBUG"),
)

# Besides C0, DEL and C1: the separators that end a line for some readers, and the
# marks that reorder what a terminal shows.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def python_level(priority: int) -> int:
    """The Python level from which on lines pass, for a syslog priority of 0 to 7."""
    return _PRIORITIES[min(max(priority, 0), 7)][1]


def severity(level: int) -> tuple[int, str]:
    """Syslog priority (0 to 7) and its name for a Python level."""
    for priority, lowest, name in _PRIORITIES:
        if level >= lowest:
            return priority, name
    return 7, "DEBUG"


def escape(text: str) -> str:
    """``text`` with line ends and other control characters spelt ``\\n``, ``\\x1b`` and so on."""
    return _CONTROL.sub(lambda match: ascii(match[0])[1:-1], text)


def module_of(logger_name: str) -> str:
    """``link`` for ``amiws_gevent.link``; other loggers keep their whole name."""
    return logger_name.removeprefix("amiws_gevent.")


def fit(line: str) -> bytes:
    """``line`` escaped, in UTF-8, cut to `MAX_LINE` bytes without splitting a character."""
    data = escape(line[: MAX_LINE + 1]).encode("utf-8", "backslashreplace")
    if len(data) <= MAX_LINE:
        return data
    kept = data[: MAX_LINE - len(_CUT)].decode("utf-8", "ignore")
    return kept.encode() + _CUT.encode()


class SyslogSocket:
    """The local syslog socket: datagrams, or a stream where the daemon listens with one.

    `write` never blocks and never raises. Attempts to (re)connect are at least
    `RECONNECT_INTERVAL` seconds of ``clock`` apart.
    """

    def __init__(self, address: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._address = address
        self._clock = clock
        self._socket: socket.socket | None = None
        self._stream = False
        self._tail = b""  # what a stream has not yet taken of the last line
        self._next_attempt = clock()

    def write(self, line: bytes) -> bool:
        """Whether the daemon's socket took ``line`` (True) or it is lost."""
        if self._socket is None and not self.connect():
            return False
        try:
            return self._send(line)
        except OSError as error:
            if error.errno in (errno.EAGAIN, errno.ENOBUFS, errno.EMSGSIZE):
                return False
            self.close()
        # The daemon went away under us; if it is back already this line is not lost.
        if not self.connect():
            return False
        try:
            return self._send(line)
        except OSError:
            self.close()
            return False

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        self._tail = b""

    def _send(self, line: bytes) -> bool:
        assert self._socket is not None
        if not self._stream:
            self._socket.send(line)
            return True
        if self._tail:
            self._tail = self._tail[self._socket.send(self._tail) :]
            if self._tail:
                return False
        data = line + b"\n"
        self._tail = data[self._socket.send(data) :]
        return True

    def connect(self) -> bool:
        """Try to, unless the last attempt is too fresh; whether it worked."""
        now = self._clock()
        if now < self._next_attempt:
            return False
        self._next_attempt = now + RECONNECT_INTERVAL
        for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
            try:
                self._socket = self._open(kind)
            except OSError as error:
                if error.errno != errno.EPROTOTYPE:  # "wrong kind of socket for this address"
                    return False
            else:
                self._stream = kind == socket.SOCK_STREAM
                return True
        return False

    def _open(self, kind: socket.SocketKind) -> socket.socket:
        opened = socket.socket(socket.AF_UNIX, kind)
        try:
            opened.setblocking(False)
            opened.connect(self._address)
        except OSError:
            opened.close()
            raise
        return opened


class Terminal:
    """A file descriptor such as standard error, written to only while that cannot block.

    Non-blocking mode would be shared with every process that has the same
    terminal, so the descriptor is asked first. POSIX promises that a pipe which
    polls writable takes ``PIPE_BUF`` bytes, more than `MAX_LINE`.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        # gevent's poll would switch to other greenlets in the middle of a log call
        self._poll = get_original("select", "poll")()
        self._poll.register(descriptor, select.POLLOUT)

    def write(self, line: bytes) -> bool:
        try:
            ready = self._poll.poll(0)
            if not ready or not ready[0][1] & select.POLLOUT:
                return False
            data = line + b"\n"
            return os.write(self._descriptor, data) == len(data)
        except (OSError, ValueError):  # a closed pipe (EPIPE), a closed descriptor
            return False

    def close(self) -> None:
        """Standard error belongs to the process: it stays open."""


Outlet = SyslogSocket | Terminal


class LossyHandler(logging.Handler, abc.ABC):
    """A handler whose outlet may refuse lines: they are counted, and told once one passes."""

    def __init__(self, outlet: Outlet) -> None:
        super().__init__()
        self.outlet = outlet
        self.lost = 0
        self.lost_in_all = 0
        self.was_taken = False
        """Whether the outlet has ever taken a line."""

    def emit(self, record: logging.LogRecord) -> None:
        for line in self.lines(record):
            self._write(line, record)

    def close(self) -> None:
        self.outlet.close()
        super().close()

    @abc.abstractmethod
    def lines(self, record: logging.LogRecord) -> list[bytes]:
        """The record as whole lines, as they are written."""

    def _write(self, line: bytes, record: logging.LogRecord) -> None:
        if self.lost and self._tell(record):
            self.lost = 0
        if self.lost or not self.outlet.write(line):
            self.lost += 1
            self.lost_in_all += 1
        else:
            self.was_taken = True

    def _tell(self, like: logging.LogRecord) -> bool:
        notice = logging.LogRecord(
            "amiws_gevent.log",
            logging.WARNING,
            "",
            0,
            f"{self.lost} log lines were lost",
            (),
            None,
        )
        notice.process = like.process
        return all(self.outlet.write(line) for line in self.lines(notice))


class SyslogHandler(LossyHandler):
    """RFC 3164 lines for the local daemon. ``facility`` is shifted as in sys/syslog.h."""

    def __init__(self, outlet: Outlet, facility: int, ident: str) -> None:
        super().__init__(outlet)
        self.facility = facility & _FACILITY_MASK
        self.ident = ident

    def lines(self, record: logging.LogRecord) -> list[bytes]:
        when = time.localtime(record.created)
        stamp = f"{_MONTHS[when.tm_mon - 1]} {when.tm_mday:2d} {time.strftime('%H:%M:%S', when)}"
        head = f"<{self.facility | severity(record.levelno)[0]}>{stamp} "
        text = _text(record)
        if record.exc_info and record.exc_info[1] is not None:
            text = f"{text}: {describe_exception(record.exc_info[1])}"
        body = f"{self.ident}[{record.process}]: {module_of(record.name)}: {text}"
        return [fit(head + body)]


class TerminalHandler(LossyHandler):
    """Lines for a person: time with milliseconds, level, module, text; tracebacks in full.

    ``process`` says which of several it is; it stands before the module.
    """

    def __init__(self, outlet: Outlet, process: str = "") -> None:
        super().__init__(outlet)
        self._process = f"{process} " if process else ""

    def lines(self, record: logging.LogRecord) -> list[bytes]:
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(record.created))
        head = f"{when}.{int(record.msecs):03d} {severity(record.levelno)[1]:<7}"
        lines = [f"{head} {self._process}{module_of(record.name)}: {_text(record)}"]
        if record.exc_info and record.exc_info[1] is not None:
            trace = "".join(traceback.format_exception(record.exc_info[1]))
            lines.extend("    " + line for line in trace.rstrip("\n").split("\n"))
        return [fit(line) for line in lines]


def describe_exception(error: BaseException) -> str:
    """One line: ``ValueError: text [outer.py:3 f > inner.py:9 g]``, innermost frame last."""
    frames = traceback.extract_tb(error.__traceback__)[-MAX_FRAMES:]
    where = " > ".join(f"{Path(f.filename).name}:{f.lineno} {f.name}" for f in frames)
    return f"{type(error).__name__}: {error} [{where}]"


def _text(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception as error:  # noqa: BLE001 - a wrong log call must not end its greenlet
        return f"{record.msg!s} (log call with wrong arguments: {type(error).__name__})"


class LogControl:
    """The handlers that `configure` installed."""

    def __init__(self, syslog: SyslogHandler, terminal: TerminalHandler | None) -> None:
        self._syslog = syslog
        self._terminal = terminal
        self._handlers: list[LossyHandler] = [syslog, *([terminal] if terminal else [])]
        for handler in self._handlers:
            logging.getLogger().addHandler(handler)

    @property
    def lost(self) -> int:
        """Lines that syslog did not take, since the start.

        None where there never was one, as in a container: those are on the terminal.
        """
        if self._terminal is not None and not self._syslog.was_taken:
            return 0
        return self._syslog.lost_in_all

    def reconfigure(self, facility: int, level: int) -> None:
        """Apply ``log_facility`` (shifted) and ``log_level`` (syslog priority, 0 to 7)."""
        self._syslog.facility = facility & _FACILITY_MASK
        lowest = python_level(level)
        logging.getLogger().setLevel(max(lowest, logging.WARNING))
        for name in OWN_LOGGERS:
            logging.getLogger(name).setLevel(lowest)

    def tell_now(self, logger: logging.Logger, level: int, text: str) -> None:
        """Log a line without the locks of ``logging``, which a blocked thread may hold."""
        record = logging.LogRecord(logger.name, level, "", 0, "%s", (text,), None)
        for handler in self._handlers:
            handler.emit(record)

    def close(self) -> None:
        """Remove the handlers and close the socket; for tests and the program's end."""
        for handler in self._handlers:
            logging.getLogger().removeHandler(handler)
            handler.close()
        for name in OWN_LOGGERS:
            logging.getLogger(name).setLevel(logging.NOTSET)


def configure(
    facility: int,
    level: int,
    *,
    foreground: bool,
    ident: str = "amiws-gevent",
    address: str = SYSLOG,
    terminal: int | None = None,
    process: str = "",
    clock: Callable[[], float] = time.monotonic,
) -> LogControl:
    """Send what the program logs to syslog, and in the ``foreground`` to standard error too.

    ``facility`` is shifted as in sys/syslog.h (40 is LOG_SYSLOG), ``level`` a syslog
    priority: 0 (emergencies only) to 7 (everything). ``address`` is the path of the
    daemon's socket, ``terminal`` a descriptor in place of standard error's. ``process`` names
    one process of several; for syslog it is behind a slash, as its daemons know it. Nothing
    here fails when the daemon is absent: it is tried again while lines come.
    """
    # Each greenlet that logs would keep a Thread object until it ends: a fourth of all objects
    # of a client that the garbage collector would look through.
    logging.logThreads = False
    ident = f"{ident}/{process}" if process else ident
    on_terminal = None
    if foreground:
        descriptor = _stderr_descriptor() if terminal is None else terminal
        on_terminal = TerminalHandler(Terminal(descriptor), process)
    control = LogControl(SyslogHandler(SyslogSocket(address, clock), facility, ident), on_terminal)
    control.reconfigure(facility, level)
    return control


def syslog_listens(address: str = SYSLOG) -> bool:
    """Whether a syslog daemon is there to take lines now."""
    probe = SyslogSocket(address)
    try:
        return probe.connect()
    finally:
        probe.close()


def _stderr_descriptor() -> int:
    try:
        return sys.stderr.fileno()
    except (AttributeError, OSError, ValueError):  # no stream, or one that is not a file
        return 2


class LogLimiter:
    """Passes one line for each key in ``interval`` seconds and counts the others.

    For faults that may come with every message or client. At most ``max_keys`` keys have
    a line of their own within an interval; all others share one, so that many keys cannot
    fill the log.
    """

    def __init__(
        self,
        interval: float = 60.0,
        clock: Callable[[], float] = time.monotonic,
        max_keys: int = 1024,
    ) -> None:
        self._interval = interval
        self._clock = clock
        self._max_keys = max_keys
        self._seen: OrderedDict[Hashable, tuple[float, int]] = OrderedDict()
        self._shared: OrderedDict[Hashable, tuple[float, int]] = OrderedDict()  # one, of the rest

    def allow(self, key: Hashable) -> int | None:
        """None: log nothing now. Else log it, with the number of lines suppressed before."""
        now = self._clock()
        seen = self._seen
        if key not in seen and not self._has_room(now):
            seen, key = self._shared, None
        last, suppressed = seen.get(key, (None, 0))
        if last is not None and now - last < self._interval:
            seen[key] = (last, suppressed + 1)
            return None
        seen[key] = (now, 0)
        seen.move_to_end(key)  # the first is the next that is over
        return suppressed

    def _has_room(self, now: float) -> bool:
        """Whether one more key can be remembered, if need be in place of one that is over."""
        if len(self._seen) < self._max_keys:
            return True
        oldest, (last, _) = next(iter(self._seen.items()))
        if now - last < self._interval:
            return False
        del self._seen[oldest]
        return True

    def log(
        self,
        logger: logging.Logger,
        level: int,
        key: Hashable,
        message: str,
        *args: object,
        exc_info: BaseException | None = None,
    ) -> bool:
        """Log ``message % args`` unless ``key`` was logged within the interval; whether it was."""
        if not logger.isEnabledFor(level):
            return False
        suppressed = self.allow(key)
        if suppressed is None:
            return False
        if suppressed:
            message += " (%d more like it were not logged)"
            args = (*args, suppressed)
        logger.log(level, message, *args, exc_info=exc_info)
        return True
