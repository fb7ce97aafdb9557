"""systemd's view: the unit file, and what the program tells the manager."""

from __future__ import annotations

import configparser
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from amiws_gevent.config import ConfigError
from amiws_gevent.options import CONFIG_FILE, parser
from amiws_gevent.runtime.watchdog import END_TIME
from tests.support.patience import WAIT
from tests.support.program import ROOT, Program, ami_host, configuration, wait_until

UPGRADE = (
    b"GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)

UNIT = ROOT / "etc" / "systemd" / "amiws-gevent.service"


def unit() -> configparser.ConfigParser:
    # Not strict: a filter of system calls has two lines, of what it has and of what it has not.
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # keys have capitals
    parser.read_string(UNIT.read_text())
    return parser


def test_the_unit_is_what_systemd_accepts(tmp_path: Path) -> None:
    """By systemd itself where it is installed; that its keys are read, everywhere."""
    assert unit().sections() == ["Unit", "Service", "Install"]
    verifier = shutil.which("systemd-analyze")
    if verifier is None:
        return
    copy = tmp_path / UNIT.name
    copy.write_text(UNIT.read_text().replace("/usr/local/bin/amiws-gevent", sys.executable))
    done = subprocess.run(
        [verifier, "verify", "--man=no", copy], capture_output=True, text=True, check=False
    )
    assert [line for line in done.stderr.splitlines() if UNIT.name in line] == []


def test_the_unit_fits_the_program() -> None:
    service = unit()["Service"]
    assert service["Type"] == "notify"
    assert service["ExecReload"] == "/bin/kill -HUP $MAINPID"
    assert int(service["WatchdogSec"]) > 2 * END_TIME, "also of a machine that is busy"
    assert service["LimitCORE"] == "0"
    assert service["RestartPreventExitStatus"].split() == ["2", str(ConfigError.exit_status)]
    words = service["ExecStart"].split()
    options = parser().parse_args(words[1:])
    assert options.file == CONFIG_FILE
    assert not options.daemon, "systemd wants it in the foreground"


STUCK = """
from pathlib import Path

def amiws_authorize_client(request, user):
    Path(__file__).with_suffix(".entered").touch()
    while True:
        pass
"""


def test_a_loop_that_stands_still_is_told_no_more_and_the_end_says_where(tmp_path: Path) -> None:
    """What systemd does then is a SIGABRT."""
    (tmp_path / "stuck.py").write_text(STUCK)
    text = configuration(ami_host(1), more=f"plugin_dirs: {tmp_path}\nplugins: [stuck]\n")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(WAIT)
        environ = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "100000"}
        with Program(tmp_path, text, environ=environ) as program:
            assert manager.recv(1000) == b"READY=1"
            for _ in range(3):
                assert manager.recv(1000) == b"WATCHDOG=1"
            with socket.create_connection(("127.0.0.1", program.port), WAIT) as client:
                client.sendall(UPGRADE)
                wait_until((tmp_path / "stuck.entered").exists, "the plugin computes")
                manager.setblocking(False)
                with suppress(BlockingIOError):
                    while manager.recv(1000):
                        pass
                time.sleep(0.5)
                program.process.send_signal(signal.SIGABRT)
                assert program.process.wait(WAIT) == -signal.SIGABRT
            with pytest.raises(BlockingIOError):
                manager.recv(1000)
            assert "Fatal Python error: Aborted" in program.log
            assert "in amiws_authorize_client" in program.log


def test_systemd_is_told_of_start_reload_and_stop(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(WAIT)
        environ = {"NOTIFY_SOCKET": str(tmp_path / "notify")}
        text = configuration(ami_host(1))
        with Program(tmp_path, text, environ=environ) as program:
            assert manager.recv(1000) == b"READY=1"
            for configured, told in (
                (text, "configuration applied at"),
                ("broken", "reload refused at"),
            ):
                program.reload(configured)
                first, stamp = manager.recv(1000).decode().splitlines()
                assert first == "RELOADING=1"
                assert int(stamp.removeprefix("MONOTONIC_USEC=")) > 0
                ready, status = manager.recv(1000).decode().splitlines()
                assert ready == "READY=1"
                assert status.startswith(f"STATUS={told}")
            program.process.send_signal(signal.SIGTERM)
            assert manager.recv(1000) == b"STOPPING=1"
            assert program.process.wait(WAIT) == 0
