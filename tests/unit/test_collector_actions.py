"""What holds actions back at a collector. Whole ways: test_edge_actions.py."""

from __future__ import annotations

from typing import Any

import pytest

from amiws_gevent.collector.actions import NO_LEASE, HeldLinks, Uncounted
from amiws_gevent.config import Limits
from amiws_gevent.errors import NotConnected
from tests.support.actions import ALICE, ScriptedLink
from tests.support.hosts import ami_host


def test_no_link_sends_without_its_lease() -> None:
    sent: list[bytes] = []
    link: Any = ScriptedLink(1)
    link.send = lambda data, holding=0.0: sent.append(data)
    held = {1}
    hosts = {1: link.host, 2: ami_host(id=2)}
    links = HeldLinks(lambda: hosts, {1: link}, held.__contains__)
    assert (list(links), len(links), 3 in links) == ([1, 2], 2, False)
    links[1].send(b"x")
    assert links[1].ask((("Action", "Ping"),), timeout=1).complete
    held.clear()
    for server in (1, 2):
        with pytest.raises(NotConnected) as caught:
            links[server].ask((("Action", "Ping"),), timeout=1)
        assert str(caught.value) == NO_LEASE
        with pytest.raises(NotConnected, match="lease"):
            links[server].send(b"y")
    assert sent == [b"x"]
    assert links[1].host is link.host


def test_what_edges_have_counted_is_not_counted_again() -> None:
    limits = Uncounted(Limits.model_validate({"actions_at_work": 1, "actions_burst": 1}))
    for _ in range(3):
        limits.take(ALICE)
        limits.begin(ALICE)
    limits.end(ALICE)
    assert not limits.refused
