"""All servers as links come, change and go."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gevent
import pytest

from amiws_gevent.config import Settings
from amiws_gevent.live import LiveState
from amiws_gevent.live import state as state_module
from amiws_gevent.pipeline import Pipeline, Source
from tests.support.asking import ScriptedLink, commands
from tests.support.fed import event
from tests.support.greenlets import until
from tests.support.hosts import ami_host
from tests.unit.test_live_liveserver import BANNER, joined, new_channel


class World:
    def __init__(self, **settings: Any) -> None:
        self.now = 1_700_000_000_000
        self.woken = 0
        self.live = LiveState(now=lambda: self.now)
        self.live.on_change = self._wake
        self.configure(**settings)

    def _wake(self) -> None:
        self.woken += 1

    def configure(self, **settings: Any) -> None:
        given = {"amihosts": [ami_host()], "queue_day": "00:00 UTC", **settings}
        self.live.configure(Settings.model_validate(given))

    def join(self, server_id: int = 1, **says: Any) -> tuple[Source, Any]:
        source = Source(ami_host(id=server_id, name=f"pbx{server_id}", host=f"h{server_id}"))
        link: Any = ScriptedLink(**{"ListCommands": commands(), **says})
        self.live.joined(source, link)
        return source, link

    def connect(self, source: Source, link: Any) -> None:
        self.live.changed(source, link, "connected", BANNER)

    def hear(self, source: Source, *messages: Any) -> None:
        Pipeline(lambda batch: None).process(source, messages)

    def entity(self, server_id: int = 1) -> dict[str, Any]:
        return dict(self.live.servers[0].store.get("server", str(server_id)) or {})


def test_server_0_is_first_and_the_mapping_stays_the_same() -> None:
    world = World()
    servers = world.live.servers
    assert [server.info.name for server in servers.values()] == ["amiws-gevent"]
    world.join(2)
    one, _ = world.join(1)
    assert world.live.servers is servers
    assert world.live.sources[1] is one
    assert list(servers) == [0, 2, 1]


def test_each_server_is_an_entity_of_server_0_and_has_a_store_of_its_own() -> None:
    world = World()
    first, link = world.join(1)
    world.join(2)
    world.connect(first, link)
    world.hear(first, new_channel(1))
    store = world.live.servers[0].store
    assert store.keys("server") == ["1", "2"]
    assert world.live.servers[1].store.keys("channel") == ["1.1"]
    assert world.live.servers[1].store.keys("server") == []
    assert world.live.servers[2].store.keys("channel") == []
    assert world.entity(1)["connection"] == "connected"


def test_a_change_wakes_whoever_tells_clients() -> None:
    world = World()
    source, link = world.join()
    assert world.woken
    for server in world.live.servers.values():
        server.store.drain()
    before = world.woken
    world.hear(source)
    assert world.woken == before, "nothing has changed"
    world.hear(source, new_channel(1))
    assert world.woken == before + 1
    world.live.servers[1].store.drain()
    world.live.changed(source, link, "waiting", "gone")
    assert world.woken > before + 1


def test_the_call_of_a_channel() -> None:
    world = World()
    source, link = world.join()
    world.connect(source, link)
    world.hear(source, new_channel(1))
    (call,) = world.live.servers[1].store.keys("call")
    assert world.live.call_of(1, "1.1") == call
    assert world.live.call_of(1, "1.2") is None
    assert world.live.call_of(2, "1.1") is None
    world.configure(live_state=False)
    assert world.live.call_of(1, "1.1") is None


def test_a_server_that_leaves_is_gone_with_its_entity() -> None:
    world = World()
    source, link = world.join()
    world.live.left(source, "no longer in the configuration")
    assert list(world.live.servers) == list(world.live.sources) == [0]
    assert world.live.servers[0].store.keys("server") == []
    assert source.observer is None
    world.live.changed(source, link, "stopped", "")
    assert world.entity() == {}


def test_the_entity_of_a_server_that_another_process_has_stays() -> None:
    world = World()
    source, link = world.join()
    world.connect(source, link)
    world.live.stays = lambda server: server == 1
    world.live.left(source, "another collector has it")
    assert list(world.live.servers) == [0]
    told = world.entity()
    assert (told["connection"], told["sync"]) == ("waiting", "stale")
    assert told["connection_reason"] == told["sync_reason"] == "another collector has it"
    world.live.entity_of(ami_host(id=7, name="pbx7"), "nobody has it")
    assert world.entity(7)["connection_reason"] == "nobody has it"
    world.configure(live_state=False)
    world.live.entity_of(ami_host(id=8, name="pbx8"), "nobody has it")
    assert world.entity(8)["sync"] == "off"


def test_a_server_is_settled_once_all_was_asked_for() -> None:
    world = World()
    source, link = world.join()
    assert not world.live.is_settled(1)
    world.connect(source, link)
    until(lambda: world.live.is_settled(1))
    assert world.entity()["sync"] == "live"
    assert world.live.is_settled(9), "of what is not asked nothing is awaited"
    world.configure(live_state=False)
    assert world.live.is_settled(1)


def test_one_whose_entry_changed_is_another_stream() -> None:
    world = World()
    old, link = world.join()
    before = world.live.servers[1]
    world.live.left(old, "its configuration has changed")
    new, _ = world.join()
    world.live.changed(old, link, "stopped", "")
    assert world.live.servers[1] is not before
    assert world.live.servers[1].source is new
    assert new.epoch != old.epoch
    assert world.entity()["connection"] == "connecting"


def test_a_server_with_the_id_of_the_program_has_no_live_state(
    caplog: pytest.LogCaptureFixture,
) -> None:
    world = World()
    source, link = world.join(0)
    assert world.live.sources[0] is source, "its events have positions all the same"
    world.connect(source, link)
    world.live.left(source, "gone")
    assert [server.info.name for server in world.live.servers.values()] == ["amiws-gevent"]
    assert "give it another id" in caplog.text


class TestWithout:
    """``live_state: no``"""

    def test_nothing_is_asked_and_nothing_observed_but_connections_are_told(self) -> None:
        world = World(live_state=False)
        source, link = world.join()
        world.connect(source, link)
        gevent.sleep(0.01)
        assert link.asked == []
        assert source.observer is None
        assert list(world.live.servers) == [0]
        assert (list(world.live.sources), world.live.keeps_state) == ([0, 1], False)
        assert (world.entity()["connection"], world.entity()["sync"]) == ("connected", "off")

    def test_a_reload_turns_it_on_and_off(self) -> None:
        world = World(live_state=False)
        source, link = world.join()
        link.connected, link.reason = True, BANNER
        world.connect(source, link)
        world.configure(live_state=True)
        until(lambda: world.entity()["sync"] == "live")
        assert link.asked == ["ListCommands"]
        world.hear(source, new_channel(1))
        assert world.live.servers[1].store.keys("channel") == ["1.1"]
        world.live.servers[0].store.drain()
        woken = world.woken
        world.configure(live_state=False)
        assert list(world.live.servers) == [0]
        assert (world.entity()["connection"], world.entity()["sync"]) == ("connected", "off")
        assert world.woken > woken, "whoever tells clients"


def test_time_passes_for_every_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state_module, "TICK", 0.02)
    world = World()
    first, second = world.join(1), world.join(2)
    world.connect(*first)
    world.connect(*second)
    world.live.start()
    before = first[0].offset, second[0].offset
    until(lambda: first[0].offset >= before[0] + 3 and second[0].offset >= before[1] + 3)
    world.live.stop()


def test_the_times_of_ticks_are_spread(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    sources = [world.join(number)[0] for number in range(1, 5)]
    pauses: list[float] = []

    class Enough(BaseException):
        pass

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) > len(sources):
            raise Enough

    monkeypatch.setattr(state_module.gevent, "sleep", sleep)
    with pytest.raises(Enough):
        world.live._tick_all()
    assert pauses == [0.25] * 5


class TestFigures:
    """Over a restart."""

    def run(self, path: Path, callers: int) -> dict[str, Any]:
        """One life of the program, in which so many callers come; what it told last."""
        world = World(state_file=path)
        source, link = world.join()
        world.connect(source, link)
        for number in range(callers):
            world.hear(source, joined("sales", number))
        queues = world.live.servers[1].store.of("queue")
        world.live.stop()
        return dict(queues.get("sales") or {})

    def test_they_survive_and_say_that_something_was_missed(self, tmp_path: Path) -> None:
        path = tmp_path / "state.json"
        first = self.run(path, 3)
        assert (first["entered"], first["incomplete"]) == (3, True)
        second = self.run(path, 5)  # three of whom have left unheard, and come again
        assert (second["entered"], second["incomplete"]) == (8, True)

    def test_those_of_members_survive_too(self, tmp_path: Path) -> None:
        path, told = tmp_path / "state.json", []
        named = {"Queue": "sales", "Interface": "SIP/1"}
        for _ in range(2):
            world = World(state_file=path)
            source, link = world.join()
            world.connect(source, link)
            world.hear(source, event("QueueMemberAdded", **named, Paused="0"))
            world.hear(source, event("AgentRingNoAnswer", **named))
            told.append(world.live.servers[1].store.of("queue_member")["sales|SIP/1"]["missed"])
            world.live.stop()
        assert told == [1, 2]

    def test_without_a_file_they_begin_anew(self) -> None:
        world = World()
        source, link = world.join()
        world.connect(source, link)
        world.hear(source, joined("sales", 1))
        queue = world.live.servers[1].store.of("queue")["sales"]
        assert (queue["incomplete"], queue["counted_since"]) == (True, world.now)
        world.live.stop()

    def test_a_broken_file_is_no_obstacle(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        path = tmp_path / "state.json"
        path.write_text("{")
        assert self.run(path, 1)["entered"] == 1
        assert "cannot be read" in caplog.text
        assert path.read_text() != "{"

    def test_they_are_of_one_server_at_one_address(self, tmp_path: Path) -> None:
        path = tmp_path / "state.json"
        self.run(path, 3)
        world = World(state_file=path)
        other = Source(ami_host(id=1, name="pbx1", host="elsewhere"))
        link: Any = ScriptedLink(ListCommands=commands())
        world.live.joined(other, link)
        world.connect(other, link)
        world.hear(other, joined("sales", 9))
        assert world.live.servers[1].store.of("queue")["sales"]["entered"] == 1

    def test_a_server_that_joins_later_gets_its_own(self, tmp_path: Path) -> None:
        path = tmp_path / "state.json"
        self.run(path, 3)
        world = World(state_file=path)
        world.join(2)
        world.live.save(10)  # those of the one that is not there are not lost
        again = World(state_file=path)
        source, link = again.join(1)
        again.connect(source, link)
        again.hear(source, joined("sales", 9))
        assert again.live.servers[1].store.of("queue")["sales"]["entered"] == 4
