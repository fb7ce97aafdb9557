"""What one plugin is told of the state: all of it in the end, however slow its hook is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import gevent
import pytest
from gevent.event import Event

import amiws_gevent.plugins.statenews as module
from amiws_gevent.plugins.api import Entity, ServerInfo, StateChanges
from amiws_gevent.plugins.guard import PluginState
from amiws_gevent.plugins.logqueue import Entry, LogQueue
from amiws_gevent.plugins.statenews import STATE_CHANGED, StateNews
from amiws_gevent.runtime.log import LogLimiter
from tests.support.plugins import SERVER, entry


class Site:
    """A plugin's queue, a state, and what its hook was told."""

    def __init__(self, folder: Path) -> None:
        made = entry(folder, "def amiws_reload(): pass")
        self.state: dict[str, dict[str, Any]] = {}
        self.told: list[StateChanges] = []
        self.may_go_on = Event()
        self.may_go_on.set()
        self.news = StateNews(self.hook, self.entities)
        self.plugin = PluginState(made, name="x", limiter=LogLimiter())
        functions = {STATE_CHANGED: self.news.call, "amiws_reload": lambda: None}
        self.queue = LogQueue(self.plugin, functions, limit=1000, limiter=LogLimiter())
        self.queue.start()

    def hook(self, changes: StateChanges, server: ServerInfo) -> None:
        self.told.append(changes)
        self.may_go_on.wait()

    def entities(self, server: int) -> Iterable[tuple[str, str, Mapping[str, Any]]]:
        return [("queue", key, fields) for key, fields in self.state.items()]

    def put(self, key: str, **fields: Any) -> None:
        self.state.setdefault(key, {}).update(fields)
        self.news.tell(self.queue, SERVER, [entity(key, **fields)], [])

    def remove(self, key: str, **last: Any) -> None:
        del self.state[key]
        self.news.tell(self.queue, SERVER, [], [entity(key, last=last)])

    def settle(self) -> None:
        assert self.queue.drain(10)


def entity(key: str, **fields: Any) -> Entity:
    return {"server": 1, "kind": "queue", "id": key, **fields}


@pytest.fixture
def site(tmp_path: Path) -> Iterable[Site]:
    made = Site(tmp_path)
    yield made
    made.may_go_on.set()
    made.queue.stop(5)


def test_a_server_is_told_as_a_whole_first_and_then_what_changes(site: Site) -> None:
    site.state["a"] = {"waiting": 1, "name": "A"}
    site.put("b", waiting=2)
    site.settle()
    site.put("a", waiting=3)
    site.settle()
    assert site.told == [
        StateChanges([entity("a", waiting=1, name="A"), entity("b", waiting=2)], [], whole=True),
        StateChanges([entity("a", waiting=3)], []),
    ]


def blocked(site: Site) -> None:
    """The hook is at work and does not end."""
    site.news.begin(site.queue, SERVER)
    site.settle()
    site.may_go_on.clear()
    site.put("x", n=0)
    gevent.sleep(0)
    site.told.clear()


def test_while_the_hook_is_blocked_changes_are_joined(site: Site) -> None:
    blocked(site)
    site.put("a", waiting=1, name="A")
    site.put("a", waiting=2)
    site.put("gone", waiting=1)
    site.remove("gone", cause=16)
    site.put("again", waiting=1)
    site.remove("again")
    site.put("again", waiting=2)
    site.may_go_on.set()
    site.settle()
    assert site.told == [
        StateChanges(
            [entity("a", waiting=2, name="A"), entity("again", waiting=2)],
            [entity("gone", last={"cause": 16})],
        )
    ]


def test_past_the_bound_a_server_is_told_as_a_whole(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_WAITING", 5)
    blocked(site)
    for number in range(50):
        site.put(str(number), n=number)
    site.remove("7")
    site.may_go_on.set()
    site.settle()
    (changes,) = site.told
    assert changes.whole
    assert {one["id"] for one in changes.set} == site.state.keys()


def test_a_full_queue_does_not_lose_the_state(site: Site) -> None:
    blocked(site)
    site.queue.put([Entry("amiws_reload", (), 5000)] * 3)
    site.put("a", waiting=1)
    site.may_go_on.set()
    site.settle()
    assert site.told == [StateChanges([entity("a", waiting=1)], [])]


def test_a_server_that_begins_anew_amid_changes_is_told_as_a_whole(site: Site) -> None:
    blocked(site)
    site.put("a", waiting=1)
    site.state = {"b": {"waiting": 2}}
    site.news.begin(site.queue, SERVER)
    site.put("b", waiting=3)
    site.may_go_on.set()
    site.settle()
    assert site.told == [StateChanges([entity("b", waiting=3)], [], whole=True)]


def test_who_changes_what_it_was_told_changes_nothing_else(site: Site) -> None:
    site.state["a"] = {"way": [{"who": "1"}]}
    site.news.begin(site.queue, SERVER)
    site.settle()
    site.told[0].set[0]["way"][0]["who"] = "x"
    made = entity("a", way=[{"who": "2"}])
    site.news.tell(site.queue, SERVER, [made], [])
    site.settle()
    site.told[1].set[0]["way"][0]["who"] = "x"
    assert site.state["a"] == {"way": [{"who": "1"}]}
    assert made["way"] == [{"who": "2"}]


def test_changes_on_which_the_hook_raises_count_as_told(site: Site) -> None:
    site.news.begin(site.queue, SERVER)
    site.settle()
    site.told = None  # type: ignore[assignment]
    site.put("a", waiting=1)
    site.settle()
    assert site.plugin.faults == {STATE_CHANGED: 1}
    site.told = []
    site.put("a", waiting=2)
    site.settle()
    assert site.told == [StateChanges([entity("a", waiting=2)], [])]


def test_a_plugin_that_is_started_again_begins_anew(site: Site) -> None:
    site.put("a", waiting=1)
    site.settle()
    site.news.forget()
    site.put("a", waiting=2)
    site.settle()
    assert [changes.whole for changes in site.told] == [True, True]
