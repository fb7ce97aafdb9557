"""Recordings: files in; out come packets with their times, and where sessions begin.

A file is a journal of the plugin ``journal`` or a raw capture, plain or gzip;
its first bytes tell, not its name. What is wrong in it is told with file and
line, and left out: a recording that is damaged in one place is still of use.

A capture is what a server sent on one connection, from its banner (or from
anywhere behind it) on: it is cut into whole packets, byte for byte, nothing
changed and nothing lost. The server that plays a recording greets and answers
logins itself, so neither may go out a second time in the middle of the stream:
an Opening has them.
"""

from __future__ import annotations

import contextlib
import enum
import gzip
import io
import re
import zlib
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from amiws_gevent.ami import Kind, Message, Parser, command
from amiws_gevent.errors import AmiwsError
from amiws_gevent.simulator.replay.rebuild import CannotRebuild, Outcome, Proof, rebuild

# The JSON of the parser's largest packet fits, however much of it is escaped.
LONGEST_LINE = 64 * 1024 * 1024

# Where the answer to a login is looked for, in packets behind the banner.
LOGIN_WITHIN = 100

BANNER = b"Asterisk Call Manager/11.0.0\r\n"
ACCEPTED = b"Response: Success\r\nMessage: Authentication accepted\r\n\r\n"

# More without the end of a packet is passed on as it is: the reader has limits of its own.
LARGEST_PACKET = 16 * 1024 * 1024

_BANNER = re.compile(rb"(?:\r?\n)*[^:\r\n]+/[0-9]+\.[0-9]+(?:\.[0-9]+)?[ \t]*\r?\n")
_BLANK_LINES = re.compile(rb"(?:\r?\n)*")
_PACKET_END = re.compile(rb"\n\r?\n(?:\r?\n)*")

_CHUNK = 256 * 1024
_GZIP = b"\x1f\x8b"
_JOURNAL = b'{"time":'
_BREATHE = 1000  # lines or packets between two calls of `breathe`


class WrongFile(AmiwsError):
    """A file that is no recording, or that cannot be read; ``str()`` names it."""


class Role(enum.Enum):
    """What a packet is at the beginning of a session."""

    BANNER = enum.auto()
    ACCEPTED = enum.auto()  # the answer to a login
    CHALLENGE = enum.auto()  # the answer to a request for a challenge
    OTHER = enum.auto()


class Packet(NamedTuple):
    """Bytes that a server sent, whole; ``time`` in seconds since the epoch, if it is known."""

    data: bytes
    time: float | None = None
    role: Role = Role.OTHER


class Opening(NamedTuple):
    """A session begins: what clients get that connect from now on."""

    banner: bytes = BANNER
    early: bytes = b""
    """What came between the banner and the login's answer; goes to the first that logs in."""
    accepted: bytes = ACCEPTED
    """The answer to a login."""
    time: float | None = None
    """When the session began, in seconds since the epoch, if it is known."""


