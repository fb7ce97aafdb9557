"""Metrics of what goes to clients, and of who was not let in."""

from __future__ import annotations

from http import HTTPStatus
from types import SimpleNamespace
from typing import Any

import gevent
import pytest

from amiws_gevent.ami import Kind, Message
from amiws_gevent.clients import CLASSIC
from amiws_gevent.feeds.filters import Filters
from amiws_gevent.plugins.api import ClientInfo
from tests.support.assembly import Assembly, FakeClient
from tests.support.feeds import BOTH, Client, FakeServer


@pytest.fixture
def assembly() -> Assembly:
    return Assembly()


def test_what_clients_got_and_what_waits(assembly: Assembly) -> None:
    assembly.hub.add(FakeClient(), CLASSIC)
    assembly.pipeline.process(assembly.sources[1], [Message(Kind.EVENT, [("Event", "A")])] * 2)
    assert assembly.value("amiws_hub_pending_bytes") == assembly.hub.pending_bytes > 0
    assert assembly.value("amiws_deliveries_total") == 0
    assembly.hub.start()
    gevent.sleep(0.01)
    assembly.hub.stop()
    assert assembly.value("amiws_hub_pending_bytes") == 0
    assert assembly.value("amiws_deliveries_total") == 2
    assert assembly.value("amiws_delivered_bytes_total") == assembly.hub.delivered_bytes > 0


def test_dropped_messages_by_where(assembly: Assembly) -> None:
    assembly.hub.passes.dropped_messages = 5
    assembly.pipeline.dropped_messages = 6
    assert assembly.value("amiws_messages_dropped_total", "hub") == 5
    assert assembly.value("amiws_messages_dropped_total", "plugins") == 6


def test_subscriptions(assembly: Assembly) -> None:
    client = Client(assembly.feeds)
    client.subscribe(BOTH)
    batch = FakeServer(1).says("A", "B")
    assembly.feeds.publish(batch)
    assert assembly.value("amiws_subscriptions") == 1
    assert assembly.value("amiws_subscriptions_behind") == 1
    assert assembly.value("amiws_snapshots_total") == 0
    client.read()
    assert assembly.value("amiws_subscriptions_behind") == 0
    assert assembly.value("amiws_snapshots_total") == 1
    assembly.feeds.counts.update(gaps=2)
    assembly.feeds.losses.add(3, "anna")
    assert assembly.value("amiws_gaps_total") == 2
    assert assembly.value("amiws_subscription_lost_messages_total") == 3
    assert assembly.value("amiws_history_messages") == 2
    assert assembly.value("amiws_history_bytes") > batch.size


def test_clients(assembly: Assembly) -> None:
    assembly.clients += [
        SimpleNamespace(pending_bytes=size, compressed=size > 0) for size in (0, 10, 500)
    ]
    client: Any = FakeClient()
    assembly.pages.opened(client)
    found = assembly.samples()
    assert found["amiws_client_pending_bytes", ""] == 510
    assert found["amiws_client_pending_bytes_max", ""] == 500
    assert found["amiws_clients_compressed", ""] == 2
    assert found["amiws_connections", ""] == 7
    assert found["amiws_clients", "v2"] == 1
    assert found["amiws_clients", "classic"] == 0
    assert found["amiws_clients_opened_total", "v2"] == 1
    assembly.pages.closed(client, 1013, "too slow: 5 bytes waiting")
    assert assembly.value("amiws_clients", "v2") == 0
    assert assembly.value("amiws_clients_opened_total", "v2") == 1


def test_requests_that_got_an_error(assembly: Assembly) -> None:
    client: Any = FakeClient()
    assembly.pages.opened(client)
    assert assembly.value("amiws_request_errors_total", "bad_json") == 0
    assembly.pages.received(client, "nonsense")
    assert assembly.value("amiws_request_errors_total", "bad_json") == 1
    assert assembly.value("amiws_request_errors_total", "unknown_op") == 0


def test_why_clients_went_and_what_slow_ones_lost(assembly: Assembly) -> None:
    assert assembly.value("amiws_clients_closed_total", "1013", "slow") == 0
    assembly.counts.closes[1013, "slow"] += 2
    assembly.counts.closes[4000, "by_client"] += 1
    assembly.losses.add(12, "anna")
    assembly.losses.add(5)
    assembly.feeds.losses.add(3, "anna")
    found = assembly.samples()
    assert found["amiws_clients_closed_total", "1013,slow"] == 2
    assert found["amiws_clients_closed_total", "4000,by_client"] == 1
    assert found["amiws_clients_closed_total", "1006,silent"] == 0
    assert found["amiws_client_lost_messages_total", ""] == 17
    assert found["amiws_user_lost_messages_total", "anna"] == 15
    assert found["amiws_user_lost_messages_total", ""] == 5


def test_who_was_not_let_in(assembly: Assembly) -> None:
    assembly.counts.refused_connections["connections"] += 3
    assembly.counts.refused_upgrades[HTTPStatus.FORBIDDEN] += 4
    assembly.counts.pauses["busy"] += 5
    found = assembly.samples()
    assert found["amiws_connections_refused_total", "connections"] == 3
    assert found["amiws_connections_refused_total", "descriptors"] == 0
    assert found["amiws_upgrades_refused_total", "403"] == 4
    assert found["amiws_upgrades_refused_total", "401"] == 0
    assert found["amiws_accept_pauses_total", "busy"] == 5


def test_logins_that_were_refused(assembly: Assembly) -> None:
    assert assembly.value("amiws_logins_refused_total", "limit") == 0
    assembly.login_throttle.failed("192.0.2.7", "anna")
    assembly.login_throttle.refused["limit"] += 3
    assert assembly.value("amiws_logins_refused_total", "password") == 1
    assert assembly.value("amiws_logins_refused_total", "limit") == 3


def test_nobody_is_connected(assembly: Assembly) -> None:
    assert assembly.value("amiws_client_pending_bytes") == 0
    assert assembly.value("amiws_client_pending_bytes_max") == 0


def test_streams_of_the_api(assembly: Assembly) -> None:
    assert assembly.value("amiws_api_streams", "state") == 0
    client = ClientInfo("192.0.2.1", None, "events")
    streams = [assembly.streams.open(client, b"", Filters(), None, limit=1) for _ in range(2)]
    streams[0].close()
    assert assembly.value("amiws_api_streams", "events") == 1
    assert assembly.value("amiws_api_streams_opened_total", "events") == 2
    assert assembly.value("amiws_api_streams_opened_total", "state") == 0
