"""The server from start over reloads to stop, seen from the pages."""

from __future__ import annotations

import re
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import gevent
import pytest
import trustme
from gevent import socket, ssl

from amiws_gevent.config import Limits
from amiws_gevent.errors import ListenError
from amiws_gevent.runtime.loop import PauseMeter
from amiws_gevent.web.backlog import Backlog, LossyBacklog
from amiws_gevent.web.gate import Verdict
from amiws_gevent.web.listener import open_listener
from amiws_gevent.web.server import WebServer
from amiws_gevent.web.verdict import LOGGED_OUT, LOGIN_GONE, Grant
from amiws_gevent.web.websocket import WebSocketClient
from tests.support.patience import WAIT
from tests.support.webserver import (
    HOST,
    FakeGate,
    FakeSessions,
    Frame,
    Peer,
    close_payload,
    configure,
    make_settings,
    masked,
    serving,
    upgraded,
    wait_for,
)

CLOSE, PING, PONG = 8, 9, 10
GOING_AWAY = Frame(CLOSE, close_payload(1001, "server going away"))


def free_port() -> int:
    with open_listener("", 0) as listener:
        return int(listener.getsockname()[1])


class Authority:
    """Writes certificates of its own, in the place of those before."""

    def __init__(self, folder: Path) -> None:
        self.files = {"ssl_cert": folder / "cert.pem", "ssl_key": folder / "key.pem"}
        self._ca = trustme.CA()
        self.trust = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._ca.configure_trust(self.trust)
        self.renew()

    def renew(self) -> None:
        issued = self._ca.issue_cert("localhost")
        issued.private_key_pem.write_to_path(self.files["ssl_key"])
        self.files["ssl_cert"].write_bytes(b"".join(b.bytes() for b in issued.cert_chain_pems))

    def serial(self, port: int) -> str:
        """Of the certificate that new connections see."""
        with Peer(port, tls=self.trust) as peer:
            return str(peer.socket.getpeercert()["serialNumber"])


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def still_there(peer: Peer) -> bool:
    """Whether a page is served as before."""
    peer.send(masked(1, b"still there?"))
    return peer.frame() == Frame(1, b"still there?")


# Start


def test_ipv4_and_ipv6_on_one_port() -> None:
    gate = FakeGate()
    with serving(make_settings(ws_host=""), gate=gate) as server:
        for host in ("127.0.0.1", "::1"):
            with upgraded(server, host=host):
                pass
    assert [request.address for request in gate.asked] == ["127.0.0.1", "::1"]


def test_a_listener_of_the_callers() -> None:
    listener = open_listener("127.0.0.1", 0)
    port = listener.getsockname()[1]
    with serving(listener=listener) as server, Peer(port) as peer:
        assert server.port == port
        assert peer.request().status == 200


def test_a_port_in_use() -> None:
    with serving() as server:
        settings = make_settings(ws_port=server.port)
        second = WebServer(FakeSessions())
        with pytest.raises(ListenError, match="in use"):
            configure(second, settings)
        second.stop(0)  # of one that never was started


def test_a_certificate_that_is_none_leaves_no_listener(tmp_path: Path) -> None:
    port = free_port()
    files = {"ssl_cert": tmp_path / "none.pem", "ssl_key": tmp_path / "none.pem"}
    settings = make_settings(ws_port=port, **files)
    with pytest.raises(ListenError, match=r"none\.pem"):
        WebServer(FakeSessions()).prepare(settings)
    open_listener("127.0.0.1", port).close()


def test_clients_and_connections_are_counted() -> None:
    with serving() as server:
        with upgraded(server), upgraded(server), Peer(server.port) as peer:
            peer.request()
            wait_for(lambda: (len(server.clients), server.connections) == (2, 3), "all")
        wait_for(lambda: (len(server.clients), server.connections) == (0, 0), "none")


# The sweeper


def test_pings_come_by_themselves() -> None:
    with serving(make_settings(limits={"ping_interval": 0.2})) as server, upgraded(server) as peer:
        for _ in range(3):
            assert peer.frame() == Frame(PING, b"")
            peer.send(masked(PONG))
        assert still_there(peer)


