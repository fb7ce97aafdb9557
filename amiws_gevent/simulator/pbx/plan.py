"""The company that the simulated PBX serves: phones, trunks, queues, and how busy it is."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from amiws_gevent.simulator.pbx import people
from amiws_gevent.simulator.pbx.model import Device, Member, Queue
from amiws_gevent.simulator.pbx.switch import Switch

FIRST_EXTENSION: Final = 201
CONTEXT_OUTSIDE: Final = "from-trunk"
CONTEXT_INSIDE: Final = "from-internal"
CONTEXTS: Final = frozenset({"default", CONTEXT_OUTSIDE, CONTEXT_INSIDE})
ECHO_TEST: Final = "*43"

_MEAN_LIFE: Final = 14.0  # seconds from a call's first event to its last, measured
_MOST_CALLS: Final = 400.0  # at once, on average: past it calls get shorter, not more
_LEAST_PHONES: Final = 16
_QUEUES: Final = (
    # name, number, strategy, share of the phones, most members
    ("sales", "601", "ringall", 0.25, 4),
    ("support", "602", "rrmemory", 0.35, 400),
    ("billing", "603", "leastrecent", 0.2, 200),
)


@dataclass(frozen=True)
class Pace:
    """How the rate of new calls becomes lengths and limits.

    ``scale`` multiplies every wait: 1 up to the rate at which 400 calls would be up at
    once, smaller above it, so that any rate keeps a bounded number of calls. The numbers
    of calls are kept between ``fewest`` and ``most``: at half a call a second 3 and 10.
    """

    rate: float
    scale: float
    fewest: int
    most: int

    @classmethod
    def for_rate(cls, rate: float) -> Pace:
        """``rate`` is new calls a second; 0 makes none. ValueError if negative or not finite."""
        if not (math.isfinite(rate) and rate >= 0):
            raise ValueError(f"the rate is {rate}, it must be 0 or more calls a second")
        scale = min(1.0, _MOST_CALLS / (rate * _MEAN_LIFE)) if rate else 1.0
        load = rate * scale
        return cls(rate, scale, round(load * 6), max(1, round(load * 20)) if rate else 0)

    @property
    def warm_up(self) -> float:
        """Seconds after which the number of calls is what it will be from then on."""
        return 40.0 * self.scale if self.rate else 0.0


def furnish(switch: Switch, pace: Pace) -> None:
    """Gives an empty switch its phones, trunks and queues, as many as the pace needs."""
    phones = max(_LEAST_PHONES, math.ceil(pace.most * 1.6))
    technology = switch.style.technology
    for index in range(phones):
        number = str(FIRST_EXTENSION + index) if index < 300 else str(10000 + index)
        device = Device(f"{technology}/{number}", number, people.staff_name(index), "office")
        switch.devices[device.name] = device
    staff = list(switch.devices.values())
    for name in switch.style.trunks:
        switch.devices[f"{technology}/{name}"] = Device(
            f"{technology}/{name}", "", name, "", trunk=True
        )
    _open_queues(switch, staff)


def _open_queues(switch: Switch, staff: list[Device]) -> None:
    login = int(switch.now)
    first = 0
    for name, number, strategy, share, most in _QUEUES:
        queue = switch.queues[name] = Queue(name, number, strategy)
        count = min(most, max(3, int(len(staff) * share)))
        for device in staff[first : first + count]:
            device.account = name
            add_member(queue, device, login)
        first += count
    # Two who know both trades: seen in two queues, as in many a small company.
    add_member(switch.queues["billing"], switch.queues["support"].members[0].device, login, 5)
    add_member(switch.queues["support"], switch.queues["billing"].members[0].device, login, 5)


def add_member(queue: Queue, device: Device, login: int, penalty: int = 0) -> Member:
    member = Member(queue, device, login, penalty)
    queue.members.append(member)
    device.memberships.append(member)
    return member
