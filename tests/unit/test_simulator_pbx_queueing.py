"""Callers line up, agents are chosen, figures are kept as app_queue keeps them."""

from __future__ import annotations

import random

import pytest

from amiws_gevent.simulator.pbx import queueing
from amiws_gevent.simulator.pbx.company import Pace, furnish
from amiws_gevent.simulator.pbx.model import Channel, ChannelState, Dial, Member, Queue
from amiws_gevent.simulator.pbx.style import STYLE_13, STYLE_22, Style
from amiws_gevent.simulator.pbx.switch import Switch
from tests.support.simulator import headers, name_of


def furnished(style: Style = STYLE_22) -> Switch:
    switch = Switch(style, random.Random(1), 1000.0)
    furnish(switch, Pace.for_rate(0.5))
    return switch


def caller(switch: Switch) -> Channel:
    trunk = switch.devices[f"{switch.style.technology}/{switch.style.trunks[0]}"]
    return switch.new_channel(
        switch.new_call(), trunk, state=ChannelState.UP, context="default", exten="601"
    )


def dial_of(switch: Switch, channel: Channel, member: Member) -> Dial:
    agent = switch.new_channel(
        channel.call, member.device, state=ChannelState.DOWN, context="default", exten=""
    )
    return switch.dial_begun(channel, agent, member.device.name)


def test_those_behind_move_up() -> None:
    switch = furnished()
    queue = switch.queues["sales"]
    entries = [queueing.join(switch, caller(switch), queue) for _ in range(3)]
    queueing.leave(switch, entries[0])
    assert [entry.position for entry in queue.entries] == [1, 2]
    assert [entry.original_position for entry in queue.entries] == [2, 3]
    left = headers(switch.out[-1])
    assert (left["Event"], left["Position"], left["Count"]) == ("QueueCallerLeave", "1", "2")
    assert entries[0].channel.call.entry is None


def test_with_autofill_the_first_who_is_not_served_is_next() -> None:
    switch = furnished()
    queue = switch.queues["sales"]
    first, second = (queueing.join(switch, caller(switch), queue) for _ in range(2))
    assert (queueing.first_in_line(first), queueing.first_in_line(second)) == (True, False)
    first.being_served = True
    assert (queueing.first_in_line(first), queueing.first_in_line(second)) == (False, True)
    second.being_served = True
    assert not queueing.first_in_line(second)


@pytest.mark.parametrize(("waited", "in_level"), [(3.0, 1), (9.0, 0)])
def test_an_abandoned_call_is_counted(waited: float, in_level: int) -> None:
    switch = furnished()
    queue = switch.queues["sales"]
    entry = queueing.join(switch, caller(switch), queue)
    switch.now += waited
    switch.out.clear()
    queueing.abandon(switch, entry)
    assert (queue.abandoned, queue.abandoned_in_level, queue.entries) == (1, in_level, [])
    names = [name_of(packet) for packet in switch.out]
    assert names == ["QueueCallerAbandon", "DeviceStateChange", "QueueCallerLeave"]
    assert headers(switch.out[0])["HoldTime"] == str(int(waited))


def queue_with(switch: Switch, strategy: str) -> Queue:
    queue = switch.queues["support"]
    queue.strategy = strategy
    for member in queue.members:
        member.penalty = 0
    return queue


def test_ringall_rings_all_who_are_free() -> None:
    switch = furnished()
    queue = queue_with(switch, "ringall")
    queue.members[1].paused = True
    dial_of(switch, caller(switch), queue.members[2])
    chosen = queueing.next_members(queue)
    assert chosen == [queue.members[0], *queue.members[3:]]


def test_rrmemory_goes_on_after_the_last_one() -> None:
    switch = furnished()
    queue = queue_with(switch, "rrmemory")
    order = []
    for _ in range(len(queue.members) + 1):
        (member,) = queueing.next_members(queue)
        order.append(queue.members.index(member))
        queue.last_served = order[-1]
    assert order == [*range(len(queue.members)), 0]


def test_leastrecent_rings_who_has_rested_longest() -> None:
    switch = furnished()
    queue = queue_with(switch, "leastrecent")
    for index, member in enumerate(queue.members):
        member.last_call = 100 - index
    assert queueing.next_members(queue) == [queue.members[-1]]


def test_a_higher_penalty_comes_only_when_no_lower_is_free() -> None:
    switch = furnished()
    queue = queue_with(switch, "ringall")
    for member in queue.members[1:]:
        member.penalty = 5
    assert queueing.next_members(queue) == [queue.members[0]]
    queue.members[0].paused = True
    assert queueing.next_members(queue) == queue.members[1:]


def test_nobody_is_free() -> None:
    switch = furnished()
    for queue in switch.queues.values():
        for member in queue.members:
            member.paused = True
        assert queueing.next_members(queue) == []


def serve(switch: Switch, queue: Queue, hold: float, talk: float) -> list[dict[str, str]]:
    channel, member = caller(switch), queue.members[0]
    entry = queueing.join(switch, channel, queue)
    dial = dial_of(switch, channel, member)
    queueing.called(switch, channel, dial, member)
    switch.now += hold
    switch.dial_ended(dial, "ANSWER")
    queueing.connect(switch, entry, dial, member)
    assert member.in_call
    switch.now += talk
    queueing.complete(switch, channel.call, "caller")
    switch.hangup(dial.target, 16)
    return [headers(packet) for packet in switch.out]


@pytest.mark.parametrize("style", [STYLE_13, STYLE_22])
def test_a_served_call_is_counted(style: Style) -> None:
    switch = furnished(style)
    queue = switch.queues["sales"]
    events = {event["Event"]: event for event in serve(switch, queue, 4.0, 30.0)}
    assert events["AgentConnect"]["HoldTime"] == events["AgentConnect"]["RingTime"] == "4"
    complete = events["AgentComplete"]
    assert (complete["HoldTime"], complete["TalkTime"], complete["Reason"]) == ("4", "30", "caller")
    member = queue.members[0]
    assert (member.calls_taken, member.last_call, member.in_call) == (1, 1034, False)
    assert (queue.completed, queue.completed_in_level) == (1, 1)
    assert (queue.hold_time, queue.talk_time) == (1, 7), "three parts old, one part new"
    serve(switch, queue, 10.0, 1.0)
    assert (queue.completed, queue.completed_in_level) == (2, 1)


def test_in_13_the_member_is_told_again_once_in_a_call() -> None:
    for style, expected in ((STYLE_13, ["1"]), (STYLE_22, [])):
        events = serve(furnished(style), furnished(style).queues["sales"], 1, 1)
        told = [e["InCall"] for e in events if e["Event"] == "QueueMemberStatus"]
        assert [value for value in told if value == "1"] == expected


def test_a_call_without_an_agent_completes_nothing() -> None:
    switch = furnished()
    channel = caller(switch)
    switch.out.clear()
    queueing.complete(switch, channel.call, "caller")
    assert switch.out == []


def test_an_agent_who_does_not_answer() -> None:
    switch = furnished()
    channel, member = caller(switch), switch.queues["sales"].members[0]
    dial = dial_of(switch, channel, member)
    switch.now += 8.25
    queueing.ring_no_answer(switch, channel, dial, member)
    event = headers(switch.out[-1])
    assert (event["Event"], event["RingTime"]) == ("AgentRingNoAnswer", "8250")
    assert (event["Interface"], event["MemberName"]) == ("PJSIP/201", "Alice Ahmed")
