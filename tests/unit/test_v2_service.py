from __future__ import annotations

import json
from typing import Any

from amiws_gevent.config import Limits
from amiws_gevent.plugins.api import ClientInfo
from amiws_gevent.v2.heartbeat import SLOTS
from amiws_gevent.v2.service import Service
from amiws_gevent.web.frames import text_frames
from tests.support.v2 import FakeFeeds, faults, service

SERVER = {"server": 0, "kind": "server", "id": "1", "name": "pbx"}


class FakeClient:
    """Keeps what it was sent; its outlet is itself."""

    def __init__(self) -> None:
        self.outlet = self
        self.encode = text_frames
        self.limit = 1000
        self.blocked = False
        self.told: list[dict[str, Any]] = []

    def use_source(self, make_source: object) -> None:
        """Nothing of it is used."""

    def send_text(self, text: bytes) -> None:
        self.told.append(json.loads(text))
        assert faults(self.told[-1]) == []


def test_a_client_is_greeted_and_then_gets_the_heartbeat_until_it_leaves() -> None:
    sessions = service(servers=[SERVER])
    client: Any = FakeClient()
    session = sessions.open(client, ClientInfo("192.0.2.7:5000", None, "v2"))
    (hello,) = client.told
    assert hello["servers"] == [SERVER]
    assert hello["limits"] == {"subscriptions": 16, "message": 256 * 1024, "actions": 32}
    for _ in range(SLOTS):
        sessions._heartbeat.tick()
    assert [message["op"] for message in client.told] == ["hello", "position"]
    sessions.close(session)
    for _ in range(SLOTS):
        sessions._heartbeat.tick()
    assert len(client.told) == 2


def test_what_there_is_where_no_state_is_shown() -> None:
    sessions = service()
    told = []
    for shows_state in (True, False):
        sessions._feeds.shows_state = shows_state  # type: ignore[misc]
        client: Any = FakeClient()
        sessions.open(client, ClientInfo("192.0.2.7:5000", None, "v2"))
        told.append(client.told[0]["features"])
    assert told[0] == ["state", "events", "resume", "actions", "idempotency"]
    assert told[1] == told[0][1:]


def test_an_audit_is_told_while_there_is_one() -> None:
    there_is = [True, False]
    sessions = Service(FakeFeeds(()), Any, Limits(), has_audit=there_is.pop)  # type: ignore[arg-type]
    for expected in (False, True):
        client: Any = FakeClient()
        sessions.open(client, ClientInfo("192.0.2.7:5000", None, "v2"))
        assert ("audit" in client.told[0]["features"]) is expected


def test_a_reload_changes_what_new_clients_are_told_and_when_the_heart_beats() -> None:
    sessions = service()
    sessions.configure(Limits(ping_interval="3 s", client_message="1 KiB"))
    client: Any = FakeClient()
    sessions.open(client, ClientInfo("192.0.2.7:5000", None, "v2"))
    (hello,) = client.told
    assert (hello["heartbeat"], hello["limits"]["message"]) == (3000, 1024)
    assert sessions._heartbeat.interval == 3.0


def test_wrong_requests_are_counted() -> None:
    sessions = service()
    client: Any = FakeClient()
    session = sessions.open(client, ClientInfo("192.0.2.7:5000", None, "v2"))
    session.received("nonsense")
    assert sessions.errors == {"bad_json": 1}


def test_the_heartbeat_is_started_and_stopped() -> None:
    sessions = service()
    greenlet = sessions.start()
    sessions.stop()
    assert greenlet.dead
