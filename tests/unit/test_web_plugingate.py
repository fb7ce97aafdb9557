"""Plugins are asked about an upgrade after the gate, and all must agree."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from amiws_gevent.plugins.api import Headers, RequestInfo
from amiws_gevent.plugins.manager import Plugins
from amiws_gevent.web.gate import Verdict
from amiws_gevent.web.plugingate import PluginGate
from tests.support.plugins import entry, running
from tests.support.webserver import FakeGate

REQUEST = RequestInfo("GET", "/ws", Headers([("Host", "a")]), "http", "192.0.2.1")


def gate(folder: Path, answer: str, verdict: Verdict | None = None) -> PluginGate:
    source = (
        "ASKED = []\ndef amiws_authorize_client(user):\n"
        f"    ASKED.append(user)\n    return {answer}\n"
    )
    inner: Any = FakeGate(verdict or Verdict(200, "alice", (("Set-Cookie", "a=b"),)))
    return PluginGate(inner, running(entry(folder, source)))


def asked(gate: PluginGate) -> list[str | None]:
    users: list[str | None] = gate._plugins.running[0].code.plugin.ASKED  # type: ignore[attr-defined]
    return users


def test_without_plugins_the_gate_decides() -> None:
    verdict = Verdict(200, "alice", (("Set-Cookie", "a=b"),))
    inner: Any = FakeGate(verdict)
    assert PluginGate(inner, Plugins()).check_upgrade(REQUEST) is verdict


def test_who_may_passes_with_all_that_the_gate_says(tmp_path: Path) -> None:
    made = gate(tmp_path, "None")
    assert made.check_upgrade(REQUEST) == Verdict(200, "alice", (("Set-Cookie", "a=b"),))
    assert asked(made) == ["alice"]


@pytest.mark.parametrize("status", [401, 403])
def test_whom_the_gate_refuses_no_plugin_is_asked_about(tmp_path: Path, status: int) -> None:
    refusal = Verdict(status, body=b"no")
    made = gate(tmp_path, "True", refusal)
    assert made.check_upgrade(REQUEST) is refusal
    assert asked(made) == []


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        ("'only in office hours'", b"403 only in office hours\n"),
        ("'nicht für dich'", "403 nicht für dich\n".encode()),
        ("False", b"403 refused by the plugin ./mine.py\n"),
        ("1 / 0", b"403 refused by the plugin ./mine.py\n"),
        (r"'\udc80'", b"403 ?\n"),
    ],
)
def test_a_refusal_says_why(tmp_path: Path, answer: str, body: bytes) -> None:
    verdict = gate(tmp_path, answer).check_upgrade(REQUEST)
    assert (verdict.status, verdict.body) == (403, body)
    assert verdict.headers == (("Content-Type", "text/plain; charset=utf-8"),)


def test_it_is_logged_once_a_second(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    made = gate(tmp_path, "'no'")
    for _ in range(5):
        made.check_upgrade(REQUEST)
    assert caplog.messages == ["WebSocket from 192.0.2.1 (alice) refused by a plugin: no"]
