"""`mask` and the live state: what is masked in events is not bare in the state."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from amiws_plugins.mask import Plugin
from amiws_plugins.mask.entities import HEADERS, IDS

from amiws_gevent.feeds.filters import ATTRIBUTES
from amiws_gevent.masking.headers import UNSAID, Part
from amiws_gevent.plugins import Entity
from amiws_gevent.state.store import Store
from tests.support.captured import SCENARIOS, SESSIONS, steps
from tests.support.masking import BOTH, PBX1, masked, plugin
from tests.support.state import World

CAPTURES = [*SCENARIOS, *SESSIONS]
EVERYTHING = "{callers: redact, dialled: redact, shortest: 3}"

a_capture = pytest.mark.parametrize("file", CAPTURES, ids=lambda file: file.stem)


def entity(kind: str, id: str = "1", **fields: Any) -> Entity:  # noqa: A002 - as clients have it
    return {"server": 1, "kind": kind, "id": id, **fields}


def shown(made: Plugin, given: Entity) -> Entity:
    """What clients see."""
    before = repr(given)
    result = made.amiws_transform_entity(given, PBX1)
    assert repr(given) == before
    assert result != given, "None is for what stays"
    return given if result is None else result


def texts(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """All texts but ids, each with where it is."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, list):
        for one in value:
            yield from texts(one, path)
    elif isinstance(value, dict):
        for name, one in value.items():
            if name not in IDS and not (path and name == "channel"):
                yield from texts(one, f"{path}.{name}" if path else name)


# One by one


def test_each_kind_of_caller_is_masked() -> None:
    number, name = "03012345678", "Alice Example"
    someone = {"number": number, "name": name, "channel": "1700000000.12"}
    them = {"number": "*******5678", "name": "***", "channel": "1700000000.12"}
    pairs = [
        (
            entity("channel", name=f"Local/{number}@out-00000001;1", caller_number=number),
            {"name": "Local/*******5678@out-00000001;1", "caller_number": "*******5678"},
        ),
        (entity("call", caller=someone, ringing=[someone]), {"caller": them, "ringing": [them]}),
        (entity("call", dialled=number, callee=None), {"dialled": "*******5678"}),
        (
            entity("call", way=[{"what": "dialled", "at": 5, "who": "302", "to": number}]),
            {"way": [{"what": "dialled", "at": 5, "who": "302", "to": "*******5678"}]},
        ),
        *[
            (entity(kind, number=number, name=name), {"number": "*******5678", "name": "***"})
            for kind in ("queue_caller", "parked_call", "participant")
        ],
        (
            entity("queue", last_abandoned=[{"uniqueid": "1.1", "number": number, "name": name}]),
            {"last_abandoned": [{"uniqueid": "1.1", "number": "*******5678", "name": "***"}]},
        ),
        (
            entity("queue_member", interface=f"Local/{number}@out"),
            {"interface": "Local/*******5678@out"},
        ),
        (
            entity("agent", talking_to=f"SIP/{number}-00000001"),
            {"talking_to": "SIP/*******5678-00000001"},
        ),
    ]
    for given, expected in pairs:
        made = shown(BOTH, given)
        assert {name: made[name] for name in expected} == expected
        assert made.keys() == given.keys()


def test_what_is_no_number_stays() -> None:
    given = entity(
        "channel",
        id="1700000000.12",
        uniqueid="1700000000.12",
        caller_number="302",
        caller_name=None,
        created=1_800_000_000_000,
        hold=False,
        bridge="8d1f9b6e-0000-4000-8000-123456789012",
    )
    assert BOTH.amiws_transform_entity(given, PBX1) is None


def test_a_name_is_masked_where_it_comes_again_in_a_text() -> None:
    made = shown(BOTH, entity("channel", caller_name="Alice Example", data="for Alice Example"))
    assert "Alice" not in repr(made)


