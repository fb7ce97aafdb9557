"""The simulated PBX as a whole: repeatable, true to its own words, never stuck."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from amiws_gevent.simulator.pbx.simulation import Simulation
from amiws_gevent.simulator.pbx.style import STYLE_22, Style
from tests.support.simulator import STARTED, STYLES, Replay, answer, name_of, simulation

pytestmark = pytest.mark.slow

by_style = pytest.mark.parametrize("style", STYLES, ids=lambda style: style.name)


def live(pbx: Simulation, seconds: float, step: float = 0.5) -> list[str]:
    packets = []
    end = pbx.now + seconds
    while pbx.now < end:
        packets += pbx.advance(min(pbx.now + step, end))
    return packets


@by_style
def test_the_same_seed_gives_the_same_packets(style: Style) -> None:
    first = live(simulation(style, seed=7), 60)
    assert len(first) > 500
    assert live(simulation(style, seed=7), 60) == first
    assert live(simulation(style, seed=8), 60) != first


@by_style
def test_steps_of_another_size_change_nothing(style: Style) -> None:
    assert live(simulation(style), 60, step=60) == live(simulation(style), 60, step=0.01)


def test_actions_at_the_same_times_give_the_same_packets() -> None:
    def run() -> list[str]:
        pbx = simulation(rate=0)
        order = ("Action: Originate", "Channel: PJSIP/215", "Application: Echo", "Async: 1")
        answer(pbx, *order)
        packets = live(pbx, 5)
        pbx.hang_up(next(iter(pbx.switch.channels.values())), 16)
        return packets + pbx.drain()

    assert run() == run()


@by_style
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_answers_agree_with_the_events(style: Style, seed: int) -> None:
    pbx, replay = simulation(style, seed=seed, rate=1.0), Replay()
    rng = random.Random(seed)
    while pbx.now < STARTED + 180:
        replay.feed(pbx.advance(pbx.now + rng.uniform(0.01, 3)))
        replay.check(pbx)
    assert replay.counts["QueueCallerJoin"] > 10
    assert replay.counts["Hangup"] > 100


@by_style
@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_answers_agree_whatever_people_do_meanwhile(style: Style, seed: int) -> None:
    """Hang-ups, redirects, breaks and originated calls at any moment of any call."""
    pbx, replay = simulation(style, seed=seed, rate=2.0), Replay()
    rng = random.Random(seed)
    done: Counter[str] = Counter()
    while pbx.now < STARTED + 240:
        replay.feed(pbx.advance(pbx.now + rng.uniform(0.01, 0.4)))
        done[interfere(pbx, rng)] += 1
        replay.feed(pbx.drain())
        if rng.random() < 0.1:
            replay.check(pbx)
    assert min(done.values()) > 20, done


def interfere(pbx: Simulation, rng: random.Random) -> str:
    channels = list(pbx.switch.channels.values())
    what = rng.choice(["nothing"] * 6 + ["Hangup", "Redirect", "Originate", "QueuePause"])
    technology = pbx.style.technology
    if what in ("Hangup", "Redirect") and not channels:
        return "nothing"
    lines = [f"Action: {what}"]
    exten = rng.choice(["601", "602", "603", "203", "210", "442079460001", "*43", "9"])
    if what == "Hangup":
        lines.append(f"Channel: {rng.choice(channels).name}")
    elif what == "Redirect":
        lines.append(f"Channel: {rng.choice(channels).name}")
        lines += ["Context: default", f"Exten: {exten}", "Priority: 1"]
        if rng.random() < 0.3:
            lines.append(f"ExtraChannel: {rng.choice(channels).name}")
    elif what == "Originate":
        phone = rng.randrange(201, 217)
        local = f"Local/{exten}@default"
        lines += [f"Channel: {rng.choice([f'{technology}/{phone}', local])}", "Async: true"]
        lines += ["Context: default", "Exten: 602", "Priority: 1", "Timeout: 2000"]
    elif what == "QueuePause":
        lines += [f"Interface: {technology}/{rng.randrange(201, 213)}"]
        lines += [f"Paused: {rng.randrange(2)}", "Reason: lunch"]
    if what != "nothing":
        answer(pbx, *lines)
    return what


@by_style
def test_nothing_is_left_when_all_calls_are_over(style: Style) -> None:
    pbx, replay = simulation(style, rate=0), Replay()
    for exten in ("601", "203", "442079460001", "*43"):
        order = ("Async: 1", "Context: default", f"Exten: {exten}", "Priority: 1")
        answer(pbx, "Action: Originate", f"Channel: {style.technology}/216", *order)
        answer(pbx, "Action: Originate", "Channel: Local/602@default", *order)
        replay.feed(live(pbx, 400))
    assert replay.counts["Hangup"] >= 16
    assert (replay.channels, replay.bridges, replay.dialling) == ({}, {}, set())
    assert (pbx.switch.channels, pbx.switch.bridges, pbx.switch.calls) == ({}, {}, {})
    assert not any(device.channels for device in pbx.switch.devices.values())
    assert set(replay.devices.values()) <= {"NOT_INUSE"}
    assert pbx.next_due is None


@by_style
@pytest.mark.parametrize("seed", range(1, 6))
def test_a_newcomer_sees_three_to_ten_calls(style: Style, seed: int) -> None:
    pbx = simulation(style, seed=seed)
    pbx.advance(STARTED + pbx.pace.warm_up)
    for _ in range(120):
        assert 3 <= pbx.switch.generated_calls <= 10
        assert live(pbx, 5), "something moves within seconds"


def test_no_calls_come_by_themselves_at_rate_0() -> None:
    pbx = simulation(rate=0)
    assert pbx.advance(STARTED + 3600) == []
    assert pbx.next_due is None
    assert pbx.now == STARTED + 3600


def test_the_rate_is_kept() -> None:
    for rate in (0.5, 5.0):
        pbx = simulation(rate=rate)
        pbx.advance(STARTED + 600)
        assert pbx.switch.calls_begun == pytest.approx(rate * 600, rel=0.15)


def test_a_high_rate_keeps_a_bounded_number_of_calls() -> None:
    pbx = simulation(rate=500)
    count = 0
    for tenth in range(1, 31):
        count += len(pbx.advance(STARTED + tenth / 10))
        assert len(pbx.switch.calls) < 700
    assert count > 30_000, "it is a load"


def test_a_limit_stops_early_and_the_rest_comes_next() -> None:
    whole = simulation().advance(STARTED + 30)
    pbx = simulation()
    parts = pbx.advance(STARTED + 30, limit=100)
    assert 100 <= len(parts) < len(whole)
    assert pbx.now < STARTED + 30
    while pbx.now < STARTED + 30:
        parts += pbx.advance(STARTED + 30, limit=100)
    assert parts == whole


def test_the_past_brings_nothing() -> None:
    pbx = simulation()
    pbx.advance(STARTED + 10)
    assert pbx.advance(STARTED) == []
    assert pbx.now == STARTED + 10


@by_style
def test_all_kinds_of_calls_occur(style: Style) -> None:
    names = Counter(name_of(packet) for packet in live(simulation(style), 1200, step=5))
    expected = {
        "Newchannel", "Newstate", "Newexten", "NewCallerid", "NewConnectedLine", "VarSet",
        "DialBegin", "DialEnd", "BridgeCreate", "BridgeEnter", "BridgeLeave", "BridgeDestroy",
        "Hangup", "HangupRequest", "SoftHangupRequest", "Hold", "Unhold", "BlindTransfer",
        "AttendedTransfer", "DeviceStateChange", "QueueMemberStatus", "QueueCallerJoin",
        "QueueCallerLeave", "QueueCallerAbandon", "AgentCalled", "AgentConnect",
        "AgentComplete", "AgentRingNoAnswer", "ExtensionStatus", "RTCPSent", "RTCPReceived",
        "QueueMemberPause",
    }  # fmt: skip
    assert set(names) == expected | ({"DialState"} if style is STYLE_22 else set())


@pytest.mark.parametrize("rate", [-1.0, float("nan"), float("inf")])
def test_a_rate_that_is_none_is_refused(rate: float) -> None:
    with pytest.raises(ValueError, match="rate"):
        simulation(rate=rate)
