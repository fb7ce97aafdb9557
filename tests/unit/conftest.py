"""What unit tests of several files have in common."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import gevent
import pytest

from amiws_gevent.runtime import log
from amiws_gevent.runtime.log import LogControl
from tests.support.ami_server import AmiServer
from tests.support.assembled import Whole, housed
from tests.support.command_line import CONFIGURATION, Server
from tests.support.garbage import set_aside
from tests.support.ws_line import Line, MakeLine


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Whole]:
    with housed(tmp_path) as made:
        yield made


@pytest.fixture
def ami() -> Iterator[AmiServer]:
    with AmiServer(sleep=gevent.sleep) as server:
        yield server


@pytest.fixture
def server(ami: AmiServer) -> AmiServer:
    """The same, by the name that the tests of a link call it."""
    return ami


@pytest.fixture
def make_line() -> Iterator[MakeLine]:
    lines = []

    def make(**options: Any) -> Line:
        lines.append(Line(**options))
        return lines[-1]

    yield make
    for line in lines:
        line.end()


@pytest.fixture
def line(make_line: MakeLine) -> Line:
    return make_line()


# The command line


@pytest.fixture
def command_line(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Puts back what a program may change, and a test process must not."""
    monkeypatch.setenv("AMI_SECRET", "x")
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    handlers = {number: signal.getsignal(number) for number in numbers}
    controls: list[LogControl] = []
    configure = log.configure

    def noted(facility: int, level: int, *, foreground: bool) -> LogControl:
        controls.append(configure(facility, level, foreground=foreground, address="/none"))
        return controls[-1]

    monkeypatch.setattr(log, "configure", noted)
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)
    gevent.get_hub().__dict__.pop("handle_error", None)
    for control in controls:
        control.close()


@pytest.fixture(scope="module")
def left_by_programs() -> Iterator[None]:
    """Programs that end leave garbage among what they have frozen."""
    yield
    set_aside()


@pytest.fixture
def servers(monkeypatch: pytest.MonkeyPatch, left_by_programs: None) -> list[Server]:
    """The servers that the program makes."""
    module = ModuleType("amiws_gevent.processes")
    module.server_of = Server  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "amiws_gevent.processes", module)
    Server.made = []
    Server.opening = lambda server: None
    Server.deed = lambda server: 0
    return Server.made


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "amiws.yaml"
    path.write_text(CONFIGURATION)
    path.chmod(0o600)
    return path
