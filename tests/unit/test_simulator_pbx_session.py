"""A session from the banner to the goodbye: login, events, order, limits."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

import pytest

from amiws_gevent.simulator.pbx.answers import Answers
from amiws_gevent.simulator.pbx.session import Account, Peer, Session
from amiws_gevent.simulator.pbx.simulation import Simulation
from amiws_gevent.simulator.pbx.style import STYLE_13, STYLE_22
from tests.support.simulator import STARTED, STYLES, headers, name_of, simulation, split

LOGIN = b"Action: Login\r\nUsername: demo\r\nSecret: s3cret\r\nActionID: l\r\n\r\n"


@dataclass
class Client:
    """One session, what it was sent, and what was published meanwhile."""

    simulation: Simulation
    sent: list[str] = field(default_factory=list)
    published: list[str] = field(default_factory=list)
    refusals: int = 0

    def __post_init__(self) -> None:
        self.session = Session(
            self.simulation,
            Answers(self.simulation, "test"),
            Account("demo", "s3cret"),
            Peer(("127.0.0.1", 5038), ("127.0.0.1", 40000)),
            challenge="840415273",
            session_id="0x7f00",
            send=self.sent.append,
            publish=self.published.extend,
            refused=self.refuse,
        )

    def refuse(self) -> None:
        self.refusals += 1

    def do(self, *lines: str) -> list[dict[str, str]]:
        """Sends an action; what this client alone was answered."""
        self.sent.clear()
        self.published.clear()
        self.session.receive_data("\r\n".join((*lines, "", "")).encode())
        return [headers(packet) for packet in split("".join(self.sent))] if self.sent else []


def client(style: str = "22") -> Client:
    return Client(simulation(STYLE_22 if style == "22" else STYLE_13, rate=0))


def logged_in(style: str = "22") -> Client:
    made = client(style)
    made.session.receive_data(LOGIN)
    assert made.session.authenticated
    return made


def test_the_banner_comes_first() -> None:
    assert client().sent == ["Asterisk Call Manager/11.0.0\r\n"]
    assert client("13").sent == ["Asterisk Call Manager/2.10.6\r\n"]


def test_login_is_told_as_recorded() -> None:
    for style in STYLES:
        made = Client(simulation(style, rate=0))
        made.sent.clear()
        made.session.receive_data(LOGIN)
        first, booted = (headers(packet) for packet in made.sent)
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


def test_login_with_a_challenge() -> None:
    made = client()
    (got,) = made.do("Action: Challenge", "AuthType: MD5", "ActionID: c")
    assert got == {"Response": "Success", "ActionID": "c", "Challenge": "840415273"}
    key = hashlib.md5(b"840415273s3cret").hexdigest()
    answers = made.do("Action: Login", "AuthType: md5", "Username: demo", f"Key: {key}")
    assert answers[0]["Message"] == "Authentication accepted"
    assert made.session.authenticated


def test_a_challenge_of_another_kind() -> None:
    (got,) = client().do("Action: Challenge", "AuthType: SHA1")
    assert (got["Response"], got["Message"]) == ("Error", "Must specify AuthType")


KEY = hashlib.md5(b"840415273s3cret").hexdigest()


@pytest.mark.parametrize(
    ("lines", "event"),
    [
        (("Username: demo", "Secret: wrong"), "InvalidPassword"),
        (("Username: demo",), "InvalidPassword"),
        (("Username: demo", "Secret: s3cret "), "InvalidPassword"),
        (("Username: DEMO", "Secret: s3cret"), "InvalidAccountID"),
        (("Secret: s3cret",), "InvalidAccountID"),
        (("Username: demo", "AuthType: MD5", f"Key: {'0' * 32}"), "ChallengeResponseFailed"),
        (("Username: demo", "AuthType: MD5", f"Key: {KEY}"), "ChallengeResponseFailed"),
    ],
)
def test_a_wrong_login_ends_the_session(lines: tuple[str, ...], event: str) -> None:
    made = client()
    (got,) = made.do("Action: Login", *lines, "ActionID: x")
    assert got == {"Response": "Error", "ActionID": "x", "Message": "Authentication failed"}
    assert (made.session.over, made.session.authenticated, made.refusals) == (True, False, 1)
    assert [name_of(packet) for packet in made.published] == [event]
    assert made.do("Action: Ping") == [], "nothing is answered after it"


def test_a_second_login_changes_nothing() -> None:
    (got,) = logged_in().do("Action: Login", "Username: demo", "Secret: wrong")
    assert (got["Response"], got["Message"]) == ("Success", "Already authenticated")


def test_nothing_is_done_before_the_login() -> None:
    made = client()
    (got,) = made.do("Action: CoreStatus")
    assert (got["Response"], got["Message"]) == ("Error", "Permission denied")
    assert made.session.wanted(["x"]) == []
    assert not made.session.over


def test_logoff_says_goodbye() -> None:
    made = logged_in()
    (got,) = made.do("Action: Logoff", "ActionID: bye")
    assert got == {
        "Response": "Goodbye",
        "ActionID": "bye",
        "Message": "Thanks for all the fish.",
    }
    assert made.session.over
    assert made.session.wanted(["x"]) == []


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
    ("data", "message"),
    [
        (b"\r\n", "Missing action in request"),
        (b"ActionID: 1\r\n\r\n", "Missing action in request"),
        (b"A: b\r\n" * 130 + b"\r\n", "Too many lines in message or allocation failure"),
        (b"Action: Ping\r\nX: " + b"x" * 2000 + b"\r\n\r\n", "Failed to parse message"),
    ],
)
def test_what_cannot_be_read_is_an_error_and_the_session_goes_on(data: bytes, message: str) -> None:
    made = logged_in()
    made.sent.clear()
    made.session.receive_data(data)
    (got,) = map(headers, made.sent)
    assert got["Response"] == "Error"
    assert got["Message"].startswith(message)
    assert made.do("Action: Ping")[0]["Ping"] == "Pong"


def test_bytes_are_echoed_as_they_came() -> None:
    made = logged_in()
    made.sent.clear()
    made.session.receive_data(b"Action: Ping\r\nActionID: \xe4\xf6\r\n\r\n")
    assert b"ActionID: \xe4\xf6\r\n" in made.sent[0].encode("utf-8", "surrogateescape")


CALL = "Event: Newstate\r\nPrivilege: call,all\r\n\r\n"
AGENT = "Event: AgentCalled\r\nPrivilege: agent,all\r\n\r\n"


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
    made = client()
    made.sent.clear()
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
    made.simulation.advance(STARTED + 10)
    (answer,) = map(headers, made.sent)
    assert answer["Message"] == "Originate successfully queued"
    made.session.resume()
    assert headers(made.sent[1])["Ping"] == "Pong"


def test_what_an_action_causes_comes_after_its_answer() -> None:
    made = logged_in()
    (got,) = made.do("Action: QueuePause", "Interface: PJSIP/201", "Paused: 1")
    assert got["Response"] == "Success"
    assert [name_of(p) for p in made.published] == ["DeviceStateChange", "QueueMemberPause"]
