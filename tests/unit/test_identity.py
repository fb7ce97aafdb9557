"""Who a client is, wherever it is asked."""

from __future__ import annotations

import dataclasses

import pytest

from amiws_gevent.identity import DIGEST, NONE, Identity
from amiws_gevent.plugins.api import ClientInfo


def test_an_identity_is_a_value() -> None:
    assert Identity() == Identity(None, NONE, "")
    assert {Identity("anna", DIGEST, "192.0.2.1"): 1}[Identity("anna", DIGEST, "192.0.2.1")] == 1
    with pytest.raises(dataclasses.FrozenInstanceError):
        Identity().user = "anna"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("address", "host"),
    [
        ("192.0.2.1:5000", "192.0.2.1"),
        ("192.0.2.1", "192.0.2.1"),
        ("[2001:db8::1]:5000", "2001:db8::1"),
        ("2001:db8::1", "2001:db8::1"),
    ],
)
def test_of_what_plugins_know_a_client_by(address: str, host: str) -> None:
    client = ClientInfo(address, "anna", "v2", DIGEST)
    assert client.identity == Identity("anna", DIGEST, host)
    assert ClientInfo(address, None, "v2").identity.kind == NONE
