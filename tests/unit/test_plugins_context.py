"""What a plugin may do with its context, and what it may not, however it tries."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import gevent
import pytest
from gevent.event import Event

from amiws_gevent.ami import Message
from amiws_gevent.plugins.api import ServerInfo
from amiws_gevent.plugins.chain import MessageChain, MessageHook, MessageSteps
from amiws_gevent.plugins.context import (
    DROPPED,
    EVENT_BURST,
    MOST_ASKS,
    MOST_COUNTERS,
    PUBLISHED,
    Desk,
    PluginContext,
    word_of,
)
from amiws_gevent.plugins.facilities import NOT_HERE, TOO_MANY, Answer, AskError, NoFacilities
from amiws_gevent.plugins.guard import PluginState
from amiws_gevent.runtime.log import LogLimiter
from tests.support.clock import Clock
from tests.support.patience import WAIT
from tests.support.plugins import SERVER, entry, event


class Program(NoFacilities):
    """Takes events, and answers when the test lets it."""

    def __init__(self) -> None:
        super().__init__()
        self.events: list[Message] = []
        self.answered = Event()
        self.has_room = True

    def ask(self, server: int, action: Mapping[str, Any], *, timeout: float, wait: bool) -> Answer:
        self.answered.wait()
        return Answer(server, None)

    def publish(self, event: Message) -> bool:
        self.events.append(event)
        return self.has_room


class Site:
    def __init__(self) -> None:
        self.program = Program()
        self.clock = Clock()
        self.desk = Desk("./long_queue.py", self.program, clock=self.clock)
        self.context = PluginContext("x", None, logging.getLogger("x"), gevent.spawn, self.desk)


@pytest.fixture
def site() -> Site:
    return Site()


# Questions


def test_a_plugin_without_a_program_gets_an_error_and_no_state() -> None:
    context = PluginContext("x", None, logging.getLogger("x"), gevent.spawn)
    with pytest.raises(AskError, match="there is no server"):
        context.ask(1, {"Action": "Ping"})
    assert context.state.get(1, "queue", "support") is None
    assert not context.state.of(1, "queue")
    assert not context.state.servers
    assert not context.publish("Mine")


def test_only_so_many_questions_wait_at_once(site: Site) -> None:
    asking = [gevent.spawn(site.context.ask, 1, {"Action": "Ping"}) for _ in range(MOST_ASKS)]
    gevent.sleep(0)
    with pytest.raises(AskError) as error:
        site.context.ask(1, {"Action": "Ping"})
    assert error.value.code == TOO_MANY
    site.program.answered.set()
    gevent.joinall(asking, timeout=WAIT, raise_error=True)
    assert site.context.ask(1, {"Action": "Ping"}).ok


def test_one_who_is_killed_while_asking_asks_no_more(site: Site) -> None:
    asking = [gevent.spawn(site.context.ask, 1, {"Action": "Ping"}) for _ in range(MOST_ASKS)]
    gevent.sleep(0)
    gevent.killall(asking)
    site.program.answered.set()
    assert site.context.ask(1, {"Action": "Ping"}).ok


def test_a_filter_may_not_ask(site: Site, tmp_path: Any) -> None:
    errors: list[AskError] = []

    def ask(message: Message, server: ServerInfo) -> None:
        try:
            site.context.ask(1, {"Action": "Ping"})
        except AskError as error:
            errors.append(error)

    made = entry(tmp_path, "def amiws_reload(): pass", hook_timeout=30.0)
    state = PluginState(made, name="x", limiter=LogLimiter())
    chain = MessageChain(MessageSteps([MessageHook(state, ask)], []))
    assert len(chain.run([event("A")], SERVER)) == 1
    assert [error.code for error in errors] == [NOT_HERE]


# Events


def test_an_event_is_a_message_with_the_plugins_name(site: Site) -> None:
    assert site.context.publish(
        "QueueTooLong", Queue="support", Waiting=7, Share=0.5, Alarm=True, Who=["1", 2], None_=None
    )
    (message,) = site.program.events
    assert message.data() == {
        "Event": "QueueTooLong",
        "Plugin": "long_queue",
        "Queue": "support",
        "Waiting": "7",
        "Share": "0.5",
        "Alarm": "true",
        "Who": ["1", "2"],
    }


@pytest.mark.parametrize(
    ("name", "members"),
    [
        ("", {}),
        ("Hang up", {}),
        ("Hangup\r\nAction: x", {}),
        ("x" * 65, {}),
        (None, {}),
        ("Mine", {"Event": "Hangup"}),
        ("Mine", {"plugin": "mask"}),
        ("Mine", {"ActionID": "1"}),
        ("Mine", {"a b": 1}),
        ("Mine", {"deep": {"a": 1}}),
        ("Mine", {"deep": [[1]]}),
        ("Mine", {"thing": object()}),
        ("Mine", {"long": "x" * 20_000}),
        ("Mine", {"wide": "é" * 10_000}),
        ("Mine", {f"m{number}": 1 for number in range(65)}),
    ],
)
def test_what_cannot_be_sent_is_refused(site: Site, name: Any, members: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"name|member|must be|bytes"):
        site.context.publish(name, **members)
    assert not site.program.events


def test_a_plugin_that_publishes_in_a_loop_is_held_back(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    done = sum(site.context.publish("Mine", N=number) for number in range(5000))
    assert done == EVENT_BURST == len(site.program.events)
    assert site.desk.events == {PUBLISHED: 200, DROPPED: 4800}
    assert len(caplog.records) == 1
    assert "long_queue" in caplog.text
    site.clock.now += 1
    assert sum(site.context.publish("Mine") for _ in range(100)) == 50


def test_an_event_for_which_the_program_has_no_room_is_counted(site: Site) -> None:
    site.program.has_room = False
    assert not site.context.publish("Mine")
    assert site.desk.events[DROPPED] == 1


# Counters


def test_a_counter_has_the_plugins_name_and_is_the_same_again(site: Site) -> None:
    counter = site.context.counter("alarms", "How often\nit was loud.")
    counter.add()
    counter.add(2.5)
    assert (counter.name, counter.help) == (
        "amiws_own_long_queue_alarms_total",
        "How often it was loud.",
    )
    assert site.context.counter("alarms", "other") is counter
    assert site.context.counter("alarms_total", "it would be twice in /metrics") is counter
    assert counter.value == 3.5


@pytest.mark.parametrize("more", [-1, float("inf"), float("nan")])
def test_a_counter_only_grows(site: Site, more: float) -> None:
    with pytest.raises(ValueError, match="only grows"):
        site.context.counter("alarms", "").add(more)


@pytest.mark.parametrize("name", ["", "A", "1a", 'a{x="1"}', "a b", "x" * 49, 5])
def test_a_counter_has_a_plain_name(site: Site, name: Any) -> None:
    with pytest.raises(ValueError, match="name"):
        site.context.counter(name, "")


def test_a_plugin_has_only_so_many_counters(site: Site) -> None:
    for number in range(MOST_COUNTERS):
        site.context.counter(f"n{number}", "")
    with pytest.raises(ValueError, match="20 counters"):
        site.context.counter("more", "")
    assert site.context.counter("n0", "")


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("webhook", "webhook"),
        ("./long_queue.py", "long_queue"),
        ("/etc/amiws/A-b c.py#2", "a_b_c_2"),
        ("webhook#3", "webhook_3"),
        ("./ä.py", "plugin"),
    ],
)
def test_a_metrics_name_has_the_plugins(name: str, word: str) -> None:
    assert word_of(name) == word
