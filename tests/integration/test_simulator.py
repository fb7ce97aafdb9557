"""``python -m amiws_gevent.simulator``: a real process, our own parser on the other end."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from amiws_gevent.ami import Kind, Message, Parser, encode_action
from tests.support.patience import WAIT

ROOT = Path(__file__).parent.parent.parent
LINE = re.compile(
    r"simulated Asterisk (11|13|22) listening on ([\d.]+):(\d+) \(user (\w+), secret (\w+)\)"
)


@contextmanager
def demo(*words: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """The process and the port that it printed; it is killed at the end if it still runs."""
    process = subprocess.Popen(
        [sys.executable, "-m", "amiws_gevent.simulator", "--port", "0", *words],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        match = LINE.match(process.stdout.readline())
        assert match, "it prints where it listens"
        yield process, int(match[3])
    finally:
        process.kill()
        process.communicate()


class Client:
    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=WAIT)
        self.parser = Parser()
        self.messages: list[Message] = []

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def do(self, *headers: tuple[str, str]) -> None:
        self.socket.sendall(encode_action(headers))

    def read_until(self, found: Message | None = None, **wanted: str) -> Message:
        """Reads on until a message has those headers; all are kept in ``messages``."""
        start = len(self.messages)
        deadline = time.monotonic() + WAIT
        while time.monotonic() < deadline:
            data = self.socket.recv(65536)
            assert data, f"closed before {wanted}"
            self.messages += self.parser.receive_data(data)
            for message in self.messages[start:]:
                if all(message.get(name) == value for name, value in wanted.items()):
                    return message
        raise AssertionError(f"not in time: {wanted}")

    def login(self, user: str = "demo", secret: str = "demo") -> None:
        login = (("Username", user), ("Secret", secret))
        self.do(("Action", "Login"), *login, ("ActionID", "login"))
        assert self.read_until(ActionID="login").get("Response") == "Success"


@pytest.mark.parametrize("style", ["13", "22"])
def test_our_parser_reads_all_of_it(style: str) -> None:
    with demo("--style", style, "--rate", "20") as (_, port), Client(port) as client:
        client.login()
        for name in ("CoreShowChannels", "Status", "QueueStatus", "QueueSummary", "ListCommands"):
            client.do(("Action", name), ("ActionID", name))
        for command in ("queue show", "core show channels", "nosuch"):
            client.do(("Action", "Command"), ("Command", command), ("ActionID", command))
        client.do(("Action", "Queues"), ("ActionID", "queues"))
        client.do(("Action", "Ping"), ("ActionID", "last"))
        client.read_until(ActionID="last")
        client.read_until(Event="AgentConnect")
        client.read_until(Variable="RTPAUDIOQOS")
        kinds = Counter(message.kind for message in client.messages)
        assert kinds[Kind.PROMPT] == 1
        assert kinds[Kind.COMMAND] == 3
        assert kinds[Kind.QUEUE] == (3 if style == "13" else 0)
        assert kinds[Kind.UNKNOWN] == 0
        assert kinds[Kind.EVENT] > 100
        counters = client.parser.counters
        assert counters.lines_without_colon == counters.undecodable_values == 0
        assert counters.packets_over_limit == counters.unknown_packets == 0


def test_user_secret_and_seed_can_be_chosen() -> None:
    words = ("--user", "ann", "--secret", "hush", "--rate", "0", "--seed", "7")
    with demo(*words) as (_, port), Client(port) as client:
        client.login("ann", "hush")
        client.do(("Action", "CoreStatus"), ("ActionID", "s"))
        assert client.read_until(ActionID="s").get("CoreCurrentCalls") == "0"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_in_order(number: signal.Signals) -> None:
    with demo() as (process, port), Client(port) as client:
        client.login()
        process.send_signal(number)
        client.read_until(Event="Shutdown")
        _, errors = process.communicate(timeout=WAIT)
        assert (process.returncode, errors) == (0, "")
