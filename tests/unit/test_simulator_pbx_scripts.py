"""Stories of single calls: order of their events, and what the dialplan knows."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from amiws_gevent.simulator.pbx.scripts import is_outside_number
from amiws_gevent.simulator.pbx.simulation import Simulation
from amiws_gevent.simulator.pbx.style import STYLE_13, STYLE_22, Style
from tests.support.simulator import STARTED, STYLES, answer, headers, simulation

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


def originate(pbx: Simulation, *goal: str) -> list[dict[str, str]]:
    channel = f"Channel: {pbx.style.technology}/216"
    assert "successfully queued" in answer(pbx, "Action: Originate", channel, *goal, "Async: 1")
    return [headers(packet) for packet in pbx.advance(pbx.now + 200)]


def place(exten: str) -> tuple[str, str, str]:
    return "Context: from-internal", f"Exten: {exten}", "Priority: 1"


@by_style
def test_the_dialplan_reaches_phones_queues_and_the_world(style: Style) -> None:
    dialled = {
        "205": f"{style.technology}/205,12,tT",
        "602": "support,t,,,300",
        "442079460001": None,
        "*43": "",
    }
    for exten, data in dialled.items():
        events = originate(simulation(style, rate=0), *place(exten))
        ran = [e for e in events if e["Event"] == "Newexten" and e["Extension"] == exten]
        wanted = ("Dial", "Queue", "Echo")
        (app,) = [e for e in ran if e["Application"] in wanted and e["Priority"] in "12"][:1]
        if data is not None:
            assert app["AppData"] == data
        else:
            trunk = "442079460001@trunk-" if style is STYLE_22 else "SIP/carrier-"
            assert trunk in app["AppData"]
            assert app["AppData"].endswith(",60,T")


def test_where_a_number_leads() -> None:
    scripts = simulation().scripts
    for exten in ("201", "601", "*43", "442079460000", "+442079460000"):
        assert scripts.exists("from-internal", exten)
        assert not scripts.exists("nowhere", exten)
    assert not scripts.exists("default", "999")
    assert not scripts.exists("default", "")


@pytest.mark.parametrize(
    ("exten", "outside"),
    [
        ("1234567", True),
        ("+123456789012345", True),
        ("123456", False),
        ("1234567890123456", False),
        ("12345x7", False),
        ("١٢٣٤٥٦٧", False),
    ],
)
def test_what_goes_outside(exten: str, outside: bool) -> None:
    assert is_outside_number(exten) is outside


def test_an_extension_that_does_not_exist_ends_the_call() -> None:
    pbx = simulation(STYLE_13, rate=0)
    originate_to_205 = ("Context: from-internal", "Exten: 205", "Priority: 1", "Async: 1")
    answer(pbx, "Action: Originate", "Channel: SIP/216", *originate_to_205)
    pbx.advance(STARTED + 4)
    channel = next(iter(pbx.switch.channels.values()))
    pbx.redirect([(channel, "from-internal", "999")])
    pbx.advance(STARTED + 5)
    assert pbx.switch.channels == {}


@pytest.mark.parametrize("application", ["Echo", "MusicOnHold", "Dial", "Queue"])
def test_an_application_instead_of_an_extension(application: str) -> None:
    data = {"Dial": "PJSIP/205,30", "Queue": "support"}.get(application, "default")
    pbx = simulation(rate=0)
    events = originate(pbx, f"Application: {application}", f"Data: {data}")
    ran = [e["Application"] for e in events if e["Event"] == "Newexten"]
    assert ran.count(application) == 1
    agents = sum(e["Event"] == "AgentCalled" for e in events)
    assert (agents > 0) is (application == "Queue")
    assert pbx.switch.channels == {}


def test_a_busy_phone_is_busy() -> None:
    pbx = simulation(rate=0)
    order = ("Async: 1", *place("*43"))
    answer(pbx, "Action: Originate", "Channel: PJSIP/205", *order)
    pbx.advance(STARTED + 5)
    answer(pbx, "Action: Originate", "Channel: PJSIP/216", "Async: 1", *place("205"))
    events = [headers(packet) for packet in pbx.advance(STARTED + 9)]
    told = [e["Value"] for e in events if e.get("Variable") == "DIALSTATUS"]
    assert told == ["", "BUSY"]
    (hangup,) = [e for e in events if e["Event"] == "Hangup"]
    assert (hangup["Cause"], hangup["Channel"][:9]) == ("17", "PJSIP/216")
