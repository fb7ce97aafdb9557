"""Callers are of many countries, with numbers that nobody has, and members of staff unique."""

from __future__ import annotations

import random
import re
import unicodedata

from amiws_gevent.simulator.pbx import people


def test_numbers_are_e164_and_nobodys() -> None:
    rng = random.Random(1)
    kept_for_fiction = re.compile(
        r"1\d{3}55501\d\d|442079460\d{3}|447700900\d{3}|3532091\d{5}|3319900\d{4}|3363998\d{4}"
        r"|493023125\d{3}|498999998\d{3}|468465004\d\d|463139006\d\d|61[23]\d010\d{4}"
        r"|6125550\d{4}|6137010\d{4}"
    )
    for _ in range(3000):
        person = people.callee(rng)
        assert re.fullmatch(r"[1-9]\d{7,14}", person.number), person
        assert kept_for_fiction.fullmatch(person.number) or "000" in person.number, person


def test_callers_are_of_many_countries_and_scripts() -> None:
    rng = random.Random(1)
    callers = [people.caller(rng) for _ in range(3000)]
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
    withheld = [people.caller(rng) for _ in range(3000)].count(people.WITHHELD)
    assert 50 < withheld < 150
    assert all(people.callee(rng).number for _ in range(3000))


def test_the_same_seed_brings_the_same_people() -> None:
    first, second = random.Random(5), random.Random(5)
    assert [people.caller(first) for _ in range(50)] == [people.caller(second) for _ in range(50)]


def test_no_two_members_of_staff_have_the_same_name() -> None:
    names = [people.staff_name(index) for index in range(2000)]
    assert len(set(names)) == len(names)
    assert names[0] == "Alice Ahmed"
