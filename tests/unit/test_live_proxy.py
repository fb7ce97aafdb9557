"""Server 0, and what it knows of the others."""

from __future__ import annotations

import pytest

from amiws_gevent.live.permissions import Missing
from amiws_gevent.live.proxy import ServerEntity, SteadyClock, proxy_source
from amiws_gevent.pipeline import Source
from amiws_gevent.state.stores import ProxyStore
from tests.support.hosts import ami_host

BANNER = "Asterisk Call Manager/11.0.0"


class World:
    def __init__(self) -> None:
        self.source: Source = proxy_source()
        self.store = ProxyStore(lambda: self.source.advance().offset)
        self.now = 1000
        self.entity = ServerEntity(
            self.store, ami_host(id=7, name="pbx7", ssl=True), lambda: self.now
        )

    def __getitem__(self, field: str) -> object:
        return (self.store.get("server", "7") or {})[field]


def test_the_program_is_server_0() -> None:
    source = proxy_source()
    assert (source.info.id, source.info.name) == (0, "amiws-gevent")
    assert source.epoch != proxy_source().epoch


def test_a_new_server_has_all_fields_from_the_start() -> None:
    world = World()
    assert (world["name"], world["ssl"], world["connection"]) == ("pbx7", True, "connecting")
    assert (world["sync"], world["missing"], world["healed"]) == ("off", [], {})
    before = set(world.store.get("server", "7") or ())
    world.entity.connection_changed("connected", BANNER)
    world.entity.synchronised("live", "", [Missing("channel", "the class x", "write = x")])
    world.entity.part.tick()
    assert set(world.store.get("server", "7") or ()) == before
    assert world["missing"] == [
        {"kind": "channel", "needs": "the class x", "manager_conf": "write = x"}
    ]


def test_the_banner_is_no_reason_but_says_what_the_server_is() -> None:
    world = World()
    world.now = 2000
    world.entity.connection_changed("connected", BANNER)
    assert (world["connection"], world["connection_reason"]) == ("connected", None)
    assert (world["product"], world["connection_since"]) == ("Asterisk", 2000)
    world.entity.connection_changed("waiting", "reset by the server")
    assert (world["connection"], world["connection_reason"]) == ("waiting", "reset by the server")
    world.entity.connection_changed("connecting", "reset by the server")
    assert world["connection_reason"] == "reset by the server"
    world.entity.connection_changed("logging_in", "192.0.2.1:5038")
    assert world["connection_reason"] is None


def test_each_change_has_a_position_of_its_own_and_what_is_none_has_none() -> None:
    world = World()
    before = world.source.offset
    world.entity.synchronised("live", "", [])
    assert world.source.offset == before + 1
    assert world.store.changed_at("server", "7") == world.source.offset
    world.entity.synchronised("live", "", [])
    assert world.source.offset == before + 1
    world.entity.remove()
    assert world.store.gone("server", "7") == before + 2
    world.entity.remove()
    assert world.source.offset == before + 2


def test_boots_and_reloads_are_seen() -> None:
    world = World()
    before = world.entity.restarts
    world.entity.part._put(last_event=5)
    assert world.entity.restarts == before
    world.entity.part._put(reloaded=5)
    assert world.entity.restarts != before


def test_a_small_step_back_of_the_clock_is_held(caplog: pytest.LogCaptureFixture) -> None:
    times = iter([10.0, 9.0, 8.0, 9.5, 11.5])
    clock = SteadyClock(lambda: next(times))
    assert [clock() for _ in range(5)] == [10_000, 10_000, 10_000, 10_000, 11_500]
    assert caplog.messages == []


def test_a_clock_that_is_set_back_is_followed_and_told_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    times = iter([7210.0, 10.0, 11.0, 12.5])
    clock = SteadyClock(lambda: next(times))
    assert [clock() for _ in range(4)] == [7_210_000, 10_000, 11_000, 12_500]
    (line,) = caplog.messages
    assert line.startswith("the system's clock was set back by 7200.0 s")


def test_many_small_steps_back_are_a_large_one(caplog: pytest.LogCaptureFixture) -> None:
    times = iter([10.0, 9.0, 8.0, 7.0, 7.5])
    clock = SteadyClock(lambda: next(times))
    assert [clock() for _ in range(5)] == [10_000, 10_000, 10_000, 7_000, 7_500]
    assert len(caplog.messages) == 1
