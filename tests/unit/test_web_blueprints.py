"""Plugins' routes beside the program's own."""

from __future__ import annotations

from typing import Any

import flask
import pytest

from amiws_gevent.plugins.loading import PluginError
from amiws_gevent.web.blueprints import add_blueprints


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