def test_a_client_that_answers_no_ping_is_cut_off() -> None:
    sessions = FakeSessions()
    settings = make_settings(limits={"ping_interval": 0.1})
    with serving(settings, sessions=sessions) as server, upgraded(server) as silent:
        assert [frame.opcode for frame in silent.frames()] in ([PING] * 2, [PING] * 3)
        wait_for(lambda: sessions.ends, "the end")
    code, reason = sessions.ends[0]
    assert code == 1006
    assert reason.startswith("the client sent nothing for ")


def test_a_message_that_takes_too_long() -> None:
    settings = make_settings(limits={"ping_interval": 1, "idle_time": 0.2})
    with serving(settings) as server, upgraded(server) as peer:
        peer.send(masked(1, b"half of it", fin=False))
        assert peer.closed() == 1008


# Why clients went


def test_ends_are_counted_by_code_and_kind() -> None:
    with serving() as server:
        ends = [masked(CLOSE, close_payload(code)) for code in (1000, 3001, 3999, 4711)]
        for end in [*ends, masked(CLOSE), b"\x81\x05hello", masked(1, b"\xff")]:
            with upgraded(server) as peer:
                peer.send(end)
                peer.closed()
        with upgraded(server):
            pass
        wait_for(lambda: server.counts.closes.total() == 8, "all")
        with upgraded(server):
            server.stop(0.1)
    assert server.counts.closes == {
        (1000, "by_client"): 1,
        (3000, "by_client"): 2,
        (4000, "by_client"): 1,
        (1005, "by_client"): 1,
        (1002, "protocol"): 1,
        (1007, "protocol"): 1,
        (1006, "lost"): 1,
        (1001, "going_away"): 1,
    }


def test_a_slow_client_is_told_of_with_its_user(caplog: pytest.LogCaptureFixture) -> None:
    sessions = FakeSessions()
    settings = make_settings(limits={"client_buffer": 1000})
    gate = FakeGate(Verdict(200, Grant("ann")))
    with serving(settings, sessions=sessions, gate=gate) as server, ExitStack() as stack:
        for number in range(3):
            stack.enter_context(upgraded(server, receive_buffer=4096))
            wait_for(lambda n=number: len(sessions.clients) == n + 1, "a client")
        for client in sessions.clients:
            client.send_text(b"x" * 10_000_000)
            client.send_text(b"x" * 1000)
            client.abort("the test does not wait")
        wait_for(lambda: len(sessions.ends) == 3, "the ends")
        assert server.counts.closes == {(1013, "slow"): 3}
        assert server._laggards._timer is not None
    assert server._laggards._timer is None
    (warning,) = [r.getMessage() for r in caplog.records if r.name == "amiws_gevent.web"]
    assert re.fullmatch(
        r"client 127\.0\.0\.1:\d+ \(ann\) closed: 1013 too slow: \d+ bytes waiting", warning
    ), warning


