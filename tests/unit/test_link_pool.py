"""The links of the program: what plugins are told of them, and what a reload does to them."""

from __future__ import annotations

import gevent
import pytest

from amiws_gevent.link import LinkState
from tests.support.ami_server import AmiServer, Connection, Packet
from tests.support.greenlets import until
from tests.support.house import House, host


def states(house: House) -> list[str]:
    return [what[1] for what in house.happened if isinstance(what, tuple)]


def test_each_change_once_and_in_order(house: House, ami: AmiServer) -> None:
    house.plugin()
    house.configure("- ./mine.py\n", host(ami.port))
    house.start()
    until(lambda: states(house) == ["connected"])
    ami.kill()
    until(lambda: states(house) == ["connected", "disconnected"])
    gevent.sleep(1.5)  # attempts that fail
    assert states(house) == ["connected", "disconnected"]
    ami.restart()
    until(lambda: states(house) == ["connected", "disconnected", "connected"])


def test_a_refused_login(house: House, ami: AmiServer) -> None:
    ami.login = "refuse"
    house.plugin()
    house.configure("- ./mine.py\n", host(ami.port))
    house.start()
    until(lambda: states(house) == ["refused"])


def test_a_server_that_was_never_there(house: House) -> None:
    house.plugin()
    house.configure("- ./mine.py\n")
    house.start()
    until(lambda: states(house) == ["disconnected"])


def test_one_that_is_taken_out_of_the_configuration(house: House, ami: AmiServer) -> None:
    house.plugin()
    other = host(1, "absent", ", id: 9")
    house.configure("- ./mine.py\n", host(ami.port, "pbx", ", id: 1") + other)
    house.start()
    until(lambda: ("pbx", "connected") in house.happened)
    house.configure("- ./mine.py\n", other)
    house.reload()
    until(lambda: ("pbx", "disconnected") in house.happened)


def test_one_whose_configuration_changes(house: House, ami: AmiServer) -> None:
    house.plugin()
    house.configure("- ./mine.py\n", host(ami.port))
    house.start()
    until(lambda: states(house) == ["connected"])
    house.configure("- ./mine.py\n", host(ami.port, more=", keepalive: 99"))
    house.reload()
    until(lambda: states(house) == ["connected", "disconnected", "connected"])
    assert len(ami.connections) == 2


@pytest.mark.parametrize("stays", [True, False], ids=["renamed", "taken out"])
def test_one_that_was_replaced_says_nothing_any_more(
    house: House, ami: AmiServer, monkeypatch: pytest.MonkeyPatch, stays: bool
) -> None:
    """Not even what it hears while it logs off; its successor hears the same."""

    def last_words(connection: Connection, packet: Packet) -> None:
        connection.send(b"Event: Late\r\n\r\n")
        Connection._logoff(connection, packet)

    monkeypatch.setitem(Connection._HANDLERS, "logoff", last_words)
    house.plugin()
    other = host(1, "absent", ", id: 9")
    house.configure("- ./mine.py\n", host(ami.port, "old", ", id: 1") + other)
    server = house.start()
    until(lambda: ("old", "connected") in house.happened)
    replaced = server._pool.links[1]
    successor = host(ami.port, "new", ", id: 1") if stays else ""
    house.configure("- ./mine.py\n", successor + other)
    house.reload()
    until(lambda: replaced.state is LinkState.STOPPED)
    assert ami.connections[0].packets[-1].action == "Logoff"
    assert "Late" not in house.happened
    assert server._pool.sources.keys() == server._pool.links.keys()
    if stays:
        until(lambda: ("new", "connected") in house.happened)
        ami.send(b"Event: News\r\n\r\n")
        until(lambda: "News" in house.happened)
