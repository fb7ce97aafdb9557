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


class House:
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
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    happened: list[str] = []
    monkeypatch.setattr("builtins.HAPPENED", happened, raising=False)
    made = House(tmp_path, happened)
    yield made
    made.plugins.stop()


def test_new_ones_start_in_their_order(house: House) -> None:
    one, two = house.entry(tag="1"), house.entry("b.py", tag="2")
    assert house.apply(one, two) == ["./a.py 1 starts", "./b.py 2 starts"]
    assert house.logs("A") == ["1 logs A", "2 logs A"]


def test_what_is_as_it_was_goes_on_and_is_told(house: House) -> None:
    house.apply(house.entry(tag="1"))
    before = house.plugins.running
    assert house.apply(house.entry(tag="1")) == ["1 reloads"]
    assert house.plugins.running == before


def test_changed_settings_replace_only_that_one(house: House) -> None:
    other = house.entry("b.py", tag="2")
    house.apply(house.entry(tag="1"), other)
    assert house.apply(house.entry(tag="3"), other) == ["1 ends", "./a.py 3 starts", "2 reloads"]
    assert house.logs("A") == ["2 logs A", "3 logs A"]


def test_a_changed_file_replaces_it(house: House) -> None:
    house.apply(house.entry(tag="1"))
    changed = house.entry(source=NOTING + "# changed\n", tag="1")
    assert house.apply(changed) == ["1 ends", "./a.py 1 starts"]


def test_so_do_required_and_hook_timeout(house: House) -> None:
    house.apply(house.entry(tag="1"))
    assert house.apply(house.entry(tag="1", hook_timeout=1.0)) == ["1 ends", "./a.py 1 starts"]
    changed = house.entry(tag="1", hook_timeout=1.0, required=True)
    assert house.apply(changed) == ["1 ends", "./a.py 1 starts"]
    assert house.plugins.running[0].state.required


def test_what_is_no_longer_listed_ends(house: House) -> None:
    house.apply(house.entry(tag="1"), house.entry("b.py", tag="2"))
    assert house.apply(house.entry("b.py", tag="2")) == ["1 ends", "2 reloads"]
    assert house.apply() == ["2 ends"]
    assert house.logs("A") == []


def test_another_order_is_taken_without_a_restart(house: House) -> None:
    one, two = house.entry(tag="1"), house.entry("b.py", tag="2")
    house.apply(one, two)
    assert sorted(house.apply(two, one)) == ["1 reloads", "2 reloads"]
    assert [plugin.name for plugin in house.plugins.running] == ["./b.py", "./a.py"]


def test_the_old_one_ends_before_the_new_one_starts(house: House) -> None:
    """Also that of another file: both may write the same journal."""
    house.apply(house.entry(tag="1"))
    assert house.apply(house.entry("b.py", tag="2")) == ["1 ends", "./b.py 2 starts"]


class TestTwice:
    def test_each_has_a_name_and_a_state_of_its_own(self, house: House) -> None:
        happened = house.apply(*[house.entry(tag=tag) for tag in "123"])
        assert happened == ["./a.py 1 starts", "./a.py#2 2 starts", "./a.py#3 3 starts"]
        assert len({id(plugin.state) for plugin in house.plugins.running}) == 3

    def test_a_name_that_one_keeps_is_not_given_again(self, house: House) -> None:
        house.apply(*[house.entry(tag=tag) for tag in "123"])
        happened = house.apply(*[house.entry(tag=tag) for tag in "435"])
        assert sorted(happened) == [
            "./a.py 4 starts",
            "./a.py#2 5 starts",
            "1 ends",
            "2 ends",
            "3 reloads",
        ]
        assert [p.name for p in house.plugins.running] == ["./a.py", "./a.py#3", "./a.py#2"]

    def test_with_the_same_settings_each_goes_on(self, house: House) -> None:
        same = house.entry(tag="1")
        house.apply(same, same)
        before = house.plugins.running
        assert house.apply(same, same) == ["1 reloads", "1 reloads"]
        assert house.plugins.running == before
        assert house.apply(same) == ["1 ends", "1 reloads"]


class TestKept:
    def test_suspension_is_lifted(self, house: House) -> None:
        same = house.entry(tag="1")
        house.apply(same)
        house.plugins.running[0].state.stuck("amiws_filter_message")
        house.apply(same)
        assert not house.plugins.running[0].state.suspended

    def test_a_changed_limit_of_the_queue_counts(self, house: House) -> None:
        same = house.entry(tag="1")
        house.apply(same, queue_limit=1000)
        house.apply(same, queue_limit=2000)
        assert house.plugins.running[0].queue.limit == 2000

    @pytest.mark.slow
    def test_being_told_waits_for_nobody(self, house: House) -> None:
        blocked = "import gevent\ndef amiws_reload():\n    gevent.sleep(3600)\n"
        made = house.entry(source=blocked)
        house.plugins = Plugins()
        house.apply(made)
        with gevent.Timeout(60):
            change = house.change(made)
            change.start()
            change.finish()


class TestRefused:
    def refused(self, house: House, *entries: PluginEntry) -> list[str]:
        del house.happened[:]
        change = house.change(*entries)
        with pytest.raises(PluginError, match=r"OSError: port in use"):
            change.start()
        return list(house.happened)

    def test_all_is_as_it_was(self, house: House) -> None:
        house.apply(house.entry(tag="1"), house.entry("b.py", tag="2"))
        before = house.plugins.running
        happened = self.refused(
            house,
            house.entry("c.py", tag="3"),
            house.entry(tag="4", fails=True),
            house.entry("b.py", tag="2"),
            house.entry("d.py", tag="5"),
        )
        assert happened == [
            "1 ends",
            "./c.py 3 starts",
            "./a.py 4 starts",
            "4 ends",
            "3 ends",
            "./a.py 1 starts",
        ]
        assert house.plugins.running == before
        assert house.logs("A") == ["1 logs A", "2 logs A"]

    def test_by_what_comes_after_the_plugins(self, house: House) -> None:
        house.apply(house.entry(tag="1"))
        del house.happened[:]
        change = house.change(house.entry(tag="2"))
        change.start()
        change.undo()
        assert house.happened == ["1 ends", "./a.py 2 starts", "2 ends", "./a.py 1 starts"]
        assert house.logs("A") == ["1 logs A"]

    def test_an_old_one_that_cannot_start_again_is_told_and_the_others_do(
        self, house: House, caplog: pytest.LogCaptureFixture
    ) -> None:
        once = """
            class Plugin:
                started = False
                def amiws_startup(self):
                    if self.started:
                        raise OSError("only once")
                    self.started = True
            """
        house.apply(house.entry("once.py", once), house.entry(tag="1"))
        happened = self.refused(house, house.entry(tag="2", fails=True))
        assert happened == ["1 ends", "./a.py 2 starts", "2 ends", "./a.py 1 starts"]
        assert "plugin ./once.py: amiws_startup: " in caplog.text
        assert "OSError: only once; it stays off" in caplog.text

    def test_at_the_start_nothing_is_left(self, house: House) -> None:
        happened = self.refused(
            house, house.entry(tag="1"), house.entry("b.py", tag="2", fails=True)
        )
        assert happened == ["./a.py 1 starts", "./b.py 2 starts", "2 ends", "1 ends"]
        assert house.plugins.running == ()
