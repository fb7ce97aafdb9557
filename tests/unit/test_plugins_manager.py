"""Running plugins, and all of them behind one method for each hook."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gevent
import pytest

from amiws_gevent.ami import ClientAction
from amiws_gevent.plugins import manager
from amiws_gevent.plugins.api import ClientInfo, Headers, RequestInfo
from amiws_gevent.plugins.context import Desk, PluginContext
from amiws_gevent.plugins.facilities import NoFacilities
from amiws_gevent.plugins.loading import PluginError
from amiws_gevent.plugins.logqueue import Entry
from amiws_gevent.plugins.manager import Plugins, RunningPlugin, plugin_of
from amiws_gevent.runtime.log import LogLimiter
from tests.support.greenlets import until
from tests.support.patience import WAIT
from tests.support.plugins import SERVER, entry, event, running

REQUEST = RequestInfo("GET", "/ws", Headers([("Host", "a")]), "http", "192.0.2.1")
ACTION = ClientAction("Ping", None, "7", (("Action", "Ping"), ("ActionID", "7")))
CLIENT = ClientInfo("192.0.2.1", "alice", "classic")

NOTING = """
class Plugin:
    def __init__(self):
        self.calls = []

    def amiws_startup(self, context):
        self.context = context
        self.calls.append("startup")

    def amiws_shutdown(self):
        self.calls.append("shutdown")

    def amiws_log_message(self, message, server, json):
        self.calls.append((message.name, server.id, json))

    def amiws_server_changed(self, state, server, reason):
        self.calls.append((state, server.name, reason))

    def amiws_client_connected(self, client):
        self.calls.append(("came", client.user))

    def amiws_client_disconnected(self, client, code):
        self.calls.append(("went", client.user, code))
"""


class Running:
    """Plugins of these sources, started, and stopped with the test."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._all: list[Plugins] = []

    def __call__(self, *sources: str) -> Plugins:
        plugins = running(
            *[entry(self._folder, text, f"p{number}.py") for number, text in enumerate(sources)]
        )
        self._all.append(plugins)
        for plugin in plugins.running:
            plugin.start()
        return plugins

    def stop(self) -> None:
        for plugins in self._all:
            plugins.stop()


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Running]:
    made = Running(tmp_path)
    yield made
    made.stop()


def calls(plugins: Plugins, index: int = 0) -> list[Any]:
    plugin: Any = plugins.running[index].code.plugin
    noted: list[Any] = plugin.calls
    return noted


