"""How busy the company is, and what it has."""

from __future__ import annotations

import random

import pytest

from amiws_gevent.simulator.pbx.plan import Pace, furnish
from amiws_gevent.simulator.pbx.style import STYLE_13, STYLE_22, Style
from amiws_gevent.simulator.pbx.switch import Switch


def test_the_default_rate_keeps_three_to_ten_calls() -> None:
    pace = Pace.for_rate(0.5)
    assert (pace.scale, pace.fewest, pace.most, pace.warm_up) == (1.0, 3, 10, 40.0)


def test_no_rate_no_calls() -> None:
    pace = Pace.for_rate(0)
    assert (pace.fewest, pace.most, pace.warm_up) == (0, 0, 0.0)


@pytest.mark.parametrize("rate", [100, 1000, 100_000])
def test_calls_get_shorter_instead_of_more(rate: float) -> None:
    pace = Pace.for_rate(rate)
    assert pace.most < 600
    assert pace.scale * rate == pytest.approx(Pace.for_rate(100).scale * 100)
    assert pace.warm_up * rate < 1200, "a quick start at any rate"


@pytest.mark.parametrize("style", [STYLE_13, STYLE_22])
@pytest.mark.parametrize("rate", [0, 0.5, 50, 5000])
def test_every_company_has_phones_trunks_and_queues(style: Style, rate: float) -> None:
    switch = Switch(style, random.Random(1), 0.0)
    furnish(switch, Pace.for_rate(rate))
    devices = switch.devices
    assert all(name == device.name for name, device in devices.items())
    assert all(name.startswith(f"{style.technology}/") for name in devices)
    assert sum(device.trunk for device in devices.values()) == 2
    numbers = [device.number for device in devices.values() if not device.trunk]
    assert len(set(numbers)) == len(numbers) >= 16
    assert not set(numbers) & {queue.number for queue in switch.queues.values()}
    assert {queue.strategy for queue in switch.queues.values()} == {
        "ringall",
        "rrmemory",
        "leastrecent",
    }
    for queue in switch.queues.values():
        assert len(queue.members) >= 3
    shared = [device for device in devices.values() if len(device.memberships) == 2]
    assert len(shared) == 2
