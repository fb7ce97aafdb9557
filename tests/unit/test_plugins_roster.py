"""Which plugins run, over changes that go well, badly, or not to their end."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gevent
import pytest

from amiws_gevent.plugins.entry import PluginEntry
from amiws_gevent.plugins.loading import PluginError
from amiws_gevent.plugins.roster import Roster
from amiws_gevent.runtime.watchdog import Place
from tests.support.greenlets import until
from tests.support.plugins import entry

NOTING = """
from amiws_gevent.plugins.api import PluginSettings
import gevent

class Settings(PluginSettings):
    tag: str = "-"
    fails: bool = False
    hangs: bool = False

class Plugin:
    def amiws_settings(self):
        return Settings

    def amiws_startup(self, context):
        self.tag = context.settings.tag
        HAPPENED.append(f"{self.tag} starts")
        if context.settings.fails:
            raise OSError("no")
        if context.settings.hangs:
            gevent.sleep(3600)

    def amiws_shutdown(self):
        HAPPENED.append(f"{self.tag} ends")
"""


class World:
    def __init__(self, folder: Path, happened: list[str]) -> None:
        self.folder = folder
        self.happened = happened
        self.roster = Roster()

    def prepare(self, *entries: PluginEntry) -> list[str]:
        del self.happened[:]
        self.roster.prepare(entries, queue_limit=1000)
        return list(self.happened)

    def entry(self, name: str = "a.py", **settings: Any) -> PluginEntry:
        return entry(self.folder, NOTING, name, **settings)

    def tags(self) -> list[str]:
        return [plugin.settings.tag for plugin in self.roster.plugins.running]


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    happened: list[str] = []
    monkeypatch.setattr("builtins.HAPPENED", happened, raising=False)
    made = World(tmp_path, happened)
    yield made
    made.roster.stop(5)


def test_new_ones_are_in_use_once_the_change_is_finished(world: World) -> None:
    assert world.prepare(world.entry(tag="1")) == ["1 starts"]
    assert world.tags() == []
    assert world.roster.finish() is world.roster.plugins
    assert world.tags() == ["1"]


def test_undone_those_before_run_again(world: World) -> None:
    world.prepare(world.entry(tag="1"))
    world.roster.finish()
    assert world.prepare(world.entry(tag="2")) == ["1 ends", "2 starts"]
    world.roster.undo()
    assert world.happened == ["1 ends", "2 starts", "2 ends", "1 starts"]
    assert world.tags() == ["1"]
    del world.happened[:]
    world.roster.stop(5)
    assert world.happened == ["1 ends"]


def test_a_change_that_cannot_be_prepared_is_none(world: World) -> None:
    world.prepare(world.entry(tag="1"))
    world.roster.finish()
    with pytest.raises(PluginError, match="OSError: no"):
        world.prepare(world.entry(tag="2", fails=True))
    assert world.happened[-1] == "1 starts"
    assert world.tags() == ["1"]


def test_the_end_stops_what_an_interrupted_change_has_begun(world: World) -> None:
    world.prepare(world.entry("old.py", tag="old"))
    world.roster.finish()
    kept = world.entry("old.py", tag="old")
    changing = gevent.spawn(world.prepare, kept, world.entry(tag="new", hangs=True))
    until(lambda: world.happened == ["new starts"])
    changing.kill()
    world.roster.stop(5)
    assert sorted(world.happened) == ["new ends", "new starts", "old ends"]


class TestBlame:
    @pytest.mark.parametrize("finished", [True, False])
    def test_it_is_the_plugins_whose_file_comes_first(self, world: World, finished: bool) -> None:
        entries = world.entry("a.py"), world.entry("b.py")
        running = world.roster.prepare(entries, queue_limit=1000).running
        if finished:
            world.roster.finish()
        files = ["/elsewhere.py", str(world.folder / "b.py"), str(world.folder / "a.py")]
        assert world.roster.blame(files, "a greenlet", OSError("x"))
        assert [sum(plugin.state.faults.values()) for plugin in running] == [0, 1]

    def test_it_is_nobodys(self, world: World) -> None:
        world.prepare(world.entry())
        assert not world.roster.blame(["/elsewhere.py"], "a greenlet", OSError("x"))


class TestWhereabouts:
    def test_in_a_plugin_it_is_its_innermost_line_and_its_outermost_function(
        self, world: World
    ) -> None:
        world.prepare(world.entry("a.py"))
        own = str(world.folder / "a.py")
        places = [
            Place("/usr/lib/re.py", 1, "match"),
            Place(own, 7, "helper"),
            Place(own, 3, "amiws_log_message"),
            Place("/amiws_gevent/chain.py", 9, "run"),
        ]
        assert world.roster.whereabouts(places) == f"plugin ./a.py: amiws_log_message: {own}:7"

    def test_elsewhere_it_is_the_innermost_line(self, world: World) -> None:
        places = [Place("/one.py", 1, "f"), Place("/two.py", 2, "g")]
        assert world.roster.whereabouts(places) == "/one.py:1"

    def test_it_may_not_be_known(self, world: World) -> None:
        assert world.roster.whereabouts([]) == "unknown code"
