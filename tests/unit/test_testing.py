"""The harness for tests of plugins: it must behave as the program, and never hide a fault."""

from __future__ import annotations

import gzip
import logging
from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from amiws_gevent.ami import ActionError, Kind, Message
from amiws_gevent.plugins.api import ClientInfo, ServerInfo
from amiws_gevent.testing import (
    Answer,
    ConfigError,
    PluginError,
    PluginHarness,
    event,
    response,
)

CAPTURES = Path(__file__).parent.parent / "captures"

DROP_VARSET = """
def amiws_filter_message(message):
    return False if message.name == "VarSet" else None
"""

SEEN = """
seen = []

def amiws_log_message(message, server, json):
    seen.append((message.name, server.name, json))

def amiws_server_changed(server, state, reason):
    seen.append((server.id, state, reason))
"""

FAULTY = """
def amiws_filter_message(message):
    raise ValueError("no " + message.name)
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def harness(
    folder: Path, source: str, settings: Mapping[str, Any] | None = None, **options: Any
) -> PluginHarness:
    path = folder / "mine.py"
    path.write_text(dedent(source))
    return PluginHarness(path, settings, **options)


# Making messages


def test_an_event_has_its_headers_in_order_as_text() -> None:
    made = event("Hangup", ("ChanVariable(a-b)", "1"), Channel="PJSIP/100-1", Cause=16)
    assert made == Message(
        Kind.EVENT,
        [
            ("Event", "Hangup"),
            ("ChanVariable(a-b)", "1"),
            ("Channel", "PJSIP/100-1"),
            ("Cause", "16"),
        ],
    )


def test_a_list_is_a_header_that_repeats() -> None:
    assert event("Newchannel", Variable=["a=1", "b=2"]).getall("variable") == ["a=1", "b=2"]


def test_a_header_may_be_called_as_a_parameter() -> None:
    assert event("A", name="x", pairs="y").getall("pairs") == ["y"]
    assert response(kind="x").headers == (("Response", "Success"), ("kind", "x"))


def test_a_response_is_a_success_unless_named() -> None:
    assert response().headers == (("Response", "Success"),)
    failed = response("Error", Message="No such channel")
    assert (failed.kind, failed.get("Response")) == (Kind.RESPONSE, "Error")


# Feeding


def test_what_passes_and_what_is_dropped(folder: Path) -> None:
    hangup, varset = event("Hangup"), event("VarSet")
    with harness(folder, DROP_VARSET) as plugin:
        assert plugin.feed(varset, hangup) == [hangup]
        assert plugin.feed(varset) == []
        assert plugin.messages == [hangup]
        assert plugin.dropped == [varset, varset]


def test_json_is_what_clients_get(folder: Path) -> None:
    source = """
    def amiws_transform_message(message):
        return message.replace("CallerIDNum", "xxx")
    """
    with harness(folder, source) as plugin:
        plugin.feed(event("Hangup", CallerIDNum="100"), server=ServerInfo(7, "büro", True))
        assert plugin.json == [
            {
                "type": 3,
                "server_id": 7,
                "server_name": "büro",
                "ssl": True,
                "data": {"Event": "Hangup", "CallerIDNum": "xxx"},
            }
        ]


def test_a_hook_gets_the_server_of_each_message(folder: Path) -> None:
    source = """
    def amiws_filter_message(message, server):
        return server.id == 1
    """
    with harness(folder, source) as plugin:
        assert plugin.feed(event("A"), server=ServerInfo(2, "pbx2", False)) == []
        assert plugin.feed(event("A"), server=ServerInfo(1, "pbx2", False)) == [event("A")]


def test_raw_text_is_parsed_as_a_server_s(folder: Path) -> None:
    text = "Event: VarSet\n\nEvent: Hangup\nVariable: a\nVariable: b\n\n"
    with harness(folder, DROP_VARSET) as plugin:
        assert plugin.feed_raw(text) == [event("Hangup", Variable=["a", "b"])]
        assert plugin.feed_raw(b"Event: Hangup\r\n\r\n") == [event("Hangup")]


def test_raw_text_that_stops_in_a_message_is_refused(folder: Path) -> None:
    with (
        harness(folder, DROP_VARSET) as plugin,
        pytest.raises(ValueError, match="blank line must follow"),
    ):
        plugin.feed_raw("Event: Hangup\nChannel: x\n")


@pytest.mark.parametrize("zipped", [False, True])
def test_a_capture_file(folder: Path, zipped: bool) -> None:
    data = (CAPTURES / "asterisk-18.raw").read_bytes()
    file = folder / ("ami.raw.gz" if zipped else "ami.raw")
    file.write_bytes(gzip.compress(data) if zipped else data)
    with harness(folder, DROP_VARSET) as plugin:
        passed = plugin.feed_capture(file)
        assert passed == plugin.messages
        assert plugin.dropped
        assert {message.name for message in plugin.dropped} == {"VarSet"}
        assert len(passed) + len(plugin.dropped) == 319, "as tests/captures/README.md says"


# Hooks beside the stream


def test_drain_waits_for_the_log_hook_in_order(folder: Path) -> None:
    source = SEEN.replace("seen.append((message", "gevent.sleep(0.01); seen.append((message")
    with harness(folder, "import gevent\n" + source) as plugin:
        plugin.server_changed("connected", "logged in")
        plugin.feed(event("A"), event("B"))
        plugin.server_changed("disconnected", server=ServerInfo(2, "b", False))
        assert len(plugin.plugin.seen) < 4, "the log hook has a greenlet of its own"
        plugin.drain()
        text = b'{"type":3,"server_id":1,"server_name":"pbx1","ssl":false,"data":{"Event":"%s"}}'
        assert plugin.plugin.seen == [
            (1, "connected", "logged in"),
            ("A", "pbx1", text % b"A"),
            ("B", "pbx1", text % b"B"),
            (2, "disconnected", ""),
        ]


def test_drain_does_not_wait_for_ever(folder: Path) -> None:
    source = """
    import gevent
    stuck = gevent.event.Event()

    def amiws_log_message():
        stuck.wait()
    """
    with harness(folder, source) as plugin:
        plugin.feed(event("A"))
        with pytest.raises(AssertionError, match=r"not done after 0\.01 s"):
            plugin.drain(0.01)
        plugin.plugin.stuck.set()
        plugin.drain()


def test_drain_without_a_log_hook_returns(folder: Path) -> None:
    with harness(folder, DROP_VARSET) as plugin:
        plugin.drain(0)


def test_clients_are_authorized(folder: Path) -> None:
    source = """
    def amiws_authorize_client(request, user):
        if user == "mallory":
            return False
        if request.headers.get("user-agent") == "curl":
            return f"no {request.target} for {request.address}"
    """
    with harness(folder, source) as plugin:
        assert plugin.authorize_client() is None
        assert plugin.authorize_client("alice", headers={"User-Agent": "firefox"}) is None
        assert "refused" in str(plugin.authorize_client("mallory"))
        asked = plugin.authorize_client(
            headers={"User-Agent": "curl"}, target="/ws?x", address="198.51.100.1"
        )
        assert asked == "no /ws?x for 198.51.100.1"


def test_actions_are_authorized(folder: Path) -> None:
    source = """
    def amiws_authorize_action(action, client):
        if action.name == "Originate" and client.user != "boss":
            return "not " + dict(action.headers)["Channel"]
    """
    originate = {"Action": "Originate", "Channel": "PJSIP/100"}
    with harness(folder, source) as plugin:
        assert plugin.authorize_action({"Action": "Ping"}) is None
        assert plugin.authorize_action(originate) == "not PJSIP/100"
        boss = plugin.connect_client("boss")
        assert plugin.authorize_action(originate, boss) is None
        with pytest.raises(ActionError, match="Action"):
            plugin.authorize_action({"Channel": "x"})


def test_a_raising_authorization_refuses(folder: Path) -> None:
    source = "def amiws_authorize_client(): raise ValueError('x')"
    with harness(folder, source, allow_faults=True) as plugin:
        assert plugin.authorize_client("alice") is not None


def test_clients_come_and_go(folder: Path) -> None:
    source = """
    seen = []

    def amiws_client_connected(client):
        seen.append(client)

    def amiws_client_disconnected(client, code, reason):
        seen.append((client, code, reason))
    """
    with harness(folder, source) as plugin:
        client = plugin.connect_client("alice", address="198.51.100.7", view="v2")
        plugin.disconnect_client(client, 1001, "bye")
        plugin.drain()
        assert client == ClientInfo("198.51.100.7", "alice", "v2")
        assert plugin.plugin.seen == [client, (client, 1001, "bye")]


def test_blueprints_answer(folder: Path) -> None:
    source = """
    import flask
    pages = flask.Blueprint("mine", __name__)

    @pages.get("/mine")
    def mine():
        return "hello"

    def amiws_blueprints():
        return [pages]
    """
    with harness(folder, source) as plugin:
        assert plugin.web().get("/mine").text == "hello"


# Settings, start and stop

SETTINGS = """
from pathlib import Path
from amiws_gevent.plugins.api import PluginSettings

