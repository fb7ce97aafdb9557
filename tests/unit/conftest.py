"""What unit tests of several files have in common."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import gevent
import pytest

from tests.support.ami_server import AmiServer
from tests.support.assembled import Whole, housed


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
