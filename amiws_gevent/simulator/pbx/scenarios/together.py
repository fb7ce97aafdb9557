"""Where callers wait or are with others: queues, parking, conferences, agents, listeners."""

from __future__ import annotations

from collections.abc import Callable, Generator

from amiws_gevent.simulator.pbx import places, queueing
from amiws_gevent.simulator.pbx.ending import end_call
from amiws_gevent.simulator.pbx.model import (
    Bridge,
    Call,
    Channel,
    ChannelState,
    Entry,
    Script,
    Seat,
)
from amiws_gevent.simulator.pbx.stage import Stage

Waiting = Generator[float, None, tuple[Channel, Entry]]


def queue_answered(stage: Stage) -> Script:
    caller, entry = yield from _into_queue(stage, stage.call, "Kunde Eins", "4930123456")
    queue = stage.troupe.queue
    members = [member for member in queue.members if member.available]
    rung = []
    for member in members:
        pair = stage.local(caller, member.device.number, "agents")
        dial = stage.switch.dial_begun(caller, pair[0], member.interface)
        queueing.called(stage.switch, caller, dial, member)
        stage.local_runs(pair, optimises=False)
        inner = stage.dial(pair[1], member.device)
        stage.switch.dial_ringing(inner)
        stage.switch.dial_ringing(dial)
        rung.append((member, pair, dial, inner))
    entry.being_served = True
    yield stage.wait(4)
    member, pair, dial, inner = rung[-1]
    stage.answer(pair[1], inner)
    stage.switch.set_state(pair[0], ChannelState.UP)
    stage.switch.dial_ended(dial, "ANSWER")
    for _, (first, second), other, other_inner in rung[:-1]:
        stage.refuse(other_inner, "CANCEL")
        stage.switch.hangup(second, 26)
        stage.switch.dial_ended(other, "CANCEL")
        stage.switch.hangup(first, 26)
    queueing.connect(stage.switch, entry, dial, member)
    bridge = stage.switch.new_bridge(caller, dial.begun)
    stage.switch.connect(bridge, pair[0], caller)
    yield stage.wait(8)
    stage.end()


def queue_abandoned(stage: Stage) -> Script:
    queue = stage.troupe.queue
    for member in queue.members:
        stage.switch.pause(member, True, "Lunch")
    yield stage.wait(1)

    def gives_up(name: str, number: str, patience: float) -> Callable[[Call], Script]:
        def play(call: Call) -> Script:
            caller, _ = yield from _into_queue(stage, call, name, number)
            yield stage.wait(patience)
            end_call(stage.switch, call, by=caller)

        return play

    stage.other_call(gives_up("Kunde Zwei", "4930888888", 7))
    yield stage.wait(2)
    stage.other_call(gives_up("Kunde Drei", "4930999999", 4))
    yield stage.wait(10)
    for member in queue.members:
        stage.switch.pause(member, False, "")


def _into_queue(stage: Stage, call: Call, name: str, number: str) -> Waiting:
    switch = stage.switch
    caller = stage.scripts.from_outside(call, name, number)
    switch.execute(caller, "Answer")
    switch.set_state(caller, ChannelState.UP)
    yield stage.wait(0.5)
    queue = stage.troupe.queue
    switch.execute(caller, "Queue", f"{queue.name},t,,,300")
    return caller, queueing.join(switch, caller, queue)


def park_and_pick_up(stage: Stage) -> Script:
    caller, called, bridge = yield from stage.talk(stage.a, stage.b)
    yield stage.wait(3)
    parked = places.park(stage.switch, called, stage.a.name)
    if parked is None:
        stage.end()
        return
    yield stage.wait(2)
    gone(stage, caller, bridge)
    yield stage.wait(4)
    picker = stage.lift(stage.d, str(parked.space))
    stage.switch.execute(picker, "ParkedCall", f"{places.LOT},{parked.space}")
    stage.switch.set_state(picker, ChannelState.UP)
    talk = stage.switch.new_bridge(picker, stage.switch.now)
    places.unpark(stage.switch, parked, "UnParkedCall", picker)
    stage.switch.connect(talk, called, picker)
    yield stage.wait(6)
    stage.end(by=picker)


