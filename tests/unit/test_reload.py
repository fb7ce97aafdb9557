"""From one configuration to the next, in the test's own process."""

from __future__ import annotations

import logging
import socket

import gevent
import pytest

from amiws_gevent.config import ConfigError, LoadResult
from amiws_gevent.errors import SendBufferFull
from amiws_gevent.server import STOP_ALL_TIME
from tests.support.ami_server import AmiServer
from tests.support.greenlets import WAIT, until
from tests.support.house import NOTING, House, host


def test_a_plugin_comes_changes_and_goes(house: House) -> None:
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
    house: House, lines: str, told: str, caplog: pytest.LogCaptureFixture
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


def test_no_hook_is_called_between_end_and_beginning(house: House, ami: AmiServer) -> None:
    """Messages wait, and none is lost or passes unfiltered."""
    slow = NOTING.replace("        self.tag =", "        gevent.sleep(0.05)\n        self.tag =")
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


def test_one_that_comes_during_another_follows_it(house: House) -> None:
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


def test_however_many_come_during_another_one_follows(house: House) -> None:
    house.plugin(
        "import gevent\n"
        + NOTING.replace("self.tag =", "HAPPENED.append(0); gevent.sleep(0.1); self.tag =")
    )
    house.configure()
    server = house.start()
    house.configure("- ./mine.py: {tag: a}\n")
    server.request_reload()
    until(lambda: house.happened == [0])
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
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    house.plugin()
    house.configure("- ./mine.py: {tag: a}\n")
    server = house.start()
    before = server.port, server.settings, server._web._site.app, server._web._site.gate
    with socket.create_server(("127.0.0.1", 0)) as taken:
        busy = taken.getsockname()[1]
        house.configure("- ./mine.py: {tag: b}\n", host(2, "other"), "metrics_listen: 127.0.0.1:0")
        house.file.write_text(house.file.read_text().replace("ws_port: 0", f"ws_port: {busy}"))
        house.reload()
    assert "set another ws_port" in caplog.text
    assert before == (
        server.port,
        server.settings,
        server._web._site.app,
        server._web._site.gate,
    )
    assert server._monitor.port is None
    assert [link.host.name for link in server._pool.links.values()] == ["absent"]
    notes = [what for what in house.happened if isinstance(what, str)]
    assert notes == ["a starts", "a ends", "b starts", "b ends", "a starts"]


def test_a_fault_of_ours_takes_back_what_was_prepared_and_messages_go_on(
    house: House, ami: AmiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.plugin()
    house.configure("- ./mine.py: {tag: a}\n", host(ami.port))
    server = house.start()
    until(lambda: ("pbx", "connected") in house.happened)

    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("amiws_gevent.reload.create_app", fail)
    monkeypatch.setattr(gevent.get_hub(), "handle_error", lambda *_: None)
    house.configure("- ./mine.py: {tag: b}\n", host(ami.port))
    house.reload()
    notes = [what for what in house.happened if isinstance(what, str)]
    assert notes == ["a starts", "a ends", "b starts", "b ends", "a starts"]
    assert not server._last_reload.applied
    ami.send(b"Event: After\r\n\r\n")
    until(lambda: "After" in house.happened)


def test_counters_outlive_what_it_builds(house: House) -> None:
    """Former passwords do so too: tests/integration/test_login_throttle.py."""
    house.configure()
    web = house.start()._web
    site, gate = web._site, web._site.gate._gate
    house.configure(more="log_level: debug")
    house.reload()
    assert web._site is site
    assert (site.counts, site.losses) == (web.counts, web.losses)
    assert site.counts is web.counts
    assert site.gate._gate is not gate
    assert site.gate._gate._failed is gate._failed


@pytest.mark.parametrize("where", ["import", "startup"])
def test_one_that_hangs_does_not_keep_the_end_waiting(house: House, where: str) -> None:
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


def test_limits_of_plugins(house: House) -> None:
    house.plugin()
    house.configure("- ./mine.py\n")
    server = house.start()
    house.configure("- ./mine.py\n", more="limits: {plugin_queue: 12345, plugin_messages: 678}")
    house.reload()
    (plugin,) = server._pipeline.plugins.running
    assert (server._pipeline.limit, plugin.queue.limit) == (678, 12345)


def test_limits_of_servers_hold_at_once_and_without_a_new_connection(
    house: House, ami: AmiServer
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
    (link,) = server._pool.links.values()
    faults = link.faults()
    assert (faults["lines_over_limit"], faults["packets_over_limit"]) == (1, 1)
    with pytest.raises(SendBufferFull):
        link.send(b"x" * 4001)
    assert len(ami.connections) == 1


def test_without_a_file_there_is_nothing_to_read(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    house.configure()
    server = house.start()
    server._reload._load = None
    house.reload()
    assert "no configuration file to read" in caplog.text


def test_a_file_that_is_wrong(house: House, caplog: pytest.LogCaptureFixture) -> None:
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


def test_its_outcome_can_be_seen(house: House) -> None:
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
