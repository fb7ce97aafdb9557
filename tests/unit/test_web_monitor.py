from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from gevent import socket

from amiws_gevent.config import Limits, ListenAddress
from amiws_gevent.errors import ListenError
from amiws_gevent.link import Link, LinkState
from amiws_gevent.web.app import create_app
from amiws_gevent.web.gate import Verdict
from amiws_gevent.web.monitor import (
    MonitorListener,
    Readiness,
    monitor_app,
    monitor_blueprint,
    readiness,
)
from tests.support.hosts import ami_host
from tests.support.webserver import Answer, Peer, make_settings, wait_for

ANYWHERE = ListenAddress("127.0.0.1", 0)


def links(*states: LinkState) -> list[Any]:
    made = [
        Link(ami_host(id=number, name=f"pbx{number}"), Limits(), on_messages=lambda *_: None)
        for number in range(1, len(states) + 1)
    ]
    for link, state in zip(made, states, strict=True):
        link.state = state
        link.reason = f"why {state.name}"
    return made


def render(accept: str) -> tuple[bytes, str]:
    return f"metrics for {accept}\n".encode(), "text/plain; version=0.0.4"


class TestReadiness:
    def test_one_connected_server_is_enough(self) -> None:
        now = readiness(True, links(LinkState.WAITING, LinkState.CONNECTED))
        assert now.ready
        assert now.servers == (
            {
                "id": 1,
                "name": "pbx1",
                "connected": False,
                "state": "waiting",
                "reason": "why WAITING",
            },
            {
                "id": 2,
                "name": "pbx2",
                "connected": True,
                "state": "connected",
                "reason": "why CONNECTED",
            },
        )

    def test_none_is_not(self) -> None:
        assert not readiness(True, links(LinkState.REFUSED, LinkState.LOGGING_IN)).ready
        assert not readiness(True, []).ready

    def test_nor_is_one_that_no_page_can_reach(self) -> None:
        assert not readiness(False, links(LinkState.CONNECTED)).ready


def client(now: Readiness) -> Any:
    return monitor_app(monitor_blueprint(render, lambda: now)).test_client()


class TestPages:
    def test_metrics_by_what_is_accepted(self) -> None:
        answer = client(Readiness(True, ())).get("/metrics", headers={"Accept": "openmetrics"})
        assert answer.status_code == 200
        assert answer.data == b"metrics for openmetrics\n"
        assert answer.headers["Content-Type"] == "text/plain; version=0.0.4"
        assert answer.headers["Cache-Control"] == "no-store"

    def test_health_is_that_there_is_an_answer(self) -> None:
        answer = client(Readiness(False, ())).get("/healthz")
        assert (answer.status_code, answer.data) == (200, b"ok\n")

    @pytest.mark.parametrize(
        ("state", "status"), [(LinkState.CONNECTED, 200), (LinkState.CONNECTING, 503)]
    )
    def test_readiness_is_a_status_and_tells_of_every_server(
        self, state: LinkState, status: int
    ) -> None:
        answer = client(readiness(True, links(state))).get("/readyz")
        assert answer.status_code == status
        assert answer.content_type == "application/json"
        told = json.loads(answer.data)
        assert told["ready"] is (status == 200)
        assert told["listening"] is True
        assert told["servers"][0]["state"] == state.name.lower()

    def test_head_and_nothing_else(self) -> None:
        monitor = client(Readiness(True, ()))
        assert monitor.head("/healthz").status_code == 200
        assert monitor.post("/metrics").status_code == 405
        answer = monitor.get("/")
        assert (answer.status_code, answer.data) == (404, b"404 Not Found\n")

    def test_among_the_pages_the_gate_is_asked_first(self) -> None:
        asked = []

        def check_request(request: Any) -> Verdict:
            asked.append(request.target)
            return Verdict(401, body=b"log in")

        app = create_app(
            make_settings(),
            SimpleNamespace(check_request=check_request),  # type: ignore[arg-type]
            blueprints=[monitor_blueprint(render, lambda: Readiness(True, ()))],
        )
        for path in ("/metrics", "/healthz", "/readyz"):
            answer = app.test_client().get(path)
            assert (answer.status_code, answer.data) == (401, b"log in")
        assert asked == ["/metrics", "/healthz", "/readyz"]


@pytest.fixture
def monitor() -> Iterator[MonitorListener]:
    monitor = MonitorListener(monitor_blueprint(render, lambda: Readiness(True, ())))
    yield monitor
    monitor.stop()


def move(monitor: MonitorListener, address: ListenAddress | None) -> int | None:
    monitor.configure(Limits(), monitor.prepare(address))
    return monitor.port


