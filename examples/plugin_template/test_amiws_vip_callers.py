"""Run with ``pytest``. The harness runs the plugin as the program does."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from amiws_gevent.plugins import ServerInfo
from amiws_gevent.testing import ConfigError, PluginError, PluginHarness, event

PLUGIN = Path(__file__).parent / "amiws_vip_callers.py"
CALL = event("Newchannel", Channel="PJSIP/100-00000001", CallerIDNum="0301234567")
HANGUP = {"Action": "hangup", "Channel": "PJSIP/100-00000001"}


@pytest.fixture
def plugin() -> Iterator[PluginHarness]:
    with PluginHarness(PLUGIN, {"numbers": ["0301234567"]}) as harness:
        yield harness


def test_important_people_are_marked(plugin: PluginHarness) -> None:
    other = event("Newchannel", Channel="PJSIP/200-00000002", CallerIDNum="200")
    assert plugin.feed(CALL, other) == [CALL.replace("VIP", "yes"), other]
    assert plugin.json[0]["data"]["VIP"] == "yes"


def test_the_file_is_read_again(tmp_path: Path) -> None:
    file = tmp_path / "vip.txt"
    file.write_text("200\n\n")
    with PluginHarness(PLUGIN, {"file": file, "header": "Important"}) as plugin:
        assert plugin.log == ["INFO 1 important numbers"]
        assert plugin.feed(CALL) == [CALL]
        file.write_text("200\n0301234567\n")
        plugin.reload()
        assert plugin.feed(CALL) == [CALL.replace("Important", "yes")]


def test_a_file_that_is_not_there_refuses_the_start(tmp_path: Path) -> None:
    with (
        pytest.raises(PluginError, match="FileNotFoundError"),
        PluginHarness(PLUGIN, {"file": tmp_path / "none.txt"}, allow_faults=True),
    ):
        pass


def test_settings_are_checked() -> None:
    with (
        pytest.raises(ConfigError, match="did you mean numbers"),
        PluginHarness(PLUGIN, {"number": ["200"]}),
    ):
        pass


def test_important_calls_are_not_hung_up(plugin: PluginHarness) -> None:
    assert plugin.authorize_action(HANGUP) is None
    plugin.feed(CALL)
    plugin.drain()  # the log hook, which keeps track, has its own time
    assert plugin.authorize_action(HANGUP) == "PJSIP/100-00000001 is an important call"
    assert plugin.authorize_action({**HANGUP, "AMIServerID": 1}) is not None
    assert plugin.authorize_action({**HANGUP, "AMIServerID": 2}) is None
    assert plugin.authorize_action({**HANGUP, "Channel": "PJSIP/200-00000002"}) is None
    assert plugin.authorize_action({**HANGUP, "Action": "Ping"}) is None
    assert plugin.authorize_action({**HANGUP, "Channel": "/^PJSIP/"}) is not None


def test_a_call_that_is_over_is_forgotten(plugin: PluginHarness) -> None:
    plugin.feed(CALL, event("Hangup", Channel="PJSIP/100-00000001", CallerIDNum="0301234567"))
    plugin.drain()
    assert plugin.authorize_action(HANGUP) is None


def test_the_calls_of_a_lost_server_are_forgotten(plugin: PluginHarness) -> None:
    plugin.feed(CALL)
    plugin.feed(CALL, server=ServerInfo(2, "pbx2", ssl=False))
    plugin.server_changed("disconnected", "timeout")
    plugin.drain()
    assert plugin.authorize_action({**HANGUP, "AMIServerID": 1}) is None
    assert plugin.authorize_action({**HANGUP, "AMIServerID": 2}) is not None


def test_the_end_is_logged() -> None:
    with PluginHarness(PLUGIN) as plugin:
        pass
    assert plugin.log[-1] == "INFO 0 important calls at the end"
