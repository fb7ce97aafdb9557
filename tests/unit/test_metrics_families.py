"""Every metric tells what it says it tells, and docs/operations.md knows it."""

from __future__ import annotations

import dataclasses
import json
import re
from http import HTTPStatus
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gevent
import pytest

from amiws_gevent import __version__
from amiws_gevent.actions import ActionProblem
from amiws_gevent.ami import Kind, Message
from amiws_gevent.clients import CLASSIC
from amiws_gevent.config import Limits
from amiws_gevent.feeds.filters import Filters
from amiws_gevent.link import Link, LinkState
from amiws_gevent.live import FollowedServer
from amiws_gevent.metrics import FAMILIES, Metrics
from amiws_gevent.plugins.api import ClientInfo
from amiws_gevent.plugins.context import Desk
from tests.support.actions import Told
from tests.support.assembly import Assembly, FakeClient, ignore
from tests.support.audited import MemoryTrail
from tests.support.feeds import BOTH, Client, FakeServer

DOCS = Path(__file__).parent.parent.parent / "docs" / "operations.md"

P = ClientInfo("192.0.2.7:1", None, "classic")


@pytest.fixture
def assembly() -> Assembly:
    return Assembly()


def plugin(name: str, **values: Any) -> Any:
    state = {"seconds": 0.0, "log_seconds": 0.0, "dropped": 0, "suspended": False, "faults": {}}
    queue = SimpleNamespace(dropped=values.pop("queue_dropped", 0))
    hooks = dict.fromkeys(values.pop("hooks", ()))
    return SimpleNamespace(
        name=name,
        hooks=hooks,
        queue=queue,
        desk=Desk(name),
        state=SimpleNamespace(**(state | values)),
    )


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
    assembly.feeds.counts.update(gaps=2, left_out=3)
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
    assembly.losses.messages = 12
    found = assembly.samples()
    assert found["amiws_clients_closed_total", "1013,slow"] == 2
    assert found["amiws_clients_closed_total", "4000,by_client"] == 1
    assert found["amiws_clients_closed_total", "1006,silent"] == 0
    assert found["amiws_client_lost_messages_total", ""] == 12


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


def test_actions(assembly: Assembly) -> None:
    assembly.dispatcher.dispatch(
        json.dumps({"Action": "Ping"}), client=P, answer=lambda _json: None
    )
    assembly.dispatcher.sent = 4
    assert assembly.value("amiws_actions_refused_total") == 1
    assert assembly.value("amiws_actions_sent_total") == 4


def test_actions_that_are_answered(assembly: Assembly) -> None:
    assert assembly.value("amiws_action_replies_total", "timeout") == 0
    client, told = ClientInfo("p:1", None, "v2"), Told()
    given = {"server": 1, "action": {"Action": "Ping"}}
    assembly.actions.submit(assembly.actions.parse(given), client, told)
    assert assembly.value("amiws_actions_pending") == 1
    told.wait()
    with pytest.raises(ActionProblem):
        assembly.actions.parse({**given, "server": "x"}, client)
    assembly.actions.sent = 4
    found = assembly.samples()
    assert found["amiws_action_replies_total", "unreachable"] == 1
    assert found["amiws_actions_pending", ""] == 0
    assert found["amiws_actions_refused_total", ""] == 2
    assert found["amiws_actions_sent_total", ""] == 4


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


def test_the_event_loop(assembly: Assembly) -> None:
    now = [assembly.pauses._clock()]
    assembly.pauses._clock = lambda: now[0]
    assembly.pauses.polled()
    now[0] += 0.25
    assembly.pauses.about_to_poll()
    found = assembly.samples()
    assert found["amiws_reader_pause_seconds", ""] == pytest.approx(0.25)
    assert found["amiws_reader_pause_longest_seconds", ""] == pytest.approx(0.25)
    assert found["amiws_reader_long_pauses_total", ""] == 1
    assert found["amiws_loop_busy_seconds_total", ""] == pytest.approx(0.25)
    assert found["amiws_loop_turns_total", ""] == 1


def test_plugins(assembly: Assembly) -> None:
    assembly.plugins += [
        plugin(
            "journal",
            log_seconds=1.5,
            hooks=("amiws_log_message",),
            queue_dropped=8,
        ),
        plugin(
            "mask",
            seconds=0.5,
            dropped=2,
            suspended=True,
            hooks=("amiws_transform_message",),
            faults={"amiws_transform_message": 3, "greenlet": 1},
        ),
    ]
    found = assembly.samples()
    assert found["amiws_plugin_seconds_total", "journal,log"] == 1.5
    assert found["amiws_plugin_seconds_total", "mask,messages"] == 0.5
    assert found["amiws_plugin_faults_total", "journal,amiws_log_message"] == 0
    assert found["amiws_plugin_faults_total", "mask,amiws_transform_message"] == 3
    assert found["amiws_plugin_faults_total", "mask,greenlet"] == 1
    assert found["amiws_plugin_dropped_messages_total", "mask"] == 2
    assert found["amiws_plugin_dropped_calls_total", "journal"] == 8
    assert found["amiws_plugin_dropped_calls_total", "mask"] == 0
    assert found["amiws_plugin_suspended", "mask"] == 1
    assert found["amiws_plugin_suspended", "journal"] == 0


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