def test_rules_are_for_the_header_that_a_field_comes_from() -> None:
    made = plugin(
        """
        callers: redact
        rules:
        - {headers: CallerIDNum, action: keep}
        - {headers: AccountCode, action: remove}
        - {headers: Queue, action: redact, servers: other}
        """
    )
    given = entity("channel", caller_number="03012345678", caller_name="Bob", account="4711")
    expected = {"caller_number": "03012345678", "caller_name": "***", "account": None}
    assert shown(made, given) == {**given, **expected}
    assert made.amiws_transform_entity(entity("queue_member", queue="sales"), PBX1) is None


def test_a_rule_for_some_events_masks_in_the_state_and_does_not_keep() -> None:
    given = entity("queue_caller", number="03012345678")
    hides = plugin("rules: [{headers: CallerIDNum, events: Join, action: redact}]")
    assert shown(hides, given)["number"] == "***"
    keeps = plugin("{callers: redact, rules: [{headers: CallerIDNum, events: Join, action: keep}]}")
    assert shown(keeps, given)["number"] == "***"


def test_last_words_and_entities_with_some_fields_are_masked() -> None:
    last = shown(BOTH, entity("channel", cause_text="by 03012345678"))
    assert last["cause_text"] == "by *******5678"


def test_more_values_than_are_searched_are_redacted() -> None:
    many = [{"what": "rang", "who": f"0301234{number:04d}"} for number in range(3000)]
    made = shown(BOTH, entity("call", way=many))
    assert not any(step["who"].startswith("0301") for step in made["way"])
    assert made["way"][-1]["who"] == "***"


def test_the_table_is_of_kinds_that_there_are() -> None:
    assert HEADERS.keys() <= ATTRIBUTES.keys()


# All that real servers say


def numbers_of(file: Path) -> tuple[set[str], set[str]]:
    """Numbers and names of callers that are masked in the messages of a capture."""
    made = plugin(EVERYTHING)
    numbers: set[str] = set()
    names: set[str] = set()
    for step in steps(file):
        for message in filter(None, (step.event, *step.items)):
            after = masked(made, message)
            for (name, before), (_, now) in zip(message.headers, after.headers, strict=True):
                part = made._masker.part_of(name)
                if before != now and part in (Part.NUMBER, Part.DIALLED):
                    numbers.update(re.findall(r"\d{3,}", str(before)))
                if before != now and part is Part.NAME:
                    names.add(str(before))
    return numbers, {name for name in names if len(name) > 3 and name.lower() not in UNSAID}


def entities_of(file: Path) -> Iterator[Entity]:
    """All that clients are told of a capture's state, last words too, at each step."""
    world = World()
    world.store.drain()
    for step in steps(file):
        if step.event is not None:
            world.feed(step.event)
        else:
            world.listed(step.action, step.items)
        yield from drained(world.store)


def drained(store: Store) -> Iterator[Entity]:
    for kind, key in store.drain():
        change = store.change(kind, key, -1)
        if change is not None and kind != "server":
            fields = change.last if change.fields is None else change.fields
            yield entity(kind, key, **(fields or {}))


@a_capture
def test_no_number_or_name_that_is_masked_in_messages_is_bare_in_the_state(file: Path) -> None:
    numbers, names = numbers_of(file)
    assert numbers
    made = plugin(EVERYTHING)
    looked_at = bare_before = 0
    for given in entities_of(file):
        looked_at += 1
        bare_before += any(_bare(text, numbers, names) for _, text in texts(given))
        for path, text in texts(shown(made, given)):
            if (given["kind"], path) == ("queue_member", "name"):
                continue  # agents' names are not covered, in messages either
            assert not _bare(text, numbers, names), f"{given['kind']}.{path}: {text}"
    assert looked_at > 10
    assert bare_before, "the test looks at something"


def _bare(text: str, numbers: set[str], names: set[str]) -> bool:
    return any(name in text for name in names) or any(
        run in numbers for run in re.findall(r"(?<![0-9a-f])\d{3,}(?![0-9a-f])", text)
    )
