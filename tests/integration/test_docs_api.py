"""The commands of docs/api.md and of README's part on the API work as they are written."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from amiws_gevent.web.tokens import make_token
from tests.integration.test_api import tokens
from tests.support.program import ROOT, Program

ADDRESSES = ("http://pbx.example.org:8000", "http://127.0.0.1:8000")
TOKEN = make_token()


def commands(page: str, heading: str = "") -> list[str]:
    text = (ROOT / page).read_text(encoding="utf-8")
    if heading:
        text = text.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return re.findall(r"^```sh\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


OF_PAGE = commands("docs/api.md")
(OF_README,) = commands("README.md", "HTTP API")


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """The simulated PBXs, since their calls make events."""
    text = f"ws_host: 127.0.0.1\nws_port: 0\n{tokens(crm=TOKEN)}"
    with Program(tmp_path_factory.mktemp("docs"), text, "--demo") as program:
        program.wait_for_log("the live state is synchronised", 2)
        yield program


def run(command: str, port: int, until: bytes) -> bytes:
    """What a command writes, up to a text; a stream is ended then."""
    for address in ADDRESSES:
        command = command.replace(address, f"http://127.0.0.1:{port}")
    with subprocess.Popen(
        ["/bin/sh", "-c", command],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "TOKEN": TOKEN},
        start_new_session=True,
    ) as shell:
        assert shell.stdout is not None
        written = b""
        while until not in written:
            line = shell.stdout.readline()
            assert line, f"ended after {written!r}"
            written += line
        if shell.poll() is None:
            os.killpg(shell.pid, signal.SIGTERM)
    return written


@pytest.mark.parametrize(
    ("number", "until"),
    [
        (0, b'"kind":"server"'),
        (1, b'"kind":"queue_member"'),
        (2, b"event: snapshot\n"),
        (3, b"event: gap\n"),
        (4, b'"complete":true'),
    ],
)
def test_the_commands_of_the_page(program: Program, number: int, until: bytes) -> None:
    assert until in run(OF_PAGE[number], program.port, until)


def test_each_command_is_run() -> None:
    assert len(OF_PAGE) == 5


def test_the_stream_of_the_readme(tmp_path: Path) -> None:
    text = "ws_host: 127.0.0.1\nws_port: 0\n"
    with Program(tmp_path, text, "--demo") as program:
        assert b"curl -N " in OF_README.encode()
        assert b"event: event\n" in run(OF_README, program.port, b"event: event\n")
