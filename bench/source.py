"""A scripted Asterisk for benchmarks: takes any login, then sends what it is told to.

``python -m bench.source`` prints its port, reads commands from standard input,
one a line, and answers each with a line of JSON:

    burst COUNT     so many events of the busy capture, as fast as they are read
    pace RATE COUNT so many events of the busy capture, RATE a second at even distances
    paced RATE S    RATE events a second for S seconds, each with the time it was sent
    calls COUNT     the events of so many calls, as fast as they are read; nobody hangs up
    churn COUNT RATE S  RATE changes a second of the COUNT calls that were begun, for S seconds:
                    most are put on hold or taken back, every tenth ends and another begins
    huge            packets as large as they may be, of which HUGE_MESSAGES reach pages
    quit            end

What the bridge asks is refused, but for CoreShowChannels with ``--listed N``, which is answered
with N channels.
"""

from __future__ import annotations

import argparse
import contextlib
import gzip
import json
import re
import socket
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

CAPTURE = Path(__file__).parent.parent / "tests" / "captures" / "asterisk-22.11-busy.raw.gz"
MESSAGES_IN_CAPTURE = 40_503  # without the login's answer, which is sent at the login
CALLS_IN_CAPTURE = 1_500
OWN_PACE = 60 * MESSAGES_IN_CAPTURE / CALLS_IN_CAPTURE
"""Messages a second of the capture's server, which had 60 calls a second."""
MESSAGES_IN_CALL = 6
HUGE_MESSAGES = 6
BANNER = b"Asterisk Call Manager/11.0.0\r\n"
LOGIN_ANSWER = b"Response: Success\r\nMessage: Authentication accepted\r\n\r\n"

# About 480 bytes of JSON with its envelope: the size that other bridges were measured with.
PACED_EVENT = (
    "Event: Newexten\r\nPrivilege: dialplan,all\r\nChannel: PJSIP/1001-0000a1b2\r\n"
    "ChannelState: 6\r\nChannelStateDesc: Up\r\nCallerIDNum: 1001\r\nCallerIDName: Alice\r\n"
    "ConnectedLineNum: 1002\r\nConnectedLineName: Bob\r\nLanguage: en\r\nAccountCode: \r\n"
    "Context: default\r\nExten: 1002\r\nPriority: 3\r\nUniqueid: 1795371260.16\r\n"
    "Linkedid: 1795371260.16\r\nExtension: 1002\r\nApplication: Dial\r\nSent: {:020d}\r\n\r\n"
)


_ACTION = re.compile(rb"^Action: *(\S+)", re.IGNORECASE | re.MULTILINE)
_ACTION_ID = re.compile(rb"^ActionID: *([^\r\n]+)", re.IGNORECASE | re.MULTILINE)


def accept_login(listener: socket.socket) -> socket.socket:
    """Wait for a bridge and let it in."""
    connection, _ = listener.accept()
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.sendall(BANNER)
    received = b""
    while b"\r\n\r\n" not in received:
        data = connection.recv(4096)
        if not data:
            raise ConnectionError("the bridge went away before its login")
        received += data
    connection.sendall(LOGIN_ANSWER)
    return connection


class Connection:
    """The way to the bridge, for two threads: what one sends is not mixed with the other's."""

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self._lock = threading.Lock()

    def sendall(self, data: bytes) -> None:
        with self._lock:
            self.socket.sendall(data)


class Answers(threading.Thread):
    """Answers what the bridge asks; CoreShowChannels with ``listed`` channels, if any."""

    def __init__(self, connection: Connection, listed: int) -> None:
        super().__init__(daemon=True)
        self._connection = connection
        self._listed = listed

    def run(self) -> None:
        rest = b""
        with contextlib.suppress(ConnectionError):  # the bridge ends first
            while data := self._connection.socket.recv(4096):
                *actions, rest = (rest + data).split(b"\r\n\r\n")
                for action in actions:
                    self._connection.sendall(self._answer(action))

    def _answer(self, action: bytes) -> bytes:
        name, ident = _ACTION.search(action), _ACTION_ID.search(action)
        tag = b"ActionID: %b\r\n" % ident[1] if ident is not None else b""
        if self._listed and name is not None and name[1] == b"CoreShowChannels":
            return channels_listed(self._listed, tag)
        return b"Response: Error\r\n%bMessage: Permission denied\r\n\r\n" % tag


