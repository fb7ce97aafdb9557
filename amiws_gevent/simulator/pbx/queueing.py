"""What a queue does with its callers and agents, as app_queue does and tells it.

Functions on a ``Switch``: each changes a queue, its callers or members and sends the events.
"""

from __future__ import annotations

from amiws_gevent.simulator.pbx.model import Call, Channel, Dial, Entry, Member, Queue, Service
from amiws_gevent.simulator.pbx.switch import Switch


def join(switch: Switch, channel: Channel, queue: Queue) -> Entry:
    """A caller lines up at the end."""
    if switch.style.queue_wait_variables:
        for name in ("QUEUEWAIT", "QUEUEWAIT_MS"):
            switch.set_variable(channel, name, "")
    position = len(queue.entries) + 1
    entry = Entry(queue, channel, switch.now, position, position)
    queue.entries.append(entry)
    channel.call.entry = entry
    if position == 1:
        switch.device_event(f"Queue:{queue.name}", "RINGING")
    _caller_event(
        switch,
        "QueueCallerJoin",
        entry,
        f"Queue: {queue.name}\r\nPosition: {position}\r\nCount: {position}\r\n",
    )
    return entry


def leave(switch: Switch, entry: Entry) -> None:
    """A caller's place becomes free; those behind move up."""
    queue = entry.queue
    queue.entries.remove(entry)
    entry.channel.call.entry = None
    for position, other in enumerate(queue.entries, 1):
        other.position = position
    if not queue.entries:
        switch.device_event(f"Queue:{queue.name}", "NOT_INUSE")
    _caller_event(
        switch,
        "QueueCallerLeave",
        entry,
        f"Queue: {queue.name}\r\nPosition: {entry.position}\r\nCount: {len(queue.entries)}\r\n",
    )


def abandon(switch: Switch, entry: Entry) -> None:
    """A caller gives up before an agent answers."""
    queue = entry.queue
    waited = int(switch.now - entry.joined)
    queue.abandoned += 1
    queue.abandoned_in_level += waited <= queue.service_level
    _caller_event(
        switch,
        "QueueCallerAbandon",
        entry,
        f"Queue: {queue.name}\r\nPosition: {entry.position}\r\n"
        f"OriginalPosition: {entry.original_position}\r\nHoldTime: {waited}\r\n",
    )
    leave(switch, entry)


def add(switch: Switch, member: Member, paused: bool) -> None:
    """Somebody serves the queue from now on."""
    member.queue.members.append(member)
    member.device.memberships.append(member)
    member.paused = paused
    switch.member_event("QueueMemberAdded", member)
    switch.availability_changed(member.queue)


def remove(switch: Switch, member: Member) -> None:
    """Somebody serves the queue no more; what he talks goes on."""
    member.queue.members.remove(member)
    member.device.memberships.remove(member)
    switch.member_event("QueueMemberRemoved", member)
    switch.availability_changed(member.queue)


def next_members(queue: Queue) -> list[Member]:
    """Whom to ring now by the queue's strategy: several for ``ringall``, else one or none.

    Of the free agents only those with the lowest penalty count.
    """
    available = [member for member in queue.members if member.available]
    lowest = min((member.penalty for member in available), default=0)
    available = [member for member in available if member.penalty == lowest]
    if queue.strategy == "ringall" or not available:
        return available
    if queue.strategy == "rrmemory":
        start = queue.last_served + 1
        count = len(queue.members)
        return [min(available, key=lambda member: (queue.members.index(member) - start) % count)]
    return [min(available, key=lambda member: member.last_call)]


def first_in_line(entry: Entry) -> bool:
    """Whether it is this caller's turn: with ``autofill`` all ahead are being served."""
    for other in entry.queue.entries:
        if not other.being_served:
            return other is entry
    return False


def called(switch: Switch, caller: Channel, dial: Dial, member: Member) -> None:
    member.queue.last_served = member.queue.members.index(member)
    _agent_event(switch, "AgentCalled", caller, dial.target, member, "")


def ring_no_answer(switch: Switch, caller: Channel, dial: Dial, member: Member) -> None:
    """``RingTime`` is in milliseconds, as app_queue sends it."""
    ring_time = round((switch.now - dial.begun) * 1000)
    _agent_event(
        switch, "AgentRingNoAnswer", caller, dial.target, member, f"RingTime: {ring_time}\r\n"
    )


def connect(switch: Switch, entry: Entry, dial: Dial, member: Member) -> Service:
    """An agent has answered: the caller leaves the line, the two will be bridged."""
    queue, caller = entry.queue, entry.channel
    waited = switch.now - entry.joined
    position = entry.position
    leave(switch, entry)
    switch.set_variable(caller, "QUEUEPOSITION", str(position))
    if switch.style.queue_wait_variables:
        switch.set_variable(caller, "QUEUEWAIT", str(int(waited)))
        switch.set_variable(caller, "QUEUEWAIT_MS", str(round(waited * 1000)))
    queue.hold_time = (queue.hold_time * 3 + int(waited)) >> 2
    member.in_call = True
    service = Service(member, caller, dial.target, int(waited), switch.now)
    caller.call.service = service
    tail = f"HoldTime: {int(waited)}\r\nRingTime: {int(switch.now - dial.begun)}\r\n"
    _agent_event(switch, "AgentConnect", caller, dial.target, member, tail)
    if not switch.style.member_times:
        # Up to 13 every device state told of the member again, so that InCall is seen.
        switch.member_event("QueueMemberStatus", member)
    return service


def complete(switch: Switch, call: Call, reason: str) -> None:
    """The talk with the agent is over; ``reason`` is ``agent``, ``caller`` or ``transfer``."""
    service = call.service
    if service is None:
        return
    call.service = None
    member, queue = service.member, service.member.queue
    talked = int(switch.now - service.connected)
    queue.talk_time = (queue.talk_time * 3 + talked) >> 2
    queue.completed += 1
    queue.completed_in_level += service.hold_time <= queue.service_level
    member.calls_taken += 1
    member.last_call = int(switch.now)
    member.in_call = False
    tail = f"HoldTime: {service.hold_time}\r\nTalkTime: {talked}\r\nReason: {reason}\r\n"
    _agent_event(switch, "AgentComplete", service.caller, service.agent, member, tail)


def _caller_event(switch: Switch, name: str, entry: Entry, tail: str) -> None:
    switch.out.append(
        f"Event: {name}\r\nPrivilege: agent,all\r\n{entry.channel.headers()}{tail}\r\n"
    )


def _agent_event(
    switch: Switch, name: str, caller: Channel, agent: Channel, member: Member, tail: str
) -> None:
    switch.out.append(
        f"Event: {name}\r\nPrivilege: agent,all\r\n{caller.headers()}{agent.prefixed('Dest')}"
        f"Queue: {member.queue.name}\r\nInterface: {member.interface}\r\n"
        f"MemberName: {member.device.label}\r\n{tail}\r\n"
    )
