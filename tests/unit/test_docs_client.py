"""docs/client.md and examples/watch_calls.py: what they show works."""

from __future__ import annotations

import re
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from amiws_gevent.client import Client
from tests.support.patience import WAIT
from tests.support.program import ROOT
from tests.support.v2_server import Data, V2Connection, V2Server

TEXT = (ROOT / "docs" / "client.md").read_text(encoding="utf-8")
SCRIPT = ROOT / "examples" / "watch_calls.py"
FIRST, STATE, ACTION = re.findall(r"^```python\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)


def call(phase: str) -> Data:
    person = {"name": None, "number": "201", "channel": None}
    name = {"server": 1, "kind": "call", "id": "1.1"}
    return {**name, "caller": person, "called": None, "phase": phase}


@contextmanager
def served(serve: Callable[[V2Connection], None]) -> Iterator[V2Server]:
    """A server whose first client is served by a thread."""
    with V2Server() as server:
        thread = threading.Thread(target=lambda: serve(server.client()))
        thread.start()
        yield server
        thread.join()


def test_the_page_shows_the_core_of_the_script() -> None:
    assert textwrap.indent(FIRST, "    ") in SCRIPT.read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_script_prints_calls() -> None:
    with V2Server() as server:
        process = subprocess.Popen(
            [sys.executable, SCRIPT, server.url],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=ROOT,
        )
        client = server.client()
        client.hello()
        assert client.subscribed()["filters"] == {"kind": "call"}
        client.snapshot(call("ringing"))
        gap = {"op": "gap", "subscription": "s-1", "stream": "state", "reason": "slow", "lost": 1}
        changed = {"op": "state", "subscription": "s-1", "set": [], "unset": [call("")]}
        client.send(gap, changed)
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(3)]
        process.terminate()
        process.communicate(timeout=WAIT)
    assert lines == [
        "1: 201 -> ?: ringing\n",
        "something was missed: slow\n",
        "1: 201 -> ?: ended\n",
    ]


def test_state_is_read(capsys: pytest.CaptureFixture[str]) -> None:
    def serve(client: V2Connection) -> None:
        client.hello()
        client.subscribed()
        client.snapshot({"server": 1, "kind": "queue", "id": "support", "waiting": 2})

    with served(serve) as server:
        exec(STATE, {"Client": Client, "url": server.url, "token": "t"})
    assert capsys.readouterr().out == "1 support 2\n"


def test_actions_are_answered(capsys: pytest.CaptureFixture[str]) -> None:
    def serve(client: V2Connection) -> None:
        client.hello()
        request: dict[str, Any] = client.take("action")
        reply = {"op": "reply", "id": request["id"], "server": 1, "replies": 1}
        client.send(reply | {"outcome": "answered", "items": [{"Event": "QueueParams"}]})

    with served(serve) as server, Client(server.url) as client:
        exec(ACTION, {"client": client})
    assert capsys.readouterr().out == "QueueParams \n"
