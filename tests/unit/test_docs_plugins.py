"""The pages for authors of plugins: their boxes run, the reference is the specifications."""

from __future__ import annotations

import ast
import dataclasses
import importlib
import inspect
import itertools
import os
import re
import subprocess
import sys
import time
import tomllib
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

import gevent
import pytest
import yaml

from amiws_gevent import testing
from amiws_gevent.ami import ClientAction, Message
from amiws_gevent.config import LoadResult, load_settings
from amiws_gevent.config.plugins import HOOK_TIMEOUT
from amiws_gevent.plugins import api, guard, hookspecs, manager
from amiws_gevent.plugins.api import ClientInfo, RequestInfo, ServerInfo
from amiws_gevent.plugins.context import PluginContext
from amiws_gevent.testing import ConfigError, PluginError, PluginHarness, event
from tests.support.config import write
from tests.support.http_receiver import Receiver, Request
from tests.support.patience import WAIT
from tests.support.plugin_docs import (
    GUIDE,
    HOOKS,
    REPLAY,
    SHIPPED,
    Box,
    boxes,
    with_host,
    write_plugins,
)
from tests.support.program import ROOT
from tests.support.scripts import imported, script

TEXT = GUIDE.read_text(encoding="utf-8")
REFERENCE = HOOKS.read_text(encoding="utf-8")
BOXES = boxes()
MISTAKES = "When something is wrong"
AT_RUN_TIME = ("forgetful.py", "slow.py")  # tests/integration/test_docs_plugins.py has them