def ask(port: int | None, line: str = "GET /healthz HTTP/1.1", host: str = "127.0.0.1") -> Answer:
    assert port is not None
    with Peer(port, host=host) as peer:
        return peer.request(line)


def refuses(port: int | None) -> bool:
    assert port is not None
    try:
        Peer(port).socket.close()
    except ConnectionRefusedError:
        return True
    return False


class TestListener:
    def test_it_is_nowhere_until_it_is_moved(self, monitor: MonitorListener) -> None:
        assert monitor.port is None
        assert move(monitor, None) is None

    def test_it_answers_where_it_was_moved_to(
        self, monitor: MonitorListener, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO)
        port = move(monitor, ANYWHERE)
        assert ask(port).body == b"ok\n"
        assert ask(port, "GET /metrics HTTP/1.1").status == 200
        assert f"metrics at http://127.0.0.1:{port}/metrics, without a login" in caplog.messages

    def test_moved_to_where_it_is_nothing_happens(self, monitor: MonitorListener) -> None:
        port = move(monitor, ANYWHERE)
        assert move(monitor, ANYWHERE) == port
        assert ask(port).status == 200

    def test_moved_away_the_old_port_is_free(self, monitor: MonitorListener) -> None:
        old = move(monitor, ANYWHERE)
        new = move(monitor, ListenAddress("localhost", 0))
        assert new != old
        assert ask(new).status == 200
        assert refuses(old)
        assert move(monitor, None) is None
        assert refuses(new)

    def test_the_same_port_of_another_address(self, monitor: MonitorListener) -> None:
        port = move(monitor, ANYWHERE)
        assert port is not None
        assert move(monitor, ListenAddress("", port)) == port
        assert ask(port, host="127.0.0.2").status == 200
        assert move(monitor, ListenAddress("127.0.0.1", port)) == port
        assert ask(port).status == 200

    def test_a_port_in_use_leaves_it_where_it_was(self, monitor: MonitorListener) -> None:
        port = move(monitor, ANYWHERE)
        with socket.create_server(("127.0.0.1", 0)) as other:
            taken = other.getsockname()[1]
            with pytest.raises(ListenError, match=r"in use.*set another metrics_listen"):
                move(monitor, ListenAddress("127.0.0.1", taken))
        assert monitor.port == port
        assert ask(port).status == 200

    def test_an_address_of_another_machine_leaves_it_where_it_was(
        self, monitor: MonitorListener
    ) -> None:
        port = move(monitor, ANYWHERE)
        assert port is not None
        with pytest.raises(ListenError, match=r"^metrics_listen 192\.0\.2\.1 is not an address"):
            move(monitor, ListenAddress("192.0.2.1", port))
        assert monitor.port == port
        assert ask(port).status == 200

    @pytest.mark.parametrize("host", ["localhost", "", None])
    def test_a_move_is_undone(self, monitor: MonitorListener, host: str | None) -> None:
        """To another port, to the same port of all addresses, and to nowhere."""
        port = move(monitor, ANYWHERE)
        assert port is not None
        wanted = None if host is None else ListenAddress(host, 0 if host else port)

        monitor.prepare(wanted).undo()
        assert monitor.port == port
        assert ask(port).status == 200
        assert move(monitor, ANYWHERE) == port, "it knows that it is still there"

    def test_there_are_no_websockets(self, monitor: MonitorListener) -> None:
        port = move(monitor, ANYWHERE)
        assert port is not None
        for target, status in (("/ws", 404), ("/", 404), ("/metrics", 400)):
            with Peer(port) as peer:
                assert peer.handshake(target=target).status == status

    def test_few_connections_are_enough_and_the_limits_hold(self, monitor: MonitorListener) -> None:
        monitor.configure(Limits(header_time=0.05), monitor.prepare(ANYWHERE))
        port = monitor.port
        assert port is not None
        with Peer(port) as peer:
            peer.send("GET /heal")
            assert peer.answer().status == 408

    def test_stopped_it_cuts_off_who_is_connected(self, monitor: MonitorListener) -> None:
        port = move(monitor, ANYWHERE)
        assert port is not None
        with Peer(port) as peer:
            assert peer.request("GET /healthz HTTP/1.1").status == 200
            monitor.stop()
            assert peer.is_cut()
        wait_for(lambda: refuses(port), "the port is closed")


def test_an_audit_that_cannot_be_written_is_told_and_no_reason_not_to_be_ready() -> None:
    told = {"writing": False, "refusing": True, "reason": "No space left on device"}
    now = Readiness(True, ({"connected": True},), told)
    app = monitor_app(monitor_blueprint(lambda _accept: (b"", ""), lambda: now))
    response = app.test_client().get("/readyz")
    assert response.status_code == 200
    assert response.json is not None
    assert response.json["audit"] == told
