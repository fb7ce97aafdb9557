"""A scripted Asterisk for benchmarks: takes any login, then sends what it is told to.

``python -m bench.source`` prints its port, reads commands from standard input,
one a line, and answers each with a line of JSON:

    burst COUNT     so many events of the busy capture, as fast as they are read
    paced RATE S    RATE events a second for S seconds, each with the time it was sent
    huge            packets as large as they may be, of which HUGE_MESSAGES reach pages
    quit            end
"""

from __future__ import annotations

import gzip
import json
import socket
import sys
import time
from pathlib import Path

CAPTURE = Path(__file__).parent.parent / "tests" / "captures" / "asterisk-22.11-busy.raw.gz"
MESSAGES_IN_CAPTURE = 40_503  # without the login's answer, which is sent at the login
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


def burst(connection: socket.socket, events: list[bytes], count: int) -> dict[str, float]:
    """Send ``count`` events, from the first of the capture on, again and again."""
    whole, rest = divmod(count, len(events))
    everything, some = b"".join(events), b"".join(events[:rest])
    start = time.monotonic()
    for _ in range(whole):
        connection.sendall(everything)
    connection.sendall(some)
    return {"start": start, "seconds": time.monotonic() - start}


def paced(connection: socket.socket, rate: float, seconds: float) -> dict[str, float]:
    """Send lone events at even distances; how many, and how far behind the plan at worst."""
    start = time.monotonic()
    count = int(rate * seconds)
    worst = 0.0
    for number in range(count):
        due = start + number / rate
        now = time.monotonic()
        if due > now:
            time.sleep(due - now)
        else:
            worst = max(worst, now - due)
        connection.sendall(PACED_EVENT.format(time.monotonic_ns()).encode())
    return {"start": start, "messages": count, "worst_lag": worst}


def huge(connection: socket.socket, size: int = 4_000_000) -> dict[str, float]:
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


def main() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    capture = gzip.decompress(CAPTURE.read_bytes())
    events = [packet + b"\r\n\r\n" for packet in capture.split(b"\r\n\r\n")[1:-1]]
    connection = accept_login(listener)
    print("ready", flush=True)
    for line in sys.stdin:
        command, *words = line.split()
        if command == "burst":
            answer = burst(connection, events, int(words[0]))
        elif command == "paced":
            answer = paced(connection, float(words[0]), float(words[1]))
        elif command == "huge":
            answer = huge(connection)
        else:
            break
        print(json.dumps(answer), flush=True)
    connection.close()


if __name__ == "__main__":
    main()
