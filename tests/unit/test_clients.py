from __future__ import annotations

import json
import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from amiws_gevent.access import Access
from amiws_gevent.ami import Kind, Message
from amiws_gevent.batch import Batch, Item, Position
from amiws_gevent.clients import CLASSIC, V2, Clients
from amiws_gevent.config import Settings
from amiws_gevent.dispatch import Dispatcher
from amiws_gevent.hub import Hub
from amiws_gevent.plugins.api import ServerInfo
from amiws_gevent.plugins.manager import Plugins
from amiws_gevent.views import Encoding
from amiws_gevent.web.counts import BY_CLIENT, KINDS, LOST, SILENT, SLOW
from amiws_gevent.web.frames import deflated_frames, text_frames
from amiws_gevent.web.verdict import Grant
from tests.support.hosts import ami_host
from tests.support.plugins import entry, running
from tests.support.v2 import service


class FakeClient:
    """As much of a WebSocketClient as `Clients` uses."""

    def __init__(self, subprotocol: str | None = None, user: str | None = None) -> None:
        self.address = "192.0.2.7:5000"
        self.user = user
        self.identity = Grant(user).identity("192.0.2.7")
        self.subprotocol = subprotocol
        self.encode: Encoding = text_frames
        self.close_kind = BY_CLIENT
        self.told: list[Any] = []
        self.outlet = self
        self.limit = 1 << 20
        self.blocked = False

    def use_source(self, make_source: object) -> None:
        """Nothing of it is used."""

    def offer(self, item: Item) -> None:
        """Taken."""

    def send_text(self, text: bytes | str) -> None:
        self.told.append(json.loads(text))


@pytest.fixture
def hub() -> Hub:
    return Hub(limit=1 << 20)


@pytest.fixture
def pages(hub: Hub) -> Clients:
    return Clients(hub, Dispatcher({}), service())


def started(folder: Path, source: str) -> Plugins:
    plugins = running(entry(folder, source))
    plugins.running[0].start()
    return plugins


def opened(pages: Clients, client: FakeClient) -> Any:
    pages.opened(client)  # type: ignore[arg-type]
    return client


def test_a_classic_client_is_subscribed_from_coming_to_going(pages: Clients, hub: Hub) -> None:
    classic = opened(pages, FakeClient())
    assert hub.counts() == pages.counts() == {"classic": 1}
    pages.closed(classic, 1000, "")
    pages.closed(classic, 1000, "")
    assert hub.counts() == pages.counts() == {}


def test_one_of_amiws_v2_has_a_session_and_nothing_of_the_classic_stream(
    pages: Clients, hub: Hub
) -> None:
    client = opened(pages, FakeClient("amiws.v2"))
    assert [message["op"] for message in client.told] == ["hello"]
    assert (hub.counts(), pages.counts()) == ({}, {"v2": 1})
    pages.received(client, '{"op": "ping", "id": 1}')
    assert client.told[-1]["op"] == "pong"
    (feed,) = pages.v2._feeds.opened  # type: ignore[attr-defined]
    assert not feed.closed
    pages.closed(client, 1000, "")
    pages.closed(client, 1000, "")
    assert feed.closed
    assert pages.counts() == {}


def test_an_action_that_cannot_be_sent_is_answered_to_its_client_alone(pages: Clients) -> None:
    asking, other = opened(pages, FakeClient()), opened(pages, FakeClient())
    pages.received(asking, "nonsense")
    (answer,) = asking.told
    assert answer["data"]["Response"] == "Error"
    assert other.told == []


def test_plugins_are_told_who_came_and_went(pages: Clients, tmp_path: Path) -> None:
    pages.plugins = started(
        tmp_path,
        """
        CALLS = []
        def amiws_client_connected(client):
            CALLS.append((client.address, client.user, client.view))
        def amiws_client_disconnected(client, code, reason):
            CALLS.append((client.user, code, reason))
        """,
    )
    client = opened(pages, FakeClient("amiws.v2", "alice"))
    pages.closed(client, 1001, "bye")
    pages.closed(client, 1001, "bye")
    (plugin,) = pages.plugins.running
    assert plugin.queue.drain(10)
    assert plugin.code.plugin.CALLS == [  # type: ignore[attr-defined]
        ("192.0.2.7:5000", "alice", "v2"),
        ("alice", 1001, "bye"),
    ]
    pages.plugins.stop()


def test_an_action_that_a_plugin_refuses_reaches_no_server(hub: Hub, tmp_path: Path) -> None:
    sent: list[bytes] = []
    link: Any = SimpleNamespace(host=ami_host(), send=lambda data, **_awaited: sent.append(data))
    pages = Clients(hub, Dispatcher({1: link}), service())
    pages.plugins = started(
        tmp_path,
        """
        def amiws_authorize_action(action, client):
            if action.name == "Originate":
                return f"{client.user} may not call"
            if action.name == "Broken":
                raise ValueError
        """,
    )
    alice, bob = opened(pages, FakeClient(user="alice")), opened(pages, FakeClient(user="bob"))
    pages.received(alice, '{"Action": "Originate", "ActionID": "7"}')
    pages.received(alice, '{"Action": "Broken"}')
    assert sent == []
    first, second = alice.told
    assert (first["type"], first["data"]) == (
        4,
        {"Response": "Error", "ActionID": "7", "Message": "alice may not call"},
    )
    assert second["data"]["Message"] == "refused by the plugin ./mine.py"
    pages.received(alice, '{"Action": "Ping"}')
    assert sent == [b"Action: Ping\r\n\r\n"]
    assert len(alice.told) == 2
    assert bob.told == []
    pages.plugins.stop()


