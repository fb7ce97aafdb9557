"""What plugins have of an edge."""

from __future__ import annotations

import pytest

from amiws_gevent.afar import Afar
from amiws_gevent.ami import Kind, Message
from amiws_gevent.edge.facilities import EdgeFacilities
from amiws_gevent.plugins.facilities import UNREACHABLE, AskError
from tests.support.actions import settle
from tests.support.answering import CollectorOf
from tests.support.edges import CollectorHere, EdgeHere
from tests.support.local_bus import LocalBus, LocalCalls


def test_they_read_the_state_and_ask_and_publish_by_a_collector() -> None:
    bus, calls = LocalBus(), LocalCalls()
    collector = CollectorHere(bus)
    collector.servers[1].put("channel", "1", a=1)
    collector.flush()
    plugins = CollectorOf({})
    calls.serve(plugins.methods)
    edge = EdgeHere(bus)
    edge.run()
    facilities = EdgeFacilities(edge.feeds, Afar(calls, lambda: edge.following.infos))
    assert facilities.state.get(1, "channel", "1") == {"a": 1}
    assert list(facilities.entities(1)) == [("channel", "1", {"a": 1})]
    assert list(facilities.entities(9)) == []
    assert facilities.publish(Message(Kind.EVENT, [("Event", "Mine")]))
    assert facilities.ask(1, {"Action": "Ping"}, timeout=1, wait=False).server == 1
    settle()
    assert [event.name for event in plugins.plugins.events] == ["Mine"]
    calls.away = {"server-1"}
    with pytest.raises(AskError) as caught:
        facilities.ask(1, {"Action": "Ping"}, timeout=1, wait=False)
    assert caught.value.code == UNREACHABLE
    facilities.show_anew()
    assert list(facilities.entities(1)) == [("channel", "1", {"a": 1})]
