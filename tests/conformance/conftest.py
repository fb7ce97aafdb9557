"""One server for all cases: none of them may harm it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from amiws_gevent.web.server import WebServer
from tests.support.webserver import FakeSessions, make_settings, serving


@pytest.fixture(scope="package")
def server() -> Iterator[WebServer]:
    """Echoes each text; a message may have 64 KiB."""
    settings = make_settings(limits={"client_message": 65536})
    with serving(settings, sessions=FakeSessions()) as started:
        yield started
