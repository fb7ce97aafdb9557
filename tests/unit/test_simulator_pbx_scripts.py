"""The dialplan: where extensions and applications lead, with pickup, parking and listening."""

from __future__ import annotations

import pytest

from amiws_gevent.simulator.pbx.model import Channel
from amiws_gevent.simulator.pbx.scripts import is_outside_number
from amiws_gevent.simulator.pbx.simulation import Simulation
from amiws_gevent.simulator.pbx.style import STYLE_13, STYLE_22, Style
from tests.support.agreement import Listener
from tests.support.simulator import EVERY, STARTED, STYLES, answer, headers, name_of, simulation
from tests.support.state import line

pytestmark = pytest.mark.slow

by_style = pytest.mark.parametrize("style", STYLES, ids=lambda style: style.name)
by_every = pytest.mark.parametrize("style", EVERY, ids=lambda style: style.name)


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


class Desk:
    """Somebody at a panel: asks a PBX on which nobody else calls, and hears what it tells."""

    def __init__(self, style: Style) -> None:
        self.pbx = simulation(style, rate=0)
        self.listener = Listener(self.pbx)
        self.listener.learn()
        self.technology = style.technology
        self.told: list[str] = []

    def ask(self, *lines: str) -> dict[str, str]:
        got = headers(answer(self.pbx, *lines))
        self.pass_(0)
        return got

    def call(self, phone: str, exten: str) -> None:
        self.originate(phone, "Context: default", f"Exten: {exten}", "Priority: 1")

    def originate(self, phone: str, *lines: str) -> None:
        channel = f"Channel: {self.technology}/{phone}"
        got = self.ask("Action: Originate", channel, "Async: true", *lines)
        assert got["Response"] == "Success", got

    def pass_(self, seconds: float) -> None:
        due = self.pbx.next_due
        packets = self.pbx.advance(self.pbx.now + seconds)
        self.told += [name_of(packet) for packet in packets]
        self.listener.hear(packets)
        if packets or (due is not None and due <= self.pbx.now):  # else all is as it was
            assert self.listener.differences() == []

    def until(self, *lines: str) -> None:
        """Until the calls are these."""
        for _ in range(600):
            if self.calls() == sorted(lines):
                return
            self.pass_(0.05)
        raise AssertionError(f"never {lines}, but {self.calls()}")

    def calls(self) -> list[str]:
        return sorted(line(dict(c)) for c in self.listener.fed.store.of("call").values())

    def channel(self, phone: str) -> Channel:
        device = self.pbx.switch.devices[f"{self.technology}/{phone}"]
        return device.channels[0]

    def end(self) -> None:
        """Nothing is left when all is over."""
        while self.pbx.next_due is not None:
            self.listener.hear(self.pbx.advance(self.pbx.next_due))
        assert (self.pbx.switch.calls, self.listener.left()) == ({}, [])


@by_every
@pytest.mark.parametrize(
    "how",
    [
        ("Application: PickupChan", "Data: {rings}"),
        ("Application: Pickup", "Data: 202@default"),
        ("Context: default", "Exten: **202", "Priority: 1"),
    ],
)
def test_a_panel_picks_up_what_rings(style: Style, how: tuple[str, ...]) -> None:
    desk = Desk(style)
    desk.call("201", "202")
    desk.until("201 -> 202 ringing")
    desk.pbx.scripts.staff[1].refuses = ""
    rings = desk.channel("202").name
    ringing = desk.pbx.switch.calls[1].dials[0]
    ringing.target.call.script = (60.0 for _ in range(3))  # it rings on
    desk.originate("203", *(part.format(rings=rings) for part in how))
    desk.until("201 -> 203 talking")
    assert "Pickup" in desk.told
    desk.end()


@by_every
def test_what_does_not_ring_cannot_be_picked_up(style: Style) -> None:
    desk = Desk(style)
    desk.originate("203", "Application: PickupChan", "Data: SIP/nobody-1")
    desk.pass_(10)
    assert desk.calls() == []
    desk.end()


@by_every
def test_a_panel_parks_and_picks_up_again(style: Style) -> None:
    desk = Desk(style)
    desk.call("201", "202")
    desk.until("201 -> 202 talking")
    parked = desk.channel("202").name
    got = desk.ask("Action: Park", f"Channel: {parked}", f"TimeoutChannel: {desk.technology}/201")
    assert got == {"Response": "Success", "Message": "Park successful"}
    desk.until("202 -> None parked 701")
    desk.call("204", "701")
    desk.until("202 -> 204 talking")
    assert "UnParkedCall" in desk.told
    desk.end()


