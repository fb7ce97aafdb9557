"""From one configuration to the next, in the test's own process."""

from __future__ import annotations

import json
import logging
import socket
from pathlib import Path

import gevent
import pytest

from amiws_gevent.config import ConfigError, LoadResult
from amiws_gevent.errors import SendBufferFull, StartError
from amiws_gevent.server import STOP_ALL_TIME
from tests.support.ami_server import AmiServer
from tests.support.assembled import NOTING, Whole, host
from tests.support.greenlets import until
from tests.support.patience import WAIT


def test_a_plugin_comes_changes_and_goes(program: Whole) -> None:
    program.plugin()
    program.configure()
    server = program.start()
    for lines, expected in (
        ("- ./mine.py: {tag: a}\n", ["a starts"]),
        ("- ./mine.py: {tag: b}\n", ["a ends", "b starts"]),
        ("- ./mine.py: {tag: b}\n", []),
        ("", ["b ends"]),
    ):
        del program.happened[:]
        program.configure(lines)
        program.reload()
        assert [what for what in program.happened if isinstance(what, str)] == expected
    assert server._pipeline.plugins is server._clients.plugins


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ("- ./mine.py: {tag: b, fails: yes}\n", "OSError: no"),
        ("- ./mine.py: {tga: b}\n", "tga: is not a setting"),
        ("- ./none.py\n", "no such file"),
        ("- ./mine.py: {tag: b}\n- ./clash.py\n", "the route / already belongs to files"),
    ],
)
def test_a_refused_one_changes_nothing(
    program: Whole, lines: str, told: str, caplog: pytest.LogCaptureFixture
) -> None:
    program.plugin()
    program.plugin(
        "from flask import Blueprint\ndef amiws_blueprints():\n"
        "    made = Blueprint('mine', __name__)\n"
        "    made.add_url_rule('/', 'index', lambda: 'mine')\n    return [made]\n",
        "clash.py",
    )
    program.configure("- ./mine.py: {tag: a}\n")
    server = program.start()
    before = server._pipeline.plugins, server.settings
    program.configure(lines, more="log_level: debug")
    program.reload()
    assert (server._pipeline.plugins, server.settings) == before
    assert told in caplog.text
    assert "the previous one stays in force" in caplog.text
    assert program.stop() == 0
    notes = [what for what in program.happened if isinstance(what, str)]
    assert (notes[0], notes[-1]) == ("a starts", "a ends")


def test_no_hook_is_called_between_end_and_beginning(program: Whole, ami: AmiServer) -> None:
    """Messages wait, and none is lost or passes unfiltered."""
    slow = NOTING.replace("        self.tag =", "        gevent.sleep(0.05)\n        self.tag =")
    program.plugin("import gevent\n" + slow)
    program.configure("- ./mine.py: {tag: a}\n", host(ami.port))
    program.start()
    connection = ami.wait_login()
    until(lambda: ("pbx", "connected") in program.happened)

    def send() -> None:
        for number in range(200):
            connection.send(b"Event: Drop\r\n\r\nEvent: E%d\r\n\r\n" % number)
            gevent.sleep(0.001)

    sending = gevent.spawn(send)
    for tag in "bcd":
        program.configure(f"- ./mine.py: {{tag: {tag}}}\n", host(ami.port))
        program.reload()
    sending.get(timeout=WAIT)
    until(lambda: "E199" in program.happened)
    events = [name for name in program.happened if isinstance(name, str) and name[0] == "E"]
    assert events == [f"E{number}" for number in range(200)]
    assert "asked after its end" not in program.happened
    assert "Drop" not in program.happened


def test_one_that_comes_during_another_follows_it(program: Whole) -> None:
    program.plugin(
        "import gevent\n"
        + NOTING.replace("self.tag =", "HAPPENED.append(0); gevent.sleep(0.1); self.tag =")
    )
    program.configure()
    server = program.start()
    program.configure("- ./mine.py: {tag: a}\n")
    server.request_reload()
    until(lambda: program.happened == [0])  # it has read the file, and is at work
    program.configure("- ./mine.py: {tag: b}\n")
    server.request_reload()
    until(lambda: "b starts" in program.happened)
    notes = [what for what in program.happened if isinstance(what, str)]
    assert notes == ["a starts", "a ends", "b starts"]


def test_however_many_come_during_another_one_follows(program: Whole) -> None:
    program.plugin(
        "import gevent\n"
        + NOTING.replace("self.tag =", "HAPPENED.append(0); gevent.sleep(0.1); self.tag =")
    )
    program.configure()
    server = program.start()
    program.configure("- ./mine.py: {tag: a}\n")
    server.request_reload()
    until(lambda: program.happened == [0])
    read = []
    load = server._reload._load

    def noted() -> LoadResult:
        assert load is not None
        read.append(0)
        return load()

    server._reload._load = noted
    for _ in range(5):
        server.request_reload()
    until(lambda: server._reload._greenlet is not None and server._reload._greenlet.dead)
    assert len(read) == 1


