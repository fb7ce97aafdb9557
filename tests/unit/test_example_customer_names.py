"""The example that looks names up in SQLite: the program goes on while the database is locked."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import gevent
import pytest

from amiws_gevent.testing import PluginError, PluginHarness, event
from tests.support.greenlets import until
from tests.support.patience import WAIT

EXAMPLE = Path(__file__).parent.parent.parent / "examples" / "customer_names.py"

ANNA = event("Newchannel", CallerIDNum="0301234567")


class Database:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.connection = sqlite3.connect(path, isolation_level=None)
        self.connection.execute("CREATE TABLE customers (number TEXT, name TEXT)")
        self.add("0301234567", "Anna")

    def add(self, number: str, name: str) -> None:
        self.connection.execute("INSERT INTO customers VALUES (?, ?)", (number, name))


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = Database(tmp_path / "customers.db")
    yield made
    made.connection.close()


def test_events_and_calls_get_the_name(database: Database) -> None:
    with PluginHarness(EXAMPLE, {"database": database.path}) as plugin:
        (known,) = plugin.feed(ANNA)
        assert known.get("Customer") == "Anna"
        (other,) = plugin.feed(event("Newchannel", CallerIDNum="201"))
        assert not other.has("Customer")
        call = plugin.transform_entity("call", "1.1", caller={"number": "0301234567"})
        assert call == {"caller": {"number": "0301234567"}, "customer": "Anna"}
        assert plugin.transform_entity("call", "1.1", caller=None) == {"caller": None}
        assert plugin.transform_entity("queue", "a", waiting=1) == {"waiting": 1}
        assert plugin.counters == {"names_found": 1}


def test_a_reload_and_time_bring_new_names(database: Database) -> None:
    with PluginHarness(EXAMPLE, {"database": database.path}) as plugin:
        database.add("201", "Ben")
        plugin.reload()
        assert plugin.feed(event("Newchannel", CallerIDNum="201"))[0].get("Customer") == "Ben"
    with PluginHarness(EXAMPLE, {"database": database.path, "every": "10 ms"}) as plugin:
        database.add("202", "Clara")
        until(lambda: "202" in plugin.plugin.names)


def test_while_the_database_is_locked_messages_pass(database: Database) -> None:
    with PluginHarness(EXAMPLE, {"database": database.path}) as plugin:
        database.connection.execute("BEGIN EXCLUSIVE")
        waiting = gevent.spawn(plugin.plugin.amiws_reload)
        gevent.sleep(0.05)
        (known,) = plugin.feed(ANNA)
        assert known.get("Customer") == "Anna"
        assert not waiting.ready(), "the database was locked all the time"
        database.connection.execute("INSERT INTO customers VALUES ('201', 'Ben')")
        database.connection.execute("COMMIT")
        waiting.join(WAIT)
        assert plugin.plugin.names["201"] == "Ben"


def test_a_database_that_is_lost_leaves_the_names(database: Database) -> None:
    with PluginHarness(EXAMPLE, {"database": database.path}) as plugin:
        database.path.unlink()
        plugin.reload()
        assert "the names read before stay" in plugin.log[-1]
        assert plugin.feed(ANNA)[0].get("Customer") == "Anna"


def test_a_wrong_path_refuses_the_start(tmp_path: Path) -> None:
    with (
        pytest.raises(PluginError, match="unable to open"),
        PluginHarness(EXAMPLE, {"database": tmp_path / "nowhere.db"}),
    ):
        pass
