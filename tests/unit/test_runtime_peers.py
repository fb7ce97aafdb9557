from __future__ import annotations

from typing import Any

import pytest

from amiws_gevent.plugins.api import ClientInfo
from amiws_gevent.runtime.peers import host_of, is_this_machine, name_of, network_of
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


@pytest.mark.parametrize(
    ("host", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("unix", "unix"),
    ],
)
def test_what_counts_as_one_address(host: str, network: str) -> None:
    assert network_of(host) == network


def test_this_machine() -> None:
    assert all(map(is_this_machine, ("127.0.0.1", "127.8.8.8", "::1", "unix")))
    assert not any(map(is_this_machine, ("192.0.2.7", "::2", "")))
