"""From the running plugins to others, whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gevent
import pytest

from amiws_gevent.plugins.change import Change
from amiws_gevent.plugins.entry import PluginEntry
from amiws_gevent.plugins.loading import PluginError
from amiws_gevent.plugins.manager import Plugins
from amiws_gevent.runtime.log import LogLimiter
from tests.support.patience import WAIT
from tests.support.plugins import SERVER, entry, event

# Plugins that write down what happens to them, in a list that the test has put into builtins.
NOTING = """
from amiws_gevent.plugins.api import PluginSettings

class Settings(PluginSettings):
    tag: str = "-"
    fails: bool = False

class Plugin:
    def amiws_settings(self):
        return Settings

    def amiws_startup(self, context):
        self.tag = context.settings.tag
        HAPPENED.append(f"{context.name} {self.tag} starts")
        if context.settings.fails:
            raise OSError("port in use")

    def amiws_shutdown(self):
        HAPPENED.append(f"{self.tag} ends")

    def amiws_reload(self):
        HAPPENED.append(f"{self.tag} reloads")

    def amiws_log_message(self, message):
        HAPPENED.append(f"{self.tag} logs {message.name}")
"""


class World:
    """What runs now, and changes of it."""

    def __init__(self, folder: Path, happened: list[str]) -> None:
        self.folder = folder
        self.happened = happened
        self.plugins = Plugins()

    def entry(self, name: str = "a.py", source: str = NOTING, **settings: Any) -> PluginEntry:
        return entry(self.folder, source, name, **settings)

    def change(self, *entries: PluginEntry, queue_limit: int = 1 << 20) -> Change:
        return Change(self.plugins, entries, limiter=LogLimiter(), queue_limit=queue_limit)

    def apply(self, *entries: PluginEntry, queue_limit: int = 1 << 20) -> list[str]:
        """Go over to these; returns what happened."""
        del self.happened[:]
        change = self.change(*entries, queue_limit=queue_limit)
        change.start()
        self.plugins = change.plugins
        change.finish()
        for plugin in self.plugins.running:
            assert plugin.queue.drain(10)
        return list(self.happened)

    def logs(self, name: str) -> list[str]:
        """What happens on a message, sorted, as each plugin logs by itself."""
        del self.happened[:]
        self.plugins.log([(event(name), SERVER, b"{}")])
        for plugin in self.plugins.running:
            plugin.queue.drain(1)
        return sorted(self.happened)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    happened: list[str] = []
    monkeypatch.setattr("builtins.HAPPENED", happened, raising=False)
    made = World(tmp_path, happened)
    yield made
    made.plugins.stop()


def test_new_ones_start_in_their_order(world: World) -> None:
    one, two = world.entry(tag="1"), world.entry("b.py", tag="2")
    assert world.apply(one, two) == ["./a.py 1 starts", "./b.py 2 starts"]
    assert world.logs("A") == ["1 logs A", "2 logs A"]


def test_what_is_as_it_was_goes_on_and_is_told(world: World) -> None:
    world.apply(world.entry(tag="1"))
    before = world.plugins.running
    assert world.apply(world.entry(tag="1")) == ["1 reloads"]
    assert world.plugins.running == before


def test_changed_settings_replace_only_that_one(world: World) -> None:
    other = world.entry("b.py", tag="2")
    world.apply(world.entry(tag="1"), other)
    assert world.apply(world.entry(tag="3"), other) == ["1 ends", "./a.py 3 starts", "2 reloads"]
    assert world.logs("A") == ["2 logs A", "3 logs A"]


def test_a_changed_file_replaces_it(world: World) -> None:
    world.apply(world.entry(tag="1"))
    changed = world.entry(source=NOTING + "# changed\n", tag="1")
    assert world.apply(changed) == ["1 ends", "./a.py 1 starts"]


def test_so_do_required_and_hook_timeout(world: World) -> None:
    world.apply(world.entry(tag="1"))
    assert world.apply(world.entry(tag="1", hook_timeout=1.0)) == ["1 ends", "./a.py 1 starts"]
    changed = world.entry(tag="1", hook_timeout=1.0, required=True)
    assert world.apply(changed) == ["1 ends", "./a.py 1 starts"]
    assert world.plugins.running[0].state.required


def test_what_is_no_longer_listed_ends(world: World) -> None:
    world.apply(world.entry(tag="1"), world.entry("b.py", tag="2"))
    assert world.apply(world.entry("b.py", tag="2")) == ["1 ends", "2 reloads"]
    assert world.apply() == ["2 ends"]
    assert world.logs("A") == []


def test_another_order_is_taken_without_a_restart(world: World) -> None:
    one, two = world.entry(tag="1"), world.entry("b.py", tag="2")
    world.apply(one, two)
    assert sorted(world.apply(two, one)) == ["1 reloads", "2 reloads"]
    assert [plugin.name for plugin in world.plugins.running] == ["./b.py", "./a.py"]


def test_the_old_one_ends_before_the_new_one_starts(world: World) -> None:
    """Also that of another file: both may write the same journal."""
    world.apply(world.entry(tag="1"))
    assert world.apply(world.entry("b.py", tag="2")) == ["1 ends", "./b.py 2 starts"]


class TestTwice:
    def test_each_has_a_name_and_a_state_of_its_own(self, world: World) -> None:
        happened = world.apply(*[world.entry(tag=tag) for tag in "123"])
        assert happened == ["./a.py 1 starts", "./a.py#2 2 starts", "./a.py#3 3 starts"]
        assert len({id(plugin.state) for plugin in world.plugins.running}) == 3

    def test_a_name_that_one_keeps_is_not_given_again(self, world: World) -> None:
        world.apply(*[world.entry(tag=tag) for tag in "123"])
        happened = world.apply(*[world.entry(tag=tag) for tag in "435"])
        assert sorted(happened) == [
            "./a.py 4 starts",
            "./a.py#2 5 starts",
            "1 ends",
            "2 ends",
            "3 reloads",
        ]
        assert [p.name for p in world.plugins.running] == ["./a.py", "./a.py#3", "./a.py#2"]

    def test_with_the_same_settings_each_goes_on(self, world: World) -> None:
        same = world.entry(tag="1")
        world.apply(same, same)
        before = world.plugins.running
        assert world.apply(same, same) == ["1 reloads", "1 reloads"]
        assert world.plugins.running == before
        assert world.apply(same) == ["1 ends", "1 reloads"]


class TestKept:
    def test_suspension_is_lifted(self, world: World) -> None:
        same = world.entry(tag="1")
        world.apply(same)
        world.plugins.running[0].state.stuck("amiws_filter_message")
        world.apply(same)
        assert not world.plugins.running[0].state.suspended

    def test_a_changed_limit_of_the_queue_counts(self, world: World) -> None:
        same = world.entry(tag="1")
        world.apply(same, queue_limit=1000)
        world.apply(same, queue_limit=2000)
        assert world.plugins.running[0].queue.limit == 2000

    @pytest.mark.slow
    def test_being_told_waits_for_nobody(self, world: World) -> None:
        blocked = "import gevent\ndef amiws_reload():\n    gevent.sleep(3600)\n"
        made = world.entry(source=blocked)
        world.plugins = Plugins()
        world.apply(made)
        with gevent.Timeout(WAIT):
            change = world.change(made)
            change.start()
            change.finish()


class TestRefused:
    def refused(self, world: World, *entries: PluginEntry) -> list[str]:
        del world.happened[:]
        change = world.change(*entries)
        with pytest.raises(PluginError, match=r"OSError: port in use"):
            change.start()
        return list(world.happened)

    def test_all_is_as_it_was(self, world: World) -> None:
        world.apply(world.entry(tag="1"), world.entry("b.py", tag="2"))
        before = world.plugins.running
        happened = self.refused(
            world,
            world.entry("c.py", tag="3"),
            world.entry(tag="4", fails=True),
            world.entry("b.py", tag="2"),
            world.entry("d.py", tag="5"),
        )
        assert happened == [
            "1 ends",
            "./c.py 3 starts",
            "./a.py 4 starts",
            "4 ends",
            "3 ends",
            "./a.py 1 starts",
        ]
        assert world.plugins.running == before
        assert world.logs("A") == ["1 logs A", "2 logs A"]

    def test_by_what_comes_after_the_plugins(self, world: World) -> None:
        world.apply(world.entry(tag="1"))
        del world.happened[:]
        change = world.change(world.entry(tag="2"))
        change.start()
        change.undo()
        assert world.happened == ["1 ends", "./a.py 2 starts", "2 ends", "./a.py 1 starts"]
        assert world.logs("A") == ["1 logs A"]

    def test_an_old_one_that_cannot_start_again_is_told_and_the_others_do(
        self, world: World, caplog: pytest.LogCaptureFixture
    ) -> None:
        once = """
            class Plugin:
                started = False
                def amiws_startup(self):
                    if self.started:
                        raise OSError("only once")
                    self.started = True
            """
        world.apply(world.entry("once.py", once), world.entry(tag="1"))
        happened = self.refused(world, world.entry(tag="2", fails=True))
        assert happened == ["1 ends", "./a.py 2 starts", "2 ends", "./a.py 1 starts"]
        assert "plugin ./once.py: amiws_startup: " in caplog.text
        assert "it could not be restarted after the refused reload and stays off" in caplog.text

    def test_at_the_start_nothing_is_left(self, world: World) -> None:
        happened = self.refused(
            world, world.entry(tag="1"), world.entry("b.py", tag="2", fails=True)
        )
        assert happened == ["./a.py 1 starts", "./b.py 2 starts", "2 ends", "1 ends"]
        assert world.plugins.running == ()


COUNTING = """
from amiws_gevent.plugins.api import PluginSettings

class Settings(PluginSettings):
    tag: str = "-"
    fails: bool = False

class Plugin:
    def amiws_settings(self):
        return Settings

    def amiws_startup(self, context):
        context.counter("starts", "How often it was started.").add()
        if context.settings.fails:
            raise OSError("port in use")
"""


class TestCounters:
    def count(self, world: World) -> list[float]:
        counters = [plugin.desk.counters["starts"] for plugin in world.plugins.running]
        return [counter.value for counter in counters]

    def test_a_plugin_that_is_replaced_counts_on(self, world: World) -> None:
        world.apply(world.entry(source=COUNTING, tag="1"))
        world.apply(world.entry(source=COUNTING, tag="2"))
        assert self.count(world) == [2]

    def test_each_of_two_has_its_own(self, world: World) -> None:
        world.apply(*[world.entry(source=COUNTING, tag=tag) for tag in "12"])
        assert self.count(world) == [1, 1]

    def test_a_refused_reload_loses_nothing(self, world: World) -> None:
        world.apply(world.entry(source=COUNTING, tag="1"))
        with pytest.raises(PluginError):
            world.apply(world.entry(source=COUNTING, tag="2", fails=True))
        assert self.count(world) == [3]  # those that were begun, and the old one again