def parking_timeout(stage: Stage) -> Script:
    """Nobody picks up what is parked, and it goes back to who parked it: res/parking
    ``parking_timeout`` (ParkedCallTimeOut), ``parking_park_bridge_timeout``."""
    switch = stage.switch
    caller, called, bridge = yield from stage.talk(stage.a, stage.b)
    yield stage.wait(3)
    parked = places.park(switch, called, stage.a.name)
    if parked is None:
        stage.end()
        return
    gone(stage, caller, bridge)
    yield parked.until - switch.now
    places.unpark(switch, parked, "ParkedCallTimeOut")
    called.goes_to = ("park-dial", stage.a.name.replace("/", "_"))
    dial = yield from stage.ring(called, stage.a)
    yield stage.wait(3)
    stage.answer(called, dial)
    yield stage.wait(5)
    stage.end(by=called)


def gone(stage: Stage, channel: Channel, bridge: Bridge) -> None:
    """One who was left alone in a bridge hangs up."""
    stage.switch.destroy_bridge(bridge)
    stage.hang_up(channel)


def conference(stage: Stage) -> Script:
    yield from _meet(stage, "ConfBridge")


def meetme(stage: Stage) -> Script:
    """app_meetme.c ``conf_run``."""
    yield from _meet(stage, "MeetMe")


def _meet(stage: Stage, application: str) -> Script:
    def takes_part(place: int) -> Callable[[Call], Script]:
        def play(call: Call) -> Script:
            seat = _sit_down(stage, call, place, application)
            for talking in (True, False, True, False):
                yield stage.wait(2 + place)
                places.talk(stage.switch, seat, talking)
            end_call(stage.switch, call, by=seat.channel)

        return play

    for place in range(3):
        stage.other_call(takes_part(place))
        yield stage.wait(1)


def moderated(stage: Stage) -> Script:
    """ConfbridgeMute and ConfbridgeKick: app_confbridge.c ``action_mute_unmute_helper``."""
    seats: list[Seat] = []

    def takes_part(call: Call) -> Script:
        seat = _sit_down(stage, call, len(seats), "ConfBridge")
        seats.append(seat)
        yield stage.wait(20)
        end_call(stage.switch, call, by=seat.channel)

    for _ in range(3):
        stage.other_call(takes_part)
        yield stage.wait(1)
    last = seats[-1]
    for muted in (True, False, True):
        yield stage.wait(2)
        if last.channel.call.seat is last:
            places.mute(stage.switch, last, muted)
    yield stage.wait(2)
    end_call(stage.switch, last.channel.call, by=last.channel, soft=True)


def _sit_down(stage: Stage, call: Call, place: int, application: str) -> Seat:
    name = f"8{stage.a.number[-2:]}"
    channel = stage.lift(stage.troupe.phones[place], name, call)
    stage.switch.execute(channel, "Answer")
    stage.switch.set_state(channel, ChannelState.UP)
    stage.switch.execute(channel, application, name)
    meetme = application == "MeetMe"
    return places.join(stage.switch, channel, name, admin=place == 0, meetme=meetme)


def spy(stage: Stage) -> Script:
    _, called, _ = yield from stage.talk(stage.a, stage.b)
    yield stage.wait(1)

    def listens(call: Call) -> Script:
        spyer = stage.lift(stage.d, "962", call)
        stage.switch.execute(spyer, "Answer")
        stage.switch.set_state(spyer, ChannelState.UP)
        stage.switch.execute(spyer, "ChanSpy", f"{stage.b.name},q")
        places.listen(stage.switch, spyer, called)
        yield stage.wait(12)
        end_call(stage.switch, call, by=spyer)

    stage.other_call(listens)
    yield stage.wait(7)
    stage.end(by=called)


def agent(stage: Stage) -> Script:
    """Somebody logs in as an agent, waits, and hangs up: app_agent_pool.c ``agent_login_exec``."""
    channel = stage.lift(stage.e, "*45")
    yield stage.wait(1)
    stage.switch.execute(channel, "AgentLogin", stage.e.number)
    stage.switch.set_state(channel, ChannelState.UP)
    places.log_in(stage.switch, stage.switch.agents[stage.e.number], channel)
    yield stage.wait(12)
    stage.end(by=channel)