class Settings(PluginSettings):
    number: int = 1
    flag: bool = False
    names: list[str] = []
    nested: dict[str, dict[str, float]] = {}
    path: Path = Path(".")
    text: str = ""

class Plugin:
    def __init__(self):
        self.seen = []

    def amiws_settings(self):
        return Settings

    def amiws_startup(self, context):
        context.log.info("starts with %d", context.settings.number)
        if context.settings.number == 13:
            raise RuntimeError("an unlucky number")

    def amiws_filter_message(self, message):
        return None

    def amiws_reload(self):
        self.seen.append("reload")

    def amiws_shutdown(self):
        self.seen.append("shutdown")
"""


def test_settings_come_as_from_a_file(folder: Path) -> None:
    given = {
        "number": 2,
        "flag": True,
        "names": ("yes", "0123", "ü: #"),
        "nested": {"a": {"b": 0.5}},
        "path": folder,
        "text": None,
        "hook_timeout": 0.2,
    }
    with harness(folder, SETTINGS, given) as plugin:
        settings = plugin.settings
        assert (settings.number, settings.flag, settings.path) == (2, True, folder)
        assert settings.names == ["yes", "0123", "ü: #"]
        assert settings.nested == {"a": {"b": 0.5}}
        assert settings.text == ""


def test_wrong_settings_are_what_check_reports(folder: Path) -> None:
    with (
        pytest.raises(ConfigError, match=r"plugins\[0\].*numbr.*did you mean number"),
        harness(folder, SETTINGS, {"numbr": 2}),
    ):
        pass


def test_a_plugin_that_cannot_be_loaded_is_refused(folder: Path) -> None:
    with (
        pytest.raises(ConfigError, match=r"mine.py:1: there is no hook amiws_log_mesage"),
        harness(folder, "def amiws_log_mesage(): pass"),
    ):
        pass


def test_a_start_that_raises_leaves_nothing_behind(folder: Path) -> None:
    handlers = list(logging.getLogger("amiws_gevent.plugin").handlers)
    with (
        pytest.raises(PluginError, match="an unlucky number"),
        harness(folder, SETTINGS, {"number": 13}),
    ):
        pass
    assert logging.getLogger("amiws_gevent.plugin").handlers == handlers


def test_the_end_stops_the_plugin_and_its_greenlets(folder: Path) -> None:
    source = """
    import gevent
    seen = []

    def amiws_startup(context):
        context.spawn(work)

    def work():
        try:
            gevent.sleep(60)
        finally:
            seen.append("ended")

    def amiws_log_message(message):
        seen.append(message.name)

    def amiws_shutdown():
        seen.append("shutdown")
    """
    with harness(folder, source) as plugin:
        plugin.feed(event("A"))
        plugin.drain()
        plugin.feed(event("B"))
    import gevent

    gevent.sleep(0)
    assert plugin.plugin.seen == ["A", "B", "shutdown", "ended"]


def test_nothing_can_be_fed_outside_of_the_block(folder: Path) -> None:
    plugin = harness(folder, SEEN)
    calls = [
        lambda: plugin.feed(event("A")),
        lambda: plugin.feed_raw("Event: A\n\n"),
        lambda: plugin.server_changed("connected"),
        lambda: plugin.authorize_client(),
        lambda: plugin.connect_client(),
        lambda: plugin.reload(),
        lambda: plugin.web(),
        lambda: plugin.drain(),
    ]
    for _ in range(2):
        for call in calls:
            with pytest.raises(RuntimeError, match="only within"):
                call()
        with plugin:
            pass


def test_a_name_in_a_plugin_folder(folder: Path) -> None:
    (folder / "mine").mkdir()
    (folder / "mine" / "quiet.py").write_text(DROP_VARSET)
    with PluginHarness("quiet", plugin_dirs=["mine"]) as plugin:
        assert plugin.feed(event("VarSet")) == []


def test_a_relative_path_counts_from_the_current_directory(folder: Path) -> None:
    (folder / "quiet.py").write_text(DROP_VARSET)
    with PluginHarness("./quiet.py") as plugin:
        assert plugin.feed(event("VarSet")) == []


# Reload


def test_a_reload_with_the_same_settings_tells_the_plugin(folder: Path) -> None:
    with harness(folder, SETTINGS) as plugin:
        before = plugin.plugin
        plugin.reload()
        assert plugin.plugin is before
        assert before.seen == ["reload"]


def test_a_reload_with_other_settings_starts_it_anew(folder: Path) -> None:
    with harness(folder, SETTINGS, {"number": 2}) as plugin:
        before = plugin.plugin
        plugin.reload({"number": 3})
        assert before.seen == ["shutdown"]
        assert plugin.plugin is not before
        assert plugin.settings.number == 3
        plugin.reload()
        assert plugin.settings.number == 3, "the settings of the last reload hold"


def test_a_reload_takes_the_file_as_it_is_now(folder: Path) -> None:
    with harness(folder, DROP_VARSET) as plugin:
        (folder / "mine.py").write_text(DROP_VARSET.replace("VarSet", "Newexten"))
        assert plugin.feed(event("VarSet")) == []
        plugin.reload()
        assert plugin.feed(event("VarSet")) == [event("VarSet")]
        assert plugin.feed(event("Newexten")) == []


@pytest.mark.parametrize("settings", [{"number": "x"}, {"number": 13}])
def test_a_refused_reload_changes_nothing(folder: Path, settings: dict[str, Any]) -> None:
    with harness(folder, SETTINGS, {"number": 2}) as plugin:
        with pytest.raises((ConfigError, PluginError)):
            plugin.reload(settings)
        assert plugin.settings.number == 2
        plugin.reload()
        assert plugin.settings.number == 2


# Faults


def test_a_fault_fails_the_test_at_the_end_of_the_block(folder: Path) -> None:
    with (
        pytest.raises(AssertionError, match=r"amiws_filter_message: .*mine.py:3: ValueError: no A"),
        harness(folder, FAULTY) as plugin,
    ):
        assert plugin.feed(event("A")) == [event("A")], "filters fail open"


def test_a_fault_is_told_beside_what_a_test_found_itself(folder: Path) -> None:
    def run() -> None:
        with harness(folder, FAULTY) as plugin:
            assert plugin.feed(event("A")) == [], "the test's own"

    with pytest.raises(AssertionError, match="the test's own") as caught:
        run()
    assert "ValueError: no A" in caught.value.__notes__[0]


def test_a_fault_in_a_log_hook_that_nobody_waited_for_counts(folder: Path) -> None:
    with (
        pytest.raises(AssertionError, match=r"amiws_log_message.*ZeroDivisionError"),
        harness(folder, "def amiws_log_message(): 1 / 0") as plugin,
    ):
        plugin.feed(event("A"))


def test_each_fault_is_kept_where_they_are_allowed(folder: Path) -> None:
    with harness(folder, FAULTY, allow_faults=True) as plugin:
        plugin.feed(event("A"), event("B"), event("A"))
        assert [fault.rpartition(" ")[2] for fault in plugin.faults] == ["A", "B", "A"]


def test_a_required_plugin_fails_closed(folder: Path) -> None:
    with harness(folder, FAULTY, {"required": True}, allow_faults=True) as plugin:
        assert plugin.feed(event("A")) == []
        assert plugin.dropped == [event("A")]


def test_overruns_suspend_as_in_the_program(folder: Path) -> None:
    source = """
    import gevent

    def amiws_filter_message():
        gevent.sleep(60)
    """
    with harness(folder, source, {"hook_timeout": 0.01}, allow_faults=True) as plugin:
        assert plugin.feed(*[event("A")] * 5) == [event("A")] * 5
        assert plugin.suspended
        told = len(plugin.faults)
        plugin.feed(event("A"))
        assert len(plugin.faults) == told, "not called any more"
        plugin.reload()
        assert not plugin.suspended


def test_what_the_plugin_logs(folder: Path) -> None:
    with harness(folder, SETTINGS) as plugin:
        assert plugin.log == ["INFO starts with 1"]
    logger = logging.getLogger("amiws_gevent.plugin")
    assert (logger.handlers, logger.level) == ([], logging.NOTSET)


ASKING = """
class Plugin:
    def amiws_startup(self, context):
        self.context = context
        self.told = []

    def amiws_state_changed(self, changes, server):
        self.told.append((server.name, changes))
        answer = self.context.ask(server.id, {"Action": "Ping"})
        self.context.publish("Asked", Ok=answer.ok, Known=len(self.context.state.of(1, "queue")))
        self.context.counter("asked", "Questions.").add()

    def amiws_transform_entity(self, entity):
        return {**entity, "tag": 1} if entity["kind"] == "queue" else None