@by_every
def test_who_is_parked_too_long_comes_back(style: Style) -> None:
    desk = Desk(style)
    desk.call("201", "202")
    desk.until("201 -> 202 talking")
    desk.ask(
        "Action: Park",
        f"Channel: {desk.channel('202').name}",
        f"TimeoutChannel: {desk.technology}/201",
    )
    desk.pass_(45.5)
    assert "ParkedCallTimeOut" in desk.told
    desk.until("202 -> 201 talking")
    desk.end()


def test_a_space_where_nobody_is_parked() -> None:
    desk = Desk(STYLE_22)
    desk.call("201", "705")
    desk.pass_(10)
    assert desk.calls() == []
    desk.end()


@by_every
def test_a_panel_listens_to_a_phone_as_long_as_it_talks(style: Style) -> None:
    desk = Desk(style)
    desk.call("201", "202")
    desk.until("201 -> 202 talking")
    desk.originate("204", "Application: ChanSpy", f"Data: {desk.technology}/202,qE")
    desk.until("201 -> 202 talking", "204 -> None application ChanSpy")
    desk.pass_(1.5)
    (spying,) = (c for c in desk.listener.fed.store.of("call").values() if c["listens_to"])
    assert spying["listens_to"] == "202"
    desk.ask("Action: Hangup", f"Channel: {desk.channel('202').name}")
    desk.pass_(2)
    assert "ChanSpyStop" in desk.told
    desk.ask("Action: Hangup", f"Channel: {desk.channel('204').name}")
    desk.end()


@by_every
def test_a_panel_bridges_two_of_two_calls(style: Style) -> None:
    desk = Desk(style)
    desk.call("201", "202")
    desk.call("203", "204")
    desk.until("201 -> 202 talking", "203 -> 204 talking")
    one, other = desk.channel("201").name, desk.channel("203").name
    got = desk.ask("Action: Bridge", f"Channel1: {one}", f"Channel2: {other}")
    assert got["Message"] == "Channels have been bridged"
    assert desk.channel("201").linked is desk.channel("203")
    assert len(desk.calls()) == 1
    desk.end()


@by_every
def test_rooms_of_the_dialplan(style: Style) -> None:
    desk = Desk(style)
    for phone in ("201", "202"):
        desk.call(phone, "810")
    desk.until("201 -> None conference 810", "202 -> None conference 810")
    desk.ask("Action: Hangup", f"Channel: {desk.channel('201').name}")
    desk.until("202 -> None conference 810")
    desk.end()


def test_meetme_where_it_is() -> None:
    for style, told in ((STYLE_13, "MeetmeJoin"), (STYLE_22, "ConfbridgeJoin")):
        desk = Desk(style)
        desk.originate("201", "Application: MeetMe", "Data: 820,d")
        desk.until("201 -> None conference 820")
        assert told in desk.told
        desk.end()


@by_every
def test_agents_have_a_break_now_and_then_and_come_back(style: Style) -> None:
    pbx = simulation(style, rate=1.0)
    event = "QueueMemberPause" if style.stasis else "QueueMemberPaused"
    breaks: dict[str, list[str]] = {}
    for packet in pbx.advance(STARTED + 900):
        if name_of(packet) == event:
            told = headers(packet)
            who = f"{told['Queue']} {told['MemberName']}"
            breaks.setdefault(who, []).append(told["Paused"])
    assert len(breaks) > 3
    for paused in breaks.values():
        assert paused == [str(1 - n % 2) for n in range(len(paused))]


@by_every
def test_a_panel_sends_who_was_called_to_another_phone(style: Style) -> None:
    desk = Desk(style)
    desk.call("201", "202")
    desk.until("201 -> 202 talking")
    name = desk.channel("202").name
    place = ("Context: default", "Exten: 203", "Priority: 1")
    assert desk.ask("Action: Redirect", f"Channel: {name}", *place)["Response"] == "Success"
    desk.until("202 -> 203 talking")
    assert desk.channel("202").name == name
    assert ("Masquerade" in desk.told) is not style.stasis
    desk.end()