def test_the_rest(assembly: Assembly) -> None:
    found = assembly.samples()
    assert found["amiws_log_lines_lost_total", ""] == 3
    (build,) = [labels for name, labels in found if name == "amiws_build_info"]
    assert build.startswith(f"{__version__},3."), build
    for name in ("open_fds", "max_fds", "resident_memory_bytes", "cpu_seconds_total"):
        assert found[f"process_{name}", ""] > 0


def test_a_name_with_quotes_and_line_ends_stays_a_label() -> None:
    assembly = Assembly()
    host = assembly.links[1].host.model_copy(update={"name": 'a"b\\c'})
    assembly.links[1] = Link(host, Limits(), on_messages=ignore)
    assert assembly.value("amiws_server_connected", 'a"b\\c', "1") == 0


def test_names_follow_prometheus() -> None:
    for family in FAMILIES:
        assert re.fullmatch(r"amiws_[a-z_]+", family.name)
        assert not re.search(r"_(ms|milliseconds|kb|kib|count)(_|$)", family.name)
        assert family.help.endswith("."), family.name


def test_operations_md_has_a_row_for_each() -> None:
    text = DOCS.read_text(encoding="utf-8")
    rows = [row for row in text.splitlines() if row.startswith("| `amiws_")]
    wanted = []
    for family in FAMILIES:
        labels = ", ".join(f"`{label}`" for label in family.labels)
        wanted.append(f"| `{family.name}` | {labels} | {family.help} |")
    assert rows == wanted, "docs/operations.md should have:\n" + "\n".join(wanted)
    named = set(re.findall(r"\bamiws_[a-z_]+\b", text)) - {"amiws_gevent"}
    assert named <= {family.name for family in FAMILIES}


def test_the_counters_and_events_of_plugins(assembly: Assembly) -> None:
    one, other = plugin("a/x.py"), plugin("b/x.py")
    for made, value in ((one, 2), (other, 3)):
        made.desk.counter("alarms", "How often.").add(value)
    one.desk.events["dropped"] = 7
    assembly.plugins += [one, other]
    found = assembly.samples()
    assert found["amiws_own_x_alarms_total", "a/x.py"] == 2
    assert found["amiws_own_x_alarms_total", "b/x.py"] == 3
    assert found["amiws_plugin_events_total", "a/x.py,dropped"] == 7
    assert found["amiws_plugin_events_total", "b/x.py,published"] == 0


def test_no_metric_of_ours_is_called_like_a_plugins() -> None:
    assert not [family.name for family in FAMILIES if family.name.startswith("amiws_own_")]


def test_streams_of_the_api(assembly: Assembly) -> None:
    assert assembly.value("amiws_api_streams", "state") == 0
    client = ClientInfo("192.0.2.1", None, "events")
    streams = [assembly.streams.open(client, b"", Filters(), None, limit=1) for _ in range(2)]
    streams[0].close()
    assert assembly.value("amiws_api_streams", "events") == 1
    assert assembly.value("amiws_api_streams_opened_total", "events") == 2
    assert assembly.value("amiws_api_streams_opened_total", "state") == 0


def test_the_audit_and_limits_of_actions(assembly: Assembly) -> None:
    names = ("records_total", "failing", "pending_records", "refused_actions_total")
    assert {assembly.value(f"amiws_audit_{name}") for name in names} == {0}
    trail = MemoryTrail()
    assembly.audit.__dict__.update(trail.__dict__)
    trail.memory.waiting, trail.memory.refused, trail.memory.lost = 2, 3, 4
    trail.memory.outage = "full"
    trail.memory.count = 7
    assembly.action_limits.refused["rate", "user"] = 5
    found = assembly.samples()
    assert found["amiws_audit_failing", ""] == 1
    assert found["amiws_audit_records_total", ""] == 7
    assert found["amiws_audit_pending_records", ""] == 2
    assert found["amiws_audit_refused_actions_total", ""] == 3
    assert found["amiws_audit_lost_records_total", ""] == 4
    assert found["amiws_actions_limited_total", "rate,user"] == 5
    assert found["amiws_actions_limited_total", "at_work,address"] == 0


class TestBus:
    def test_what_a_collector_or_an_edge_has_of_it(self) -> None:
        assembly = Assembly()
        counts = {"held": {}, "refusals": 0, "dropped": 0, "waiting": 0, "unshared": 3}
        bus = SimpleNamespace(
            process="edge", up=True, lost=2, lag=lambda: {"server-1": 7}, **counts
        )
        measured = dataclasses.replace(assembly._measured(), bus=bus)
        assembly.metrics = Metrics(measured)
        assert assembly.value("amiws_bus_up", "edge") == 1
        assert assembly.value("amiws_bus_losses_total", "edge") == 2
        assert assembly.value("amiws_bus_lag_entries", "server-1") == 7
        assert assembly.value("amiws_bus_unshared_total", "edge") == 3
        assert ("amiws_bus_waiting_bytes", "edge") not in assembly.samples()
        counts = {"held": {"server-1": 9}, "refusals": 1, "dropped": 2, "waiting": 3, "unshared": 0}
        bus = SimpleNamespace(process="collector", up=True, lost=0, lag=dict, **counts)
        assembly.metrics = Metrics(dataclasses.replace(measured, bus=bus))
        assert assembly.value("amiws_bus_lease_term", "server-1") == 9
        assert assembly.value("amiws_bus_refusals_total", "collector") == 1
        assert assembly.value("amiws_bus_dropped_entries_total", "collector") == 2
        assert assembly.value("amiws_bus_waiting_bytes", "collector") == 3
