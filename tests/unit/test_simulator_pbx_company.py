"""How busy the company is, what it has, who works there and who calls: people of many countries."""

from __future__ import annotations

import random
import re
import unicodedata

import pytest

from amiws_gevent.simulator.pbx import company
from amiws_gevent.simulator.pbx.company import Pace, furnish
from amiws_gevent.simulator.pbx.style import Style
from amiws_gevent.simulator.pbx.switch import Switch
from tests.support.simulator import EVERY


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


@pytest.mark.parametrize("style", EVERY)
@pytest.mark.parametrize("rate", [0, 0.5, 50, 5000])
def test_every_company_has_phones_trunks_and_queues(style: Style, rate: float) -> None:
    switch = Switch(style, random.Random(1), 0.0)
    furnish(switch, Pace.for_rate(rate))
    devices = switch.devices
    assert all(name == device.name for name, device in devices.items())
    others = [name for name in devices if not name.startswith(f"{style.technology}/")]
    assert others == ([f"IAX2/{style.branch}"] if style.branch else [])
    assert sum(device.trunk for device in devices.values()) == 2 + len(others)
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


def test_numbers_are_e164_and_nobodys() -> None:
    rng = random.Random(1)
    kept_for_fiction = re.compile(
        r"1\d{3}55501\d\d|442079460\d{3}|447700900\d{3}|3532091\d{5}|3319900\d{4}|3363998\d{4}"
        r"|493023125\d{3}|498999998\d{3}|468465004\d\d|463139006\d\d|61[23]\d010\d{4}"
        r"|6125550\d{4}|6137010\d{4}"
    )
    for _ in range(3000):
        person = company.callee(rng)
        assert re.fullmatch(r"[1-9]\d{7,14}", person.number), person
        assert kept_for_fiction.fullmatch(person.number) or "000" in person.number, person


def test_callers_are_of_many_countries_and_scripts() -> None:
    rng = random.Random(1)
    callers = [company.caller(rng) for _ in range(3000)]
    assert len({person.country for person in callers}) > 30
    scripts = {
        unicodedata.name(sign).split()[0]
        for person in callers
        for sign in person.name
        if sign > "~"
    }
    assert {"CYRILLIC", "GREEK", "ARABIC", "HEBREW", "DEVANAGARI", "THAI", "CJK"} <= scripts
    assert {"HANGUL", "ARMENIAN", "GEORGIAN", "LATIN"} <= scripts


def test_some_callers_withhold_their_number_and_callees_never() -> None:
    rng = random.Random(1)
    withheld = [company.caller(rng) for _ in range(3000)].count(company.WITHHELD)
    assert 50 < withheld < 150
    assert all(company.callee(rng).number for _ in range(3000))


def test_now_and_then_a_name_is_hostile() -> None:
    rng = random.Random(1)
    hostile = [company.caller(rng) for _ in range(3000)].count(company.HOSTILE)
    assert 10 < hostile < 60
    assert "<img src=x onerror=alert(1)>" in company.HOSTILE.name


def test_the_same_seed_brings_the_same_people() -> None:
    first, second = random.Random(5), random.Random(5)
    assert [company.caller(first) for _ in range(50)] == [company.caller(second) for _ in range(50)]


def test_no_two_members_of_staff_have_the_same_name() -> None:
    names = [company.staff_name(index) for index in range(2000)]
    assert len(set(names)) == len(names)
    assert names[0] == "Alice Ahmed"
