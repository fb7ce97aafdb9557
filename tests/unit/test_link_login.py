from __future__ import annotations

import hashlib

import pytest

from amiws_gevent.ami import Kind, Message
from amiws_gevent.config import AmiHost
from amiws_gevent.link.login import Login, Stage

BANNER = Message(Kind.PROMPT, [("Product", "Asterisk Call Manager"), ("Version", "11.0.0")])
EVENT = Message(Kind.EVENT, [("Event", "FullyBooted")])


def host(**settings: object) -> AmiHost:
    known = {"id": 1, "name": "pbx", "host": "192.0.2.1", "username": "amiws", "secret": "s3cret"}
    return AmiHost.model_validate({**known, **settings})


def response(kind: str, *headers: tuple[str, str]) -> Message:
    return Message(Kind.RESPONSE, [("Response", kind), *headers])


def test_plain_login_follows_the_banner() -> None:
    login = Login(host())
    assert login.receive(BANNER) == b"Action: Login\r\nUsername: amiws\r\nSecret: s3cret\r\n\r\n"
    assert login.stage is Stage.ANSWER
    assert login.receive(response("Success")) == b""
    assert login.stage is Stage.ACCEPTED


@pytest.mark.parametrize("first", [EVENT, Message(Kind.UNKNOWN, [("Text", "hello")])])
def test_a_server_without_banner_is_logged_in_to_all_the_same(first: Message) -> None:
    assert Login(host()).receive(first).startswith(b"Action: Login\r\n")


def test_events_may_come_before_the_answer() -> None:
    login = Login(host())
    login.receive(BANNER)
    assert login.receive(EVENT) == b""
    assert login.stage is Stage.ANSWER


@pytest.mark.parametrize("headers", [(), (("ActionID", "of another"),)])
def test_the_next_response_is_the_answer_whatever_its_action_id(
    headers: tuple[tuple[str, str], ...],
) -> None:
    login = Login(host())
    login.receive(BANNER)
    login.receive(response("success", *headers))
    assert login.stage is Stage.ACCEPTED


def test_a_refusal_carries_what_the_server_said() -> None:
    login = Login(host())
    login.receive(BANNER)
    login.receive(response("Error", ("Message", "Authentication failed")))
    assert login.stage is Stage.REFUSED
    assert login.refusal == "'Authentication failed'"


def test_a_refusal_without_a_message() -> None:
    login = Login(host())
    login.receive(BANNER)
    login.receive(response("Error"))
    assert login.refusal == "'Error'"


def test_md5_answers_the_challenge_and_keeps_the_secret() -> None:
    login = Login(host(login="md5"))
    assert login.receive(BANNER) == b"Action: Challenge\r\nAuthType: MD5\r\n\r\n"
    assert login.stage is Stage.CHALLENGE
    assert login.receive(EVENT) == b""
    answer = login.receive(response("Success", ("Challenge", "840415273")))
    key = hashlib.md5(b"840415273s3cret").hexdigest().encode()
    assert answer == (
        b"Action: Login\r\nAuthType: MD5\r\nUsername: amiws\r\nKey: " + key + b"\r\n\r\n"
    )
    login.receive(response("Success"))
    assert login.stage is Stage.ACCEPTED


@pytest.mark.parametrize(
    "answer",
    [
        response("Error", ("Message", "Invalid/unknown command: Challenge.")),
        response("Success"),
        response("Success", ("Challenge", "")),
    ],
)
def test_a_server_without_challenges_is_told_from_a_wrong_secret(answer: Message) -> None:
    login = Login(host(login="md5"))
    login.receive(BANNER)
    assert login.receive(answer) == b""
    assert login.stage is Stage.REFUSED
    assert "offers no login by MD5" in login.refusal
    assert "set login: plain" in login.refusal


def test_a_recording_that_begins_with_the_accepted_login_is_taken_as_one() -> None:
    login = Login(host())
    accepted = response("Success", ("Message", "Authentication accepted"))
    assert login.receive(accepted).startswith(b"Action: Login\r\n")
    assert login.stage is Stage.ACCEPTED
    refused = Login(host())
    refused.receive(response("Error", ("Message", "Authentication not accepted")))
    assert refused.stage is Stage.ANSWER