def test_who_came_is_counted(pages: Clients) -> None:
    for client in (FakeClient(), FakeClient(), FakeClient("amiws.v2")):
        pages.closed(opened(pages, client), 1000, "")
    assert pages.opened_clients == {CLASSIC.name: 2, V2: 1}


@pytest.mark.parametrize("kind", sorted({*KINDS.values(), BY_CLIENT, LOST, SILENT}))
def test_a_client_that_goes_has_a_line_unless_the_web_server_tells_of_it(
    kind: str, pages: Clients, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    client = opened(pages, FakeClient(user="ann"))
    client.close_kind = kind
    pages.closed(client, 1013, "a reason")
    record = caplog.records[-1]
    assert record.getMessage() == "client 192.0.2.7:5000 (ann) closed: 1013 a reason"
    assert record.levelno == (logging.DEBUG if kind in (SLOW, SILENT) else logging.INFO)


def test_a_close_without_a_reason_has_no_blank_at_the_end_of_its_line(
    pages: Clients, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    pages.closed(opened(pages, FakeClient(user="ann")), 1001, "")
    assert caplog.records[-1].getMessage().endswith(" closed: 1001")


# Roles


class Roles:
    """Clients by roles: see tests/unit/test_access.py."""

    def __init__(self, hub: Hub) -> None:
        self.access = Access()
        self.use("look", "first")
        self.pages = Clients(hub, Dispatcher({}), service(), self.access)

    def use(self, *names: str) -> None:
        roles = {
            "look": {"see": "everything"},
            "first": {"see": {"servers": "pbx1"}},
            "queue": {"see": {"queues": "support"}},
        }
        hosts = (ami_host(id=1, name="pbx1"), ami_host(id=2, name="pbx2"))
        users = dict(zip(("ann", "bob"), ({"roles": name} for name in names), strict=True))
        users["cid"] = {"roles": "first"}
        settings = Settings(amihosts=hosts, web_root=Path("/"), roles=roles, users=users)
        self.access.use(self.access.prepare(settings), [1, 2])


class Dismissed(FakeClient):
    def __init__(self, user: str, subprotocol: str | None = None) -> None:
        super().__init__(subprotocol, user)
        self.code = 0

    def dismiss(self, code: int, reason: str) -> None:
        self.code = code


def batch(server: int) -> Batch:
    info = ServerInfo(server, f"pbx{server}", False)
    return Batch(info, Position("e", 1), [Message(Kind.EVENT, {"Event": "X"})], [b"{}"])


def test_the_classic_socket_has_one_view_for_equal_sets_of_servers(hub: Hub) -> None:
    roles = Roles(hub)
    for user in ("ann", "bob", "cid"):
        opened(roles.pages, Dismissed(user))
    views = list(hub.passes._views)
    assert len(views) == 2
    assert CLASSIC in views
    part = next(view for view in views if view != CLASSIC)
    assert [len(part.texts(batch(number))) for number in (1, 2)] == [1, 0]
    assert [len(CLASSIC.texts(batch(number))) for number in (1, 2)] == [1, 1]
    assert hub.counts() == {"classic": 3}


def test_without_roles_all_share_the_one_view(hub: Hub, pages: Clients) -> None:
    for _ in range(3):
        opened(pages, FakeClient())
    assert list(hub.passes._views) == [CLASSIC]
    pages.check_rights()


def test_those_who_get_it_compressed_share_another(hub: Hub, pages: Clients) -> None:
    for _ in range(3):
        client = FakeClient()
        client.encode = deflated_frames
        opened(pages, client)
    opened(pages, FakeClient())
    assert [view.encode for view in hub.passes._views] == [deflated_frames, text_frames]
    assert hub.counts() == {"classic": 4}


def test_who_gets_other_rights_is_closed(hub: Hub) -> None:
    roles = Roles(hub)
    ann, bob, cid = (opened(roles.pages, Dismissed(user)) for user in ("ann", "bob", "cid"))
    roles.pages.check_rights()
    assert (ann.code, bob.code, cid.code) == (0, 0, 0)
    roles.use("queue", "look")
    roles.pages.check_rights()
    assert (ann.code, bob.code, cid.code) == (4403, 4403, 0)
    for client in (ann, bob, cid):
        roles.pages.closed(client, 4403, "")
    assert hub.counts() == {}


def test_rights_that_have_changed_since_the_upgrade(hub: Hub) -> None:
    roles = Roles(hub)
    roles.use("queue", "first")
    assert opened(roles.pages, Dismissed("ann")).code == 4403
    assert opened(roles.pages, Dismissed("bob")).code == 0
