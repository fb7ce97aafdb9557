"""The words on the command line, and what goes wrong there. It monkey-patches: a child runs it."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.patience import WAIT

ROOT = Path(__file__).parent.parent.parent


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "amiws_gevent.simulator", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=WAIT,
        check=False,
    )


def test_help_names_every_option() -> None:
    done = run("--help")
    assert done.returncode == 0
    for option in (
        "--port",
        "--host",
        "--style",
        "--seed",
        "--rate",
        "--scenario",
        "--user",
        "--secret",
    ):
        assert option in done.stdout


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        ((), 2, "--port"),
        (("--port", "x"), 2, "invalid port value"),
        (("--port", "0", "--style", "18"), 2, "invalid choice"),
        (("--port", "0", "--rate", "-1"), 2, "rate"),
        (("--port", "0", "--rate", "nan"), 2, "rate"),
        (("--port", "0", "--scenario", "holt"), 2, "no scenario 'holt'"),
        (("--port", "99999"), 2, "--port: must be from 0 to 65535"),
        (("--port", "0", "--host", "192.0.2.1"), 71, "cannot listen on 192.0.2.1:0"),
    ],
)
@pytest.mark.slow
def test_wrong_words_end_with_a_message(words: tuple[str, ...], status: int, message: str) -> None:
    done = run(*words)
    assert done.returncode == status
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_a_port_in_use_ends_with_a_message() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = run("--port", port)
    assert (done.returncode, done.stdout) == (71, "")
    assert f"cannot listen on 127.0.0.1:{port}" in done.stderr


BROKEN = """
import sys
from amiws_gevent.simulator import __main__ as program

def broken(self):
    raise RuntimeError("broken on purpose")

program.SimulatedPbx._now = broken
sys.exit(program.main(["--port", "0"]))
"""


def test_a_simulation_that_dies_ends_the_program() -> None:
    done = subprocess.run(
        [sys.executable, "-c", BROKEN],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=WAIT,
        check=False,
    )
    assert done.returncode == 70
    assert "broken on purpose" in done.stderr
