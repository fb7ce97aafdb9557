"""Upgrades that rights refuse, after the login and the plugins."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from amiws_gevent.identity import DIGEST, Identity
from amiws_gevent.plugins.api import Headers, RequestInfo
from amiws_gevent.web.rightsgate import RightsGate, offers_v2
from amiws_gevent.web.verdict import Grant, Verdict
from tests.support.webserver import FakeGate

WELCOME = Verdict(200, Grant("bob", DIGEST), (("Set-Cookie", "a=b"),))


def asked(*protocols: str) -> RequestInfo:
    headers = Headers(("Sec-WebSocket-Protocol", protocol) for protocol in protocols)
    return RequestInfo("GET", "/ws", headers, "http", "192.0.2.1")


class Made:
    """A gate that keeps bob from the classic socket."""

    def __init__(self, verdict: Verdict = WELCOME) -> None:
        inner: Any = FakeGate(verdict)
        self.asked: list[Identity] = []
        self.gate = RightsGate(inner, self._refusal)

    def _refusal(self, identity: Identity) -> str:
        self.asked.append(identity)
        return "not the classic socket" if identity.user == "bob" else ""


def test_who_may_passes_with_all_that_the_gate_says() -> None:
    ann = Verdict(200, Grant("ann", DIGEST), (("Set-Cookie", "a=b"),))
    made = Made(ann)
    assert made.gate.check_upgrade(asked()) is ann
    assert made.asked == [Identity("ann", DIGEST, "192.0.2.1")]
    assert Made().gate.check_upgrade(asked("amiws.v2")) is WELCOME


def test_others_are_told_why(caplog: pytest.LogCaptureFixture) -> None:
    made = Made()
    with caplog.at_level(logging.WARNING):
        verdict = made.gate.check_upgrade(asked())
    assert (verdict.status, verdict.body) == (403, b"403 not the classic socket\n")
    assert 'user="bob" refused with 403' in caplog.text


def test_whom_the_gate_refuses_is_not_asked_about() -> None:
    refused = Verdict(401)
    made = Made(refused)
    assert made.gate.check_upgrade(asked()) is refused
    assert made.asked == []


@pytest.mark.parametrize(
    ("protocols", "offered"),
    [
        ((), False),
        (("amiws.v2",), True),
        (("other, amiws.v2",), True),
        (("other", "amiws.v2"), True),
        (("amiws.v2x",), False),
        (("AMIWS.V2",), False),
    ],
)
def test_what_is_offered(protocols: tuple[str, ...], offered: bool) -> None:
    assert offers_v2(asked(*protocols).headers) is offered
