"""Where channels are with others, or wait, without a call between them: conferences, the parking
lot, the room of agents, and whoever listens to another.

Functions on a ``Switch``, each with its events: of ``apps/app_confbridge.c``, ``res/parking``,
``apps/app_agent_pool.c`` and ``apps/app_chanspy.c``, in the order of the recorded scenarios.
"""

from __future__ import annotations

from typing import Final

from amiws_gevent.simulator.pbx.model import (
    Agent,
    Call,
    Channel,
    Conference,
    Parked,
    Seat,
)
from amiws_gevent.simulator.pbx.switch import Switch

LOT: Final = "default"
PARK: Final = "700"
FIRST_SPACE: Final = 701
LAST_SPACE: Final = 720
PARKING_TIME: Final = 45  # seconds

_NO_ONE: Final = "Privilege: call,all\r\n"


# Conferences


def join(
    switch: Switch, channel: Channel, name: str, *, admin: bool = False, meetme: bool = False
) -> Seat:
    """A channel takes a seat; the first one opens the conference.

    Those of MeetMe mix without a bridge, and tell nothing of their beginning.
    """
    conference = switch.conferences.get(name)
    if conference is None:
        conference = switch.conferences[name] = _open_conference(switch, name, meetme)
    number = max((seat.number for seat in conference.seats), default=0) + 1
    seat = Seat(conference, channel, admin, number=number, joined=switch.now)
    conference.seats.append(seat)
    channel.call.seat = seat
    if conference.bridge is None:
        _meetme_event(switch, "MeetmeJoin", seat)
    else:
        switch.enter(conference.bridge, channel)
        _seat_event(switch, "ConfbridgeJoin", seat, f"Muted: {yes(seat.muted)}\r\n")
    return seat


def _open_conference(switch: Switch, name: str, meetme: bool) -> Conference:
    if meetme:
        return Conference(name, None)
    conference = Conference(name, switch.new_room("base", "softmix", "ConfBridge", name))
    _conference_event(switch, "ConfbridgeStart", conference)
    return conference


def leave(switch: Switch, seat: Seat) -> None:
    """A seat becomes free; the last one closes the conference."""
    conference = seat.conference
    conference.seats.remove(seat)
    seat.channel.call.seat = None
    if conference.bridge is None:
        sat = int(switch.now - seat.joined)
        _meetme_event(switch, "MeetmeLeave", seat, f"Duration: {sat}\r\n")
    else:
        _seat_event(switch, "ConfbridgeLeave", seat)
        switch.leave(seat.channel)
    if not conference.seats:
        _close(switch, conference)


def _close(switch: Switch, conference: Conference) -> None:
    del switch.conferences[conference.name]
    if conference.bridge is None:
        switch.out.append(f"Event: MeetmeEnd\r\n{_NO_ONE}Meetme: {conference.name}\r\n\r\n")
    else:
        _conference_event(switch, "ConfbridgeEnd", conference)
        switch.destroy_bridge(conference.bridge)


def talk(switch: Switch, seat: Seat, talking: bool) -> None:
    seat.talking = talking
    if seat.conference.bridge is None:
        _meetme_event(switch, "MeetmeTalking", seat, f"Status: {_on(talking)}\r\n")
    else:
        _seat_event(switch, "ConfbridgeTalking", seat, f"TalkingStatus: {_on(talking)}\r\n")


def mute(switch: Switch, seat: Seat, muted: bool) -> None:
    seat.muted = muted
    if seat.conference.bridge is None:
        _meetme_event(switch, "MeetmeMute", seat, f"Status: {_on(muted)}\r\n")
    else:
        _seat_event(switch, "ConfbridgeMute" if muted else "ConfbridgeUnmute", seat)


def yes(value: bool) -> str:
    """As the lists of conferences write it."""
    return "Yes" if value else "No"


def _on(value: bool) -> str:
    return "on" if value else "off"


def _conference_event(switch: Switch, name: str, conference: Conference, rest: str = "") -> None:
    bridge = "" if conference.bridge is None else conference.bridge.headers()
    switch.out.append(
        f"Event: {name}\r\n{_NO_ONE}Conference: {conference.name}\r\n{bridge}{rest}\r\n"
    )


def _seat_event(switch: Switch, name: str, seat: Seat, tail: str = "") -> None:
    rest = f"{seat.channel.headers()}Admin: {yes(seat.admin)}\r\n{tail}"
    _conference_event(switch, name, seat.conference, rest)


def _meetme_event(switch: Switch, name: str, seat: Seat, tail: str = "") -> None:
    switch.out.append(
        f"Event: {name}\r\n{_NO_ONE}Meetme: {seat.conference.name}\r\n"
        f"Usernum: {seat.number}\r\n{seat.channel.headers()}{tail}\r\n"
    )


# Parking


