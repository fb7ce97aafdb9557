"""What plugins have of the program: questions, events of their own, the state as clients see it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import gevent
import pytest
from gevent.event import Event

from amiws_gevent.ami import Kind, Message
from amiws_gevent.clients import CLASSIC
from amiws_gevent.errors import ConnectionLost, NotConnected, SendBufferFull
from amiws_gevent.facilities import MOST_EVENTS, ProgramFacilities
from amiws_gevent.feeds.feed import NoState
from amiws_gevent.feeds.feeds import Showing
from amiws_gevent.feeds.filters import Filters
from amiws_gevent.link import Answer
from amiws_gevent.plugins.api import Entity, ServerInfo
from amiws_gevent.plugins.facilities import (
    ACTION_REFUSED,
    BAD_REQUEST,
    UNKNOWN,
    UNKNOWN_SERVER,
    UNREACHABLE,
    AskError,
)
from tests.support.asking import cut_off, item, listed, refusal, response
from tests.support.feeds import BOTH, EVENTS, FakeServer, World
from tests.support.greenlets import until


class Link:
    """Answers, or raises, what the test says."""

    def __init__(self, said: Answer | Exception) -> None:
        self.said = said
        self.asked: list[tuple[tuple[tuple[str, str], ...], float, bool]] = []

    def ask(
        self, action: tuple[tuple[str, str], ...], *, timeout: float, wait: bool = False
    ) -> Answer:
        self.asked.append((action, timeout, wait))
        if isinstance(self.said, Exception):
            raise self.said
        return self.said


class Watcher:
    """Notes what plugins would be told."""

    watches_state = True

    def __init__(self) -> None:
        self.told: list[tuple[int, str, list[str]]] = []

    def state_changed(
        self, server: ServerInfo, made: Sequence[Entity], gone: Sequence[Entity]
    ) -> None:
        self.told.append((server.id, "set", [entity["id"] for entity in made]))
        self.told.append((server.id, "unset", [entity["id"] for entity in gone]))

    def state_begins(self, server: ServerInfo) -> None:
        self.told.append((server.id, "begins", []))

    def state_is_there(self, server: ServerInfo) -> None:
        self.told.append((server.id, "is there", []))


class Site:
    def __init__(self) -> None:
        self.world = World(0, 1)
        self.links: dict[int, Link] = {1: Link(listed())}
        self.transformed: Callable[[ServerInfo, Sequence[Message]], Sequence[Message]] = (
            lambda _server, messages: messages
        )
        self.facilities = ProgramFacilities(
            self.links,
            self.world.feeds,
            self.world.servers[0].source,
            lambda server, messages: self.transformed(server, messages),
        )

    def ask(self, server: Any = 1, /, **action: Any) -> Any:
        given = action or {"Action": "QueueStatus"}
        return self.facilities.ask(server, given, timeout=5.0, wait=False)

    def publish(self, name: str = "Mine", **members: str) -> bool:
        return self.facilities.publish(Message(Kind.EVENT, {"Event": name, **members}))

    def settle(self) -> None:
        until(lambda: self.facilities._publishing is None)
        self.world.pass_on()


@pytest.fixture
def site() -> Site:
    return Site()


# Questions


def test_an_answer_is_plain_data_without_our_action_id(site: Site) -> None:
    site.links[1].said = listed(item("QueueParams", Queue="support", ActionID="ours"))
    answer = site.ask(Action="QueueStatus", Queue="support")
    assert answer.ok
    assert [message.data() for message in answer.items] == [
        {"Event": "QueueParams", "Queue": "support"}
    ]
    assert site.links[1].asked == [((("Action", "QueueStatus"), ("Queue", "support")), 5.0, False)]


def test_the_output_of_a_command_is_lines(site: Site) -> None:
    said = Message(Kind.COMMAND, {"Response": "Follows", "Output": "one\ntwo\n"})
    site.links[1].said = Answer(said, (), None, True, "", "")
    assert site.ask(Action="Command", Command="core show uptime").output == ("one", "two")


def test_what_is_not_whole_or_refused_is_not_ok(site: Site) -> None:
    site.links[1].said = cut_off(item("QueueParams"))
    answer = site.ask()
    assert (answer.ok, answer.complete, len(answer.items)) == (False, False, 1)
    assert answer.reason == "no whole answer within 60 s"
    site.links[1].said = refusal("No such queue")
    answer = site.ask()
    assert (answer.ok, answer.complete, answer.refusal) == (False, True, "No such queue")
    assert answer.response == response(("Message", "No such queue"), kind="Error")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConnectionLost("the connection was lost"), UNKNOWN),
        (NotConnected("not connected"), UNREACHABLE),
        (SendBufferFull("it does not read"), UNREACHABLE),
    ],
)
def test_a_server_that_vanishes_is_an_error(site: Site, error: Exception, code: str) -> None:
    site.links[1].said = error
    with pytest.raises(AskError, match=str(error)) as raised:
        site.ask()
    assert raised.value.code == code


@pytest.mark.parametrize(
    ("server", "action", "code"),
    [
        (2, {"Action": "Ping"}, UNKNOWN_SERVER),
        ("1", {"Action": "Ping"}, BAD_REQUEST),
        ([1], {"Action": "Ping"}, BAD_REQUEST),
        (None, {"Action": "Ping"}, BAD_REQUEST),
        (1, {}, BAD_REQUEST),
        (1, {"Queue": "support"}, BAD_REQUEST),
        (1, {"Action": "Ping\r\nAction: Logoff"}, BAD_REQUEST),
        (1, {"Action": "Logoff"}, ACTION_REFUSED),
        (1, {"Action": "Ping", "x": {"deep": 1}}, BAD_REQUEST),
        (1, ["Action", "Ping"], BAD_REQUEST),
        (1, None, BAD_REQUEST),
    ],
)
def test_what_cannot_be_asked_is_an_error(site: Site, server: Any, action: Any, code: str) -> None:
    with pytest.raises(AskError) as raised:
        site.facilities.ask(server, action, timeout=5.0, wait=False)
    assert raised.value.code == code
    assert site.links[1].asked == []


def test_an_originate_never_blocks(site: Site) -> None:
    site.ask(Action="Originate", Channel="SIP/201")
    assert ("Async", "true") in site.links[1].asked[0][0]


# Events


def test_an_event_goes_to_subscribers_and_not_to_classic_clients(site: Site) -> None:
    classic: list[bytes] = []

    class Classic:
        def offer(self, item: Any) -> None:
            classic.append(item.data)

    site.world.hub.add(Classic(), CLASSIC)
    of_all = site.world.client()
    of_all.subscribe(EVENTS)
    of_plugins = site.world.client()
    of_plugins.subscribe(EVENTS, server=0)
    of_server = site.world.client()
    of_server.subscribe(EVENTS, server=1)
    site.publish(Queue="support")
    site.settle()
    site.world.says("Hangup")
    site.world.pass_on()
    for client in (of_all, of_plugins, of_server):
        client.read()
    assert of_all.events() == ["Mine", "Hangup"]
    assert of_plugins.events() == ["Mine"]
    assert of_server.events() == ["Hangup"]
    assert of_plugins.messages[0]["message"] == {
        "type": 3,
        "server_id": 0,
        "server_name": site.world.servers[0].info.name,
        "ssl": False,
        "data": {"Event": "Mine", "Queue": "support"},
    }
    assert b"Hangup" in b"".join(classic)
    assert b"Mine" not in b"".join(classic)


def test_who_comes_back_gets_what_it_missed(site: Site) -> None:
    client = site.world.client()
    made = client.subscribe(EVENTS, server=0)
    site.publish("First")
    site.settle()
    client.read()
    client.close()
    site.publish("Second")
    site.settle()
    again = site.world.client()
    resumed = again.subscribe(EVENTS, client.positions[made.id], server=0)
    again.read()
    assert resumed.resumed
    assert again.events() == ["Second"]


def test_transforms_see_an_event_and_may_keep_it_back_or_fail(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    def transformed(server: ServerInfo, messages: Sequence[Message]) -> Sequence[Message]:
        assert server.id == 0
        if messages[0].name == "Bad":
            raise OSError
        return [m.replace("Number", "***") for m in messages if m.name != "Secret"]

    site.transformed = transformed
    client = site.world.client()
    client.subscribe(EVENTS)
    for name in ("Secret", "Bad", "Mine"):
        site.publish(name, Number="0301234567")
    site.settle()
    client.read()
    assert client.events() == ["Mine"]
    assert client.messages[0]["message"]["data"]["Number"] == "***"
    assert "internal error" in caplog.text


def test_events_wait_for_a_transform_in_order_and_only_so_many(site: Site) -> None:
    may_go_on = Event()

    def waiting(_server: ServerInfo, messages: Sequence[Message]) -> Sequence[Message]:
        may_go_on.wait()
        return messages

    site.transformed = waiting
    client = site.world.client()
    client.subscribe(EVENTS)
    site.publish("E0")
    gevent.sleep(0)
    taken = [site.publish(f"E{number}") for number in range(1, MOST_EVENTS + 10)]
    assert taken == [True] * MOST_EVENTS + [False] * 9
    may_go_on.set()
    site.settle()
    client.read()
    assert client.events() == [f"E{number}" for number in range(MOST_EVENTS + 1)]


def test_a_server_that_has_the_programs_id_keeps_its_stream_to_itself(site: Site) -> None:
    site.links[0] = Link(listed())
    assert not site.publish()


# State


def test_the_state_is_that_of_clients_and_cannot_be_changed(site: Site) -> None:
    state = site.facilities.state
    site.world.server.put("server", "1", name="pbx")
    site.world.servers[1].put("call", "1.1", ringing=[{"number": "201"}])
    assert {server: info.id for server, info in state.servers.items()} == {0: 0, 1: 1}
    found = state.get(1, "call", "1.1")
    assert found == {"ringing": [{"number": "201"}]}
    found["ringing"][0]["number"] = "x"
    all_calls = state.of(1, "call")
    all_calls["1.1"]["ringing"].clear()
    assert state.get(1, "call", "1.1") == {"ringing": [{"number": "201"}]}
    assert (list(all_calls), len(all_calls)) == (["1.1"], 1)
    assert state.get(1, "call", "2.2") is state.get(7, "call", "1.1") is None
    assert not state.of(7, "call")
    assert not state.of(1, "nothing")


def test_what_is_transformed_is_what_plugins_see(site: Site) -> None:
    site.world.servers[1].put("call", "1.1", number="0301234567")
    site.world.server.put("server", "1", name="pbx 0301234567")
    masks = Showing(lambda _server, all_: [{**one, "number": "***"} for one in all_], ("mask",))
    site.world.feeds.use(masks)
    site.world.flush()
    until(lambda: site.facilities.state.get(1, "call", "1.1") is not None)
    assert site.facilities.state.get(1, "call", "1.1") == {"number": "***"}
    assert list(site.facilities.entities(1)) == [("call", "1.1", {"number": "***"})]
    assert site.facilities.state.get(0, "server", "1") == {"name": "pbx 0301234567"}


def test_a_state_that_is_withheld_is_for_nobody(site: Site) -> None:
    site.world.servers[1].put("call", "1.1", number="0301234567")
    site.world.server.put("server", "1", name="pbx")
    client = site.world.client()
    made = client.subscribe(BOTH)
    client.read()
    assert (1, "call", "1.1") in client.collections[made.id]
    site.world.feeds.use(Showing(withheld="the plugin x keeps the state back"))
    site.world.flush()
    client.read()
    assert client.collections[made.id].keys() == {(0, "server", "1")}
    assert site.facilities.state.get(1, "call", "1.1") is None
    other = site.world.client()
    with pytest.raises(NoState, match="the plugin x"):
        other.subscribe(BOTH)
    with pytest.raises(NoState):
        site.world.feeds.page(Filters(), "call", 10)
    servers = site.world.feeds.page(Filters(), "server", 10)
    assert servers is not None
    assert len(servers.items) == 1
    other.subscribe(EVENTS)
    site.world.feeds.use(Showing())
    site.world.flush()
    client.read()
    assert (1, "call", "1.1") in client.collections[made.id]


def test_plugins_are_told_of_servers_and_of_what_changes(site: Site) -> None:
    watcher = Watcher()
    site.world.feeds.use(Showing(watcher=watcher))
    site.world.flush()
    assert watcher.told == [(0, "is there", []), (1, "is there", [])]
    watcher.told.clear()
    site.world.servers[1].put("call", "1.1", phase="talking")
    site.world.servers[1].put("call", "2.2", phase="talking")
    site.world.flush()
    site.world.servers[1].remove("call", "1.1")
    site.world.flush()
    assert watcher.told == [
        (1, "set", ["1.1", "2.2"]),
        (1, "unset", []),
        (1, "set", []),
        (1, "unset", ["1.1"]),
    ]
    watcher.told.clear()
    del site.world.live.servers[1]
    site.world.live.servers[2] = FakeServer(2)
    site.world.flush()
    assert watcher.told == [(1, "begins", []), (2, "begins", [])]


def test_show_anew_asks_plugins_again(site: Site) -> None:
    key = ["a"]
    hashed = Showing(lambda _server, all_: [{**one, "number": key[0]} for one in all_], ("mask",))
    site.world.servers[1].put("call", "1.1", number="0301234567")
    site.world.feeds.use(hashed)
    site.world.flush()
    until(lambda: site.facilities.state.get(1, "call", "1.1") == {"number": "a"})
    key[0] = "b"
    site.facilities.show_anew()
    until(lambda: site.facilities.state.get(1, "call", "1.1") == {"number": "b"})