class Recording:
    """The packets of ``files``, one after the other.

    ``server`` (an id or a name) chooses the server whose messages are played;
    without it the first one met is. ``tell`` gets a line for each fault,
    ``breathe`` is called now and then while there is nothing to yield.
    """

    def __init__(
        self,
        files: Sequence[Path],
        *,
        server: str | None = None,
        tell: Callable[[str], None],
        breathe: Callable[[], None] = lambda: None,
    ) -> None:
        self.files = files
        self.servers: Counter[str] = Counter()
        """Messages met in journals, by server (``1 (pbx)``)."""
        self._wanted = server
        self._chosen = ""
        self._tell = tell
        self._breathe = breathe

    def packets(self) -> Iterator[Packet]:
        """All packets from the beginning; may be called again."""
        for file in self.files:
            yield from self._of_journal(file) if _is_journal(file) else self._of_capture(file)

    # -- journals --------------------------------------------------------------------

    def _of_journal(self, file: Path) -> Iterator[Packet]:
        proof = Proof()
        for number, line in enumerate(self._lines(file), 1):
            if number % _BREATHE == 0:
                self._breathe()
            where = f"{file}:{number}"
            try:
                packet = self._read(line, where, proof)
            except (ValueError, CannotRebuild) as error:
                self._tell(f"{where}: skipped: {error}")
                continue
            if packet is not None:
                yield packet

    def _lines(self, file: Path) -> Iterator[bytes]:
        with _opened(file) as stream, self._tolerant(file):
            while line := stream.readline(LONGEST_LINE):
                yield line

    def _read(self, line: bytes, where: str, proof: Proof) -> Packet | None:
        """One line; None for one without a message to play. Raises ValueError, CannotRebuild."""
        if not line.endswith(b"\n"):
            raise ValueError("the line is incomplete (was the program killed while writing it?)")
        time, message = _parse(line)
        if not isinstance(message, dict):
            self._tell(f"{where}: {message} messages were lost here when the journal was written")
            return None
        kind, data = _kind(message), message.get("data")
        if not isinstance(data, dict):
            raise ValueError("the message has no data")
        if not self._is_chosen(message, where):
            return None
        raw = rebuild(kind, data)
        outcome = proof.outcome(kind, data, raw)
        if outcome is Outcome.WRONG:
            raise ValueError("AMI cannot express this message")
        if outcome is Outcome.CHANGED:
            self._tell(f"{where}: changed: AMI cannot express one of the headers")
        role = Role.BANNER if kind is Kind.PROMPT else _role(Message(kind, data))
        return Packet(raw, time, role)

    def _is_chosen(self, message: dict[str, Any], where: str) -> bool:
        number, name = message.get("server_id"), message.get("server_name")
        server = f"{number} ({name})"
        self.servers[server] += 1
        if self._wanted is not None:
            return self._wanted in (str(number), name)
        if not self._chosen:
            self._chosen = server
        elif server != self._chosen and self.servers[server] == 1:
            self._tell(
                f"{where}: messages of server {server} are skipped, only {self._chosen} is"
                " played; choose with --server"
            )
        return server == self._chosen

    # -- captures --------------------------------------------------------------------

    def _of_capture(self, file: Path) -> Iterator[Packet]:
        with _opened(file) as stream:
            beginning = stream.read1(_CHUNK)
        banner = banner_of(beginning)
        packets = cut_packets(self._chunks(file, len(banner)))
        parser = Parser()
        for number, data in enumerate(packets):
            if number % _BREATHE == 0:
                self._breathe()
            role = _role_of_bytes(parser, data) if number < LOGIN_WITHIN else Role.OTHER
            if number == 0 and banner:
                yield Packet(banner, None, Role.BANNER)
            if data.endswith((b"\n\n", b"\n\r\n")) or len(data) > LARGEST_PACKET:
                yield Packet(data, None, role)
            elif data.strip(b"\r\n"):
                self._tell(f"{file}: ends within a packet: the last {len(data)} bytes are skipped")

    def _chunks(self, file: Path, skip: int) -> Iterator[bytes]:
        with _opened(file) as stream, self._tolerant(file):
            stream.read(skip)
            while chunk := stream.read1(_CHUNK):
                yield chunk

    @contextlib.contextmanager
    def _tolerant(self, file: Path) -> Iterator[None]:
        """A gzip file that was cut off, or a disk that fails: what was read before counts."""
        try:
            yield
        except (OSError, EOFError, zlib.error) as error:
            self._tell(f"{file}: cannot be read to its end: {error}")


def check(files: Sequence[Path]) -> None:
    """Raises WrongFile for what is no recording, before anything is played."""
    for file in files:
        _is_journal(file)


def _is_journal(file: Path) -> bool:
    """Raises WrongFile for a file that is no capture either."""
    try:
        with _opened(file) as stream:
            beginning = stream.read1(64 * 1024)  # read() of a torn gzip file gives nothing
    except (OSError, EOFError, zlib.error) as error:
        raise WrongFile(f"{file}: cannot be read: {error}") from error
    if beginning.startswith(_JOURNAL) or not beginning:
        return True
    if beginning.startswith((b"{", b"[")):
        raise WrongFile(
            f'{file}:1: JSON, but not a line of a journal such as {{"time":"…","message":{{…}}}}'
        )
    first_line = beginning.lstrip(b"\r\n").partition(b"\n")[0]
    if banner_of(beginning) or (b":" in first_line and b"\0" not in first_line):
        return False
    raise WrongFile(
        f"{file}:1: neither a journal nor a capture of AMI; a capture begins with a header or a"
        f" banner such as Asterisk Call Manager/11.0.0, this file with {first_line[:60]!r}"
    )