def channels_listed(count: int, tag: bytes) -> bytes:
    """The answer to CoreShowChannels: so many channels that talk in pairs."""
    answer = [
        b"Response: Success\r\n%bEventList: start\r\nMessage: Channels will follow\r\n\r\n" % tag
    ]
    answer += (_channel_listed(number, tag) for number in range(count))
    answer.append(
        b"Event: CoreShowChannelsComplete\r\n%bEventList: Complete\r\nListItems: %d\r\n\r\n"
        % (tag, count)
    )
    return b"".join(answer)


def _channel_listed(number: int, tag: bytes) -> bytes:
    other, first = number ^ 1, number & ~1
    return (
        f"Event: CoreShowChannel\r\n{tag.decode()}Channel: PJSIP/2{number:05}-{number:08x}\r\n"
        f"ChannelState: 6\r\nChannelStateDesc: Up\r\nCallerIDNum: 2{number:05}\r\n"
        f"CallerIDName: Anna {number}\r\nConnectedLineNum: 2{other:05}\r\n"
        f"ConnectedLineName: Anna {other}\r\nLanguage: en\r\nAccountCode: \r\n"
        f"Context: phones\r\nExten: 2{first + 1:05}\r\nPriority: 1\r\n"
        f"Uniqueid: pbxA-17959131.{number}\r\nLinkedid: pbxA-17959131.{first}\r\n"
        f"Application: {'Dial' if number == first else 'AppDial'}\r\nApplicationData: \r\n"
        f"Duration: 00:01:00\r\nBridgeId: 2bc0e5d8-0000-4000-8000-{first:012}\r\n\r\n"
    ).encode()


def call(number: int) -> bytes:
    """Two phones of Asterisk 22 that talk with each other, as MESSAGES_IN_CALL events."""
    caller, callee = f"pbxA-17959131.{2 * number}", f"pbxA-17959131.{2 * number + 1}"
    place = f"Linkedid: {caller}\r\nContext: phones\r\nExten: 3{number:05}"
    one = f"Uniqueid: {caller}\r\nChannel: PJSIP/2{number:05}-{number:08x}\r\n{place}"
    other = f"Uniqueid: {callee}\r\nChannel: PJSIP/3{number:05}-{number:08x}\r\n{place}"
    number_of = f"CallerIDNum: 2{number:05}\r\nCallerIDName: Anna {number}"
    connected = f"ConnectedLineNum: 2{number:05}\r\nConnectedLineName: Anna {number}"
    ends = f"Uniqueid: {caller}\r\nDestUniqueid: {callee}\r\nDialString: 3{number:05}"
    said = (
        f"Event: Newchannel\r\nChannelStateDesc: Ring\r\n{one}\r\n{number_of}",
        f"Event: Newchannel\r\nChannelStateDesc: Down\r\n{other}\r\n{connected}",
        f"Event: DialBegin\r\n{ends}",
        f"Event: Newstate\r\nChannelStateDesc: Ringing\r\n{other}",
        f"Event: Newstate\r\nChannelStateDesc: Up\r\n{other}",
        f"Event: Newstate\r\nChannelStateDesc: Up\r\n{one}",
    )
    return "".join(f"{event}\r\n\r\n" for event in said).encode()


def burst(connection: Connection, events: list[bytes], count: int) -> dict[str, float]:
    """Send ``count`` events, from the first of the capture on, again and again."""
    whole, rest = divmod(count, len(events))
    everything, some = b"".join(events), b"".join(events[:rest])
    start = time.monotonic()
    for _ in range(whole):
        connection.sendall(everything)
    connection.sendall(some)
    return {"start": start, "seconds": time.monotonic() - start}


def paced(connection: Connection, rate: float, seconds: float) -> dict[str, float]:
    """Send lone events at even distances; how many, and how far behind the plan at worst."""
    count = int(rate * seconds)
    stamped = (PACED_EVENT.format(time.monotonic_ns()).encode() for _ in range(count))
    return evenly(connection, stamped, rate)


