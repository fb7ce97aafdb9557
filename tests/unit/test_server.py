"""The composition root in the test's own process: start, stop, and what plugins see."""

from __future__ import annotations

import socket

import gevent
import pytest

from amiws_gevent.errors import ListenError
from amiws_gevent.plugins import manager
from amiws_gevent.plugins.loading import PluginError
from amiws_gevent.server import STOP_ALL_TIME
from tests.support.ami_server import AmiServer
from tests.support.greenlets import WAIT, until
from tests.support.house import House, host


class TestLife:
    def test_messages_go_through_plugins_in_order(self, house: House, ami: AmiServer) -> None:
        house.plugin()
        house.configure("- ./mine.py: {tag: a}\n", host(ami.port))
        house.start()
        ami.wait_login()
        until(lambda: ("pbx", "connected") in house.happened)
        ami.send(b"Event: A\r\n\r\nEvent: Drop\r\n\r\nEvent: B\r\n\r\n")
        until(lambda: "B" in house.happened)
        assert house.stop() == 0
        assert house.happened == ["a starts", ("pbx", "connected"), "A", "B", "a ends"]

    def test_what_came_before_the_end_is_logged(self, house: House, ami: AmiServer) -> None:
        house.plugin()
        house.configure("- ./mine.py\n", host(ami.port))
        house.start()
        connection = ami.wait_login()
        until(lambda: ("pbx", "connected") in house.happened)
        for number in range(500):
            connection.send(b"Event: E%d\r\n\r\n" % number)
        until(lambda: "E0" in house.happened)
        house.stop()
        events = [name for name in house.happened if isinstance(name, str) and name[0] == "E"]
        assert events == [f"E{number}" for number in range(len(events))]
        assert house.happened[-1] == "- ends"

    def test_a_plugin_that_cannot_start_refuses_it_all(self, house: House) -> None:
        house.plugin()
        house.configure("- ./mine.py: {tag: a}\n- ./mine.py: {tag: b, fails: yes}\n")
        with pytest.raises(
            PluginError, match=r"plugin \./mine\.py#2: amiws_startup: .*OSError: no"
        ):
            house.start()
        assert house.happened == ["a starts", "b starts", "b ends", "a ends"]

    def test_a_port_in_use_ends_the_plugins_too(self, house: House) -> None:
        house.plugin()
        with socket.create_server(("127.0.0.1", 0)) as taken:
            house.configure("- ./mine.py\n")
            port = taken.getsockname()[1]
            house.file.write_text(house.file.read_text().replace("ws_port: 0", f"ws_port: {port}"))
            with pytest.raises(ListenError):
                house.start()
        assert house.happened == ["- starts", "- ends"]

    def test_blueprints_that_clash_refuse_the_start(self, house: House) -> None:
        house.plugin()
        house.plugin(
            "from flask import Blueprint\ndef amiws_blueprints():\n"
            "    made = Blueprint('mine', __name__)\n"
            "    made.add_url_rule('/', 'index', lambda: 'mine')\n    return [made]\n",
            "web.py",
        )
        house.configure("- ./mine.py\n- ./web.py\n")
        with pytest.raises(PluginError, match=r"plugin \./web\.py: blueprint mine: the route / is"):
            house.start()
        assert house.happened == ["- starts", "- ends"]

    def test_the_end_is_promised_within_five_seconds(self) -> None:
        assert STOP_ALL_TIME < 5

    def test_the_end_takes_no_longer_than_promised(
        self, house: House, ami: AmiServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """With plugins that hang wherever they can."""
        monkeypatch.setattr(manager, "SHUTDOWN_TIME", 600.0)
        house.plugin(
            """
            import gevent
            def forever():
                while True:
                    try:
                        gevent.sleep(0.05)
                    except BaseException:
                        pass
            def amiws_startup(context):
                context.spawn(forever)
            def amiws_log_message(message):
                forever()
            def amiws_filter_message(message):
                forever()
            def amiws_shutdown():
                forever()
            """
        )
        house.configure("- ./mine.py\n- ./mine.py\n- ./mine.py\n", host(ami.port))
        house.start()
        ami.wait_login()
        ami.send(b"Event: A\r\n\r\n")
        with gevent.Timeout(STOP_ALL_TIME + WAIT):
            assert house.stop() == 0


def test_a_part_that_dies_ends_the_program_with_70(house: House) -> None:
    house.configure()
    server = house.start()
    assert house._running is not None
    dead = gevent.spawn(lambda: None)
    server._died(dead)
    assert house._running.get(timeout=20) == 70
    house._running = None
