"""The composition root in the test's own process: start, reload, stop, and what plugins see."""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gevent
import pytest

from amiws_gevent.config import ConfigError, LoadResult, load_settings
from amiws_gevent.errors import ListenError, SendBufferFull
from amiws_gevent.link import LinkState
from amiws_gevent.plugins import manager
from amiws_gevent.plugins.loading import PluginError
from amiws_gevent.server import STOP_ALL_TIME, Server
from tests.support import plugins as plugin_files
from tests.support.ami_server import AmiServer, Connection, Packet
from tests.support.greenlets import WAIT, until

# Writes down what happens, in a list that the test has put into builtins.
NOTING = """
from amiws_gevent.plugins.api import PluginSettings

class Settings(PluginSettings):
    tag: str = "-"
    fails: bool = False

class Plugin:
    ended = False

    def amiws_settings(self):
        return Settings

    def amiws_startup(self, context):
        self.tag = context.settings.tag
        HAPPENED.append(f"{self.tag} starts")
        if context.settings.fails:
            raise OSError("no")

    def amiws_shutdown(self):
        self.ended = True
        HAPPENED.append(f"{self.tag} ends")

    def amiws_filter_message(self, message):
        if self.ended:
            HAPPENED.append("asked after its end")
        return False if message.name == "Drop" else None

    def amiws_log_message(self, message):
        if message.name:
            HAPPENED.append(message.name)

    def amiws_server_changed(self, server, state, reason):
        HAPPENED.append((server.name, state))
"""


class House:
    """A server in this process, its files, and what its plugins have noted."""

    def __init__(self, folder: Path, happened: list[Any]) -> None:
        self.folder = folder
        self.happened = happened
        self.file = folder / "amiws.yaml"
        self.server: Server | None = None
        self._running: gevent.Greenlet[..., int] | None = None

    def plugin(self, source: str = NOTING, name: str = "mine.py") -> None:
        plugin_files.write(self.folder, source, name)

    def configure(self, plugins: str = "", hosts: str = "", more: str = "") -> None:
        hosts = hosts or host(1, "absent")
        listed = f"plugins:\n{plugins}" if plugins else ""
        self.file.write_text(
            f"ws_host: 127.0.0.1\nws_port: 0\n{more}\n{listed}\namihosts:\n{hosts}"
        )
        self.file.chmod(0o600)

    def load(self) -> LoadResult:
        return load_settings(self.file, base=self.folder)

    def start(self) -> Server:
        self.server = Server(self.load().settings, load=self.load)
        self.server.start()
        self._running = gevent.spawn(self.server.run)
        gevent.sleep(0)
        return self.server

    def reload(self) -> None:
        """SIGHUP, and wait until it is done."""
        server = self.server
        assert server is not None
        before = server._reloading
        server.request_reload()
        until(lambda: server._reloading is not before)
        assert server._reloading is not None
        server._reloading.join(20)

    def stop(self) -> int | None:
        """SIGTERM; the exit status."""
        if self.server is None or self._running is None:
            return None
        self.server.request_stop()
        running, self._running = self._running, None
        return running.get(timeout=20)


def host(port: int, name: str = "pbx", more: str = "") -> str:
    account = "username: amiws, secret: s3cret"
    return f"- {{name: {name}, host: 127.0.0.1, port: {port}, {account}{more}}}\n"


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    happened: list[Any] = []
    monkeypatch.setattr("builtins.HAPPENED", happened, raising=False)
    made = House(tmp_path, happened)
    yield made
    made.stop()


@pytest.fixture
def ami() -> Iterator[AmiServer]:
    with AmiServer(sleep=gevent.sleep) as server:
        yield server


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

    @pytest.mark.slow
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


