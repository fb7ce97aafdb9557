"""The player: pace, the beginning of sessions, loops."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import gevent
import pytest

from amiws_gevent.ami import Message
from amiws_gevent.simulator.replay.player import Pace, Player, speed
from amiws_gevent.simulator.replay.recording import Opening, Recording
from tests.support.recordings import ACCEPTED, BANNER, NOON, event, write_journal

HELLO = b"Asterisk Call Manager/5.0.1\r\n"


class Time:
    """A clock that moves only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 100.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        if seconds:
            self.slept.append(round(seconds, 6))
        self.now += seconds


class FakeServer:
    """What a player does to its server, written down."""

    def __init__(self, clients: int = 0) -> None:
        self.did: list[Any] = []
        self.clients = clients
        self.rounds = 0

    def open(self, opening: Opening) -> bool:
        self.did.append(("open", opening.banner))
        were_there, self.clients = self.clients > 0, 0
        return were_there

    def broadcast(self, data: bytes) -> None:
        if data:
            self.did.append(data)

    def wait_for_client(self) -> None:
        self.rounds += 1
        if self.rounds > 10:
            raise gevent.GreenletExit
        self.did.append("waits for a client")
        self.clients = 1

    def wait_until_sent(self) -> None:
        self.did.append("all sent")


def play(
    files: list[Path],
    server: FakeServer,
    monkeypatch: pytest.MonkeyPatch,
    *,
    speed: float = 1.0,
    rate: float = 0.0,
    **options: bool,
) -> tuple[Player, Time]:
    time = Time()
    monkeypatch.setattr("amiws_gevent.simulator.replay.player.gevent.sleep", time.sleep)
    recording = Recording(files, tell=lambda line: pytest.fail(line))
    player = Player(recording, server, pace=Pace(speed, rate, time), **options)  # type: ignore[arg-type]
    try:
        player.run()
    except gevent.GreenletExit:
        assert options.get("loop")
    return player, time


def raw(*names: str) -> bytes:
    return b"".join(f"Event: {name}\r\n\r\n".encode() for name in names)


def session(*names: str) -> list[Message]:
    return [BANNER, ACCEPTED, *map(event, names)]


# -- pace ----------------------------------------------------------------------------


def test_the_pace_of_the_recording(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write_journal(tmp_path / "a", [event(name) for name in "ABC"], gap=1.5)
    server = FakeServer()
    player, time = play([file], server, monkeypatch)
    assert time.slept == [1.5, 1.5]
    assert server.did[1:] == [raw("A"), raw("B"), raw("C"), "all sent"]
    assert player.played == 3


@pytest.mark.parametrize(("factor", "slept"), [(2.0, [0.75]), (0.5, [3.0]), (math.inf, [])])
def test_another_pace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, factor: float, slept: list[float]
) -> None:
    file = write_journal(tmp_path / "a", [event("A"), event("B")], gap=1.5)
    assert play([file], FakeServer(), monkeypatch, speed=factor)[1].slept == slept


def test_what_is_near_goes_out_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write_journal(tmp_path / "a", [event(name) for name in "ABC"])
    server = FakeServer()
    play([file], server, monkeypatch)
    assert server.did[1:] == [raw("A", "B", "C"), "all sent"]


def test_much_at_once_goes_out_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write_journal(tmp_path / "a", [event("A", X="x" * 30_000)] * 10)
    server = FakeServer()
    play([file], server, monkeypatch, speed=math.inf)
    assert [len(did) // 30_000 for did in server.did[1:-1]] == [3, 3, 3, 1]


def test_a_clock_that_was_set_back_does_not_stop_the_replay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = write_journal(tmp_path / "a", [event("A"), event("B")], gap=1)
    second = write_journal(tmp_path / "b", [event("C"), event("D")], start=NOON - 3600, gap=1)
    assert play([first, second], FakeServer(), monkeypatch)[1].slept == [1, 1]


def test_time_that_the_player_lost_is_made_up_for() -> None:
    time = Time()
    pace = Pace(1.0, 0.0, time)
    assert pace.wait_for(1000.0) == 0
    time.now += 5  # a client was slow
    assert pace.wait_for(1001.0) == -4
    assert pace.wait_for(1007.0) == 2
    pace.go_on()
    assert pace.wait_for(1008.0) == 1
    pace.begin()
    assert pace.wait_for(1000.0) == 0


def test_captures_have_a_rate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").write_bytes(raw("A", "B", "C"))
    assert play([tmp_path / "a"], FakeServer(), monkeypatch)[1].slept == []
    assert play([tmp_path / "a"], FakeServer(), monkeypatch, rate=4)[1].slept == [0.25] * 3


@pytest.mark.parametrize(("text", "value"), [("max", math.inf), ("0.5", 0.5), ("10", 10.0)])
def test_speeds(text: str, value: float) -> None:
    assert speed(text) == value


@pytest.mark.parametrize("text", ["0", "-1", "fast", "nan", ""])
def test_no_speeds(text: str) -> None:
    with pytest.raises(ValueError, match=r"must be more than 0|could not convert"):
        speed(text)


# -- sessions ------------------------------------------------------------------------


def test_a_recording_without_a_beginning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write_journal(tmp_path / "a", [event("A")])
    server = FakeServer()
    play([file], server, monkeypatch)
    assert server.did == [("open", Opening().banner), raw("A"), "all sent"]


def test_a_banner_is_where_clients_have_to_come_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write_journal(tmp_path / "a", [*session("A"), *session("B")], gap=1)
    server = FakeServer(clients=1)
    player, time = play([file], server, monkeypatch)
    assert server.did == [
        ("open", HELLO),
        "waits for a client",
        raw("A"),
        ("open", HELLO),
        "waits for a client",
        raw("B"),
        "all sent",
    ]
    assert time.slept == [2, 1, 2]
    assert player.played == 2


def test_nobody_is_waited_for_where_nobody_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write_journal(tmp_path / "a", [*session("A"), *session("B")])
    server = FakeServer()
    play([file], server, monkeypatch)
    assert "waits for a client" not in server.did


@pytest.mark.parametrize("begins", [True, False])
def test_it_may_begin_with_the_first_client(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, begins: bool
) -> None:
    file = write_journal(tmp_path / "a", session("A") if begins else [event("A")])
    server = FakeServer()
    play([file], server, monkeypatch, wait=True)
    assert server.did[1:] == ["waits for a client", raw("A"), "all sent"]


# -- loops ---------------------------------------------------------------------------


@pytest.mark.parametrize("begins", [True, False])
def test_each_round_is_a_new_session_with_somebody_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, begins: bool
) -> None:
    file = write_journal(tmp_path / "a", session("A") if begins else [event("A")])
    server = FakeServer()
    player, _ = play([file], server, monkeypatch, loop=True)
    banner = HELLO if begins else Opening().banner
    one_round = [("open", banner), "waits for a client", raw("A"), "all sent"]
    assert server.did[:3] == [("open", banner), raw("A"), "all sent"]
    assert server.did[3:-1] == one_round * 10
    assert player.played == 11


def test_a_loop_of_nothing_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").write_bytes(b"")
    assert play([tmp_path / "a"], FakeServer(), monkeypatch, loop=True)[0].played == 0
