"""Whatever a client sends on amiws.v2 gets one answer, in the form of the specification."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from amiws_gevent.actions import ActionProblem
from amiws_gevent.actions.request import parse_request
from amiws_gevent.plugins.api import ClientInfo
from amiws_gevent.v2.requests import REQUESTS
from amiws_gevent.web.frames import text_frames
from tests.support.v2 import faults, service

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)
MEMBERS = (
    *("op", "id", "streams", "filters", "position", "subscription"),
    *("server", "action", "timeout", "wait", "idempotency_key", "more"),
)
SOUND = st.fixed_dictionaries(
    {},
    optional={
        "op": st.sampled_from([*REQUESTS, "news"]),
        "id": st.integers(-5, 5) | st.text(max_size=66),
        "streams": st.lists(st.sampled_from(["state", "events", "x"]), max_size=3),
        "filters": st.dictionaries(
            st.sampled_from(["server", "kind", "event", "queue", "x"]),
            st.integers(-1, 3) | st.sampled_from(["queue", "channel", "a"]) | st.lists(st.text()),
        ),
        "position": st.text(),
        "subscription": st.text(),
        "server": st.integers() | st.just("all") | st.lists(st.integers()),
        "action": st.dictionaries(
            st.sampled_from(["Action", "ActionID", "Channel", "\n"]), st.text() | VALUES
        ),
        "timeout": st.floats() | st.none(),
        "wait": st.booleans(),
    },
)
REQUEST = SOUND | st.dictionaries(st.sampled_from(MEMBERS), VALUES)


class Actions:
    """Checks an action as the program does, and sends none."""

    def parse(self, given: Any, client: ClientInfo) -> Any:
        return parse_request(given)

    def submit(self, request: Any, client: ClientInfo, reply: Any) -> Any:
        raise ActionProblem("unknown_server", "there is none")


class Client:
    """Keeps what it was sent."""

    limit = 1000
    blocked = False
    encode = staticmethod(text_frames)

    def __init__(self) -> None:
        self.outlet = self
        self.told: list[dict[str, Any]] = []

    def use_source(self, make_source: object) -> None:
        """Nothing of it is used."""

    def send_text(self, text: bytes) -> None:
        self.told.append(json.loads(text))


def answers(text: str) -> list[dict[str, Any]]:
    sessions = service(Actions())
    client: Any = Client()
    session = sessions.open(client, ClientInfo("192.0.2.7:5000", None, "v2"))
    client.told.clear()
    session.received(text)
    told: list[dict[str, Any]] = client.told
    return told


@given(st.text() | VALUES.map(json.dumps) | REQUEST.map(json.dumps))
def test_every_text_gets_one_answer(text: str) -> None:
    (answer,) = answers(text)
    assert faults(answer) == []
    assert answer["op"] in ("subscribed", "pong", "error")
    assert answer.get("code") != "internal"


@given(SOUND)
def test_the_answer_has_the_id_of_the_request(request: dict[str, Any]) -> None:
    (answer,) = answers(json.dumps(request))
    sent = request.get("id")
    known = isinstance(sent, int) or (isinstance(sent, str) and len(sent) <= 64)
    if known and answer.get("code") != "bad_json":
        assert answer["id"] == sent
    elif answer.get("code") != "bad_json":
        assert "id" not in answer


@given(SOUND)
def test_what_the_schema_allows_is_understood(request: dict[str, Any]) -> None:
    """The models that check requests, and the schema made of them, say the same."""
    if any(fault for fault in faults(request) if "unknown member" not in fault):
        return
    (answer,) = answers(json.dumps(request))
    if answer["op"] == "error":
        assert answer["code"] in ("bad_filter", "bad_request", "unknown_subscription") or (
            request["op"] == "action"
        )
        assert request["op"] != "ping"