"""


def test_a_plugin_asks_tells_counts_and_watches(folder: Path) -> None:
    with harness(folder, ASKING) as plugin:
        plugin.answer(lambda server, action: Answer(server, None))
        plugin.put("queue", "a", waiting=1)
        plugin.drain()
        plugin.put("queue", "a", waiting=1)
        plugin.put("queue", "b", waiting=2)
        plugin.drain()
        plugin.remove("queue", "b", why="gone")
        plugin.remove("queue", "never")
        plugin.drain()
        assert plugin.asked == [(1, {"Action": "Ping"})] * 3
        assert [message.get("Known") for message in plugin.published] == ["1", "2", "1"]
        assert plugin.counters == {"asked": 3}
        first, second, third = (changes for _, changes in plugin.plugin.told)
        name = {"server": 1, "kind": "queue"}
        assert (first.whole, first.set) == (True, [{**name, "id": "a", "waiting": 1}])
        assert (second.whole, second.set) == (False, [{**name, "id": "b", "waiting": 2}])
        assert third.unset == [{**name, "id": "b", "last": {"why": "gone"}}]
        assert plugin.transform_entity("queue", "a", waiting=1) == {"waiting": 1, "tag": 1}
        assert plugin.transform_entity("call", "a") == {}


def test_a_server_that_gives_no_answer(folder: Path) -> None:
    with harness(folder, ASKING, allow_faults=True) as plugin:
        plugin.put("queue", "a", waiting=1)
        plugin.drain()
        assert "AskError: the test gives no answer" in plugin.faults[0]


def test_what_a_required_plugin_fails_on_is_kept_back(folder: Path) -> None:
    source = """
    REQUIRED = True

    def amiws_transform_entity(entity):
        entity["x"] = 1
    """
    with harness(folder, source, allow_faults=True) as plugin:
        assert plugin.transform_entity("queue", "a") is None
        assert "changed the entity in place" in plugin.faults[0]
