"""One server's model as its link and its lists feed it."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from typing import Any

import gevent
import pytest

from amiws_gevent.ami import Kind, Message, Parser
from amiws_gevent.config import Settings
from amiws_gevent.live import liveserver
from amiws_gevent.live.liveserver import FollowedServer
from amiws_gevent.live.permissions import Missing, Permissions
from amiws_gevent.live.proxy import ServerEntity, proxy_source
from amiws_gevent.live.synchroniser import DEFAULT_PACE, LIVE, STALE, SYNCING, Pace
from amiws_gevent.pipeline import Pipeline, Source
from amiws_gevent.runtime.loop import yield_to_loop
from amiws_gevent.state.store import Store
from amiws_gevent.state.stores import ProxyStore
from tests.support.asking import ScriptedLink, commands, item, listed, single
from tests.support.greenlets import until
from tests.support.hosts import ami_host
from tests.support.listed import channels

BANNER = "Asterisk Call Manager/11.0.0"


def event(name: str, **headers: str) -> Message:
    given = {"Privilege": "call,all", **headers}
    return Message(Kind.EVENT, [("Event", name), *given.items()])


def new_channel(number: int) -> Message:
    return event(
        "Newchannel",
        Channel=f"PJSIP/{number}-1",
        ChannelState="4",
        ChannelStateDesc="Ring",
        Uniqueid=f"{number}.1",
        Linkedid=f"{number}.1",
    )


def joined(queue: str, number: int) -> Message:
    return event(
        "QueueCallerJoin",
        Queue=queue,
        Uniqueid=f"{number}.1",
        Channel=f"PJSIP/{number}-1",
        Position="1",
    )


class World:
    def __init__(self, *, pace: Pace = DEFAULT_PACE, **says: Any) -> None:
        self.link = ScriptedLink(**{"ListCommands": commands(), **says})
        self.source = Source(ami_host(id=1, name="pbx"))
        proxy = proxy_source()
        self.proxy = ProxyStore(lambda: proxy.advance().offset)
        self.now = 1_000_000
        self.changes: list[Store] = []
        self.entity = ServerEntity(self.proxy, self.source.host, lambda: self.now)
        self.server = FollowedServer(
            self.source,
            self.link,
            self.entity,
            Settings(amihosts=(self.source.host,), queue_day="00:00 UTC"),  # type: ignore[arg-type]
            now=lambda: self.now,
            on_change=self.changes.append,
            pace=pace,
        )

    def hear(self, *messages: Message) -> None:
        self.now += 10
        Pipeline(lambda batch: None).process(self.source, messages)

    def connect(self, banner: str = BANNER) -> None:
        self.entity.connection_changed("connected", banner)
        self.server.connection_changed("connected", banner)

    def lose(self, reason: str = "reset by the server") -> None:
        self.entity.connection_changed("waiting", reason)
        self.server.connection_changed("waiting", reason)

    def list(self, action: str, *items: Message, heals: bool = True, asked: int = -1) -> None:
        at = self.source.offset if asked < 0 else asked
        self.server.listed(action, items, at, heals=heals)

    def keys(self, kind: str) -> list[str]:
        return self.server.store.keys(kind)

    def __getitem__(self, field: str) -> Any:
        return (self.proxy.get("server", "1") or {})[field]


@pytest.fixture
def world() -> Iterator[World]:
    made = World()
    yield made
    made.server.close()


def test_each_read_goes_into_the_model_with_its_offset(world: World) -> None:
    world.hear(new_channel(1), new_channel(2))
    world.hear(new_channel(3))
    assert world.keys("channel") == ["1.1", "2.1", "3.1"]
    assert [world.server.store.born("channel", f"{n}.1") for n in (1, 2, 3)] == [1, 1, 2]
    assert world.changes[-1] is world.server.store
    assert world.server.store.dirty


def test_an_event_that_the_model_cannot_take_costs_itself_alone(
    world: World, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    takers = world.server.model._news

    def fail(values: Mapping[str, str]) -> None:
        raise ZeroDivisionError

    monkeypatch.setitem(takers, "hold", (fail,))
    hold = event("Hold", Uniqueid="1.1")
    world.hear(new_channel(1), hold, new_channel(2), hold, hold, new_channel(3))
    assert world.keys("channel") == ["1.1", "2.1", "3.1"]
    assert world.server.errors == 3
    world.hear(hold)
    lines = [record.getMessage() for record in caplog.records]
    assert lines == ["pbx: internal error in the live state, at an event (1 so far)"]


@pytest.mark.pure
def test_a_model_that_can_take_nothing_does_not_hold_the_stream(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*given: Any) -> None:
        raise AssertionError

    monkeypatch.setattr(world.server.store, "begin", fail)
    world.hear(new_channel(1), new_channel(2))
    world.list("CoreShowChannels")
    world.server.tick()
    world.connect()
    world.lose()
    assert world.server.errors >= 4


def test_a_tick_has_a_position_of_its_own(world: World) -> None:
    world.connect()
    before = world.source.offset
    world.server.tick()
    assert world.server.store.offset == world.source.offset == before + 1


class TestConnection:
    def test_a_server_is_syncing_then_live_and_stale_with_the_reason(self, world: World) -> None:
        assert (world["sync"], world["sync_reason"]) == (STALE, "not connected yet")
        world.connect()
        assert world["sync"] == SYNCING
        until(lambda: world["sync"] == LIVE)
        world.lose()
        assert (world["sync"], world["sync_reason"]) == (STALE, "reset by the server")

    def test_what_was_known_of_a_lost_server_is_kept(self, world: World) -> None:
        world.connect()
        world.hear(new_channel(1))
        world.lose()
        assert world.keys("channel") == ["1.1"]

    def test_of_a_lost_server_nothing_is_asked(self) -> None:
        world = World(ListCommands=commands("QueueStatus"))
        world.connect()
        world.lose()
        world.server.tick()
        assert world.link.asked == []

    def test_time_does_not_pass_for_a_server_that_is_not_heard(self, world: World) -> None:
        world.connect()
        world.hear(joined("sales", 1))
        day = world.server.store.of("queue")["sales"]["day"]
        world.lose()
        world.now += 86_400_000
        world.server.tick()
        assert world.server.store.of("queue")["sales"]["day"] == day

    def test_figures_are_incomplete_from_a_reconnect_on(self, world: World) -> None:
        world.connect()
        world.hear(joined("sales", 1))
        world.lose()
        world.now += 60_000
        world.connect()
        queue = world.server.store.of("queue")["sales"]
        assert (queue["incomplete"], queue["counted_since"]) == (True, world.now)

    def test_a_new_connection_reconciles_what_was_missed(self) -> None:
        world = World(ListCommands=commands("CoreShowChannels"))
        world.connect()
        world.hear(new_channel(1))
        until(lambda: world["sync"] == LIVE)  # the list was empty, and older than the channel
        world.lose()
        world.connect()
        until(lambda: world["sync"] == LIVE)
        assert world.keys("channel") == []

    def test_what_nobody_may_ask_for_is_forgotten_with_the_connection(self, world: World) -> None:
        world.connect()
        until(lambda: world["sync"] == LIVE)
        peer = event("PeerStatus", ChannelType="SIP", Peer="SIP/1", PeerStatus="Registered")
        world.hear(new_channel(1), joined("sales", 1), peer)
        assert world.keys("peer") == ["SIP/1"]
        world.lose()
        world.connect()
        until(lambda: world["sync"] == LIVE)
        assert [world.keys(kind) for kind in ("channel", "call", "queue_caller", "peer")] == [
            []
        ] * 4

    def test_of_a_part_that_may_be_asked_in_part_only_that_stays(self) -> None:
        world = World()
        peer = event("PeerStatus", ChannelType="SIP", Peer="SIP/1", PeerStatus="Registered")
        endpoint = event("PeerStatus", ChannelType="PJSIP", Peer="PJSIP/2", PeerStatus="Reachable")
        world.hear(peer, endpoint)
        world.server._connections = 2
        world.server.allowed(Permissions(["SIPpeers"]))
        assert (world.keys("peer"), world.keys("endpoint")) == (["SIP/1"], [])

    def test_what_a_module_told_that_is_gone_is_forgotten_and_its_like_stays(self) -> None:
        """Such as SIP peers, of a server that came back with PJSIP and IAX2."""
        world = World()
        for kind in ("SIP", "IAX2"):
            peer = {"ChannelType": kind, "Peer": f"{kind}/1", "PeerStatus": "Registered"}
            world.hear(event("PeerStatus", **peer))
            trunk = {"ChannelType": kind, "Username": "me", "Domain": "there"}
            world.hear(event("Registry", Status="Registered", **trunk))
        for header in ("Conference", "Meetme"):
            name = "MeetmeJoin" if header == "Meetme" else "ConfbridgeJoin"
            world.hear(event(name, Channel=f"SIP/{name}", Uniqueid=name, **{header: "1"}))
        world.server._connections = 2
        world.server.allowed(Permissions(["IAXpeerlist", "IAXregistry", "ConfbridgeListRooms"]))
        assert world.keys("peer") == ["IAX2/1"]
        assert world.keys("registration") == ["IAX2|me|there"]
        assert world.keys("conference") == ["confbridge|1"]
        assert world.keys("participant") == ["ConfbridgeJoin"]

    def test_at_the_first_connection_nothing_is_forgotten(self, world: World) -> None:
        world.connect()
        world.hear(new_channel(1))
        world.server.allowed(Permissions([]))
        assert world.keys("channel") == ["1.1"]

    def test_a_reload_of_the_server_has_everything_asked_soon(self, world: World) -> None:
        world.connect()
        until(lambda: world["sync"] == LIVE)
        hurried: list[int] = []
        assert world.server._synchroniser is not None
        world.server._synchroniser.hurry = lambda: hurried.append(1)  # type: ignore[method-assign]
        world.hear(new_channel(1))
        assert hurried == []
        world.hear(event("Reload", Module="app_queue.so", Status="0"))
        assert hurried == [1]


class TestHealing:
    def test_what_a_list_puts_right_is_counted_by_kind_and_change(self, world: World) -> None:
        for number in (1, 2):
            world.hear(new_channel(number))
        up = {"ChannelState": "6", "ChannelStateDesc": "Up", "Linkedid": "1.1"}
        world.list(
            "CoreShowChannels",
            item("CoreShowChannel", Channel="PJSIP/1-1", Uniqueid="1.1", **up),
            item("CoreShowChannel", Channel="PJSIP/3-1", Uniqueid="3.1", **up),
        )
        healed = world.server.healed()
        assert healed["channel", "added"] == 1
        assert healed["channel", "removed"] == 1
        assert healed["channel", "changed"] == 1
        assert world["healed"]["channel"] == 3

    def test_the_first_list_of_a_connection_heals_nothing(self, world: World) -> None:
        world.list("CoreShowChannels", item("CoreShowChannel", Uniqueid="3.1"), heals=False)
        assert world.server.healed() == {}
        assert world["healed"] == {}

    def test_a_list_that_says_the_same_heals_nothing(self, world: World) -> None:
        world.hear(event("DeviceStateChange", Device="PJSIP/1", State="INUSE"))
        world.list("DeviceStateList", item("DeviceStateChange", Device="PJSIP/1", State="INUSE"))
        assert world.server.healed() == {}

    def test_what_only_a_list_tells_is_not_healed(self, world: World) -> None:
        peer = event("PeerStatus", ChannelType="SIP", Peer="SIP/1", PeerStatus="Reachable")
        world.hear(peer)
        told = {"ObjectName": "1", "Status": "OK (3 ms)", "IPaddress": "192.0.2.1"}
        world.list("SIPpeers", item("PeerEntry", **told), heals=False)
        world.list("SIPpeers", item("PeerEntry", **{**told, "Status": "OK (9 ms)"}))
        assert world.server.store.of("peer")["SIP/1"]["latency"] == 9
        assert world.server.healed().get(("peer", "changed"), 0) == 0

    def test_again_and_again_without_an_event_a_class_is_missing(
        self, world: World, caplog: pytest.LogCaptureFixture
    ) -> None:
        for state in ("INUSE", "NOT_INUSE") * 4:
            world.list("DeviceStateList", item("DeviceStateChange", Device="X/1", State=state))
        world.server.synchronised(LIVE, "", [])
        assert {"kind": "device", "manager_conf": "read = call"}.items() <= world["missing"][
            0
        ].items()
        assert "(read = call)" in caplog.text


class TestLongLists:
    """A list is taken in turns, here of one step each."""

    ITEMS = channels(20)
    STEPS = 5 * 20  # and more: each item is read, taken, looked for, seated, and its call told

    @pytest.fixture(autouse=True)
    def one_step_a_turn(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(liveserver, "LIST_TURN", -1.0)

    def test_others_run_between_two_turns(self, world: World) -> None:
        yields = iter(range(1_000))
        seen: list[int] = []

        def look() -> None:
            for _ in yields:
                seen.append(len(world.keys("channel")))
                yield_to_loop()

        looking = gevent.spawn(look)
        world.list("CoreShowChannels", *self.ITEMS)
        looking.kill()
        assert set(range(20)) <= set(seen)
        assert next(yields) >= self.STEPS

    def test_events_between_two_turns_are_of_their_own_offsets(self, world: World) -> None:
        """What they say is neither taken back by the rest of the list nor counted as healed."""
        world.list("CoreShowChannels", *self.ITEMS, heals=False)
        healed_before = world.server.healed()
        ends = iter(range(20))

        def hang_up() -> None:
            for number in ends:
                world.hear(event("Hangup", Uniqueid=f"17000000.{number}", Cause="16"))
                yield_to_loop()

        ending = gevent.spawn(hang_up)
        world.list("CoreShowChannels", *self.ITEMS)
        ending.join()
        assert world.keys("channel") == world.keys("call") == []
        assert world.server.healed() == healed_before == {}

    def test_what_was_left_of_a_list_the_next_one_does(self, world: World) -> None:
        for stop_at in range(0, self.STEPS, 7):
            other = World()
            taking = gevent.spawn(other.list, "CoreShowChannels", *self.ITEMS)
            for _ in range(stop_at):
                yield_to_loop()
            taking.kill()
            other.list("CoreShowChannels", *self.ITEMS)
            assert len(other.keys("channel")) == 20
            legs = [call["legs"] for call in other.server.store.of("call").values()]
            assert sorted(map(len, legs)) == [2] * 10
            other.server.close()


def test_what_is_missing_is_logged_once_for_each_line(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    missing = [
        Missing("endpoint", "the class system", "write = system"),
        Missing("contact", "the class system", "write = system"),
        Missing("mailbox", "the module app_voicemail", None),
    ]
    for _ in range(3):
        world.server.synchronised(LIVE, "", missing)
    [line] = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert line == (
        "pbx: the live state lacks endpoint, contact: add the class to the AMI user in "
        "manager.conf (write = system)"
    )
    assert [each["kind"] for each in world["missing"]] == ["endpoint", "contact", "mailbox"]


def test_hints_are_known_by_extension_and_context(world: World) -> None:
    world.hear(event("ExtensionStatus", Exten="201", Context="hints", Status="0", Hint="SIP/201"))
    assert world.server.hints() == [("201", "hints")]
    answer = single(("Exten", "201"), ("Context", "hints"), ("Status", "1"), ("Hint", "SIP/201"))
    assert answer.response is not None
    world.server.hint_answered(answer.response, world.source.offset)
    assert world.server.store.of("hint")["201@hints"]["status"] == 1


def test_a_reload_of_the_program_changes_what_is_configured(world: World) -> None:
    world.connect()
    world.hear(joined("sales", 1))
    world.server.configure(
        Settings.model_validate(
            {
                "amihosts": [world.source.host],
                "sync_interval": 7,
                "queue_service_level": "45 s",
                "queue_day": "00:00 Pacific/Auckland",
            }
        )
    )
    assert world.server._synchroniser is not None
    assert world.server._synchroniser.interval == 7
    world.server.tick()
    world.hear(joined("sales", 2))
    assert world.server.store.of("queue")["sales"]["service_level"] == 45


@pytest.mark.parametrize("day", ["00:00 UTC", "00:00 Pacific/Auckland", "00:30 UTC"])
def test_another_day_of_the_configuration_has_not_been_counted_whole(
    world: World, day: str
) -> None:
    world.connect()
    world.now += 20 * 3_600_000  # of a day that is counted whole
    world.server.tick()
    world.now += 6 * 3_600_000
    world.hear(joined("sales", 1))
    assert world.server.store.of("queue")["sales"]["incomplete"] is False
    hosts = [world.source.host]
    world.server.configure(Settings.model_validate({"amihosts": hosts, "queue_day": day}))
    world.server.tick()
    queue = world.server.store.of("queue")["sales"]
    since = None if day == "00:00 UTC" else world.now
    assert (queue["incomplete"], queue["counted_since"]) == (since is not None, since)


def test_kept_figures_go_on_and_broken_ones_are_told(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.connect()
    world.hear(joined("sales", 1))
    kept = world.server.model.queues.figures.export()
    after = World()
    after.server.restore_figures(kept)
    after.connect()
    after.hear(joined("sales", 2))
    queue = after.server.store.of("queue")["sales"]
    assert (queue["entered"], queue["incomplete"]) == (2, True)
    after.server.restore_figures({"day": 3})
    assert "state_file: no figures" in caplog.text
    after.server.close()


def test_closed_it_hears_nothing_more(world: World) -> None:
    world.server.close()
    world.hear(new_channel(1))
    assert world.keys("channel") == []
    assert world["sync"] == "off"


@pytest.mark.usefixtures("few_entities")
class TestAServerThatTellsOfTooMuch:
    @pytest.fixture
    def few_entities(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(liveserver, "MOST_ENTITIES", 100)
        monkeypatch.setattr(liveserver, "LOOK_EVERY", 1)

    def test_it_is_forgotten_and_asked_anew(self, caplog: pytest.LogCaptureFixture) -> None:
        world = World(
            ListCommands=commands("CoreShowChannels"),
            CoreShowChannels=listed(item("CoreShowChannel", Uniqueid="7.1", Channel="PJSIP/7-1")),
            pace=Pace(hurry=0.05),
        )
        world.connect()
        until(lambda: world["sync"] == LIVE)
        position = world.server.store.offset
        world.hear(*(new_channel(number) for number in range(1000)))
        assert world.server.store.size == 0
        assert world.server.store.changes(position) is None, "nobody goes on where he was"
        assert world["sync"] == STALE
        assert "too many" in world["sync_reason"]
        assert "pbx: told of 2" in caplog.text
        world.hear(*(new_channel(number) for number in range(1000)))
        assert world.server.store.size == 0, "it is not listened to"
        until(lambda: world["sync"] == LIVE)
        assert world.server.store.keys("channel") == ["7.1"]
        world.hear(new_channel(1))
        assert world.server.store.keys("channel") == ["7.1", "1.1"]

    def test_if_its_lists_are_too_long_it_is_asked_again_in_an_interval(self) -> None:
        channels = [
            item("CoreShowChannel", Uniqueid=f"{number}.1", Channel=f"PJSIP/{number}-1")
            for number in range(200)
        ]
        world = World(
            ListCommands=commands("CoreShowChannels"),
            CoreShowChannels=listed(*channels),
            pace=Pace(hurry=0.01),
        )
        world.connect()
        until(lambda: world.link.asked.count("CoreShowChannels") == 2)
        gevent.sleep(0.1)
        assert world.link.asked.count("CoreShowChannels") == 2
        assert world["sync"] == STALE
        assert world.server.store.size == 0

    def test_a_line_may_not_be_as_long(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(liveserver, "MOST_IN_LINES", 10)
        world = World()
        world.connect()
        world.hear(*(joined("sales", number) for number in range(10)))
        assert len(world.keys("queue_caller")) == 10
        world.hear(joined("sales", 11))
        assert world.server.store.size == 0

    def test_queues_that_are_counted_count(self) -> None:
        world = World()
        world.connect()
        for number in range(60):
            world.hear(joined(f"q{number}", number))
            world.hear(event("QueueCallerLeave", Queue=f"q{number}", Uniqueid=f"{number}.1"))
        assert world.server.store.size + world.server.model.queues.figures.size <= 100


def parsed(message: Message) -> Message:
    """The message as a server sends it: the parser sees how long it is."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in message.headers)
    (found,) = Parser().receive_data(f"{lines}\r\n".encode())
    assert found == message
    return found


def test_values_of_a_million_characters_are_cut() -> None:
    world = World()
    world.connect()
    long = "x" * 1_000_000
    message = new_channel(1).replace("Uniqueid", long).replace("CallerIDName", long)
    world.hear(parsed(message))
    ((key, fields),) = world.server.store.of("channel").items()
    assert len(key) == len(fields["caller_name"]) == 256
    world.hear(parsed(event("Hangup", Uniqueid=long, Cause="16")))
    assert world.server.store.keys("channel") == []
