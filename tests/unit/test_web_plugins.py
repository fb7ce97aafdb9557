"""Plugins are asked about an upgrade after the gate, and all must agree."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import flask
import pytest

from amiws_gevent.plugins.api import Headers, RequestInfo
from amiws_gevent.plugins.loading import PluginError
from amiws_gevent.plugins.manager import Plugins
from amiws_gevent.web.gate import Verdict
from amiws_gevent.web.plugins import PluginGate, add_blueprints
from amiws_gevent.web.verdict import Grant
from tests.support.plugins import entry, running
from tests.support.webserver import FakeGate

REQUEST = RequestInfo("GET", "/ws", Headers([("Host", "a")]), "http", "192.0.2.1")


def gate(folder: Path, answer: str, verdict: Verdict | None = None) -> PluginGate:
    source = (
        "ASKED = []\ndef amiws_authorize_client(user):\n"
        f"    ASKED.append(user)\n    return {answer}\n"
    )
    inner: Any = FakeGate(verdict or Verdict(200, Grant("alice"), (("Set-Cookie", "a=b"),)))
    return PluginGate(inner, running(entry(folder, source)))


def asked(gate: PluginGate) -> list[str | None]:
    users: list[str | None] = gate._plugins.running[0].code.plugin.ASKED  # type: ignore[attr-defined]
    return users


def test_without_plugins_the_gate_decides() -> None:
    verdict = Verdict(200, Grant("alice"), (("Set-Cookie", "a=b"),))
    inner: Any = FakeGate(verdict)
    assert PluginGate(inner, Plugins()).check_upgrade(REQUEST) is verdict


def test_who_may_passes_with_all_that_the_gate_says(tmp_path: Path) -> None:
    made = gate(tmp_path, "None")
    assert made.check_upgrade(REQUEST) == Verdict(200, Grant("alice"), (("Set-Cookie", "a=b"),))
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


def own_app() -> flask.Flask:
    """An application with routes as the program's has them."""
    app = flask.Flask(__name__, static_folder=None)

    def serve(name: str = "") -> str:
        return f"file {name}"

    app.add_url_rule("/", "files", serve)
    app.add_url_rule("/<path:name>", "files", serve)
    app.add_url_rule("/metrics", "metrics", lambda: "metrics")
    return app


def blueprint(name: str, *routes: str, **options: Any) -> flask.Blueprint:
    made = flask.Blueprint(name, __name__)
    for number, route in enumerate(routes):
        made.add_url_rule(route, f"view{number}", lambda **found: f"{name} {found}", **options)
    return made


def added(*blueprints: flask.Blueprint) -> flask.Flask:
    app = own_app()
    add_blueprints(app, [(f"p{n}", each) for n, each in enumerate(blueprints)])
    return app


def test_its_routes_come_before_the_files() -> None:
    client = added(blueprint("a", "/a", "/a/<int:number>"), blueprint("b", "/b")).test_client()
    assert client.get("/a").text == "a {}"
    assert client.get("/a/5").text == "a {'number': 5}"
    assert client.get("/b").text == "b {}"
    assert client.get("/c").text == "file c"
    assert client.get("/").text == "file "


def test_without_any_nothing_changes() -> None:
    assert added().test_client().get("/x").text == "file x"


@pytest.mark.parametrize("route", ["/", "/metrics", "/<path:other>"])
def test_a_route_of_the_program_is_taken(route: str) -> None:
    with pytest.raises(
        PluginError, match=rf"plugin p0: blueprint a: the route {route} already belongs to"
    ):
        added(blueprint("a", "/x", route))


@pytest.mark.parametrize("route", ["/x", "/x/<name>", "/x/<string:y>/<int:z>"])
def test_a_route_of_another_plugin_is_taken(route: str) -> None:
    other = route.replace("name", "other").replace("y>", "q>")
    with pytest.raises(
        PluginError, match=r"plugin p1: blueprint b: the route .* already belongs to a\."
    ):
        added(blueprint("a", route), blueprint("b", other))


def test_a_route_that_a_plugin_has_twice() -> None:
    with pytest.raises(PluginError, match="plugin p0: blueprint a: the route /x already belongs"):
        added(blueprint("a", "/x", "/x"))


def test_other_methods_and_other_kinds_of_variable_do_not_clash() -> None:
    app = added(
        blueprint("a", "/x", methods=["POST"]),
        blueprint("b", "/x", methods=["GET"]),
        blueprint("c", "/y/<int:a>"),
        blueprint("d", "/y/<a>"),
    )
    client = app.test_client()
    assert client.post("/x").text == "a {}"
    assert client.get("/x").text == "b {}"
    assert client.get("/y/1").text == "c {'a': 1}"
    assert client.get("/y/z").text == "d {'a': 'z'}"


def test_a_name_that_is_taken() -> None:
    with pytest.raises(PluginError, match=r"plugin p1: blueprint a: ValueError: .*already"):
        added(blueprint("a", "/x"), blueprint("a", "/y"))


def fail(state: object) -> None:
    raise KeyError("missing")


def test_whatever_registering_raises_is_told() -> None:
    made = blueprint("a")
    made.record(fail)
    with pytest.raises(PluginError, match="plugin p0: blueprint a: KeyError: 'missing'"):
        added(made)


def test_one_that_was_registered_before() -> None:
    """A plugin that keeps its blueprint over a reload, and does not add to it."""
    made = blueprint("a", "/x")
    added(made)
    assert added(made).test_client().get("/x").text == "a {}"
