"""The plugin through its hooks, against a receiver in a thread."""

from __future__ import annotations

import ast
import json
import logging
import re
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import amiws_plugins.webhook as webhook
import gevent
import pytest
import yaml
from amiws_plugins.webhook import Plugin

from amiws_gevent.ami import Kind, Message
from amiws_gevent.plugins import PluginContext, ServerInfo, StateChanges
from tests.support.greenlets import until
from tests.support.http_receiver import Receiver, answer, hang
from tests.support.patience import WAIT

PBX = ServerInfo(1, "pbx", False)
OTHER = ServerInfo(2, "branch-a", False)

Start = Callable[..., Plugin]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver(sleep=gevent.sleep) as made:
        yield made


@pytest.fixture
def start(receiver: Receiver) -> Iterator[Start]:
    """Starts a plugin with settings as text; stops it and its greenlets at the end."""
    greenlets: list[gevent.Greenlet[..., Any]] = []
    plugins: list[Plugin] = []

    def spawn(function: Callable[..., Any], *arguments: Any) -> gevent.Greenlet[..., Any]:
        greenlets.append(gevent.spawn(function, *arguments))
        return greenlets[-1]

    def make(plugin: Plugin | None = None, **given: Any) -> Plugin:
        plugin = plugin or Plugin()
        given = {"url": receiver.url, "batch_delay": "10 ms", **given}
        settings = plugin.amiws_settings().model_validate(given)
        log = logging.getLogger("amiws_gevent.plugin.webhook")
        plugin.amiws_startup(PluginContext("webhook", settings, log, spawn))
        plugins.append(plugin)
        return plugin

    yield make
    for plugin in plugins:
        plugin.amiws_shutdown()
    gevent.killall(greenlets)


def event(name: str, number: int = 0) -> Message:
    return Message(Kind.EVENT, [("Event", name), ("Number", str(number))])


def see(plugin: Plugin, message: Message, server: ServerInfo = PBX) -> None:
    """As the core does it."""
    given = {"type": int(message.kind), "server_id": server.id, "data": message.data()}
    plugin.amiws_log_message(message, server, json.dumps(given).encode())


def names(receiver: Receiver) -> list[str]:
    return [message["data"].get("Event") for message in receiver.messages()]


def test_events_arrive_in_order(receiver: Receiver, start: Start) -> None:
    plugin = start(batch_messages="7")
    for number in range(50):
        see(plugin, event("Test", number))
    until(lambda: len(receiver.messages()) == 50)
    assert [m["data"]["Number"] for m in receiver.messages()] == [str(n) for n in range(50)]
    assert receiver.connections == 1
    assert all(len(request.json["messages"]) <= 7 for request in receiver.requests)


def test_only_events_are_sent(receiver: Receiver, start: Start) -> None:
    plugin = start()
    for kind in Kind:
        see(plugin, Message(kind, [("Event" if kind is Kind.EVENT else "Response", "X")]))
    see(plugin, event("Last"))
    until(lambda: "Last" in names(receiver))
    assert names(receiver) == ["X", "Last"]


def test_events_are_chosen_by_name(receiver: Receiver, start: Start) -> None:
    plugin = start(events="hangup, Queue*")
    for name in ("Newchannel", "Hangup", "QueueMemberPause", "RTCPSent", "QUEUEJOIN"):
        see(plugin, event(name))
    until(lambda: len(receiver.messages()) == 3)
    assert names(receiver) == ["Hangup", "QueueMemberPause", "QUEUEJOIN"]


@pytest.mark.parametrize("servers", ["2", "BRANCH-*", ["nowhere", "branch-a"]])
def test_events_are_chosen_by_server(receiver: Receiver, start: Start, servers: Any) -> None:
    plugin = start(servers=servers)
    see(plugin, event("A"), PBX)
    see(plugin, event("B"), OTHER)
    until(lambda: receiver.messages())
    plugin.amiws_shutdown()  # which sends what waits
    assert names(receiver) == ["B"]


def test_a_dead_receiver_gets_all_once_it_is_back(receiver: Receiver, start: Start) -> None:
    receiver.refuse()
    plugin = start(retry_delay="10 ms", circuit_failures="2", circuit_cooldown="100 ms")
    for number in range(20):
        see(plugin, event("Test", number))
        gevent.sleep(0.01)
    receiver.restart()
    until(lambda: len(receiver.messages()) == 20)
    assert [m["data"]["Number"] for m in receiver.messages()] == [str(n) for n in range(20)]
    assert all(request.json["lost"] == 0 for request in receiver.requests)


def test_what_was_lost_is_told_to_the_receiver(receiver: Receiver, start: Start) -> None:
    receiver.refuse()
    plugin = start(batch_messages="2", queue_messages="4", retry_delay="10 ms")
    for number in range(10):
        see(plugin, event("Test", number))
    receiver.restart()
    until(lambda: receiver.messages()[-1:] and receiver.messages()[-1]["data"]["Number"] == "9")
    got = len(receiver.messages())
    assert got + sum(request.json["lost"] for request in receiver.requests) == 10