class TestServers:
    def states(self, house: House) -> list[str]:
        return [what[1] for what in house.happened if isinstance(what, tuple)]

    @pytest.mark.slow
    def test_each_change_once_and_in_order(self, house: House, ami: AmiServer) -> None:
        house.plugin()
        house.configure("- ./mine.py\n", host(ami.port))
        house.start()
        until(lambda: self.states(house) == ["connected"])
        ami.kill()
        until(lambda: self.states(house) == ["connected", "disconnected"])
        gevent.sleep(1.5)  # attempts that fail
        assert self.states(house) == ["connected", "disconnected"]
        ami.restart()
        until(lambda: self.states(house) == ["connected", "disconnected", "connected"])

    def test_a_refused_login(self, house: House, ami: AmiServer) -> None:
        ami.login = "refuse"
        house.plugin()
        house.configure("- ./mine.py\n", host(ami.port))
        house.start()
        until(lambda: self.states(house) == ["refused"])

    def test_a_server_that_was_never_there(self, house: House) -> None:
        house.plugin()
        house.configure("- ./mine.py\n")
        house.start()
        until(lambda: self.states(house) == ["disconnected"])

    def test_one_that_is_taken_out_of_the_configuration(self, house: House, ami: AmiServer) -> None:
        house.plugin()
        other = host(1, "absent", ", id: 9")
        house.configure("- ./mine.py\n", host(ami.port, "pbx", ", id: 1") + other)
        house.start()
        until(lambda: ("pbx", "connected") in house.happened)
        house.configure("- ./mine.py\n", other)
        house.reload()
        until(lambda: ("pbx", "disconnected") in house.happened)

    def test_one_whose_configuration_changes(self, house: House, ami: AmiServer) -> None:
        house.plugin()
        house.configure("- ./mine.py\n", host(ami.port))
        house.start()
        until(lambda: self.states(house) == ["connected"])
        house.configure("- ./mine.py\n", host(ami.port, more=", keepalive: 99"))
        house.reload()
        until(lambda: self.states(house) == ["connected", "disconnected", "connected"])
        assert len(ami.connections) == 2

    @pytest.mark.parametrize("stays", [True, False], ids=["renamed", "taken out"])
    def test_one_that_was_replaced_says_nothing_any_more(
        self, house: House, ami: AmiServer, monkeypatch: pytest.MonkeyPatch, stays: bool
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
        replaced = server._links[1]
        successor = host(ami.port, "new", ", id: 1") if stays else ""
        house.configure("- ./mine.py\n", successor + other)
        house.reload()
        until(lambda: replaced.state is LinkState.STOPPED)
        assert ami.connections[0].packets[-1].action == "Logoff"
        assert "Late" not in house.happened
        assert server._sources.keys() == server._links.keys()
        if stays:
            until(lambda: ("new", "connected") in house.happened)
            ami.send(b"Event: News\r\n\r\n")
            until(lambda: "News" in house.happened)


class TestReload:
    def test_a_plugin_comes_changes_and_goes(self, house: House) -> None:
        house.plugin()
        house.configure()
        server = house.start()
        for lines, expected in (
            ("- ./mine.py: {tag: a}\n", ["a starts"]),
            ("- ./mine.py: {tag: b}\n", ["a ends", "b starts"]),
            ("- ./mine.py: {tag: b}\n", []),
            ("", ["b ends"]),
        ):
            del house.happened[:]
            house.configure(lines)
            house.reload()
            assert [what for what in house.happened if isinstance(what, str)] == expected
        assert server._pipeline.plugins is server._clients.plugins

    @pytest.mark.parametrize(
        ("lines", "told"),
        [
            ("- ./mine.py: {tag: b, fails: yes}\n", "OSError: no"),
            ("- ./mine.py: {tga: b}\n", "tga: is no setting"),
            ("- ./none.py\n", "no such file"),
            ("- ./mine.py: {tag: b}\n- ./clash.py\n", "the route / is taken"),
        ],
    )
    def test_a_refused_one_changes_nothing(
        self, house: House, lines: str, told: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        house.plugin()
        house.plugin(
            "from flask import Blueprint\ndef amiws_blueprints():\n"
            "    made = Blueprint('mine', __name__)\n"
            "    made.add_url_rule('/', 'index', lambda: 'mine')\n    return [made]\n",
            "clash.py",
        )
        house.configure("- ./mine.py: {tag: a}\n")
        server = house.start()
        before = server._pipeline.plugins, server.settings
        house.configure(lines, more="log_level: debug")
        house.reload()
        assert (server._pipeline.plugins, server.settings) == before
        assert told in caplog.text
        assert "the one before stays in force" in caplog.text
        assert house.stop() == 0
        notes = [what for what in house.happened if isinstance(what, str)]
        assert (notes[0], notes[-1]) == ("a starts", "a ends")

    def test_no_hook_is_called_between_end_and_beginning(
        self, house: House, ami: AmiServer
    ) -> None:
        """Messages wait, and none is lost or passes unfiltered."""
        slow = NOTING.replace(
            "        self.tag =", "        gevent.sleep(0.05)\n        self.tag ="
        )
        house.plugin("import gevent\n" + slow)
        house.configure("- ./mine.py: {tag: a}\n", host(ami.port))
        house.start()
        connection = ami.wait_login()
        until(lambda: ("pbx", "connected") in house.happened)

        def send() -> None:
            for number in range(200):
                connection.send(b"Event: Drop\r\n\r\nEvent: E%d\r\n\r\n" % number)
                gevent.sleep(0.001)

        sending = gevent.spawn(send)
        for tag in "bcd":
            house.configure(f"- ./mine.py: {{tag: {tag}}}\n", host(ami.port))
            house.reload()
        sending.get(timeout=20)
        until(lambda: "E199" in house.happened)
        events = [name for name in house.happened if isinstance(name, str) and name[0] == "E"]
        assert events == [f"E{number}" for number in range(200)]
        assert "asked after its end" not in house.happened
        assert "Drop" not in house.happened

    def test_one_that_comes_during_another_follows_it(self, house: House) -> None:
        house.plugin(
            "import gevent\n"
            + NOTING.replace("self.tag =", "HAPPENED.append(0); gevent.sleep(0.1); self.tag =")
        )
        house.configure()
        server = house.start()
        house.configure("- ./mine.py: {tag: a}\n")
        server.request_reload()
        until(lambda: house.happened == [0])  # it has read the file, and is at work
        house.configure("- ./mine.py: {tag: b}\n")
        server.request_reload()
        until(lambda: "b starts" in house.happened)
        notes = [what for what in house.happened if isinstance(what, str)]
        assert notes == ["a starts", "a ends", "b starts"]

    @pytest.mark.parametrize("where", ["import", "startup"])
    def test_one_that_hangs_does_not_keep_the_end_waiting(self, house: House, where: str) -> None:
        house.plugin(NOTING, "old.py")
        house.configure("- ./old.py: {tag: old}\n")
        server = house.start()
        hangs = "HAPPENED.append('hangs')\ngevent.sleep(3600)\n"
        if where == "import":
            house.plugin(f"import gevent\n{hangs}{NOTING}")
        else:
            body = hangs.replace("\n", "; ").rstrip("; ")
            house.plugin(
                "import gevent\n" + NOTING.replace("if context", f"{body}\n        if context")
            )
        house.configure("- ./mine.py: {tag: new}\n")
        server.request_reload()
        until(lambda: "hangs" in house.happened)
        with gevent.Timeout(STOP_ALL_TIME + WAIT):
            assert house.stop() == 0
        notes = [what for what in house.happened if isinstance(what, str)]
        if where == "import":
            assert notes == ["old starts", "hangs", "old ends"]
        else:
            assert notes == ["old starts", "old ends", "new starts", "hangs", "new ends"]

    def test_limits_of_plugins(self, house: House) -> None:
        house.plugin()
        house.configure("- ./mine.py\n")
        server = house.start()
        house.configure("- ./mine.py\n", more="limits: {plugin_queue: 12345, plugin_messages: 678}")
        house.reload()
        (plugin,) = server._pipeline.plugins.running
        assert (server._pipeline.limit, plugin.queue.limit) == (678, 12345)

    def test_limits_of_servers_hold_at_once_and_without_a_new_connection(
        self, house: House, ami: AmiServer
    ) -> None:
        house.plugin()
        house.configure("- ./mine.py\n", host(ami.port))
        server = house.start()
        connection = ami.wait_login()
        until(lambda: ("pbx", "connected") in house.happened)
        limits = "limits: {ami_line: 2000, ami_packet: 3000, ami_send_buffer: 4000}"
        house.configure("- ./mine.py\n", host(ami.port), more=limits)
        house.reload()
        line, lines = b"L: " + b"x" * 2000, b"\r\n".join([b"L: " + b"x" * 996] * 3)
        for number, part in enumerate((line, lines)):
            connection.send(b"Event: Long%d\r\n%s\r\n\r\n" % (number, part))
        connection.send(b"Event: Short\r\nL: y\r\n\r\n")
        until(lambda: "Short" in house.happened)
        assert [name for name in house.happened if "Long" in name] == []
        (link,) = server._links.values()
        faults = link.faults()
        assert (faults["lines_over_limit"], faults["packets_over_limit"]) == (1, 1)
        with pytest.raises(SendBufferFull):
            link.send(b"x" * 4001)
        assert len(ami.connections) == 1

    def test_without_a_file_there_is_nothing_to_read(
        self, house: House, caplog: pytest.LogCaptureFixture
    ) -> None:
        house.configure()
        server = house.start()
        server._load = None
        house.reload()
        assert "no configuration file to read" in caplog.text

    def test_a_file_that_is_wrong(self, house: House, caplog: pytest.LogCaptureFixture) -> None:
        house.configure()
        server = house.start()
        settings = server.settings
        house.file.write_text("ws_port: x\n")
        with pytest.raises(ConfigError):
            house.load()
        with caplog.at_level(logging.ERROR):
            house.reload()
        assert server.settings is settings
        assert "ws_port" in caplog.text

    def test_its_outcome_can_be_seen(self, house: House) -> None:
        house.configure()
        server = house.start()
        last = server._last_reload
        assert last.applied
        at_the_start = last.applied_at
        house.configure(more="nonsense: [")
        house.reload()
        assert (last.applied, last.applied_at) == (False, at_the_start)
        house.configure(more="log_level: debug")
        house.reload()
        assert last.applied
        assert last.applied_at > at_the_start


def test_a_part_that_dies_ends_the_program_with_70(house: House) -> None:
    house.configure()
    server = house.start()
    assert house._running is not None
    dead = gevent.spawn(lambda: None)
    server._died(dead)
    assert house._running.get(timeout=20) == 70
    house._running = None
