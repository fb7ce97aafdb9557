"""What plugins do on the web: who may open a WebSocket, and blueprints of their own."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable

import flask
from werkzeug.routing import Rule

from amiws_gevent.plugins.api import RequestInfo
from amiws_gevent.plugins.loading import PluginError
from amiws_gevent.plugins.manager import Plugins
from amiws_gevent.runtime.log import LogLimiter
from amiws_gevent.web.gate import LOG_INTERVAL, Gate, Verdict

_log = logging.getLogger("amiws_gevent.web.gate")


class PluginGate:
    """A gate for upgrades: Origin and login first, then every plugin must agree."""

    def __init__(self, gate: Gate, plugins: Plugins) -> None:
        self._gate = gate
        self._plugins = plugins
        self._limiter = LogLimiter(LOG_INTERVAL)

    def check_upgrade(self, request: RequestInfo) -> Verdict:
        """As ``Gate.check_upgrade``; 403 with the reason where a plugin refuses."""
        verdict = self._gate.check_upgrade(request)
        if verdict.status != 200:
            return verdict
        refusal = self._plugins.authorize_client(request, verdict.user)
        if refusal is None:
            return verdict
        who = f"{request.address} ({verdict.user})" if verdict.user else request.address
        self._limiter.log(
            _log,
            logging.WARNING,
            "refused",
            "WebSocket from %s refused by a plugin: %s",
            who,
            refusal,
        )
        headers = (("Content-Type", "text/plain; charset=utf-8"),)
        body = f"403 {refusal}\n".encode(errors="replace")
        return Verdict(403, verdict.grant, headers, body)


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
