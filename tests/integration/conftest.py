"""What integration tests of several files have in common."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.ami_server import AmiServer
from tests.support.plugin_site import Site


@pytest.fixture
def ami() -> Iterator[AmiServer]:
    with AmiServer() as server:
        yield server


@pytest.fixture
def site(tmp_path: Path, ami: AmiServer) -> Site:
    return Site(tmp_path, ami)
