"""The composition root in the test's own process: start, stop, and what plugins see."""

from __future__ import annotations

import socket
from types import SimpleNamespace

import gevent
import pytest

from amiws_gevent.audit.trail import Trail
from amiws_gevent.errors import ListenError
from amiws_gevent.plugins import manager
from amiws_gevent.plugins.loading import PluginError
from amiws_gevent.server import LAST_TIME, STOP_ALL_TIME
from tests.support.ami_server import AmiServer
from tests.support.assembled import Whole, host
from tests.support.greenlets import until
from tests.support.patience import WAIT


class TestLife:
    def test_messages_go_through_plugins_in_order(self, program: Whole, ami: AmiServer) -> None:
        program.plugin()
        program.configure("- ./mine.py: {tag: a}\n", host(ami.port))
        program.start()
        ami.wait_login()
        until(lambda: ("pbx", "connected") in program.happened)
        ami.send(b"Event: A\r\n\r\nEvent: Drop\r\n\r\nEvent: B\r\n\r\n")
        until(lambda: "B" in program.happened)
        assert program.stop() == 0
        assert program.happened == ["a starts", ("pbx", "connected"), "A", "B", "a ends"]

    def test_what_came_before_the_end_is_logged(self, program: Whole, ami: AmiServer) -> None:
        program.plugin()
        program.configure("- ./mine.py\n", host(ami.port))
        program.start()
        connection = ami.wait_login()
        until(lambda: ("pbx", "connected") in program.happened)
        for number in range(500):
            connection.send(b"Event: E%d\r\n\r\n" % number)
        until(lambda: "E0" in program.happened)
        program.stop()
        events = [name for name in program.happened if isinstance(name, str) and name[0] == "E"]
        assert events == [f"E{number}" for number in range(len(events))]
        assert program.happened[-1] == "- ends"

    def test_a_plugin_that_cannot_start_refuses_it_all(self, program: Whole) -> None:
        program.plugin()
        program.configure("- ./mine.py: {tag: a}\n- ./mine.py: {tag: b, fails: yes}\n")
        with pytest.raises(
            PluginError, match=r"plugin \./mine\.py#2: amiws_startup: .*OSError: no"
        ):
            program.start()
        assert program.happened == ["a starts", "b starts", "b ends", "a ends"]

    def test_a_port_in_use_ends_the_plugins_too(self, program: Whole) -> None:
        program.plugin()
        with socket.create_server(("127.0.0.1", 0)) as taken:
            program.configure("- ./mine.py\n")
            port = taken.getsockname()[1]
            program.file.write_text(
                program.file.read_text().replace("ws_port: 0", f"ws_port: {port}")
            )
            with pytest.raises(ListenError):
                program.start()
        assert program.happened == ["- starts", "- ends"]

    def test_blueprints_that_clash_refuse_the_start(self, program: Whole) -> None:
        program.plugin()
        program.plugin(
            "from flask import Blueprint\ndef amiws_blueprints():\n"
            "    made = Blueprint('mine', __name__)\n"
            "    made.add_url_rule('/', 'index', lambda: 'mine')\n    return [made]\n",
            "web.py",
        )
        program.configure("- ./mine.py\n- ./web.py\n")
        with pytest.raises(
            PluginError, match=r"plugin \./web\.py: blueprint mine: the route / already"
        ):
            program.start()
        assert program.happened == ["- starts", "- ends"]

    def test_the_end_is_promised_within_five_seconds(self) -> None:
        assert STOP_ALL_TIME < 5

    def test_the_end_takes_no_longer_than_promised(
        self, program: Whole, ami: AmiServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """With plugins that hang wherever they can."""
        monkeypatch.setattr(manager, "SHUTDOWN_TIME", 600.0)
        program.plugin(
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
        program.configure("- ./mine.py\n- ./mine.py\n- ./mine.py\n", host(ami.port))
        program.start()
        ami.wait_login()
        ami.send(b"Event: A\r\n\r\n")
        with gevent.Timeout(STOP_ALL_TIME + WAIT):
            assert program.stop() == 0


def test_the_audit_has_the_time_that_others_leave_at_the_end(
    program: Whole, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk may take seconds to keep the last records."""
    given: list[float] = []
    program.configure()
    program.start()
    monkeypatch.setattr("amiws_gevent.server.time", SimpleNamespace(monotonic=lambda: 7.0))
    monkeypatch.setattr(Trail, "stop", lambda _, timeout: given.append(timeout))
    assert program.stop() == 0
    assert given == [pytest.approx(STOP_ALL_TIME - LAST_TIME)]


def test_a_part_that_dies_ends_the_program_with_70(program: Whole) -> None:
    program.configure()
    server = program.start()
    assert program._running is not None
    dead = gevent.spawn(lambda: None)
    server._died(dead)
    assert program._running.get(timeout=WAIT) == 70
    program._running = None