def test_at_the_end_what_waits_is_sent(receiver: Receiver, start: Start) -> None:
    plugin = start(batch_delay="1 h")
    see(plugin, event("Last"))
    plugin.amiws_shutdown()
    assert names(receiver) == ["Last"]


def test_the_end_does_not_wait_long_for_a_receiver_that_hangs(
    receiver: Receiver, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert webhook.FLUSH_TIME <= 2
    monkeypatch.setattr(webhook, "FLUSH_TIME", 0.2)
    receiver.default = hang
    plugin = start()
    see(plugin, event("Last"))
    receiver.wait_for(1)
    with gevent.Timeout(WAIT):
        plugin.amiws_shutdown()


def test_an_end_without_a_start() -> None:
    plugin = Plugin()
    plugin.amiws_shutdown()
    plugin.amiws_reload()
    see(plugin, event("Nothing"))


def test_after_the_end_nothing_is_taken(receiver: Receiver, start: Start) -> None:
    plugin = start()
    see(plugin, event("Early"))
    receiver.wait_for(1)
    plugin.amiws_shutdown()
    until(lambda: not receiver.open_connections)
    see(plugin, event("Late"))
    gevent.sleep(0.05)
    assert names(receiver) == ["Early"]


def test_an_instance_may_be_started_again(receiver: Receiver, start: Start) -> None:
    """As when a reload is refused after the plugin was stopped for it."""
    plugin = start()
    see(plugin, event("One"))
    plugin.amiws_shutdown()
    restarted = start(plugin=plugin)
    see(restarted, event("Two"))
    until(lambda: len(receiver.messages()) == 2)
    assert names(receiver) == ["One", "Two"]


def test_a_reload_reads_the_key_again(receiver: Receiver, start: Start, tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("old")
    plugin = start(secret_file=str(key))
    see(plugin, event("One"))
    receiver.wait_for(1)
    key.write_text("new")
    plugin.amiws_reload()
    see(plugin, event("Two"))
    receiver.wait_for(2)
    genuine = documented_check()
    assert genuine(b"old", received(receiver, 0), receiver.requests[0].body)
    assert genuine(b"new", received(receiver, 1), receiver.requests[1].body)


def test_a_reload_without_the_file_goes_on_with_the_old_key(
    receiver: Receiver, start: Start, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    key = tmp_path / "key"
    key.write_text("s3cret")
    plugin = start(secret_file=str(key))
    key.unlink()
    plugin.amiws_reload()
    assert "the files read before stay in use" in caplog.text
    see(plugin, event("One"))
    receiver.wait_for(1)
    assert documented_check()(b"s3cret", received(receiver, 0), receiver.requests[0].body)
    assert "s3cret" not in caplog.text


# -- what is told --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"url": "https://h/", "ssl_verify": "no"}, "its certificate is not checked"),
        ({"url": "http://u:p@192.0.2.1/"}, "headers and login are sent unencrypted"),
        ({"url": "http://192.0.2.1/", "headers": {"X-A": "b"}}, "are sent unencrypted"),
        ({"url": "http://192.0.2.1/"}, None),
        ({"url": "https://u:p@h/"}, None),
        ({"headers": {"X-A": "b"}}, None),
    ],
)
def test_the_start_warns_of_what_may_not_be_meant(
    start: Start, caplog: pytest.LogCaptureFixture, given: dict[str, Any], told: str | None
) -> None:
    start(**given)
    assert told in caplog.text if told else not caplog.records


@pytest.mark.parametrize(("mode", "warned"), [(0o604, True), (0o640, False)])
def test_a_key_that_everybody_can_read(
    start: Start, tmp_path: Path, caplog: pytest.LogCaptureFixture, mode: int, warned: bool
) -> None:
    key = tmp_path / "key"
    key.write_text("key")
    key.chmod(mode)
    start(secret_file=str(key))
    assert ("every user of this machine can read" in caplog.text) is warned


def test_no_secret_gets_into_the_log(
    receiver: Receiver, start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.DEBUG, "amiws_gevent")
    echo = b"you sent s3cret-1 s3cret-2 s3cret-3 s3cret-4"
    receiver.script.extend([answer(500, echo), answer(400, echo), answer(302, b"", "Location: x")])
    plugin = start(
        url=receiver.url.replace("//", "//user:s3cret-1@") + "/s3cret-2",
        secret="s3cret-3",
        headers={"X-Auth": "s3cret-4"},
        retry_delay="10 ms",
    )
    for _ in range(3):
        see(plugin, event("A"))
        gevent.sleep(0.05)
    receiver.wait_for(4)
    own = [r.getMessage() for r in caplog.records if r.name.startswith("amiws_gevent")]
    assert any("*** *** *** ***" in line for line in own)
    assert not any("s3cret" in line for line in own)
    others = [r for r in caplog.records if not r.name.startswith("amiws_gevent")]
    assert not any("s3cret" in r.getMessage() for r in others if r.levelno >= logging.WARNING)


# -- what the manual says ------------------------------------------------------------


def documented_check() -> Callable[..., bool]:
    """The function that the module's text gives to authors of receivers."""
    manual = webhook.__doc__
    assert manual is not None
    found = re.search(r"^    def genuine.*?\n\n", manual, re.MULTILINE | re.DOTALL)
    assert found is not None
    code = textwrap.dedent(found[0])
    assert len(code.strip().splitlines()) <= 6
    scope: dict[str, Any] = {}
    exec(compile(ast.parse("import base64, hmac, time\n" + code), "manual", "exec"), scope)
    genuine: Callable[..., bool] = scope["genuine"]
    return genuine


def received(receiver: Receiver, number: int) -> dict[str, str]:
    return dict(receiver.requests[number].headers)


def test_the_documented_check_is_right(receiver: Receiver, start: Start) -> None:
    see(start(secret="key"), event("A"))
    (request,) = receiver.wait_for(1)
    genuine = documented_check()
    headers = received(receiver, 0)
    assert genuine(b"key", headers, request.body)
    assert not genuine(b"other", headers, request.body)
    assert not genuine(b"key", headers, request.body + b" ")
    later = {**headers, "webhook-timestamp": str(int(headers["webhook-timestamp"]) + 1)}
    assert not genuine(b"key", later, request.body)
    assert not genuine(b"key", {**headers, "webhook-id": "another"}, request.body)


def test_the_documented_check_refuses_replays(
    receiver: Receiver, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    see(start(secret="key"), event("A"))
    (request,) = receiver.wait_for(1)
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 400)
    assert not documented_check()(b"key", received(receiver, 0), request.body)


def test_the_manual_names_every_setting() -> None:
    manual = webhook.__doc__
    assert manual is not None
    for name in webhook.Settings.model_fields:
        assert re.search(rf"^ +{name}:", manual, re.MULTILINE), name


def test_the_manual_gives_the_defaults() -> None:
    manual = webhook.__doc__
    assert manual is not None
    listing = textwrap.dedent(manual[manual.index("    - webhook:\n        url: https://user") :])
    block = yaml.load(listing.partition("\n\n")[0], yaml.BaseLoader)[0]["webhook"]
    example = {"url", "servers", "headers", "secret", "secret_file", "ssl_ca"}
    given = {key: value for key, value in block.items() if key not in example}
    assert len(given) > 10
    url = "https://example.com"
    settings = webhook.Settings.model_validate
    assert settings({"url": url, **given}) == settings({"url": url})


def test_it_is_quick(start: Start) -> None:
    """Far above what it takes (some 2 µs), as machines are shared."""
    plugin = start(batch_delay="1 h", queue_messages="100000")
    message = event("VarSet")
    begin = time.process_time()
    for _ in range(10_000):
        plugin.amiws_log_message(message, PBX, b"{}")
    assert time.process_time() - begin < 1


def test_a_chat_is_told_of_a_queue_that_is_too_long(receiver: Receiver, start: Start) -> None:
    plugin = start(
        when="queue support waiting >= 5",
        body={"text": "{name}: {waiting} wait ({server_name})", "waiting": "{waiting}"},
    )
    see(plugin, event("Hangup"))
    queue = {"server": 1, "kind": "queue", "id": "support", "name": "Support", "waiting": 4}
    plugin.amiws_state_changed(StateChanges([queue], [], whole=True), PBX)
    plugin.amiws_state_changed(StateChanges([{**queue, "waiting": 5}], []), PBX)
    until(lambda: receiver.requests)
    plugin.amiws_shutdown()
    (request,) = receiver.requests
    assert request.json == {"text": "Support: 5 wait (pbx)", "waiting": 5}
    assert request.get("Content-Type") == "application/json"


def test_a_condition_without_a_body_is_a_message(receiver: Receiver, start: Start) -> None:
    plugin = start(when=["queue waiting >= 5"], events="Hangup")
    see(plugin, event("Newchannel"))
    see(plugin, event("Hangup"))
    queue = {"server": 1, "kind": "queue", "id": "support", "waiting": 5}
    plugin.amiws_state_changed(StateChanges([queue], [], whole=True), PBX)
    until(lambda: len(receiver.messages()) == 2)
    assert receiver.messages()[1] == {
        "server_id": 1,
        "server_name": "pbx",
        "when": "queue waiting >= 5",
        "entity": queue,
    }


def test_a_body_of_text_is_a_post_for_each_event(receiver: Receiver, start: Start) -> None:
    plugin = start(events="*", body="{Event} {Number} on {server_name}")
    for number in range(3):
        see(plugin, event("Test", number))
    until(lambda: len(receiver.requests) == 3)
    assert [request.body for request in receiver.requests] == [
        b"Test 0 on pbx",
        b"Test 1 on pbx",
        b"Test 2 on pbx",
    ]
    assert receiver.requests[0].get("Content-Type").startswith("text/plain")


def test_a_plugin_without_conditions_passes_the_state_over(start: Start) -> None:
    start().amiws_state_changed(StateChanges([{"server": 1, "kind": "queue", "id": "a"}], []), PBX)
