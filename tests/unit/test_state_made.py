"""Scenarios that no capture has, fed to the live model: the calls tell the story, and lists agree.

Where each recording comes from, and what a person would tell of it, is in
``tests/captures/made/README.md``.
"""

from __future__ import annotations

from itertools import dropwhile
from typing import NamedTuple

import pytest

from tests.support.agreement import KINDS, PASSING, unlike
from tests.support.made import FOLDER, LISTS, of_asterisk_11, steps
from tests.support.state import World, line
from tests.unit.test_state_calls import way_of

FILES = sorted(FOLDER.glob("*.raw"))

SEEN = {
    "hold": "901 -> 902 talking, 901 -> 902 held, 901 -> 902 talking, 901 -> 902 held, "
    "901 -> 902 talking",
    "blonde": "901 -> 902 talking, 901 -> 902 held | 902 -> 903 dialling, "
    "901 -> 902 held | 902 -> 903 ringing, 901 -> 903 ringing, 901 -> 903 talking",
    "phone_transfer": "901 -> 902 talking, 901 -> 902 held | 902 -> 903 dialling, "
    "901 -> 902 held | 902 -> 903 ringing, 901 -> 902 held | 902 -> 903 talking, "
    "901 -> 903 talking",
    "forward": "901 -> 903 dialling, 901 -> 903 ringing, 901 -> 903 talking",
    "merge": "901 -> 902 talking, 901 -> 903 dialling, 901 -> 903 ringing, 901 -> 903 talking, "
    "902 -> 903 talking",
    "originate_busy": "901 -> None dialling",
    "originate_refused": "901 -> None dialling, 901 -> None ringing, 901 -> 902 dialling",
    "parking_timeout": "901 -> 902 talking, 902 -> None parked 701, 902 -> 901 dialling, "
    "902 -> 901 ringing, 902 -> 901 talking",
}
"""The calls at each list, from where the first of two phones has rung on."""

_TALK = "dialled 901 902, rang 902, answered 902, "

WAYS = {
    "hold": f"{_TALK}held 901, resumed, held 901, resumed, ended 16",
    "blonde": f"{_TALK}held 901, resumed, transferred 902 901 903 attended, answered 903, ended 16",
    "phone_transfer": f"{_TALK}held 901, resumed, transferred 902 901 903 attended, ended 16",
    "forward": "dialled 901 902, rang 902, rang 903, answered 903, ended 16",
    "merge": f"{_TALK}held 902, rang 903, answered 903, transferred 901 902 903 attended, ended 16",
    "originate_busy": "ended 17",
    "originate_refused": "rang 901, dialled 901 902, answered 901, ended 17",
    "parking_timeout": f"{_TALK}parked 902 901 701, rang 901, answered 901, ended 16",
}

WAYS_11 = {
    "a_blind_transfer_by_the_phone": [
        "dialled 201 203, rang 203, answered 203, transferred 203 201 204 blind, rang 204, ended 16"
    ],
    "a_call_from_ringing_to_its_end": ["dialled 201 203, rang 203, answered 203, ended 16"],
    "a_parked_call_and_a_conference": [
        "dialled 201 203, rang 203, answered 203, parked 203 201 701, retrieved 203 204, ended 16",
        "dialled 201 800, joined 201 800, ended 16",
    ],
    "a_pickup_is_a_masquerade_of_the_phone_that_rang": [
        "dialled 201 203, rang 203, picked_up 204 203, ended 16"
    ],
    "a_queue_with_a_local_member": [
        "dialled +4930123456 600, queued +4930123456 support, rang 201, answered 201, ended 16"
    ],
    "an_attended_transfer_by_the_phone_makes_one_call_of_two": [
        ", ".join(
            (
                *("dialled 201 203", "rang 203", "answered 203", "held 201"),
                *("transferred 203 201 204 attended", "resumed", "ended 16"),
            )
        )
    ],
    "hold_by_the_phone": ["dialled 201 203, rang 203, answered 203, held 201, resumed, ended 16"],
    "who_is_handed_over_to_a_queue_is_who_he_was": [
        ", ".join(
            (
                *("dialled 030123456 200", "answered 203", "queued 030123456 support"),
                *("transferred 203 030123456 attended", "ended 16"),
            )
        )
    ],
    "who_listens_is_a_call_of_his_own": [
        "dialled 201 203, rang 203, answered 203, ended 16",
        "dialled 204 962, application 204 ChanSpy, listens 204 203, ended 16",
    ],
}


class Played(NamedTuple):
    seen: list[str]
    """The calls at each list that shows others than the one before."""
    ways: list[list[str]]
    """The ways of the calls that are over, without those that became part of others."""
    wrong: list[str]
    left: list[tuple[str, str]]
    lists: int


def play(name: str) -> Played:
    fed, listed = World(), World()
    seen, wrong, lists = [""], list[str](), 0
    for step in steps(FOLDER / f"{name}.raw"):
        if step.event is not None:
            fed.receive(step.event, after=0.1)
            listed = World()
            continue
        lists += 1
        listed.list(step.action, *step.items, after=0)
        if step.action in (LISTS[-1], "CoreShowChannels" if name.startswith("11-") else ""):
            kinds = [kind for action in LISTS for kind in KINDS[action]]
            wrong += unlike(fed, listed, kinds)
            calls = " | ".join(sorted(line(dict(c)) for c in fed.store.of("call").values()))
            seen += [calls] if calls != seen[-1] else []
    ways = [way_of(call.fields) for call in fed.ended if call.merged_into is None]
    left = [(kind, key) for kind in PASSING for key in fed.store.keys(kind)]
    return Played(seen, ways, wrong, left, lists)


@pytest.mark.parametrize("version", ["13", "22"])
@pytest.mark.parametrize("name", SEEN)
def test_the_calls_tell_the_story(version: str, name: str) -> None:
    played = play(f"{version}-{name}")
    seen = list(dropwhile(lambda calls: calls in _BEGINNINGS, played.seen))
    assert ", ".join(filter(None, seen)) == SEEN[name]
    assert [", ".join(way) for way in played.ways] == [WAYS[name]]
    assert (played.wrong, played.left) == ([], [])
    assert played.lists >= 2 * len(LISTS)


_BEGINNINGS = ("", "901 -> 902 dialling", "901 -> 902 ringing")


@pytest.mark.parametrize("name", WAYS_11)
def test_the_calls_of_11_tell_the_story(name: str) -> None:
    played = play(f"11-{name}")
    assert [", ".join(way) for way in played.ways] == WAYS_11[name]
    assert (played.wrong, played.left, played.lists) == ([], [], 1)


def test_each_recording_is_played_and_its_origin_told() -> None:
    names = [f"{version}-{name}" for version in ("13", "22") for name in SEEN]
    names += [f"11-{name}" for name in WAYS_11]
    assert sorted(names) == [file.stem for file in FILES]
    told = (FOLDER / "README.md").read_text(encoding="utf-8")
    for name in (*SEEN, *WAYS_11):
        assert f"| {name} |" in told


def test_the_recordings_of_11_are_of_the_events_that_are_tested() -> None:
    made = dict(of_asterisk_11())
    assert sorted(made) == sorted(WAYS_11)
    for name, text in made.items():
        assert (FOLDER / f"11-{name}.raw").read_bytes() == text.encode()
