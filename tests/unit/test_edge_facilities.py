"""What plugins have of an edge."""

from __future__ import annotations

import pytest

from amiws_gevent.ami import Kind, Message
from amiws_gevent.edge.facilities import EdgeFacilities
from amiws_gevent.plugins.facilities import AskError
from tests.support.edges import CollectorHere, EdgeHere
from tests.support.local_bus import LocalBus


def test_they_read_the_state_and_do_nothing_with_servers() -> None:
    bus = LocalBus()
    collector = CollectorHere(bus)
    collector.servers[1].put("channel", "1", a=1)
    collector.flush()
    edge = EdgeHere(bus)
    edge.run()
    facilities = EdgeFacilities(edge.feeds)
    assert facilities.state.get(1, "channel", "1") == {"a": 1}
    assert list(facilities.entities(1)) == [("channel", "1", {"a": 1})]
    assert list(facilities.entities(9)) == []
    assert not facilities.publish(Message(Kind.EVENT, [("Event", "Mine")]))
    with pytest.raises(AskError, match="collector"):
        facilities.ask(1, {"Action": "Ping"}, timeout=1, wait=False)
    facilities.show_anew()
    assert list(facilities.entities(1)) == [("channel", "1", {"a": 1})]