def _opened(file: Path) -> io.BufferedIOBase:
    with file.open("rb") as stream:
        is_packed = stream.read(len(_GZIP)) == _GZIP
    return gzip.open(file) if is_packed else file.open("rb")


def _parse(line: bytes) -> tuple[float, dict[str, Any] | int]:
    """The time of a line and its message, or how many were lost. Raises ValueError."""
    try:
        entry = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise ValueError(f"is not JSON: {error.msg} at character {error.pos + 1}") from None
    if not isinstance(entry, dict) or not isinstance(entry.get("time"), str):
        raise ValueError('is not a line of a journal: it has no "time"')
    time = datetime.fromisoformat(entry["time"]).timestamp()
    found = entry.get("message", entry.get("lost"))
    if not isinstance(found, dict | int):
        raise ValueError('is not a line of a journal: it has no "message"')
    return time, found


def _kind(message: dict[str, Any]) -> Kind:
    try:
        return Kind(message["type"])
    except (KeyError, ValueError):
        raise ValueError("the message has no type from 0 to 6") from None


def _role_of_bytes(parser: Parser, data: bytes) -> Role:
    messages = parser.receive_data(data)
    return _role(messages[0]) if len(messages) == 1 else Role.OTHER


def _role(message: Message) -> Role:
    if message.kind is not Kind.RESPONSE:
        return Role.OTHER
    if message.get("Challenge"):
        return Role.CHALLENGE
    # As every Asterisk says it (action_login in main/manager.c).
    said = (message.get("Message") or "").strip().casefold()
    return Role.ACCEPTED if said == "authentication accepted" else Role.OTHER


def banner_of(beginning: bytes) -> bytes:
    """The banner's line that a capture begins with; empty where it has none."""
    match = _BANNER.match(beginning)
    return match.group() if match else b""


def cut_packets(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The packets in ``chunks``, each with the blank lines behind it; joined they are the chunks.

    What is left behind the last blank line comes last, though it is no whole packet.
    """
    pending = bytearray()
    searched = 0
    for chunk in chunks:
        pending += chunk
        while end := _packet_end(pending, searched):
            yield bytes(pending[:end])
            del pending[:end]
            searched = 0
        if len(pending) > LARGEST_PACKET:
            yield bytes(pending)
            pending.clear()
        searched = max(0, len(pending) - len(b"\n\r\n"))
    if pending:
        yield bytes(pending)


def _packet_end(pending: bytearray, searched: int) -> int:
    """The offset behind the first packet; 0 while it may not be whole.

    Blank lines that may go on in the next chunk do not matter: the rest of them
    stands before the next packet then, where the parser skips it.
    """
    blank = _BLANK_LINES.match(pending)
    start = blank.end() if blank else 0
    match = _PACKET_END.search(pending, max(start, searched))
    if match is None:
        return 0
    block = command.find_block(pending[start : match.start() + 1])
    if block is None:
        return match.end()
    end = command.END.search(pending, start + block.text_start)
    return end.end() if end else 0


def with_openings(packets: Iterator[Packet]) -> Iterator[Packet | Opening]:
    """The packets, but those of the beginning of a session gathered in its Opening.

    A session begins with a banner, or with a login's answer that has none before it.
    """
    ahead: deque[Packet] = deque()
    while (packet := ahead.popleft() if ahead else next(packets, None)) is not None:
        if packet.role is Role.BANNER:
            # Nothing is ahead: the look for a login ends with the next banner.
            opening, others = _open(packet, packets)
            yield opening
            ahead.extend(others)
        elif packet.role is Role.ACCEPTED:
            yield Opening(accepted=packet.data, time=packet.time)
        else:
            yield packet


def _open(banner: Packet, packets: Iterator[Packet]) -> tuple[Opening, list[Packet]]:
    """The opening, and the packets that were looked at but do not belong to it."""
    seen: list[Packet] = []
    for packet in packets:
        if packet.role is Role.ACCEPTED:
            early = b"".join([other.data for other in seen if other.role is not Role.CHALLENGE])
            return Opening(banner.data, early, packet.data, banner.time), []
        seen.append(packet)
        if packet.role is Role.BANNER or len(seen) == LOGIN_WITHIN:
            break
    return Opening(banner.data, time=banner.time), seen