@pytest.mark.parametrize("servers", [1, 50])
def test_fewer_descriptors_than_connections(
    servers: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    hosts = [HOST.model_copy(update={"id": number}) for number in range(servers)]
    with serving(make_settings(limits={"connections": 100}, amihosts=hosts)) as server:
        assert server._endpoint._acceptor is not None
        room = 1000 - server._endpoint._acceptor.listener.fileno() - 1 - servers
        monkeypatch.setattr("amiws_gevent.web.server.limit", lambda: 1024)
        monkeypatch.setattr("amiws_gevent.web.server.limit_for_clients", lambda: 1000)
        configure(server, make_settings(limits={"connections": room}, amihosts=hosts))
        assert not caplog.records
        configure(server, make_settings(limits={"connections": room + 1}, amihosts=hosts))
        assert server._site.room == room
    (warning,) = [record.getMessage() for record in caplog.records]
    assert warning.startswith(
        f"limits.connections is {room + 1}, but the process may have 1024 descriptors, enough "
        f"for {room} connections: raise LimitNOFILE"
    )


def test_a_listener_that_moves_leaves_as_much_room() -> None:
    """Its new descriptor comes behind those of all pages."""
    with serving() as server, ExitStack() as stack:
        before = server._site.room
        for _ in range(5):
            stack.enter_context(upgraded(server))
        configure(server, make_settings(ws_host="::1"))
        assert server._site.room == before


def test_descriptors_for_servers_alone_leave_no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving() as server:
        monkeypatch.setattr("amiws_gevent.web.server.limit_for_clients", lambda: 3)
        configure(server, make_settings())
        assert server._site.room == 0


def test_what_slow_clients_lose_is_told_of(caplog: pytest.LogCaptureFixture) -> None:
    with serving(make_settings(limits={"ping_interval": 0.1})) as server:
        server.losses.messages = 7
        wait_for(lambda: "slow clients lost 7 messages" in caplog.text, "the warning")
        server.losses.messages = 9
    assert "slow clients lost 2 messages" in caplog.text, "the rest at the end"


# What many do at once


def test_clients_that_all_speak_at_once_do_not_hold_the_loop() -> None:
    class Slow(FakeSessions):
        def received(self, client: WebSocketClient, text: str) -> None:
            super().received(client, text)
            compute()

        def closed(self, client: WebSocketClient, code: int, reason: str) -> None:
            super().closed(client, code, reason)
            compute()

    def compute() -> None:
        end = time.thread_time() + 0.001
        while time.thread_time() < end:
            pass

    sessions = Slow()
    with serving(sessions=sessions) as server, ExitStack() as stack:
        peers = [stack.enter_context(upgraded(server)) for _ in range(150)]
        meter = PauseMeter(time.thread_time)  # not what other processes take
        meter.start()
        for peer in peers:
            peer.socket._sock.send(masked(1, b"all at once"))
        wait_for(lambda: len(sessions.texts) == 150, "all were heard")
        for peer in peers:
            peer.socket.close()
        wait_for(lambda: len(sessions.ends) == 150, "all are gone")
        meter.stop()
        assert meter.longest < 0.1


# Stop


def test_stop_closes_all_clients_and_waits_for_their_answers() -> None:
    sessions = FakeSessions()
    with serving(sessions=sessions) as server, ExitStack() as stack:
        peers = [stack.enter_context(upgraded(server)) for _ in range(20)]
        wait_for(lambda: len(server.clients) == 20, "all")
        stopping = gevent.spawn(server.stop, 600)
        for peer in peers:
            assert peer.frame() == GOING_AWAY
            peer.send(masked(CLOSE, close_payload(1001)))
            assert peer.rest() == b""
        stopping.get(timeout=WAIT)  # it does not wait longer than it has to
        assert not server.clients
        assert sessions.ends == [(1001, "server going away")] * 20
        with pytest.raises(ConnectionRefusedError):
            Peer(server.port)


def test_stop_cuts_off_who_does_not_answer() -> None:
    sessions = FakeSessions()
    with (
        serving(sessions=sessions) as server,
        upgraded(server) as silent,
        upgraded(server, receive_buffer=4096) as stalled,
    ):
        wait_for(lambda: len(sessions.clients) == 2, "both")
        for client in sessions.clients:
            client.send_text(b"x" * 1_000_000)
        assert sessions.clients[1].pending_bytes
        with gevent.Timeout(WAIT):
            server.stop(0.3)
        assert not server.connections
        assert [code for code, _ in sessions.ends] == [1001, 1001]
        assert silent.is_cut()
        assert stalled.is_cut()


def test_stop_lets_requests_end_and_no_new_ones_begin() -> None:
    goes_on = gevent.event.Event()

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        goes_on.wait(WAIT)
        start_response("200 OK", [])
        return [b"done"]

    with (
        serving(app=app) as server,
        Peer(server.port) as busy,
        Peer(server.port) as new,
        Peer(server.port) as halfway,
    ):
        busy.send("GET / HTTP/1.1\r\nHost: x\r\n\r\nGET /2 HTTP/1.1\r\nHost: x\r\n\r\n")
        halfway.send("GET / HTTP/1.1\r\nHost: x\r\n")
        wait_for(lambda: server.connections == 3, "all")
        for _ in range(50):  # turns of the loop, which reads what is there
            gevent.sleep(0.001)
        stopping = gevent.spawn(server.stop, 60)
        assert new.rest() == b"", "it had asked for nothing yet"
        halfway.send("Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
        answer = halfway.answer()
        assert (answer.status, answer.headers["connection"]) == (503, "close")
        assert answer.headers["retry-after"] == "5"
        goes_on.set()
        answer = busy.answer()
        assert (answer.body, answer.headers["connection"]) == (b"done", "close")
        assert busy.rest() == b""
        stopping.get(timeout=WAIT)


def test_stop_does_not_wait_for_an_endless_answer() -> None:
    def app(environ: dict[str, Any], start_response: Any) -> Any:
        start_response("200 OK", [])
        while True:
            yield b"x" * 65536

    with serving(app=app) as server, Peer(server.port) as peer:
        peer.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        peer.take(1000)
        server.stop(0.1)
        assert not server.connections


def test_stop_within_a_handshake(authority: Authority) -> None:
    with serving(make_settings(**authority.files)) as server, Peer(server.port) as peer:
        peer.send(b"\x16\x03\x01")
        wait_for(lambda: server.connections, "it has come")
        with gevent.Timeout(WAIT):
            server.stop(600)
        assert peer.is_cut()


def test_a_client_that_is_upgraded_while_the_server_stops() -> None:
    asked = gevent.event.Event()
    goes_on = gevent.event.Event()

    def decide(request: Any) -> Verdict:
        asked.set()
        goes_on.wait(WAIT)
        return Verdict(200)

    with serving(gate=FakeGate(decide)) as server, Peer(server.port) as peer:
        upgrading = gevent.spawn(peer.handshake)
        assert asked.wait(WAIT)
        stopping = gevent.spawn(server.stop, 60)
        gevent.sleep(0)
        goes_on.set()
        assert upgrading.get(timeout=WAIT).status == 101
        assert peer.frame() == GOING_AWAY
        peer.send(masked(CLOSE, close_payload(1001)))
        stopping.get(timeout=WAIT)


# Reload


def test_reload_changes_app_gate_and_limits_for_what_is_new() -> None:
    def other(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        return [b"other"]

    with serving() as server, upgraded(server) as before, Peer(server.port) as peer:
        assert peer.request("GET /x HTTP/1.1").body == b"GET /x "
        settings = make_settings(limits={"client_message": 1000})
        configure(server, settings, app=other, gate=FakeGate(Verdict(403, body=b"no\n")))
        assert peer.request().body == b"other", "on a connection that was there"
        assert peer.handshake().status == 403
        before.send(masked(1, b"x" * 2000))
        assert before.frame() == Frame(1, b"x" * 2000)
        configure(server, settings, app=other)
        assert peer.request().body == b"other"
        with upgraded(server) as after:
            after.send(masked(1, b"x" * 2000))
            assert after.closed() == 1009


def test_reload_changes_what_becomes_of_slow_clients_that_are_new() -> None:
    sessions = FakeSessions()
    with serving(sessions=sessions) as server, upgraded(server):
        configure(server, make_settings(slow_clients="drop"))
        with upgraded(server):
            wait_for(lambda: len(sessions.clients) == 2, "both")
            sources = [client.outlet._make_source() for client in sessions.clients]
            assert list(map(type, sources)) == [Backlog, LossyBacklog]


def test_reload_takes_a_new_certificate(authority: Authority) -> None:
    settings = make_settings(**authority.files)
    with serving(settings) as server, upgraded(server, tls=authority.trust) as peer:
        first = authority.serial(server.port)
        authority.renew()
        assert authority.serial(server.port) == first
        configure(server, settings)
        assert authority.serial(server.port) != first
        assert still_there(peer)


def test_reload_refuses_a_bad_certificate(authority: Authority) -> None:
    settings = make_settings(**authority.files)
    with serving(settings) as server:
        first = authority.serial(server.port)
        authority.files["ssl_cert"].write_text("broken")
        with pytest.raises(ListenError, match=r"cert\.pem"):
            configure(server, settings, gate=FakeGate(Verdict(403)))
        assert authority.serial(server.port) == first
        with upgraded(server, tls=authority.trust):
            pass


def test_reload_turns_tls_on_and_off_on_the_same_port(authority: Authority) -> None:
    plain, secure = make_settings(), make_settings(**authority.files)
    gate = FakeGate()
    with serving(plain, gate=gate) as server, upgraded(server) as first:
        port = server.port
        configure(server, secure, gate=gate)
        assert server.port == port
        with upgraded(server, tls=authority.trust) as second:
            configure(server, plain, gate=gate)
            with upgraded(server) as third:
                assert still_there(first)
                assert still_there(second)
                assert still_there(third)
    assert [request.scheme for request in gate.asked] == ["http", "https", "http"]


def test_reload_moves_to_another_port() -> None:
    with serving() as server, upgraded(server) as before:
        old = server.port
        configure(server, make_settings(ws_port=free_port()))
        assert server.port != old
        with pytest.raises(ConnectionRefusedError):
            Peer(old)
        with upgraded(server) as after:
            assert still_there(before)
            assert still_there(after)
        configure(server, make_settings(ws_port=server.port))  # nothing has changed
        assert still_there(before)


def test_reload_moves_to_another_address_of_the_same_port() -> None:
    port = free_port()
    with serving(make_settings(ws_host="", ws_port=port)) as server, upgraded(server) as before:
        configure(server, make_settings(ws_host="127.0.0.1", ws_port=port))
        with pytest.raises(ConnectionRefusedError):
            Peer(port, host="::1")
        with upgraded(server) as after:
            assert still_there(before)
            assert still_there(after)


@pytest.mark.parametrize("host", ["127.0.0.1", "192.0.2.1"])
def test_reload_that_cannot_move_stays(host: str) -> None:
    with open_listener("127.0.0.1", 0) as taken, serving() as server, upgraded(server) as before:
        port = server.port
        other = taken.getsockname()[1] if host == "127.0.0.1" else port
        with pytest.raises(ListenError):
            configure(
                server, make_settings(ws_host=host, ws_port=other), gate=FakeGate(Verdict(403))
            )
        assert server.port == port
        with upgraded(server) as after:
            assert still_there(before)
            assert still_there(after)


def test_reload_to_an_address_that_is_none_on_the_same_port_stays() -> None:
    port = free_port()
    with serving(make_settings(ws_port=port)) as server, upgraded(server) as before:
        with pytest.raises(ListenError, match="not an address of this machine"):
            configure(server, make_settings(ws_host="192.0.2.1", ws_port=port))
        with upgraded(server) as after:
            assert still_there(before)
            assert still_there(after)


def test_no_connection_is_lost_in_a_reload(authority: Authority) -> None:
    """They wait in the queue of the kernel meanwhile."""
    with serving() as server, ExitStack() as stack:
        early = []
        for _ in range(50):
            sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            stack.callback(sock.close)
            sock._sock.setblocking(False)
            with pytest.raises(BlockingIOError):
                sock._sock.connect(("127.0.0.1", server.port))
            early.append(sock)
        configure(server, make_settings(**authority.files))
        for sock in early:
            tls = authority.trust.wrap_socket(sock, server_hostname="localhost")
            stack.callback(tls.close)
            tls.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert tls.recv(100).startswith(b"HTTP/1.1 200 OK")


def test_limits_of_a_reload_reach_the_sweeper() -> None:
    with serving(make_settings(limits={"ping_interval": 1})) as server, upgraded(server) as peer:
        configure(server, make_settings(limits={"ping_interval": 0.1}))
        assert peer.frame() == Frame(PING, b"")
    assert Limits().ping_interval == 25


def test_those_whose_login_has_ended_are_closed_with_its_code() -> None:
    gate = FakeGate(lambda request: Verdict(200, Grant(request.headers.get("X-User"))))
    reasons = {"ann": LOGGED_OUT, "bob": LOGIN_GONE}
    with (
        serving(gate=gate) as server,
        upgraded(server, "X-User: ann\r\n") as ann,
        upgraded(server, "X-User: bob\r\n") as bob,
        upgraded(server, "X-User: carl\r\n") as carl,
    ):
        wait_for(lambda: len(server.clients) == 3, "the clients")
        server.check(lambda grant: reasons.get(grant.user or ""))
        for peer, code, reason in ((ann, 4410, LOGGED_OUT), (bob, 4401, LOGIN_GONE)):
            frame = peer.frame()
            assert frame.opcode == 8
            assert frame.payload == close_payload(code, reason)
        assert still_there(carl)


def test_a_login_that_ends_during_the_handshake() -> None:
    with serving() as server:
        server.end_of = lambda _: LOGIN_GONE
        with upgraded(server) as peer:
            assert peer.frame().payload == close_payload(4401, LOGIN_GONE)