# Where the reader has the files.
FOLDERS = ("/etc/amiws/plugins", "/etc/amiws", "/var/lib/amiws")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current directory, with all Python files of the pages."""
    write_plugins(tmp_path)
    (tmp_path / "webhook.key").write_text("a text that is long enough")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def here(text: str, folder: Path) -> str:
    """A configuration of the pages with its paths in ``folder``."""
    for name in FOLDERS:
        text = text.replace(name, str(folder))
    return text


def load(text: str, folder: Path) -> LoadResult:
    environ = dict.fromkeys(re.findall(r"\$\{(\w+)\}", text), "a text that is long enough")
    file = write(folder, with_host(here(text, folder)))
    return load_settings(file, environ=environ)


def box_id(box: Box) -> str:
    return f"{box.page.stem}:{box.line}"


def hook_names() -> list[str]:
    return [name for name in vars(hookspecs) if name.startswith("amiws_")]


def generator() -> ModuleType:
    """scripts/hook_reference.py."""
    return script("hook_reference")


# The tutorial


def test_every_box_of_python_and_yaml_has_a_file_name() -> None:
    named = {"python", "yaml", "toml"}
    assert all(box.name for box in BOXES if box.language in named)
    assert {box.language for box in BOXES} <= named | {"text", "sh"}


def test_the_first_plugin_is_four_lines() -> None:
    first = next(box for box in BOXES if box.language == "python")
    assert len(first.text.splitlines()) <= 4


@pytest.mark.parametrize(
    "box",
    [box for box in BOXES if box.language == "yaml" and box.heading != MISTAKES],
    ids=box_id,
)
def test_configurations_can_be_used(box: Box, folder: Path) -> None:
    result = load(box.text, folder)
    assert result.settings.plugins
    assert result.warnings == []


@pytest.mark.slow
def test_the_tests_of_the_tutorial_pass(folder: Path) -> None:
    done = run_pytest(folder, "test_tutorial.py")
    assert done.returncode == 0, done.stdout
    assert re.search(r"\b6 passed", done.stdout), done.stdout


@pytest.mark.parametrize(
    "plugin", ["quiet", "masked", "hangups", "no_cards", "permissions", "missed"], ids=str
)
@pytest.mark.slow
def test_the_tests_of_the_tutorial_can_fail(folder: Path, plugin: str) -> None:
    """Each plugin is held by one test: without its hooks that one fails."""
    file = folder / f"{plugin}.py"
    answers = r"(?<=def )amiws_(?=filter|transform|log|authorize)"
    spoilt = re.sub(answers, "off_", file.read_text())
    # A plugin without any hook would be refused.
    file.write_text(f"{spoilt}\n\ndef amiws_reload():\n    pass\n")
    done = run_pytest(folder, "test_tutorial.py")
    assert re.search(r"\b1 failed, 5 passed", done.stdout), done.stdout


@pytest.mark.slow
def test_a_patched_test_runner_cuts_off_what_sleeps(folder: Path) -> None:
    advice = "from gevent import monkey; monkey.patch_all()"
    assert f"`{advice}`" in TEXT
    (folder / "conftest.py").write_text(advice)
    (folder / "test_slow.py").write_text(
        "from amiws_gevent.testing import PluginHarness, event\n"
        "def test_slow():\n"
        "    soon = {'hook_timeout': 0.05}\n"
        "    with PluginHarness('./slow.py', soon, allow_faults=True) as plugin:\n"
        "        assert plugin.feed(event('A')) == [event('A')]\n"
        "        assert 'was cut off after 0.' in plugin.faults[0]\n"
    )
    done = run_pytest(folder, "test_slow.py")
    assert done.returncode == 0, done.stdout


def run_pytest(folder: Path, name: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error", name],
        cwd=folder,
        # Authors do not have our plugins, which import ssl ahead of gevent's monkey-patch.
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=WAIT,
        check=False,
    )


def test_the_transform_of_the_tutorial(folder: Path) -> None:
    with PluginHarness("./short_numbers.py") as plugin:
        short, long = event("A", CallerIDNum="100"), event("A", CallerIDNum="0301234567")
        assert plugin.feed(short, long) == [short, event("A", CallerIDNum="0301234xxx")]


def test_the_plugin_of_the_types_of_settings(folder: Path) -> None:
    given = {"queues": ["sales"], "long": "1 min", "too_long": "5 min"}
    with PluginHarness("./long_waits.py", given) as plugin:
        for waited in (59, 60, 300):
            plugin.feed(event("AgentConnect", Queue="sales", HoldTime=waited))
        plugin.feed(event("AgentConnect", Queue="other", HoldTime=300))
        plugin.drain()
        assert plugin.log == [
            "WARNING somebody waited 60 s",
            "ERROR somebody waited 300 s, which is too long",
        ]


def test_the_plugin_that_tells_of_full_queues(folder: Path) -> None:
    summary = event("QueueSummary", Queue="support", Available=2)
    with PluginHarness("./full_queue.py", {"waiting": "3"}) as plugin:
        plugin.answer(lambda server, action: testing.Answer(server, None, [summary]))
        plugin.put("queue", "support", name="support", waiting=2)
        plugin.put("call", "1.1", phase="queued")
        plugin.drain()
        assert plugin.published == []
        for waiting in (3, 4, 2, 3):
            plugin.put("queue", "support", waiting=waiting)
            plugin.drain()
        assert plugin.asked == [(1, {"Action": "QueueSummary", "Queue": "support"})] * 2
        assert [message.get("Waiting") for message in plugin.published] == ["3", "3"]
        assert plugin.published[0].data() == {
            "Event": "QueueTooLong",
            "Plugin": "full_queue",
            "Queue": "support",
            "Waiting": "3",
            "Ready": "2",
        }
        assert plugin.counters == {"alarms": 2}
        plugin.answer(None)
        plugin.put("queue", "sales", waiting=9)
        plugin.drain()
        assert not plugin.published[-1].has("Ready")
        assert plugin.log == ["WARNING pbx1: the test gives no answer"]


def test_the_plugin_that_hides_names(folder: Path) -> None:
    with PluginHarness("./no_names.py") as plugin:
        (seen,) = plugin.feed(event("Newchannel", CallerIDName="Anna"))
        assert seen.get("CallerIDName") == "***"
        someone = {"number": "201", "name": "Anna"}
        call = plugin.transform_entity("call", "1.1", caller=someone, ringing=[someone], way=[])
        hidden = {"number": "201", "name": "***"}
        assert call == {"caller": hidden, "ringing": [hidden], "way": []}
        channel = plugin.transform_entity("channel", "1.1", name="SIP/1", caller_name="Anna")
        assert channel == {"name": "SIP/1", "caller_name": "***"}
        waits = plugin.transform_entity("queue", "a", name="a", last_abandoned=[someone])
        assert waits == {"name": "a", "last_abandoned": [hidden]}
        for kind in ("queue_caller", "participant", "parked_call"):
            assert plugin.transform_entity(kind, "1.1", **someone) == hidden, kind
        assert plugin.transform_entity("conference", "a", name="a") == {"name": "a"}


def test_shown_keeps_what_comes_from_the_environment(folder: Path) -> None:
    lines = 'plugins:\n- ./long_waits.py:\n    queues: ["a/${S}"]\n'
    file = write(folder, with_host(lines))
    with pytest.raises(ConfigError) as caught:
        load_settings(file, environ={"S": "s3cret"})
    assert "must be the name of a queue, not what 'a/${S}' stands for" in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_the_example_of_the_readme(folder: Path) -> None:
    section = [box for box in boxes(ROOT / "README.md") if box.heading == "Plugins"]
    python, configuration = section
    assert python.text == next(box.text for box in BOXES if box.name == python.name)
    assert len(load(configuration.text, folder).settings.plugins) == 3


# What is shown of mistakes


def shown() -> list[tuple[Box, Box]]:
    """Each box that has a mistake, with the box after it: what the program says."""
    pairs = itertools.pairwise(BOXES)
    return [(box, said) for box, said in pairs if said.language == "text"]


def said(box: Box, folder: Path) -> str:
    """What the program says of a plugin or configuration, with the paths of the pages."""
    text = box.text if box.language == "yaml" else f"plugins:\n- ./{box.name}\n"
    try:
        (entry,) = load(text, folder).settings.plugins
        with PluginHarness(entry.code.name, given(text, folder)):
            return "nothing"
    except (ConfigError, PluginError) as error:
        told = str(error).replace(str(folder / "amiws.yaml"), "/etc/amiws.yaml")
        return told.replace(str(folder), "/etc/amiws") + "\n"


def given(text: str, folder: Path) -> Mapping[str, object]:
    (entry,) = yaml.safe_load(here(text, folder))["plugins"]
    (settings,) = entry.values()
    assert isinstance(settings, dict)
    return settings


@pytest.mark.parametrize(
    ("box", "expected"),
    [(box, said) for box, said in shown() if box.name not in AT_RUN_TIME],
    ids=lambda box: box_id(box) if box.language != "text" else "",
)
def test_a_mistake_is_told_as_shown(box: Box, expected: Box, folder: Path) -> None:
    assert said(box, folder) == expected.text


def test_faults_at_run_time_are_shown() -> None:
    assert tuple(box.name for box, _ in shown() if box.name in AT_RUN_TIME) == AT_RUN_TIME


# The reference


def test_the_reference_is_that_of_the_specifications() -> None:
    assert generator().with_reference(REFERENCE) == REFERENCE, (
        "run python scripts/hook_reference.py"
    )


def test_a_page_without_its_marks_is_refused() -> None:
    with pytest.raises(ValueError, match="has no <!-- hooks"):
        generator().with_reference(REFERENCE.replace("<!-- hooks: ", "<!-- "))


@pytest.mark.parametrize("name", hook_names())
def test_each_hook_is_documented(name: str) -> None:
    section = REFERENCE.partition(f"### `{name}`\n")[2].partition("\n### ")[0]
    parameters = ", ".join(signature(name).parameters)
    assert f"`{name}({parameters})" in section, "its parameters"
    returned = signature(name).return_annotation
    assert returned == "None" or f" → {returned}`" in section, "what it returns"
    assert re.search(r"\b[Rr]aising\b|[Ff]ails closed", section), "what its raising does"
    assert f"| [`{name}`](#{name}) |" in REFERENCE, "its row of the table"


def test_no_other_hook_is_documented() -> None:
    assert re.findall(r"^### `(amiws_\w+)`$", REFERENCE, re.MULTILINE) == hook_names()
    mistaken = {"amiws_filter_mesage"}
    ours = {"amiws_gevent", "amiws_plugins", "amiws_vip_callers"}
    ours.add("amiws_own_full_queue_alarms_total")
    assert set(re.findall(r"\bamiws_\w+", TEXT + REFERENCE)) - mistaken - ours <= set(hook_names())


def test_every_parameter_of_a_hook_is_explained() -> None:
    table = REFERENCE.partition("## What hooks get")[2].partition("\n## ")[0]
    parameters = {
        parameter for name in hook_names() for parameter in signature(name).parameters
    } - {"state", "reason", "json", "user", "code"}  # plain text and numbers, said where they are
    assert set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == parameters
    for kind, called in [
        (ServerInfo, "server"),
        (ClientInfo, "client"),
        (ClientAction, "action"),
        (RequestInfo, "request"),
        (PluginContext, "context"),
    ]:
        for field in (one for one in dataclasses.fields(kind) if one.repr):
            assert f"`{called}.{field.name}" in table, f"{called}.{field.name}"


def test_what_settings_are_made_with_is_explained() -> None:
    section = TEXT.partition("\n## Settings")[2].partition("\n## ")[0]
    told = set(re.findall(r"`(\w+)(?:\(\w+\))?`", section))
    hooks_get = {
        *("ClientInfo", "Entity", "Headers", "PluginContext", "RequestInfo", "ServerInfo"),
        "StateChanges",
    }
    assert set(api.__all__) - hooks_get <= told


def test_every_public_name_of_a_message_is_explained() -> None:
    section = TEXT.partition("## What a message is")[2].partition("\n## ")[0]
    names = {name for name in vars(Message) if not name.startswith("_")}
    for name in names - {"data", "check", "of_text", "values", "long"}:  # what the program uses
        assert f"`message.{name}" in section, name


def signature(name: str) -> inspect.Signature:
    return inspect.signature(getattr(hookspecs, name))


def test_the_harness_is_explained() -> None:
    section = TEXT.partition("## Testing it")[2].partition("\n## ")[0]
    for name in vars(PluginHarness):
        if not name.startswith("_"):
            assert f".{name}" in section, name
    for name in ("event", "response"):
        assert inspect.isfunction(getattr(testing, name))
        assert f"`{name}(" in section


def test_the_limits_are_the_program_s() -> None:
    section = TEXT.partition("## Faults and time limits")[2].partition("\n## ")[0]
    assert f"default is {HOOK_TIMEOUT * 1000:g} ms" in section
    assert f"{guard.OVERRUNS_TO_SUSPEND} times within a minute" in section
    assert guard.OVERRUN_WINDOW == 60
    assert f"an authorization raises, or takes longer than {manager.CALL_TIME:g} s" in section
    assert f"`amiws_startup` raises or takes longer than {manager.STARTUP_TIME:g} s" in section
    assert f"`amiws_shutdown` takes longer than {manager.SHUTDOWN_TIME:g} s" in section


# What comes with the program


def shipped() -> list[str]:
    """The names in setup.py, which cannot be imported without running it."""
    source = (ROOT / "setup.py").read_text(encoding="utf-8")
    (listed,) = re.findall(r"^SHIPPED_PLUGINS = (\[.*?\])", source, re.MULTILINE | re.DOTALL)
    return list(ast.literal_eval(listed))


def test_every_shipped_plugin_has_its_page_with_an_example() -> None:
    assert sorted(SHIPPED) == shipped()
    for name, page in SHIPPED.items():
        assert f"| [`{name}`](plugins/{name}.md) |" in TEXT
        assert page.read_text(encoding="utf-8").startswith(f"# `{name}`\n")
        examples = [box.text for box in boxes(page) if box.language == "yaml"]
        assert examples
        assert all(f"\n- {name}:\n" in text for text in examples)


def example(name: str, number: int, folder: Path) -> PluginHarness:
    """A shipped plugin with the settings of its n-th example, without secrets."""
    text = boxes(SHIPPED[name])[number].text
    text = text.replace("${AMIWS_MASK_KEY}", "a text that is long enough")
    return PluginHarness(name, given(text, folder))


def test_the_examples_of_event_filter_drop_what_they_say(folder: Path) -> None:
    with example("event_filter", 0, folder) as plugin:
        names = ("VarSet", "RTCPSent", "Hangup")
        plugin.feed(*(event(name, Privilege="dialplan,all") for name in names))
        assert [message.name for message in plugin.messages] == ["Hangup"]
    busy = event("Hangup", Privilege="call,all", Cause=34, Channel="PJSIP/trunk-1")
    with example("event_filter", 1, folder) as plugin:
        normal = busy.replace("Cause", "16")
        assert plugin.feed(busy, normal) == [busy, normal]
        pbx2 = ServerInfo(2, "pbx2", ssl=False)
        assert plugin.feed(busy, normal, server=pbx2) == [busy]
        assert plugin.feed(normal.replace("Channel", "PJSIP/100-1"), server=pbx2) != []


def test_the_example_of_mask_shows_what_it_says(folder: Path) -> None:
    call = event(
        "Newchannel", CallerIDNum="0301234567", CallerIDName="Alice", Exten="0309876543",
        AccountCode="a", Note="card 4111 1111 1111 1111",
    )  # fmt: skip
    with example("mask", 0, folder) as plugin:
        (shown,) = plugin.feed(call)
        assert shown.get("CallerIDNum") == "*******567"
        assert shown.get("CallerIDName") == "***"
        assert shown.get("Exten") == "*******543"
        assert shown.get("AccountCode") not in ("a", "***")
        assert plugin.feed(call) == [shown]
        assert "4111" not in str(shown)
        (shown,) = plugin.feed(event("VarSet", Variable="DB_PASSWORD", Value="hunter2"))
        assert "hunter2" not in str(shown)


@pytest.mark.parametrize("key", ["any text", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"])
def test_the_receiver_takes_what_is_genuine_and_new(
    folder: Path,
    key: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    sent = delivery(key)
    headers = {name: value for name, value in sent.headers if name.startswith("webhook-")}
    monkeypatch.setenv("WEBHOOK_KEY", key)
    client = imported(folder / "receiver.py").app.test_client()

    def answer(body: bytes = sent.body, **changed: str) -> int:
        given = headers | {f"webhook-{name}": value for name, value in changed.items()}
        status: int = client.post(
            "/hooks/calls", data=body, headers=given, content_type="application/json"
        ).status_code
        return status

    assert answer(sent.body + b" ") == 403
    assert answer(id="another") == 403
    assert answer(timestamp="1767225600") == 403
    assert answer(signature="v1,\xff") == 403
    assert client.post("/hooks/calls", data=sent.body).status_code == 403
    assert capsys.readouterr().out == ""
    assert [answer(), answer()] == [204, 204]
    assert capsys.readouterr().out == "pbx1 Hangup\n"
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 400)
    assert answer() == 403


def delivery(key: str) -> Request:
    """What the webhook sends of a Hangup."""
    with Receiver(sleep=gevent.sleep) as receiver:
        given = {"url": f"{receiver.url}/hooks/calls", "secret": key, "batch_delay": "0"}
        with PluginHarness("webhook", given) as plugin:
            plugin.feed(event("Hangup"))
            (request,) = receiver.wait_for(1)
    return request


@pytest.mark.parametrize("name", ["journal", "syslog_events", "webhook"])
def test_the_manual_says_what_relative_paths_count_from(name: str) -> None:
    module = importlib.import_module(f"amiws_plugins.{name}")
    manual = " ".join((module.__doc__ or "").split())
    assert "from the folder of the configuration file" in manual


@pytest.mark.parametrize("name", shipped())
def test_the_manual_of_a_shipped_plugin_can_be_read(name: str) -> None:
    manual = f"`python -m pydoc amiws_plugins.{name}`"
    assert manual in SHIPPED[name].read_text(encoding="utf-8")
    module = importlib.import_module(f"amiws_plugins.{name}")
    assert f"- {name}" in (module.__doc__ or "")


def test_every_option_of_the_replay_is_there() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "amiws_gevent.simulator.replay", "--help"],
        capture_output=True,
        text=True,
        timeout=WAIT,
        check=True,
    )
    text = REPLAY.read_text(encoding="utf-8")
    options = set(re.findall(r"(?<![\w-])--[a-z-]+", done.stdout)) - {"--help"}
    assert options
    assert set(re.findall(r"`(--[a-z-]+)`", text)) == options


def test_the_template_s_entry_point_is_as_shown() -> None:
    (box,) = [box for box in BOXES if box.language == "toml"]
    project = tomllib.loads((ROOT / "examples/plugin_template/pyproject.toml").read_text())
    shown = tomllib.loads(box.text)["project"]
    assert shown["entry-points"] == project["project"]["entry-points"]