def test_what_fails_last_takes_back_all_that_came_before(
    program: Whole, caplog: pytest.LogCaptureFixture
) -> None:
    program.plugin()
    program.configure("- ./mine.py: {tag: a}\n")
    server = program.start()
    before = server.port, server.settings, server._web._site.app, server._web._site.gate
    with socket.create_server(("127.0.0.1", 0)) as taken:
        busy = taken.getsockname()[1]
        program.configure(
            "- ./mine.py: {tag: b}\n", host(2, "other"), "metrics_listen: 127.0.0.1:0"
        )
        program.file.write_text(program.file.read_text().replace("ws_port: 0", f"ws_port: {busy}"))
        program.reload()
    assert "set another ws_port" in caplog.text
    assert before == (
        server.port,
        server.settings,
        server._web._site.app,
        server._web._site.gate,
    )
    assert server._monitor.port is None
    assert [link.host.name for link in server._pool.links.values()] == ["absent"]
    notes = [what for what in program.happened if isinstance(what, str)]
    assert notes == ["a starts", "a ends", "b starts", "b ends", "a starts"]


def test_a_fault_of_ours_takes_back_what_was_prepared_and_messages_go_on(
    program: Whole, ami: AmiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    program.plugin()
    program.configure("- ./mine.py: {tag: a}\n", host(ami.port))
    server = program.start()
    until(lambda: ("pbx", "connected") in program.happened)

    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("amiws_gevent.reload.create_app", fail)
    monkeypatch.setattr(gevent.get_hub(), "handle_error", lambda *_: None)
    program.configure("- ./mine.py: {tag: b}\n", host(ami.port))
    program.reload()
    notes = [what for what in program.happened if isinstance(what, str)]
    assert notes == ["a starts", "a ends", "b starts", "b ends", "a starts"]
    assert not server._last_reload.applied
    ami.send(b"Event: After\r\n\r\n")
    until(lambda: "After" in program.happened)


def test_counters_outlive_what_it_builds(program: Whole) -> None:
    """Former passwords do so too: tests/integration/test_login_throttle.py."""
    program.configure()
    web = program.start()._web
    site, gate = web._site, web._site.gate._gate._gate
    program.configure(more="log_level: debug")
    program.reload()
    assert web._site is site
    assert (site.counts, site.losses) == (web.counts, web.losses)
    assert site.counts is web.counts
    assert site.gate._gate._gate is not gate
    assert site.gate._gate._gate._logins._memory is gate._logins._memory


@pytest.mark.parametrize("where", ["import", "startup"])
def test_one_that_hangs_does_not_keep_the_end_waiting(program: Whole, where: str) -> None:
    program.plugin(NOTING, "old.py")
    program.configure("- ./old.py: {tag: old}\n")
    server = program.start()
    hangs = "HAPPENED.append('hangs')\ngevent.sleep(3600)\n"
    if where == "import":
        program.plugin(f"import gevent\n{hangs}{NOTING}")
    else:
        body = hangs.replace("\n", "; ").rstrip("; ")
        program.plugin(
            "import gevent\n" + NOTING.replace("if context", f"{body}\n        if context")
        )
    program.configure("- ./mine.py: {tag: new}\n")
    server.request_reload()
    until(lambda: "hangs" in program.happened)
    with gevent.Timeout(STOP_ALL_TIME + WAIT):
        assert program.stop() == 0
    notes = [what for what in program.happened if isinstance(what, str)]
    if where == "import":
        assert notes == ["old starts", "hangs", "old ends"]
    else:
        assert notes == ["old starts", "old ends", "new starts", "hangs", "new ends"]


def test_limits_of_plugins(program: Whole) -> None:
    program.plugin()
    program.configure("- ./mine.py\n")
    server = program.start()
    program.configure("- ./mine.py\n", more="limits: {plugin_queue: 12345, plugin_messages: 678}")
    program.reload()
    (plugin,) = server._pipeline.plugins.running
    assert (server._pipeline.limit, plugin.queue.limit) == (678, 12345)


def test_limits_of_servers_hold_at_once_and_without_a_new_connection(
    program: Whole, ami: AmiServer
) -> None:
    program.plugin()
    program.configure("- ./mine.py\n", host(ami.port))
    server = program.start()
    connection = ami.wait_login()
    until(lambda: ("pbx", "connected") in program.happened)
    limits = "limits: {ami_line: 2000, ami_packet: 3000, ami_send_buffer: 4000}"
    program.configure("- ./mine.py\n", host(ami.port), more=limits)
    program.reload()
    line, lines = b"L: " + b"x" * 2000, b"\r\n".join([b"L: " + b"x" * 996] * 3)
    for number, part in enumerate((line, lines)):
        connection.send(b"Event: Long%d\r\n%s\r\n\r\n" % (number, part))
    connection.send(b"Event: Short\r\nL: y\r\n\r\n")
    until(lambda: "Short" in program.happened)
    assert [name for name in program.happened if "Long" in name] == []
    (link,) = server._pool.links.values()
    faults = link.faults()
    assert (faults["lines_over_limit"], faults["packets_over_limit"]) == (1, 1)
    with pytest.raises(SendBufferFull):
        link.send(b"x" * 4001)
    assert len(ami.connections) == 1


def test_without_a_file_there_is_nothing_to_read(
    program: Whole, caplog: pytest.LogCaptureFixture
) -> None:
    program.configure()
    server = program.start()
    server._reload._load = None
    program.reload()
    assert "no configuration file to reload" in caplog.text


def test_a_file_that_is_wrong(program: Whole, caplog: pytest.LogCaptureFixture) -> None:
    program.configure()
    server = program.start()
    settings = server.settings
    program.file.write_text("ws_port: x\n")
    with pytest.raises(ConfigError):
        program.load()
    with caplog.at_level(logging.ERROR):
        program.reload()
    assert server.settings is settings
    assert "ws_port" in caplog.text


def test_its_outcome_can_be_seen(program: Whole) -> None:
    program.configure()
    server = program.start()
    last = server._last_reload
    assert last.applied
    at_the_start = last.applied_at
    program.configure(more="nonsense: [")
    program.reload()
    assert (last.applied, last.applied_at) == (False, at_the_start)
    program.configure(more="log_level: debug")
    program.reload()
    assert last.applied
    assert last.applied_at > at_the_start


class TestAudit:
    def configure(self, program: Whole, name: str, plugins: str = "") -> Path:
        for folder in ("log", "keys"):
            (program.folder / folder).mkdir(exist_ok=True)
        file = program.folder / "log" / name
        program.configure(plugins, more=f"audit: {{file: {file}, key_file: keys/k}}")
        return file

    def whats(self, file: Path) -> list[str]:
        return [json.loads(line)["what"] for line in file.read_bytes().splitlines()]

    def test_what_a_reload_has_changed_and_who_is_loaded(self, program: Whole) -> None:
        program.plugin()
        file = self.configure(program, "a")
        program.start()
        self.configure(program, "a", "- ./mine.py: {tag: a}\n")
        program.reload()
        program.file.write_text("nothing: of use")
        program.reload()
        assert program.stop() == 0
        told = [json.loads(line) for line in file.read_bytes().splitlines()]
        kinds = ["begin", "start", "plugins", "reload", "plugins", "reload", "stop"]
        assert [record["what"] for record in told] == kinds
        assert told[2]["plugins"] == []
        assert told[3]["changed"] == ["plugins[+./mine.py]"]
        assert [one["name"] for one in told[4]["plugins"]] == ["./mine.py"]
        assert (told[5]["allowed"], "amihosts" in told[5]["reason"]) == (False, True)

    def test_what_fails_later_lets_go_of_the_new_one(self, program: Whole) -> None:
        program.plugin()
        old = self.configure(program, "a")
        server = program.start()
        new = self.configure(program, "b", "- ./mine.py: {tag: b, fails: yes}\n")
        program.reload()
        assert not new.exists()
        assert server._audit.on
        old_ones = self.whats(old)
        assert "off" not in old_ones
        self.configure(program, "b")
        program.reload()
        assert server._audit.on
        until(lambda: self.whats(old)[-1] == "off")
        assert program.stop() == 0
        assert self.whats(new)[-1] == "stop"

    def test_a_start_that_fails_leaves_nothing(self, program: Whole) -> None:
        program.plugin()
        file = self.configure(program, "a", "- ./mine.py: {tag: b, fails: yes}\n")
        with pytest.raises(StartError):
            program.start()
        assert not file.exists()

    def test_limits_of_actions(self, program: Whole) -> None:
        program.configure()
        server = program.start()
        program.configure(more="limits: {actions_at_work: 7}")
        program.reload()
        assert server._action_limits._limits.actions_at_work == 7


class TestInTwoSteps:
    """As one of several processes does it."""

    @pytest.fixture
    def ready(self, program: Whole) -> Whole:
        program.plugin()
        program.configure("- ./mine.py: {tag: a}\n")
        program.start()
        program.configure("- ./mine.py: {tag: b}\n", more="log_level: debug")
        return program

    def test_until_the_second_all_is_as_before(self, ready: Whole) -> None:
        server = ready.server
        assert server is not None
        before = server.settings, server._pipeline.plugins
        prepared = server.prepare_reload()
        assert (server.settings, server._pipeline.plugins) == before
        assert server._pipeline._held
        prepared.commit()
        assert server.settings.log_level == 7
        assert server._pipeline.plugins is not before[1]
        assert not server._pipeline._held

    def test_back(self, ready: Whole) -> None:
        server = ready.server
        assert server is not None
        before = server.settings
        server.prepare_reload().roll_back()
        assert server.settings == before
        assert not server._pipeline._held
        assert ready.happened == ["a starts", "a ends", "b starts", "b ends", "a starts"]

    def test_one_that_cannot_be_prepared(self, ready: Whole) -> None:
        server = ready.server
        assert server is not None
        ready.configure("- ./mine.py: {tag: b, fails: yes}\n")
        with pytest.raises(StartError, match="OSError: no"):
            server.prepare_reload()
        assert not server._pipeline._held
