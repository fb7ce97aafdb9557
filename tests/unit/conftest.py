"""What unit tests of several files have in common."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gevent
import pytest

from tests.support.ami_server import AmiServer
from tests.support.assembled import Whole, housed
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
