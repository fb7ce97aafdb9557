"""Adds plugins' blueprints to the application; two equal routes are an error."""

from __future__ import annotations

import re
from collections.abc import Iterable

import flask
from werkzeug.routing import Rule

from amiws_gevent.plugins.loading import PluginError

_VARIABLE = re.compile(r"<(?:([^<>:]+):)?[^<>]+>")
_IMPLIED = frozenset({"HEAD", "OPTIONS"})


def add_blueprints(app: flask.Flask, blueprints: Iterable[tuple[str, flask.Blueprint]]) -> None:
    """Register blueprints, each with its plugin's name; raises PluginError.

    Flask itself lets the first of two equal routes win, and says nothing.
    """
    for plugin, blueprint in blueprints:
        there = list(app.url_map.iter_rules())
        try:
            app.register_blueprint(blueprint)
        except Exception as error:
            told = f"{type(error).__name__}: {error}"
            raise PluginError(f"plugin {plugin}: blueprint {blueprint.name}: {told}") from error
        known = set(map(id, there))
        for rule in app.url_map.iter_rules():
            if id(rule) in known:
                continue
            for other in there:
                if _clash(rule, other):
                    raise PluginError(
                        f"plugin {plugin}: blueprint {blueprint.name}: "
                        f"the route {rule.rule} already belongs to {other.endpoint}"
                    )
            there.append(rule)


def _clash(one: Rule, other: Rule) -> bool:
    """Whether one request can match both."""
    if (_pattern(one), one.subdomain, one.host) != (_pattern(other), other.subdomain, other.host):
        return False
    if one.methods is None or other.methods is None:
        return True
    return bool((one.methods & other.methods) - _IMPLIED or one.methods == other.methods)


def _pattern(rule: Rule) -> str:
    """The route without the names of its variables."""
    return _VARIABLE.sub(lambda found: f"<{found[1] or 'default'}>", rule.rule)
