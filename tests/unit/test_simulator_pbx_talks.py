"""Single calls: the order of their events, and how they end."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from amiws_gevent.simulator.pbx.style import Style
from tests.support.simulator import STARTED, STYLES, headers, simulation

pytestmark = pytest.mark.slow

by_style = pytest.mark.parametrize("style", STYLES, ids=lambda style: style.name)


def events_of_calls(style: Style, seconds: float = 1800) -> Iterator[list[dict[str, str]]]:
    """The events of each call that began and ended, by its Linkedid."""
    calls: dict[str, list[dict[str, str]]] = {}
    up: dict[str, int] = {}
    for packet in simulation(style).advance(STARTED + seconds):
        event = headers(packet)
        linked = event.get("Linkedid") or event.get("DestLinkedid")
        if linked is None:
            continue
        calls.setdefault(linked, []).append(event)
        up[linked] = (
            up.get(linked, 0) + (event["Event"] == "Newchannel") - (event["Event"] == "Hangup")
        )
    for linked, events in calls.items():
        if up[linked] == 0:
            yield events


def names(events: list[dict[str, str]], *wanted: str) -> list[str]:
    return [event["Event"] for event in events if event["Event"] in wanted]


@by_style
def test_a_plain_call_has_its_events_in_order(style: Style) -> None:
    wanted = ("Newchannel", "DialBegin", "DialEnd", "BridgeEnter", "BridgeLeave", "Hangup")
    plain = ["Newchannel"] * 2 + ["DialBegin", "DialEnd"]
    plain += ["BridgeEnter"] * 2 + ["BridgeLeave"] * 2 + ["Hangup"] * 2
    assert sum(names(events, *wanted) == plain for events in events_of_calls(style)) > 50


@by_style
def test_calls_end_in_many_ways(style: Style) -> None:
    statuses: set[str] = set()
    causes: set[str] = set()
    for events in events_of_calls(style):
        statuses |= {e["DialStatus"] for e in events if e["Event"] == "DialEnd"}
        causes |= {e["Cause"] for e in events if e["Event"] == "Hangup"}
    assert statuses == {"ANSWER", "BUSY", "NOANSWER", "CANCEL", "CONGESTION"}
    assert causes == {"16", "17", "19", "26", "34"}


@by_style
def test_a_trunk_is_asked_for_the_number(style: Style) -> None:
    """app_dial.c, ``numsubst``: the dial string is all of Dial's argument behind the technology."""
    asked = [
        (event["DialString"], event["DestCallerIDNum"], trunk)
        for events in events_of_calls(style)
        for event in events
        for trunk in style.trunks
        if event["Event"] == "DialBegin" and f"/{trunk}-" in event["DestChannel"]
    ]
    assert len(asked) > 20
    for text, number, trunk in asked:
        assert text in (f"{number}@{trunk}", f"{trunk}/{number}")


@by_style
def test_a_hold_ends_before_the_call_or_with_it(style: Style) -> None:
    held = 0
    for events in events_of_calls(style):
        state: dict[str, bool] = {}
        for event in events:
            if event["Event"] in ("Hold", "Unhold"):
                held += 1
                assert state.get(event["Uniqueid"], False) is (event["Event"] == "Unhold")
                state[event["Uniqueid"]] = event["Event"] == "Hold"
    assert held > 20


@by_style
def test_a_blind_transfer_goes_on_to_the_other_phone(style: Style) -> None:
    seen = 0
    for packet_events in events_of_transfers(style, "BlindTransfer"):
        transfer = packet_events[0]
        later = packet_events[1:]
        assert transfer["Result"] == "Success"
        gone = next(e for e in later if e["Event"] == "Hangup")
        assert gone["Channel"] == transfer["TransfererChannel"]
        dial = next(e for e in later if e["Event"] == "Newexten")
        assert dial["Channel"] == transfer["TransfereeChannel"]
        assert (dial["Extension"], dial["Application"]) == (transfer["Extension"], "Dial")
        seen += 1
    assert seen > 3


@by_style
def test_an_attended_transfer_joins_the_two_others(style: Style) -> None:
    seen = 0
    for transfer, *later in events_of_transfers(style, "AttendedTransfer"):
        entered = next(e for e in later if e["Event"] == "BridgeEnter")
        assert entered["Channel"] == transfer["TransferTargetChannel"]
        assert entered["BridgeUniqueid"] == transfer["DestBridgeUniqueid"]
        gone = [e["Channel"] for e in later if e["Event"] == "Hangup"][:2]
        assert gone == [transfer["SecondTransfererChannel"], transfer["OrigTransfererChannel"]]
        seen += 1
    assert seen > 3


def events_of_transfers(style: Style, name: str) -> Iterator[list[dict[str, str]]]:
    """Each transfer with the later events of its call."""
    packets = [headers(packet) for packet in simulation(style).advance(STARTED + 1200)]
    for index, event in enumerate(packets):
        if event["Event"] == name:
            linked = event["TransfereeLinkedid"]
            later = [e for e in packets[index + 1 :] if e.get("Linkedid") == linked]
            if len([e for e in later if e["Event"] == "Hangup"]) >= 2:
                yield [event, *later]
