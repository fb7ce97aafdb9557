"""The store of what plugins make of the state: fed beside the hub, whatever plugins do."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import gevent
import pytest
from gevent.event import Event

from amiws_gevent.feeds.changed import Changed
from amiws_gevent.plugins.api import Entity, ServerInfo
from amiws_gevent.state.store import Store
from tests.support.greenlets import until

SERVER = ServerInfo(1, "pbx", False)


class Site:
    """A server's store, and a transform that the test steers."""

    def __init__(self) -> None:
        self.raw = Store()
        self.offset = 0
        self.asked: list[str] = []
        self.fed = 0
        self.make: Callable[[Entity], Entity | None] = lambda entity: entity
        self.may_go_on = Event()
        self.may_go_on.set()
        self.changed = Changed(SERVER, self.raw, self.transform, self.on_fed)

    def on_fed(self) -> None:
        self.fed += 1

    def transform(self, server: ServerInfo, entities: Sequence[Entity]) -> list[Entity]:
        assert server is SERVER
        self.asked += [entity["id"] for entity in entities]
        self.may_go_on.wait()
        return [made for entity in entities if (made := self.make(entity)) is not None]

    def put(self, key: str, **fields: Any) -> None:
        self.offset += 1
        self.raw.begin(self.offset)
        self.raw.put("call", key, **fields)

    def remove(self, key: str, **last: Any) -> None:
        self.offset += 1
        self.raw.begin(self.offset)
        self.raw.remove("call", key, last or None)

    def work(self) -> dict[str, Any]:
        """What is shown when all is done."""
        self.changed.wake()
        until(lambda: self.changed._greenlet is None)
        return {key: dict(fields) for key, fields in self.changed.store.of("call").items()}


@pytest.fixture
def site() -> Iterator[Site]:
    made = Site()
    yield made
    made.changed.close()
    made.may_go_on.set()


def test_what_is_there_is_shown_and_then_what_changes(site: Site) -> None:
    site.put("a", n=1)
    site.make = lambda entity: {**entity, "n": -entity["n"]}
    assert site.work() == {"a": {"n": -1}}
    site.put("a", n=2)
    site.put("b", n=3)
    assert site.work() == {"a": {"n": -2}, "b": {"n": -3}}
    site.remove("a")
    assert site.work() == {"b": {"n": -3}}
    assert site.fed == 3


def test_it_is_idle_when_plugins_were_asked_about_all(site: Site) -> None:
    site.put("a", n=1)
    assert not site.changed.is_idle
    site.work()
    assert site.changed.is_idle
    site.put("a", n=2)
    assert not site.changed.is_idle
    site.may_go_on.clear()
    site.changed.wake()
    until(lambda: len(site.asked) == 2)
    assert not site.changed.is_idle, "it is asked about the last"
    site.may_go_on.set()
    until(lambda: site.changed.is_idle)


def test_its_offsets_go_on_behind_those_of_another() -> None:
    raw = Store()
    changed = Changed(SERVER, raw, lambda _, entities: list(entities), lambda: None, 40)
    raw.put("call", "a", n=1)
    changed.wake()
    until(lambda: changed.is_idle)
    assert changed.store.offset == 41


def test_a_plugin_may_give_fields_any_name(site: Site) -> None:
    site.put("a", n=1)
    site.make = lambda entity: {**entity, "key": 1, "self": 2, "fields": 3, "": 4}
    assert site.work() == {"a": {"n": 1, "key": 1, "self": 2, "fields": 3, "": 4}}


def test_each_chunk_has_an_offset_of_its_own(site: Site) -> None:
    for number in range(450):
        site.put(str(number), n=number)
    seen: list[tuple[int, int]] = []
    site.changed._on_fed = lambda: seen.append(
        (site.changed.store.offset, len(site.changed.store.drain()))
    )
    site.work()
    assert seen == [(1, 200), (2, 200), (3, 50)]


def test_what_is_kept_back_goes_away_without_last_words(site: Site) -> None:
    site.put("a", n=1, name="Anna")
    site.work()
    site.make = lambda entity: None
    site.put("a", n=2)
    assert site.work() == {}
    change = site.changed.store.change("call", "a", -1)
    assert change is not None
    assert change.last is None


def test_last_words_are_transformed_and_may_be_kept_back(site: Site) -> None:
    for key in "ab":
        site.put(key, n=1)
    site.work()
    site.make = lambda entity: {**entity, "by": "***"} if entity["id"] == "a" else None
    for key in "ab":
        site.remove(key, by="0301234567")
    site.work()
    last = {key: site.changed.store.change("call", key, -1) for key in "ab"}
    assert [change and change.last for change in last.values()] == [{"by": "***"}, None]


def test_a_field_that_is_left_out_becomes_null(site: Site) -> None:
    site.put("a", n=1, name="Anna")
    site.work()
    site.make = lambda entity: {name: one for name, one in entity.items() if name != "name"}
    site.put("a", n=2)
    assert site.work() == {"a": {"n": 2, "name": None}}


def test_a_fault_of_ours_keeps_back_what_it_was_about(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(entity: Entity) -> Entity:
        raise OSError

    site.put("a", name="Anna")
    site.work()
    site.make = fail
    site.put("a", name="Bob")
    assert site.work() == {}
    assert "internal error" in caplog.text
    site.make = lambda entity: entity
    site.put("a", name="Clara")
    assert site.work() == {"a": {"name": "Clara"}}


def test_while_plugins_wait_changes_wait_as_names_and_nobody_else_does(site: Site) -> None:
    site.put("a", n=0)
    site.may_go_on.clear()
    site.changed.wake()
    until(lambda: site.asked == ["a"])
    for number in range(1, 100):
        site.put("a", n=number)
        site.changed.wake()
    assert site.changed.store.of("call") == {}
    site.may_go_on.set()
    assert site.work() == {"a": {"n": 99}}
    assert site.asked == ["a", "a"]


def test_all_is_asked_again_when_plugins_may_say_something_else(site: Site) -> None:
    site.put("a", n=1)
    site.put("b", n=1)
    site.work()
    site.changed.store.drain()
    site.make = lambda entity: {**entity, "n": 2} if entity["id"] == "b" else entity
    site.changed.again()
    assert site.work() == {"a": {"n": 1}, "b": {"n": 2}}
    assert site.changed.store.drain() == [("call", "b")]


def test_one_that_is_closed_asks_nobody(site: Site) -> None:
    site.put("a", n=1)
    site.may_go_on.clear()
    site.changed.wake()
    until(lambda: site.asked == ["a"])
    site.changed.close()
    site.may_go_on.set()
    site.put("b", n=1)
    site.changed.wake()
    gevent.sleep(0.01)
    assert site.asked == ["a"]
    assert site.changed.store.of("call") == {}
