"""systemd's view: the unit file, and what the program tells the manager."""

from __future__ import annotations

import configparser
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

from amiws_gevent import cli
from amiws_gevent.config import ConfigError
from tests.support.patience import WAIT
from tests.support.program import ROOT, Program, ami_host, configuration

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
    assert service["RestartPreventExitStatus"].split() == ["2", str(ConfigError.exit_status)]
    words = service["ExecStart"].split()
    options = cli.parser().parse_args(words[1:])
    assert options.file == cli.CONFIG_FILE
    assert not options.daemon, "systemd wants it in the foreground"


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
