"""Asks plugins about a WebSocket upgrade, after the gate's own checks."""

from __future__ import annotations

import logging

from amiws_gevent.plugins.api import RequestInfo
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
        return Verdict(403, verdict.user, headers, body)
