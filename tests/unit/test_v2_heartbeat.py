"""Who gets the heartbeat when."""

from __future__ import annotations

import gevent
import pytest

from amiws_gevent.v2 import heartbeat as module
from amiws_gevent.v2.heartbeat import SLOTS, Heartbeat
from tests.support.greenlets import until


class Client:
    """Takes the heartbeat while ``room`` says so."""

    def __init__(self, *, room: bool = True) -> None:
        self.room = room
        self.beats: list[int] = []
        self.made: list[dict[object, bytes]] = []

    def beat(self, now: int, made: dict[object, bytes]) -> bool:
        if self.room:
            self.beats.append(now)
            self.made.append(made)
        return self.room


@pytest.fixture
def heartbeat() -> Heartbeat:
    return Heartbeat(25.0, lambda: 1700000000.5)


def round_of(heartbeat: Heartbeat) -> None:
    """All ticks of an interval."""
    for _ in range(SLOTS):
        heartbeat.tick()


def test_each_gets_one_in_an_interval(heartbeat: Heartbeat) -> None:
    clients = [Client() for _ in range(2 * SLOTS + 3)]
    for client in clients:
        heartbeat.add(client)
    round_of(heartbeat)
    assert [client.beats for client in clients] == [[1700000000500]] * len(clients)
    round_of(heartbeat)
    assert {len(client.beats) for client in clients} == {2}


def test_those_who_came_together_are_spread(heartbeat: Heartbeat) -> None:
    clients = [Client() for _ in range(4 * SLOTS)]
    for client in clients:
        heartbeat.add(client)
    for tick in range(1, SLOTS + 1):
        heartbeat.tick()
        assert sum(len(client.beats) for client in clients) == 4 * tick


def test_those_of_a_tick_share_what_is_made(heartbeat: Heartbeat) -> None:
    clients = [Client() for _ in range(SLOTS + 1)]
    for client in clients:
        heartbeat.add(client)
    round_of(heartbeat)
    assert clients[0].made[0] is clients[SLOTS].made[0]
    assert clients[0].made[0] is not clients[1].made[0]


def test_who_has_no_room_gets_it_as_soon_as_there_is(heartbeat: Heartbeat) -> None:
    client = Client(room=False)
    heartbeat.add(client)
    for _ in range(3):
        heartbeat.tick()
    client.room = True
    heartbeat.tick()
    assert len(client.beats) == 1
    heartbeat.tick()
    assert len(client.beats) == 1


def test_who_left_gets_none(heartbeat: Heartbeat) -> None:
    gone, late = Client(), Client(room=False)
    for client in (gone, late):
        heartbeat.add(client)
    round_of(heartbeat)
    for client in (gone, late):
        heartbeat.remove(client)
        heartbeat.remove(client)
        client.room = True
        client.beats.clear()
    round_of(heartbeat)
    assert gone.beats == late.beats == []


def test_many_of_a_tick_are_no_long_pause(
    heartbeat: Heartbeat, monkeypatch: pytest.MonkeyPatch
) -> None:
    yields: list[int] = []
    served: list[int] = []
    monkeypatch.setattr(module, "yield_to_loop", lambda: yields.append(len(served)))

    class Counted(Client):
        def beat(self, now: int, made: dict[object, bytes]) -> bool:
            served.append(now)
            return True

    for _ in range(600 * SLOTS):
        heartbeat.add(Counted())
    heartbeat.tick()
    assert len(served) == 600
    assert yields == [256, 512]


def test_it_beats_by_itself_and_follows_the_interval() -> None:
    heartbeat = Heartbeat(3600)
    client = Client()
    heartbeat.add(client)
    heartbeat.interval = 0.01
    greenlet = heartbeat.start()
    until(lambda: len(client.beats) > 3)
    heartbeat.stop()
    assert greenlet.dead
    count = len(client.beats)
    gevent.sleep(0.03)
    assert len(client.beats) == count


def test_one_that_was_not_started_can_be_stopped(heartbeat: Heartbeat) -> None:
    heartbeat.stop()
