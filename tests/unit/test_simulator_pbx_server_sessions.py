"""Sessions with a simulated PBX, without a socket: event masks, and what others hear of them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from amiws_gevent.simulator.pbx.server import PbxSession, SimulatedPbx
from amiws_gevent.simulator.pbx.style import STYLE_22, StyleName
from tests.support.simulator import STARTED, STYLES, headers, name_of, split

LOGIN = ("Action: Login", "Username: demo", "Secret: s3cret", "ActionID: l")
CALL = "Event: Newstate\r\nPrivilege: call,all\r\n\r\n"
AGENT = "Event: AgentCalled\r\nPrivilege: agent,all\r\n\r\n"


class Client:
    """One session, what it was sent, and what was published meanwhile."""

    def __init__(self, style: StyleName = "22") -> None:
        self.sent: list[str] = []
        self.published: list[str] = []
        self.pbx: Any = SimulatedPbx(
            style=style,
            name="test",
            secret="s3cret",
            rate=0,
            clock=lambda: STARTED,
            login_delay=0,
        )
        self.pbx.publish = self.published.extend
        connection: Any = SimpleNamespace(
            say=self.sent.append, local=("127.0.0.1", 5038), remote=("127.0.0.1", 40000)
        )
        self.session = PbxSession(self.pbx, connection)

    def do(self, *lines: str) -> list[dict[str, str]]:
        """Sends an action; what this client alone was answered."""
        self.sent.clear()
        self.published.clear()
        self.session.receive_data("\r\n".join((*lines, "", "")).encode())
        return [headers(packet) for packet in split("".join(self.sent))] if self.sent else []


def logged_in(style: StyleName = "22") -> Client:
    made = Client(style)
    made.do(*LOGIN)
    assert made.session.active
    return made


@pytest.mark.parametrize(("style", "version"), [("22", "11.0.0"), ("13", "2.10.6")])
def test_the_banner_tells_the_version(style: StyleName, version: str) -> None:
    assert Client(style).sent == [f"Asterisk Call Manager/{version}\r\n"]


def test_who_is_not_logged_in_wants_nothing() -> None:
    made = Client()
    assert made.session.wanted([CALL]) == []
    made.do(*LOGIN)
    assert made.session.wanted([CALL]) == [CALL]
    made.do("Action: Logoff")
    assert made.session.wanted([CALL]) == []


@pytest.mark.parametrize(
    ("secret", "event"), [("wrong", "InvalidPassword"), ("s3cret", "InvalidAccountID")]
)
def test_a_wrong_login_is_reported_to_all(secret: str, event: str) -> None:
    made = Client()
    user = "demo" if event == "InvalidPassword" else "nobody"
    made.do("Action: Login", f"Username: {user}", f"Secret: {secret}")
    (told,) = map(headers, made.published)
    assert (told["Event"], told["Severity"], told["AccountID"]) == (event, "Error", user)


def test_an_action_before_the_login_is_reported_to_all() -> None:
    made = Client()
    made.do("Action: CoreStatus")
    (told,) = map(headers, made.published)
    assert (told["Event"], told["AccountID"]) == ("RequestNotAllowed", "")
    assert told["RequestType"] == "Action: CoreStatus"


def test_login_is_told_as_recorded() -> None:
    for style in STYLES:
        made = Client(style.name)
        first, booted = made.do(*LOGIN)
        assert first == {
            "Response": "Success",
            "ActionID": "l",
            "Message": "Authentication accepted",
        }
        assert booted["Event"] == "FullyBooted"
        assert ("Uptime" in booted, "LastReload" in booted) == (style is STYLE_22,) * 2
        (told,) = map(headers, made.published)
        assert list(told) == [
            "Event", "Privilege", "EventTV", "Severity", "Service", "EventVersion", "AccountID",
            "SessionID", "LocalAddress", "RemoteAddress", "UsingPassword", "SessionTV",
        ]  # fmt: skip
        assert (told["Event"], told["AccountID"]) == ("SuccessfulAuth", "demo")
        assert told["EventTV"] == "2023-11-14T22:13:20.000+0000"
        assert told["RemoteAddress"] == "IPV4/TCP/127.0.0.1/40000"


def test_an_unknown_action_is_reported_to_all() -> None:
    made = logged_in()
    (got,) = made.do("Action: NoSuch")
    assert got["Message"].startswith("Invalid/unknown command: NoSuch. Use Action: ListCommands")
    (told,) = map(headers, made.published)
    assert list(told) == [
        "Event", "Privilege", "EventTV", "Severity", "Service", "EventVersion", "SessionID",
        "LocalAddress", "RemoteAddress", "RequestType", "SessionTV", "AccountID",
    ]  # fmt: skip
    assert (told["Event"], told["RequestType"]) == ("RequestBadFormat", "Action: NoSuch")


@pytest.mark.parametrize(("style", "known"), [("13", True), ("22", False)])
def test_the_action_queues(style: str, known: bool) -> None:
    made = logged_in(style)
    made.sent.clear()
    made.session.receive_data(b"Action: Queues\r\n\r\n")
    assert ("strategy" in made.sent[0]) is known
    assert ("Response: Error" in made.sent[0]) is not known


@pytest.mark.parametrize(
    ("mask", "state", "wanted"),
    [
        ("on", "On", [CALL, AGENT]),
        ("all", "On", [CALL, AGENT]),
        ("off", "Off", []),
        ("call", "On", [CALL]),
        ("system, agent", "On", [AGENT]),
        ("nonsense", "Off", []),
    ],
)
def test_event_masks(mask: str, state: str, wanted: list[str]) -> None:
    made = logged_in()
    (got,) = made.do("Action: Events", f"EventMask: {mask}", "ActionID: e")
    assert got == {"Response": "Success", "ActionID": "e", "Events": state}
    assert made.session.wanted([CALL, AGENT]) == wanted


def test_no_event_mask_is_an_error() -> None:
    (got,) = logged_in().do("Action: Events")
    assert (got["Response"], got["Message"]) == ("Error", "Invalid event mask")


def test_a_login_can_choose_events() -> None:
    made = Client()
    got = made.do("Action: Login", "Username: demo", "Secret: s3cret", "Events: off")
    assert [answer.get("Event") for answer in got] == [None], "no FullyBooted either"
    assert made.session.wanted([CALL]) == []


def test_all_events_are_handed_on_untouched() -> None:
    packets = [CALL, AGENT]
    assert logged_in().session.wanted(packets) is packets


def test_an_originate_without_async_holds_up_the_session() -> None:
    made = logged_in()
    order = ("Channel: PJSIP/216", "Context: default", "Exten: 602", "Priority: 1")
    assert made.do("Action: Originate", *order) == []
    assert made.do("Action: Ping") == []
    made.pbx.simulation.advance(STARTED + 10)
    (answer,) = map(headers, made.sent)
    assert answer["Message"] == "Originate successfully queued"
    made.session.resume()
    assert headers(made.sent[1])["Ping"] == "Pong"


def test_what_an_action_causes_comes_after_its_answer() -> None:
    made = logged_in()
    (got,) = made.do("Action: QueuePause", "Interface: PJSIP/201", "Paused: 1")
    assert got["Response"] == "Success"
    assert [name_of(p) for p in made.published] == ["DeviceStateChange", "QueueMemberPause"]
