"""The paths for monitoring: ``/metrics``, ``/healthz`` and ``/readyz``.

They are a blueprint of the web application, behind its login. With ``metrics_listen`` they
have an application and a listener of their own, with plain HTTP and without a login.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from typing import Any, NamedTuple

import flask
from gevent import socket, ssl
from werkzeug.exceptions import HTTPException

from amiws_gevent.config import Limits, ListenAddress
from amiws_gevent.identity import Identity
from amiws_gevent.link import Link
from amiws_gevent.plugins.api import RequestInfo
from amiws_gevent.web.acceptor import Acceptor
from amiws_gevent.web.admission import Population
from amiws_gevent.web.app import plain_error
from amiws_gevent.web.endpoint import Endpoint, Move
from amiws_gevent.web.gate import Verdict
from amiws_gevent.web.site import Site
from amiws_gevent.web.websocket import WebSocketClient

CONNECTIONS = 100  # at once, on a listener of its own

_KEY = "metrics_listen"

_log = logging.getLogger("amiws_gevent.web")


class Readiness(NamedTuple):
    """Ready: the program listens, and at least one server is connected.

    A collector and an edge must have their part of the ``bus`` as well.
    """

    listening: bool
    servers: tuple[dict[str, Any], ...]
    audit: dict[str, Any] | None = None
    """Of the audit; None: there is none. An outage of it is told, and no reason not to be ready:
    clients get events and state all the same."""
    bus: Mapping[str, Any] | None = None
    """Of a collector or an edge: its ``process``, whether it is ``up``, and a ``reason`` if not."""

    @property
    def ready(self) -> bool:
        if self.bus is not None and not self.bus["up"]:
            return False
        return self.listening and any(server["connected"] for server in self.servers)


def readiness(
    listening: bool,
    links: Iterable[Link],
    *,
    audit: dict[str, Any] | None = None,
    bus: Mapping[str, Any] | None = None,
) -> Readiness:
    """The readiness at this moment."""
    servers = (
        {
            "id": link.host.id,
            "name": link.host.name,
            "connected": link.connected,
            "state": link.state.name.lower(),
            "reason": link.reason,
        }
        for link in list(links)
    )
    return Readiness(listening, tuple(servers), audit, bus)


def monitor_blueprint(
    render: Callable[[str], tuple[bytes, str]],
    ready: Callable[[], Readiness],
    sees_all: Callable[[Identity], bool] = lambda _identity: True,
) -> flask.Blueprint:
    """The three paths. ``render`` gives the metrics and their type for an ``Accept`` header.

    Beside the pages they tell of all servers and clients only to those who may see all
    (``sees_all``). Where they have a port of their own, nobody logs in.
    """
    blueprint = flask.Blueprint("amiws_monitor", __name__)

    def may_see_all() -> bool:
        identity = flask.g.get("identity")
        return identity is None or sees_all(identity)

    def metrics() -> flask.Response:
        if not may_see_all():
            text = b"403 The metrics tell of all servers, which your roles do not show.\n"
            return _answer(text, "text/plain; charset=utf-8", HTTPStatus.FORBIDDEN)
        body, content_type = render(flask.request.headers.get("Accept", ""))
        return _answer(body, content_type)

    def healthz() -> flask.Response:
        return _answer(b"ok\n", "text/plain; charset=utf-8")

    def readyz() -> flask.Response:
        now = ready()
        status = HTTPStatus.OK if now.ready else HTTPStatus.SERVICE_UNAVAILABLE
        state: dict[str, Any] = {"ready": now.ready, "listening": now.listening}
        if not may_see_all():
            return _answer(json.dumps(state).encode() + b"\n", "application/json", status)
        state["servers"] = list(now.servers)
        if now.audit is not None:
            state["audit"] = now.audit
        if now.bus is not None:
            state["bus"] = dict(now.bus)
        return _answer(json.dumps(state).encode() + b"\n", "application/json", status)

    blueprint.add_url_rule("/metrics", "metrics", metrics)
    blueprint.add_url_rule("/healthz", "healthz", healthz)
    blueprint.add_url_rule("/readyz", "readyz", readyz)
    return blueprint


def _answer(body: bytes, content_type: str, status: int = HTTPStatus.OK) -> flask.Response:
    return flask.Response(
        body,
        status,
        {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"},
        content_type=content_type,
    )


def monitor_app(blueprint: flask.Blueprint) -> flask.Flask:
    """An application with nothing but the blueprint, which asks nobody to log in."""
    app = flask.Flask("amiws_gevent.monitor", static_folder=None, template_folder=None)
    app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False
    app.register_blueprint(blueprint)
    app.register_error_handler(HTTPException, plain_error)
    return app


class _NoUpgrades:
    """A gate that refuses every WebSocket."""

    def check_upgrade(self, request: RequestInfo) -> Verdict:
        headers = (("Content-Type", "text/plain; charset=utf-8"),)
        return Verdict(
            404, headers=headers, body=b"404 There are no WebSockets here: use ws_port.\n"
        )


class MonitorListener:
    """Serves ``blueprint`` at an address that may change, or nowhere while there is none.

    ``shared``: other processes listen at the same address.
    """

    def __init__(
        self,
        blueprint: flask.Blueprint,
        *,
        shared: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.blueprint = blueprint
        self._site = Site(monitor_app(blueprint), _NoUpgrades(), _own(Limits()), clock)
        self._population = Population()
        self._endpoint = Endpoint(self._accept, host_key=_KEY, port_key=_KEY, shared=shared)

    @property
    def port(self) -> int | None:
        """The TCP port that is listened on; None without an address."""
        return self._endpoint.port

    def prepare(self, address: ListenAddress | None) -> Move:
        """Open the port, for `configure`; raises ListenError, and nothing changes then."""
        return self._endpoint.move(address)

    def configure(self, limits: Limits, move: Move) -> None:
        """Finish the move, and apply ``limits`` to new requests; cannot fail.

        Connections stay open.
        """
        self._site.limits = _own(limits)
        before = self._endpoint.address
        move.finish()
        address = self._endpoint.address
        if address is not None and address != before:
            host = f"[{address.host}]" if ":" in address.host else address.host
            text = "metrics at http://%s:%d/metrics, without a login"
            _log.info(text, host or "*", self.port)

    def stop(self) -> None:
        """Stop accepting, and abort all connections."""
        self._endpoint.close()
        for request in list(self._population.requests):
            request.abort("amiws-gevent is stopping")

    def _accept(self, listener: socket.socket, tls: ssl.SSLContext | None) -> Acceptor:
        acceptor = Acceptor(listener, self._site, self._population, tls=tls, adopt=_never)
        acceptor.start()
        return acceptor


def _own(limits: Limits) -> Limits:
    return limits.model_copy(update={"connections": CONNECTIONS})


def _never(client: WebSocketClient) -> None:
    raise AssertionError(f"{client.address}: an upgrade that was refused")
