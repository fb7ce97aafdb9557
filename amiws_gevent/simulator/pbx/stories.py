"""The calls that come by themselves: which kinds there are, and how often each.

A story makes a call's first channel and sends it somewhere; ``scripts`` know what happens there.
A further kind of call is a function and a row of ``STORIES``.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import accumulate
from typing import Final

from amiws_gevent.simulator.pbx.company import CONTEXT_OUTSIDE, callee, caller
from amiws_gevent.simulator.pbx.model import Call, Channel, ChannelState, Script
from amiws_gevent.simulator.pbx.scripts import Scripts

Story = Callable[[Scripts, Call], Script]


def any_call(scripts: Scripts, call: Call) -> Script:
    """One of the kinds of call that a company has, the common ones more often."""
    shares = list(accumulate(share for share, _ in STORIES))
    ((_, story),) = scripts.rng.choices(STORIES, cum_weights=shares)
    return story(scripts, call)


def call_to_queue(scripts: Scripts, call: Call) -> Script:
    channel = _incoming(scripts, call)
    yield scripts.wait(0.1, 0.4)
    queue = scripts.rng.choice(list(scripts.switch.queues.values()))
    yield from scripts.queue(call, channel, queue)


def call_to_desk(scripts: Scripts, call: Call) -> Script:
    channel = _incoming(scripts, call)
    yield scripts.wait(0.1, 0.4)
    device = scripts.free_or_any(scripts.desks)
    yield from scripts.dial(call, channel, scripts.leg(device))


def call_out(scripts: Scripts, call: Call) -> Script:
    device = scripts.free_or_none(scripts.staff)
    if device is None:
        return
    person = callee(scripts.rng)
    channel = scripts.from_phone(call, device, person.number)
    yield scripts.wait(0.1, 0.5)
    yield from scripts.dial(call, channel, scripts.trunk_leg(person.number, person.name))


def call_inside(scripts: Scripts, call: Call) -> Script:
    device = scripts.free_or_none(scripts.staff)
    if device is None:
        return
    target = scripts.free_or_any([other for other in scripts.desks if other is not device])
    channel = scripts.from_phone(call, device, target.number)
    yield scripts.wait(0.1, 0.5)
    yield from scripts.dial(call, channel, scripts.leg(target))


STORIES: Final[tuple[tuple[int, Story], ...]] = (
    # share in percent, kind of call
    (40, call_to_queue),
    (25, call_to_desk),
    (20, call_out),
    (15, call_inside),
)


def _incoming(scripts: Scripts, call: Call) -> Channel:
    """A channel of a trunk, with somebody outside who calls one of the company's numbers."""
    switch, rng = scripts.switch, scripts.rng
    person = caller(rng)
    plus = "+" if switch.style.plus and person.number else ""
    channel = switch.new_channel(
        call,
        rng.choice(scripts.trunks),
        state=ChannelState.RING if switch.style.incoming_ring else ChannelState.DOWN,
        context=CONTEXT_OUTSIDE,
        exten=rng.choice(switch.style.own_numbers),
        number=plus + person.number,
        name=person.name,
    )
    channel.dialled = channel.exten
    switch.set_state(channel, ChannelState.RING)
    return channel
