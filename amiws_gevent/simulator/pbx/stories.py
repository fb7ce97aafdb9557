"""The calls that come by themselves: which kinds there are, and how often each.

A story makes a call's first channel and sends it somewhere; ``scripts`` know what happens there.
A further kind of call is a function and a row of ``STORIES``.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import accumulate
from typing import Final

from amiws_gevent.simulator.pbx.company import callee, caller
from amiws_gevent.simulator.pbx.model import Call, Channel, Script
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
    queue = scripts.rng.choice(scripts.queues)
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
    person = caller(scripts.rng)
    return scripts.from_outside(call, person.name, person.number)