class TestLife:
    def test_startup_gets_its_context(self, tmp_path: Path) -> None:
        source = (
            "from amiws_gevent.plugins.api import PluginSettings\n"
            "class Settings(PluginSettings):\n    number: int\n"
            + NOTING
            + "\n    def amiws_settings(self):\n        return Settings\n"
        )
        plugins = running(entry(tmp_path, source, number="5"))
        plugins.running[0].start()
        plugin: Any = plugins.running[0].code.plugin
        context: PluginContext = plugin.context
        assert context.name == "./mine.py"
        assert context.settings.number == 5
        assert context.log.name == "amiws_gevent.plugin.mine"
        plugins.stop()
        assert plugin.calls == ["startup", "shutdown"]

    def test_spawned_greenlets_run_beside_and_end_with_the_plugin(self, started: Running) -> None:
        plugins = started(
            """
            import gevent
            class Plugin:
                calls = []
                def amiws_startup(self, context):
                    self.greenlet = context.spawn(self.run, "a", "b")
                def run(self, *given):
                    self.calls.append(given)
                    try:
                        gevent.sleep(3600)
                    finally:
                        self.calls.append("ended")
                def amiws_shutdown(self):
                    self.calls.append("shutdown")
            """
        )
        until(lambda: calls(plugins))
        assert calls(plugins) == [("a", "b")]
        plugins.stop()
        assert calls(plugins) == [("a", "b"), "shutdown", "ended"]
        assert not plugins.running[0].state.faults

    def test_an_error_of_a_spawned_greenlet_is_told_with_its_name(
        self, started: Running, caplog: pytest.LogCaptureFixture
    ) -> None:
        plugins = started(
            """
            import sys
            def sweep(kind):
                raise kind("broom")
            def amiws_startup(context):
                context.spawn(sweep, ValueError)
                context.spawn(sweep, SystemExit)
            """
        )
        until(lambda: plugins.running[0].state.faults["sweep"] == 2)
        assert "plugin ./p0.py: sweep: " in caplog.text
        assert "p0.py:3: ValueError: broom" in caplog.text

    def test_greenlets_that_ended_are_forgotten(self, started: Running) -> None:
        plugins = started(
            """
            class Plugin:
                def amiws_startup(self, context):
                    self.context = context
            """
        )
        plugin: Any = plugins.running[0].code.plugin
        for _ in range(100):
            assert plugin.context.spawn(divmod, 7, 2).get() == (3, 1)
        assert len(plugins.running[0]._greenlets) <= 2

    @pytest.mark.parametrize("error", ["ValueError('no')", "SystemExit('no')", "OSError('no')"])
    def test_a_startup_that_raises_is_refused_after_a_shutdown(
        self, tmp_path: Path, error: str
    ) -> None:
        source = f"""
            import gevent
            class Plugin:
                calls = []
                def amiws_startup(self, context):
                    self.greenlet = context.spawn(gevent.sleep, 3600)
                    raise {error}
                def amiws_shutdown(self):
                    self.calls.append("shutdown")
            """
        plugins = running(entry(tmp_path, source))
        with pytest.raises(PluginError) as caught:
            plugins.running[0].start()
        kind = error.partition("(")[0]
        file = tmp_path / "mine.py"
        assert str(caught.value) == f"plugin ./mine.py: amiws_startup: {file}:6: {kind}: no"
        assert calls(plugins) == ["shutdown"]
        plugin: Any = plugins.running[0].code.plugin
        assert plugin.greenlet.dead

    def test_a_startup_that_waits_forever_is_refused(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(manager, "STARTUP_TIME", 0.02)
        source = "import gevent\ndef amiws_startup():\n    gevent.sleep(3600)\n"
        plugins = running(entry(tmp_path, source))
        with pytest.raises(PluginError, match=r"mine\.py:3: HookTimeout: cut off after 0\.02 s"):
            plugins.running[0].start()

    def test_a_shutdown_that_raises_is_told(
        self, started: Running, caplog: pytest.LogCaptureFixture
    ) -> None:
        plugins = started("def amiws_shutdown():\n    1 / 0\n")
        plugins.stop()
        assert "plugin ./p0.py: amiws_shutdown: " in caplog.text
        assert ":2: ZeroDivisionError" in caplog.text

    def test_what_is_queued_is_done_before_the_shutdown_and_nothing_after_it(
        self, started: Running
    ) -> None:
        plugins = started(NOTING)
        plugins.log([(event(name), SERVER, b"{}") for name in "AB"])
        plugins.stop()
        plugins.log([(event("C"), SERVER, b"{}")])
        gevent.sleep(0.01)
        assert calls(plugins) == ["startup", ("A", 1, b"{}"), ("B", 1, b"{}"), "shutdown"]

    def test_what_does_not_run_is_not_stopped(self, tmp_path: Path) -> None:
        plugins = running(entry(tmp_path, NOTING))
        plugins.stop()
        assert calls(plugins) == []
        plugins.running[0].start()
        plugins.stop()
        plugins.stop()
        assert calls(plugins) == ["startup", "shutdown"]

    def test_all_stop_at_once_and_in_time(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Log hook, shutdown and greenlet wait forever, and catch what they can."""
        monkeypatch.setattr(manager, "DRAIN_TIME", 0.05)
        monkeypatch.setattr(manager, "SHUTDOWN_TIME", 0.05)
        source = """
            import gevent
            over, waiting = False, 0
            def forever():
                global waiting
                waiting += 1
                while not over:
                    try:
                        gevent.sleep(0.02)
                    except BaseException:
                        pass
                waiting -= 1
            def amiws_startup(context):
                context.spawn(forever)
            def amiws_log_message():
                forever()
            def amiws_shutdown():
                forever()
            """
        plugins = running(*[entry(tmp_path, source, f"p{n}.py") for n in range(50)])
        for plugin in plugins.running:
            plugin.start()
        plugins.log([(event("A"), SERVER, b"{}")])
        gevent.sleep(0.01)
        start = time.monotonic()
        plugins.stop()
        assert time.monotonic() - start < 30, "one alone takes 0.05 + 0.2 + 0.05 + 0.2 + 0.2 s"
        modules = [plugin.code.plugin for plugin in plugins.running]
        assert all(module.waiting == 3 for module in modules)
        for module in modules:  # they would go on, and be felt by all tests behind this one
            module.over = True
        until(lambda: not any(module.waiting for module in modules))

    def test_stopping_waits_no_longer_than_told(
        self, started: Running, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(manager, "SHUTDOWN_TIME", 600.0)
        plugins = started("import gevent\ndef amiws_shutdown():\n    gevent.sleep(3600)\n")
        with gevent.Timeout(WAIT):
            plugins.stop(0.05)


class TestTold:
    def test_each_hook_gets_what_it_asks_for_in_order(self, started: Running) -> None:
        plugins = started(NOTING, "def amiws_reload(): pass\n", NOTING)
        plugins.server_changed(SERVER, "connected", "Asterisk")
        plugins.log([(event("A"), SERVER, b"{A}"), (event("B"), SERVER, b"{B}")])
        plugins.client_connected(CLIENT)
        plugins.client_disconnected(CLIENT, 1001, "bye")
        for index in (0, 2):
            assert plugins.running[index].queue.drain(10)
            assert calls(plugins, index) == [
                "startup",
                ("connected", "pbx", "Asterisk"),
                ("A", 1, b"{A}"),
                ("B", 1, b"{B}"),
                ("came", "alice"),
                ("went", "alice", 1001),
            ]

    @pytest.mark.slow
    def test_a_hook_that_blocks_costs_its_own_plugin_alone(self, started: Running) -> None:
        blocked = "import gevent\ndef amiws_log_message():\n    gevent.sleep(3600)\n"
        plugins = started(blocked, NOTING)
        for number in range(1000):
            plugins.log([(event(str(number)), SERVER, b"x" * 5000)])
        assert plugins.running[0].queue.dropped > 700
        assert plugins.running[1].queue.drain(10)
        assert plugins.running[1].queue.dropped + len(calls(plugins, 1)) - 1 == 1000

    def test_what_is_implemented_is_known_ahead(self, started: Running) -> None:
        nothing = started("def amiws_reload(): pass\n")
        assert (nothing.changes_messages, nothing.logs_messages) == (False, False)
        assert started("def amiws_filter_message(): pass\n").changes_messages
        assert started("def amiws_transform_message(): pass\n").changes_messages
        assert started("def amiws_log_message(): pass\n").logs_messages
        assert (Plugins().changes_messages, Plugins().logs_messages) == (False, False)

    def test_the_chain_has_filters_and_transforms_in_order(self, started: Running) -> None:
        tag = (
            "def amiws_transform_message(message):\n"
            "    return message.replace('T', (message.get('T') or '') + {!r})\n"
            "def amiws_filter_message(message):\n"
            "    return False if message.name == {!r} else None\n"
        )
        plugins = started(tag.format("0", "A"), tag.format("1", "B"))
        kept = plugins.chain().run([event("A"), event("B"), event("C")], SERVER)
        assert [(message.name, message.get("T")) for message in kept] == [("C", "01")]
        kept = plugins.transforms().run([event("A"), event("C")], SERVER)
        assert [(message.name, message.get("T")) for message in kept] == [("A", "01"), ("C", "01")]


class TestAuthorize:
    @pytest.fixture(params=["client", "action"])
    def ask(self, request: pytest.FixtureRequest, started: Running) -> Any:
        """Asks plugins, each of which answers with the next expression."""
        kind: str = request.param

        def ask(*answers: str) -> str | None:
            plugins = started(
                *[f"def amiws_authorize_{kind}():\n    return {answer}\n" for answer in answers]
            )
            if kind == "client":
                return plugins.authorize_client(REQUEST, "alice")
            return plugins.authorize_action(ACTION, CLIENT)

        return ask

    def test_all_must_agree(self, ask: Any) -> None:
        assert ask() is None
        assert ask("None", "True", "None") is None
        assert ask("True", "False") == "refused by the plugin ./p1.py"
        assert ask("None", "'after hours'", "True") == "after hours"

    def test_to_refuse_is_no_fault_and_a_fault_is_one(self, started: Running) -> None:
        hook = "def amiws_authorize_client():\n    return {}\n"
        for answer, faults in (("False", 0), ("'no'", 0), ("1 / 0", 1), ("5", 1)):
            plugins = started(hook.format(answer))
            assert plugins.authorize_client(REQUEST, None)
            assert plugins.running[0].state.faults["amiws_authorize_client"] == faults

    def test_a_reason_can_be_json_whatever_it_is(self, started: Running) -> None:
        plugins = started("def amiws_authorize_client():\n    return 'no \\ud800'\n")
        assert plugins.authorize_client(REQUEST, None) == "no ?"

    def test_the_first_that_refuses_is_the_last_that_is_asked(self, ask: Any) -> None:
        assert ask("False", "1 / 0") == "refused by the plugin ./p0.py"

    @pytest.mark.parametrize(
        "answer", ["1 / 0", "__import__('sys').exit()", "''", "0", "1", "[]", "b'x'"]
    )
    def test_it_fails_closed(self, ask: Any, answer: str, caplog: pytest.LogCaptureFixture) -> None:
        assert ask(answer) == "refused by the plugin ./p0.py"
        assert "plugin ./p0.py: amiws_authorize_" in caplog.text

    def test_waiting_too_long_refuses(
        self, ask: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setattr(manager, "CALL_TIME", 0.02)
        assert ask("__import__('gevent').sleep(3600)") == "refused by the plugin ./p0.py"
        assert "cut off after 0.02 s" in caplog.text

    def test_what_the_hooks_see(self, started: Running) -> None:
        plugins = started(
            "def amiws_authorize_client(user, request):\n"
            "    return f'{user} {request.target} {request.headers[\"host\"]}'\n"
            "def amiws_authorize_action(client, action):\n"
            "    return f'{client.user} {action.name} {action.action_id}'\n"
        )
        assert plugins.authorize_client(REQUEST, None) == "None /ws a"
        assert plugins.authorize_action(ACTION, CLIENT) == "alice Ping 7"


class TestBlueprints:
    MAKING = "from flask import Blueprint\ndef amiws_blueprints():\n    return {}\n"

    def test_of_all_plugins_with_their_names(self, started: Running) -> None:
        plugins = started(
            self.MAKING.format("[Blueprint('a', __name__), Blueprint('b', __name__)]"),
            "def amiws_reload(): pass\n",
            self.MAKING.format("[Blueprint('c', __name__)]"),
            self.MAKING.format("[]"),
        )
        made = [(plugin, blueprint.name) for plugin, blueprint in plugins.blueprints()]
        assert made == [("./p0.py", "a"), ("./p0.py", "b"), ("./p2.py", "c")]

    @pytest.mark.parametrize(
        ("made", "told"),
        [
            ("1 / 0", r"p0\.py:3: ZeroDivisionError"),
            ("__import__('sys').exit(1)", r"p0\.py:3: SystemExit"),
            ("None", "must return a list of flask.Blueprint"),
            ("Blueprint('a', __name__)", "must return a list of flask.Blueprint"),
            ("['a']", "must return a list of flask.Blueprint"),
            ("[Blueprint('a.b', __name__)]", "ValueError"),
        ],
    )
    def test_what_is_wrong_is_told_with_the_name(
        self, started: Running, made: str, told: str
    ) -> None:
        plugins = started(self.MAKING.format(made))
        with pytest.raises(PluginError, match=told) as caught:
            plugins.blueprints()
        assert str(caught.value).startswith("plugin ./p0.py: ")


def test_whose_file_it_is(tmp_path: Path) -> None:
    package = tmp_path / "package"
    package.mkdir()
    hook = "def amiws_reload(): pass"
    plugins = running(entry(tmp_path, hook, "one.py"), entry(package, hook, "__init__.py")).running
    one, of_package = plugins

    def owner(*files: Path) -> object:
        return plugin_of(plugins, map(str, files))

    assert owner(tmp_path / "one.py") is one
    assert owner(package / "deep" / "part.py") is of_package
    assert owner(Path(__file__), package / "__init__.py", tmp_path / "one.py") is of_package
    assert owner(tmp_path / "two.py") is None
    assert owner() is None


HIDING = """
REQUIRED = True

def amiws_transform_message(message):
    pass
"""

WATCHING = """
TOLD = []

def amiws_transform_entity(entity):
    return {**entity, "tag": "x"}

def amiws_state_changed(changes, server):
    TOLD.append((server.id, changes))

def amiws_reload():
    pass
"""


class Anew(NoFacilities):
    """Notes that plugins may say something else of entities."""

    def __init__(self) -> None:
        super().__init__()
        self.anew = 0

    def show_anew(self) -> None:
        self.anew += 1


def test_a_plugin_that_hides_in_messages_alone_keeps_the_state_back(tmp_path: Path) -> None:
    watching, hiding = entry(tmp_path, WATCHING, "a.py"), entry(tmp_path, HIDING, "b.py")
    assert running(watching).keeps_state_back is None
    assert running(watching, hiding).keeps_state_back == "./b.py"
    assert running(entry(tmp_path, HIDING, "c.py", required=False)).keeps_state_back is None


def test_entities_and_changes_of_the_state_reach_plugins(tmp_path: Path) -> None:
    plugins = running(entry(tmp_path, WATCHING))
    (plugin,) = plugins.running
    assert plugins.watches_state
    assert plugins.of_entities == (plugin,)
    assert not running(entry(tmp_path, HIDING, "b.py")).watches_state
    plugin.start()
    try:
        call = {"server": 1, "kind": "call", "id": "1.1"}
        assert plugins.transform_entities(SERVER, [call]) == [{**call, "tag": "x"}]
        plugins.state_is_there(SERVER)
        assert plugin.queue.drain(10)
        plugins.state_is_there(SERVER)
        plugins.state_changed(SERVER, [call], [])
        assert plugin.queue.drain(10)
        told = plugin.code.plugin.TOLD  # type: ignore[attr-defined]
        assert [(server, changes.whole, list(changes.set)) for server, changes in told] == [
            (1, True, []),
            (1, False, [call]),
        ]
    finally:
        plugins.stop()


def test_after_its_reload_a_plugin_is_asked_about_all_entities_again(tmp_path: Path) -> None:
    program = Anew()
    plugin = RunningPlugin(
        entry(tmp_path, WATCHING),
        name="x",
        limiter=LogLimiter(),
        queue_limit=1 << 20,
        desk=Desk("x", program),
    )
    plugin.start()
    try:
        plugin.queue.put([Entry("amiws_reload", ())])
        assert plugin.queue.drain(10)
        assert program.anew == 1
    finally:
        plugin.stop()
