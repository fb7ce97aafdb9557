"""Messages to systemd, read from a socket as systemd's."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from amiws_gevent.runtime.notify import is_journal, notify, watchdog_time
from tests.support.patience import WAIT


class Manager:
    """The reading end that systemd has."""

    def __init__(self, address: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(address)
        self.socket.settimeout(WAIT)

    def received(self) -> str:
        return self.socket.recv(4096).decode()


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    manager = Manager(str(tmp_path / "notify"))
    yield manager
    manager.socket.close()


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {"NOTIFY_SOCKET": str(tmp_path / "notify")}


def test_assignments_are_lines_of_one_datagram(manager: Manager, environ: dict[str, str]) -> None:
    assert notify("READY=1", "STATUS=2 servers", environ=environ)
    assert manager.received() == "READY=1\nSTATUS=2 servers"


def test_reloading_carries_the_time_that_systemd_asks_for(
    manager: Manager, environ: dict[str, str]
) -> None:
    assert notify("RELOADING=1", environ=environ, clock_ns=lambda: 12_345_678)
    assert manager.received() == "RELOADING=1\nMONOTONIC_USEC=12345"


def test_a_status_cannot_add_an_assignment(manager: Manager, environ: dict[str, str]) -> None:
    assert notify("STATUS=a\nMAINPID=1", environ=environ)
    assert manager.received() == "STATUS=a MAINPID=1"


def test_an_abstract_socket(tmp_path: Path) -> None:
    name = f"amiws-test-{tmp_path}"
    manager = Manager(f"\0{name}")
    assert notify("STOPPING=1", environ={"NOTIFY_SOCKET": f"@{name}"})
    assert manager.received() == "STOPPING=1"
    manager.socket.close()


@pytest.mark.parametrize("environ", [{}, {"NOTIFY_SOCKET": ""}, {"NOTIFY_SOCKET": "vsock:2:1"}])
def test_nobody_asked(environ: dict[str, str]) -> None:
    assert not notify("READY=1", environ=environ)


def test_a_socket_that_is_gone_is_told_and_harmless(
    environ: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        assert not notify("READY=1", environ=environ)
    assert "READY=1" in caplog.text


def test_the_journal_is_known_by_device_and_inode(tmp_path: Path) -> None:
    with (tmp_path / "one").open("w") as one, (tmp_path / "other").open("w") as other:
        status = os.fstat(one.fileno())
        environ = {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"}
        assert is_journal(one.fileno(), environ)
        assert not is_journal(other.fileno(), environ)
        assert not is_journal(one.fileno(), {})


@pytest.mark.parametrize(
    ("environ", "seconds"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "500000", "WATCHDOG_PID": str(os.getpid())}, 0.5),
        ({"WATCHDOG_USEC": "500000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "x"}, None),
    ],
)
def test_how_soon_systemd_wants_to_hear(environ: dict[str, str], seconds: float | None) -> None:
    assert watchdog_time(environ) == seconds
