"""Metrics of links, the live state and the configuration."""

from __future__ import annotations

import pytest

from amiws_gevent.ami import Kind, Message
from amiws_gevent.config import Limits
from amiws_gevent.link import Link, LinkState
from amiws_gevent.live import FollowedServer
from tests.support.assembly import Assembly, ignore


@pytest.fixture
def assembly() -> Assembly:
    return Assembly()


def test_messages_by_server_and_type(assembly: Assembly) -> None:
    source = assembly.sources[1]
    events = [Message(Kind.EVENT, [("Event", "A")])] * 3
    assembly.pipeline.process(source, [Message(Kind.PROMPT, [("Product", "x")]), *events])
    found = assembly.samples()
    name = "amiws_messages_received_total"
    assert found[name, "pbx1,1,event"] == 3
    assert found[name, "pbx1,1,prompt"] == 1
    assert found[name, "pbx1,1,response"] == 0
    assert sum(1 for sample, _ in found if sample == name) == len(Kind)
    assert found["amiws_messages_published_total", ""] == 4


def test_servers(assembly: Assembly) -> None:
    link = assembly.links[1]
    link.state = LinkState.CONNECTED
    link.logins = 3
    link.failed_attempts = 9
    link._faults["packets_cut"] = 2
    found = assembly.samples()
    assert found["amiws_server_connected", "pbx1,1"] == 1
    assert found["amiws_server_state", "pbx1,1,connected"] == 1
    assert found["amiws_server_state", "pbx1,1,logging_in"] == 0
    assert sum(v for (name, _), v in found.items() if name == "amiws_server_state") == 1
    assert found["amiws_server_reconnects_total", "pbx1,1"] == 2
    assert found["amiws_server_failed_attempts_total", "pbx1,1"] == 9
    assert found["amiws_server_faults_total", "pbx1,1,packets_cut"] == 2
    assert found["amiws_server_faults_total", "pbx1,1,lines_over_limit"] == 0
    assert found["amiws_server_pending_bytes", "pbx1,1"] == 0


def test_a_server_that_was_never_reached_has_not_been_reconnected(assembly: Assembly) -> None:
    assert assembly.value("amiws_server_reconnects_total", "pbx1", "1") == 0
    assert assembly.value("amiws_server_connected", "pbx1", "1") == 0


def test_two_servers_of_one_name_are_told_apart_by_their_id() -> None:
    assembly = Assembly(servers=2)
    for number, link in assembly.links.items():
        assembly.links[number] = Link(
            link.host.model_copy(update={"name": "same"}), Limits(), on_messages=ignore
        )
    assert assembly.value("amiws_server_connected", "same", "2") == 0


def test_the_last_reload(assembly: Assembly) -> None:
    applied = "amiws_config_last_reload_successful"
    assert assembly.value(applied) == 1
    assembly.last_reload.applied = False
    assert assembly.value(applied) == 0
    assert assembly.value("amiws_config_last_reload_success_timestamp_seconds") == 1_800_000_000.5


def test_the_live_state(assembly: Assembly) -> None:
    live = assembly.live.servers[1]
    assert isinstance(live, FollowedServer)
    assert assembly.value("amiws_state_synchronised", "pbx1", "1") == 0
    live.synchronised("live", "", [])
    assert assembly.value("amiws_state_synchronised", "pbx1", "1") == 1
    item = Message(Kind.EVENT, [("Event", "DeviceStateChange"), ("Device", "X/1")])
    live.listed("DeviceStateList", [item], 0, heals=True)
    assert assembly.value("amiws_state_healed_total", "pbx1", "1", "device", "added") == 1
    live.errors = 3
    assert assembly.value("amiws_state_errors_total", "pbx1", "1") == 3


def test_a_name_with_quotes_and_line_ends_stays_a_label() -> None:
    assembly = Assembly()
    host = assembly.links[1].host.model_copy(update={"name": 'a"b\\c'})
    assembly.links[1] = Link(host, Limits(), on_messages=ignore)
    assert assembly.value("amiws_server_connected", 'a"b\\c', "1") == 0
