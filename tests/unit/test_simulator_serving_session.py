"""A session from the banner to the goodbye: login, order, faults; no other action is known."""

from __future__ import annotations

import hashlib

import pytest

from amiws_gevent.simulator.serving.requests import Request, encode, respond
from amiws_gevent.simulator.serving.session import Account, Session
from tests.support.simulator import headers, split

LOGIN = ("Action: Login", "Username: demo", "Secret: s3cret", "ActionID: l")
ACCOUNT = Account("demo", "s3cret")
BANNER = "Asterisk Call Manager/11.0.0\r\n"


class Client(Session):
    """A session with what it sent and heard; its action Hold is answered by ``release``."""

    def __init__(self, account: Account | None = ACCOUNT) -> None:
        self.sent: list[str] = []
        self.heard: list[str] = []
        super().__init__(self.sent.append, banner=BANNER, account=account, challenge="840415273")

    def now(self) -> float:
        return 1_700_000_000.25

    def carry_out(self, request: Request) -> None:
        if request.get("Action") == "Hold":
            self.busy = True
        else:
            super().carry_out(request)

    def release(self) -> None:
        self.busy = False
        self.send(respond(Request(()), "Success", "released"))
        self.resume()

    def on_fault(self, fault: str, request: Request) -> None:
        self.heard.append(fault)

    def on_logoff(self) -> None:
        self.heard.append("logoff")

    def do(self, *lines: str) -> list[dict[str, str]]:
        """Sends an action; the answers."""
        self.sent.clear()
        self.receive_data("\r\n".join((*lines, "", "")).encode())
        return [headers(packet) for packet in split("".join(self.sent))] if self.sent else []


def logged_in() -> Client:
    made = Client()
    made.do(*LOGIN)
    assert made.active
    return made


def test_the_banner_comes_first() -> None:
    assert Client().sent == [BANNER]


def test_a_right_login_is_accepted() -> None:
    made = Client()
    assert made.do(*LOGIN) == [
        {"Response": "Success", "ActionID": "l", "Message": "Authentication accepted"}
    ]
    assert (made.active, made.heard) == (True, [])


def test_without_an_account_any_login_is_right() -> None:
    for lines in ((), ("Username: x", "Secret: y"), ("AuthType: MD5", "Key: z")):
        made = Client(None)
        made.do("Action: Login", *lines)
        assert made.active


def test_login_with_a_challenge() -> None:
    made = Client()
    (got,) = made.do("Action: Challenge", "AuthType: MD5", "ActionID: c")
    assert got == {"Response": "Success", "ActionID": "c", "Challenge": "840415273"}
    key = hashlib.md5(b"840415273s3cret").hexdigest()
    answers = made.do("Action: Login", "AuthType: md5", "Username: demo", f"Key: {key}")
    assert answers[0]["Message"] == "Authentication accepted"
    assert made.active


def test_a_challenge_of_another_kind() -> None:
    (got,) = Client().do("Action: Challenge", "AuthType: SHA1")
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
    made = Client()
    (got,) = made.do("Action: Login", *lines, "ActionID: x")
    assert got == {"Response": "Error", "ActionID": "x", "Message": "Authentication failed"}
    assert (made.over, made.active, made.heard) == (True, False, [event])
    assert made.do("Action: Ping") == [], "nothing is answered after it"


def test_a_second_login_changes_nothing() -> None:
    (got,) = logged_in().do("Action: Login", "Username: demo", "Secret: wrong")
    assert (got["Response"], got["Message"]) == ("Success", "Already authenticated")


def test_nothing_is_done_before_the_login() -> None:
    made = Client()
    (got,) = made.do("Action: CoreStatus")
    assert (got["Response"], got["Message"]) == ("Error", "Permission denied")
    assert (made.over, made.heard) == (False, ["RequestNotAllowed"])


def test_logoff_says_goodbye() -> None:
    made = logged_in()
    (got,) = made.do("Action: Logoff", "ActionID: bye")
    assert got == {
        "Response": "Goodbye",
        "ActionID": "bye",
        "Message": "Thanks for all the fish.",
    }
    assert (made.over, made.active, made.heard) == (True, False, ["logoff"])
    assert made.do("Action: Ping") == []


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
    made.receive_data(data)
    (got,) = map(headers, made.sent)
    assert got["Response"] == "Error"
    assert got["Message"].startswith(message)
    assert made.do("Action: Ping")[0]["Ping"] == "Pong"


def test_bytes_are_echoed_as_they_came() -> None:
    made = logged_in()
    made.sent.clear()
    made.receive_data(b"Action: Ping\r\nActionID: \xe4\xf6\r\n\r\n")
    assert b"ActionID: \xe4\xf6\r\n" in encode(made.sent[0])


def test_the_challenge_of_a_session_stays() -> None:
    made = Client()
    first, second = (made.do("Action: Challenge", "AuthType: MD5") for _ in range(2))
    assert first == second
    challenges = set()
    for _ in range(2):
        sent: list[str] = []
        session = Session(sent.append, banner=BANNER, account=None)
        session.receive_data(b"Action: Challenge\r\nAuthType: MD5\r\n\r\n")
        challenges.add(headers(sent[1])["Challenge"])
    assert len(challenges) == 2, "each session has one of its own"


def test_ping_says_the_time() -> None:
    made = logged_in()
    assert made.do("action: PING", "ActionID: 1") == [
        {"Response": "Success", "ActionID": "1", "Ping": "Pong", "Timestamp": "1700000000.250000"}
    ]


def test_an_unknown_action_is_named() -> None:
    made = logged_in()
    assert made.do("Action: NoSuch", "ActionID: ns") == [
        {
            "Response": "Error",
            "ActionID": "ns",
            "Message": "Invalid/unknown command: NoSuch. "
            "Use Action: ListCommands to show available commands.",
        }
    ]
    assert made.heard == ["RequestBadFormat"]


def test_what_comes_behind_an_action_that_takes_time_waits() -> None:
    made = logged_in()
    assert made.do("Action: Hold") == []
    assert made.do("Action: Ping", "ActionID: 2") == []
    made.release()
    released, pong = map(headers, made.sent)
    assert (released["Message"], pong["ActionID"]) == ("released", "2")
