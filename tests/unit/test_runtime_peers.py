from __future__ import annotations

from typing import Any

import pytest

from amiws_gevent.plugins.api import ClientInfo
from amiws_gevent.runtime.peers import host_of, name_of
from amiws_gevent.web.connection import peer_names


@pytest.mark.parametrize(
    "address",
    [("192.0.2.1", 80), ("2001:db8::1", 80, 0, 0), ("::ffff:192.0.2.1", 80, 0, 0), "/run/x"],
)
def test_the_host_of_a_peer(address: Any) -> None:
    host, peer = peer_names(address)
    assert host_of(peer) == host
    assert host_of(host) == host


@pytest.mark.parametrize(
    ("user", "name"),
    [(None, "192.0.2.7:5000"), ("", "192.0.2.7:5000"), ("ann", "192.0.2.7:5000 (ann)")],
)
def test_a_client_in_the_log(user: str | None, name: str) -> None:
    assert name_of(ClientInfo("192.0.2.7:5000", user, "classic")) == name