def evenly(connection: Connection, packets: Iterable[bytes], rate: float) -> dict[str, float]:
    """Send packets at even distances; each is made when it is due."""
    start = time.monotonic()
    worst = 0.0
    number = 0
    made = iter(packets)
    while True:
        due = start + number / rate
        now = time.monotonic()
        if due > now:
            time.sleep(due - now)
        else:
            worst = max(worst, now - due)
        packet = next(made, None)
        if packet is None:
            return {"start": start, "messages": number, "worst_lag": worst}
        connection.sendall(packet)
        number += 1


def calls(connection: Connection, count: int) -> dict[str, float]:
    """Begin so many calls."""
    start = time.monotonic()
    for number in range(count):
        connection.sendall(call(number))
    return {"start": start, "messages": MESSAGES_IN_CALL * count}


def churn(connection: Connection, count: int, rate: float, seconds: float) -> dict[str, float]:
    """Change the ``count`` calls that ``calls`` has begun, at even distances."""
    return evenly(connection, _changes(count, int(rate * seconds)), rate)


def _changes(count: int, steps: int) -> Iterator[bytes]:
    oldest = 0
    held: set[int] = set()
    for step in range(steps):
        if step % 10 == 0:
            yield _end_of(oldest) + call(oldest + count)
            held.discard(oldest)
            oldest += 1
        else:
            number = oldest + step * 7 % count
            held ^= {number}
            yield _hold(number, "Hold" if number in held else "Unhold")


def _end_of(number: int) -> bytes:
    legs = (_hangup(f"pbxA-17959131.{leg}") for leg in (2 * number, 2 * number + 1))
    return "".join(legs).encode()


def _hangup(unique: str) -> str:
    return f"Event: Hangup\r\nUniqueid: {unique}\r\nCause: 16\r\nCause-txt: Normal Clearing\r\n\r\n"


def _hold(number: int, event: str) -> bytes:
    return f"Event: {event}\r\nUniqueid: pbxA-17959131.{2 * number}\r\n\r\n".encode()


def huge(connection: Connection, size: int = 4_000_000) -> dict[str, float]:
    """Send packets of ``size`` bytes; the first has too many headers for an event."""
    answer = b"Response: Success\r\nMessage: Command output follows\r\n"
    callers = b"".join(
        b"Leg%dCallerIDName: caller %d\r\nAppData: text %d\r\n" % (n, n, n) for n in range(490)
    )
    packets = [
        b"Event: Dropped\r\n" + b"a:\r\n" * (size // 4),
        b"Event: Callers\r\n" + callers,
        answer + b"Output: " + b"\r\nOutput: ".join([b"x" * 60] * (size // 70)) + b"\r\n",
        answer + b"Output: \r\n" * (size // 10),
        b"Response: Success\r\n" + b"a:\r\n" * (size // 4),
        b"Response: Success\r\n" + b"".join(b"Line-%06d: a=b\r\n" % n for n in range(size // 18)),
        b"Response: Follows\r\nPrivilege: Command\r\n" + b"\n" * size + b"--END COMMAND--\r\n",
    ]
    start = time.monotonic()
    for packet in packets:
        connection.sendall(packet + b"\r\n")
    return {"start": start, "seconds": time.monotonic() - start}


def obey(connection: Connection, events: list[bytes], command: str, *words: str) -> object:
    """Do what a line of standard input says; what to answer, None for an end."""
    numbers = [float(word) for word in words]
    match command, numbers:
        case "burst", [count]:
            return burst(connection, events, int(count))
        case "pace", [rate, count]:
            return evenly(connection, events[: int(count)], rate)
        case "paced", [rate, seconds]:
            return paced(connection, rate, seconds)
        case "calls", [count]:
            return calls(connection, int(count))
        case "churn", [count, rate, seconds]:
            with contextlib.suppress(ConnectionError):  # the bridge ends first: so does this
                return churn(connection, int(count), rate, seconds)
        case "huge", []:
            return huge(connection)
    return None


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--listed", type=int, default=0)
    options = parser.parse_args()
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    capture = gzip.decompress(CAPTURE.read_bytes())
    events = [packet + b"\r\n\r\n" for packet in capture.split(b"\r\n\r\n")[1:-1]]
    connection = Connection(accept_login(listener))
    Answers(connection, options.listed).start()
    print("ready", flush=True)
    for line in sys.stdin:
        answer = obey(connection, events, *line.split())
        if answer is None:
            break
        print(json.dumps(answer), flush=True)
    connection.socket.close()


if __name__ == "__main__":
    main()