def park(switch: Switch, channel: Channel, parker: str) -> Parked | None:
    """A channel goes to the first free space; None if there is none."""
    spaces = (space for space in range(FIRST_SPACE, LAST_SPACE + 1) if space not in switch.parked)
    space = next(spaces, None)
    if space is None:
        return None
    if switch.parking is None:
        switch.parking = switch.new_room("parking", "holding_bridge", "<unknown>", "<unknown>")
    parked = Parked(space, channel, parker, switch.now, switch.now + PARKING_TIME)
    switch.parked[space] = parked
    channel.call.parked = parked
    switch.leave(channel)
    _parking_event(switch, "ParkedCall", parked)
    switch.device_event(_device_of(parked), "INUSE")
    switch.enter(switch.parking, channel)
    return parked


def unpark(switch: Switch, parked: Parked, event: str, retriever: Channel | None = None) -> None:
    """The space becomes free: ``UnParkedCall``, ``ParkedCallTimeOut`` or ``ParkedCallGiveUp``."""
    del switch.parked[parked.space]
    parked.channel.call.parked = None
    switch.device_event(_device_of(parked), "NOT_INUSE")
    _parking_event(switch, event, parked, retriever)
    switch.leave(parked.channel)
    if not switch.parked and switch.parking is not None:
        switch.destroy_bridge(switch.parking)
        switch.parking = None


def parked_headers(switch: Switch, parked: Parked, retriever: Channel | None = None) -> str:
    """What events and lists say of a parked call; times are in seconds."""
    by = "" if retriever is None else retriever.prefixed("Retriever")
    return (
        f"{parked.channel.prefixed('Parkee')}{by}ParkerDialString: {parked.parker}\r\n"
        f"Parkinglot: {LOT}\r\nParkingSpace: {parked.space}\r\n"
        f"ParkingTimeout: {max(0, round(parked.until - switch.now))}\r\n"
        f"ParkingDuration: {int(switch.now - parked.since)}\r\n"
    )


def _parking_event(
    switch: Switch, name: str, parked: Parked, retriever: Channel | None = None
) -> None:
    switch.out.append(f"Event: {name}\r\n{_NO_ONE}{parked_headers(switch, parked, retriever)}\r\n")


def _device_of(parked: Parked) -> str:
    return f"park:{parked.space}@parkedcalls"


# Agents


def log_in(switch: Switch, agent: Agent, channel: Channel) -> None:
    """An agent waits for calls on a channel that stays up, hearing music."""
    agent.channel, agent.login = channel, int(switch.now)
    channel.call.agent = agent
    if switch.agent_room is None:
        switch.agent_room = switch.new_room("agent_hold", "holding_bridge", "AgentPool", "0")
    switch.enter(switch.agent_room, channel)
    switch.device_event(f"Agent:{agent.number}", "NOT_INUSE")
    _agent_event(switch, "AgentLogin", agent, channel)


def log_off(switch: Switch, agent: Agent, channel: Channel) -> None:
    agent.channel = None
    channel.call.agent = None
    switch.leave(channel)
    switch.device_event(f"Agent:{agent.number}", "UNAVAILABLE")
    _agent_event(switch, "AgentLogoff", agent, channel, f"Logintime: {_since(switch, agent)}\r\n")
    if switch.agent_room is not None and not switch.agent_room.channels:
        switch.destroy_bridge(switch.agent_room)
        switch.agent_room = None


def _since(switch: Switch, agent: Agent) -> int:
    return int(switch.now) - agent.login


def _agent_event(switch: Switch, name: str, agent: Agent, channel: Channel, tail: str = "") -> None:
    switch.out.append(
        f"Event: {name}\r\nPrivilege: agent,all\r\n{channel.headers()}"
        f"Agent: {agent.number}\r\n{tail}\r\n"
    )


# Whoever listens


def listen(switch: Switch, spyer: Channel, spyee: Channel) -> None:
    spyer.call.listens_to = spyee
    _spy_event(switch, "ChanSpyStart", spyer, spyee)


def stop_listening(switch: Switch, spyer: Channel) -> None:
    """Asterisk tells of the other too, if that channel is still there."""
    spyee = spyer.call.listens_to
    spyer.call.listens_to = None
    if spyee is not None:
        there = spyee if spyee.name in switch.channels else None
        _spy_event(switch, "ChanSpyStop", spyer, there)


def _spy_event(switch: Switch, name: str, spyer: Channel, spyee: Channel | None) -> None:
    other = "" if spyee is None else spyee.prefixed("Spyee")
    switch.out.append(f"Event: {name}\r\n{_NO_ONE}{spyer.prefixed('Spyer')}{other}\r\n")


def leave_all(switch: Switch, call: Call, only: Channel | None = None) -> None:
    """A call that ends, or ``only`` one channel of it, is in no place any more."""

    def concerns(channel: Channel | None) -> bool:
        return channel is not None and only in (None, channel)

    seat, parked, agent = call.seat, call.parked, call.agent
    if seat is not None and concerns(seat.channel):
        leave(switch, seat)
    if parked is not None and concerns(parked.channel):
        unpark(switch, parked, "ParkedCallGiveUp")
    if agent is not None and agent.channel is not None and concerns(agent.channel):
        log_off(switch, agent, agent.channel)
    if call.listens_to is not None and concerns(call.channels[0]):
        stop_listening(switch, call.channels[0])
