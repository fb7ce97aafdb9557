"""Connections before they are requests: TLS, and the limits on how many there may be."""

from __future__ import annotations

import errno
import gc
import logging
import os
import random
import resource
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import gevent
import pytest
import trustme
from gevent import socket, ssl

from amiws_gevent.runtime.loop import PauseMeter
from amiws_gevent.web import acceptor
from amiws_gevent.web.acceptor import Acceptor
from tests.support.patience import WAIT
from tests.support.webserver import (
    HOST,
    FakeGate,
    FakeSessions,
    Frame,
    Peer,
    make_settings,
    masked,
    serving,
    upgraded,
    wait_for,
)


class Certificate:
    """A certificate of our own making, its files, and a context that trusts it."""

    def __init__(self, folder: Path) -> None:
        authority = trustme.CA()
        self.files = {"ssl_cert": folder / "cert.pem", "ssl_key": folder / "key.pem"}
        self.trust = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        authority.configure_trust(self.trust)
        issued = authority.issue_cert("localhost")
        issued.private_key_pem.write_to_path(self.files["ssl_key"])
        self.files["ssl_cert"].write_bytes(b"".join(b.bytes() for b in issued.cert_chain_pems))


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return Certificate(tmp_path_factory.mktemp("tls"))


# TLS


def test_https_and_wss(certificate: Certificate) -> None:
    gate, sessions = FakeGate(), FakeSessions()
    settings = make_settings(**certificate.files)
    with serving(settings, gate=gate, sessions=sessions) as server:
        with Peer(server.port, tls=certificate.trust) as peer:
            assert peer.request("GET /x HTTP/1.1").body == b"GET /x "
        with upgraded(server, tls=certificate.trust) as peer:
            peer.send(masked(1, b"x" * 60000))
            assert peer.frame() == Frame(1, b"x" * 60000)
            peer.send(masked(8, b"\x03\xe8"))
            assert peer.closed() == 1000
        wait_for(lambda: sessions.ends == [(1000, "")], "the end")
    assert [request.scheme for request in gate.asked] == ["https"]


def test_tls_ends_with_its_notice(certificate: Certificate) -> None:
    with serving(make_settings(**certificate.files)) as server:
        for request in (
            "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
            "no HTTP\r\n\r\n",
        ):
            with Peer(server.port, tls=certificate.trust) as peer:
                peer.socket.suppress_ragged_eofs = False  # an end without it raises
                peer.send(request)
                assert peer.rest().startswith(b"HTTP/1.1 ")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_both_versions(certificate: Certificate, version: ssl.TLSVersion) -> None:
    trust = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trust.check_hostname = False
    trust.verify_mode = ssl.CERT_NONE
    trust.minimum_version = trust.maximum_version = version
    with (
        serving(make_settings(**certificate.files)) as server,
        Peer(server.port, tls=trust) as peer,
    ):
        assert peer.request().status == 200


def test_http_to_the_tls_port(certificate: Certificate, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with serving(make_settings(**certificate.files)) as server:
        with Peer(server.port) as peer:
            peer.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            answer = peer.answer()
            assert answer.status == 400
            assert b"https://" in answer.body
            assert peer.rest() == b""
        wait_for(lambda: not server.connections, "it is over")
    assert len(caplog.records) == 1
    assert caplog.records[0].levelno == logging.DEBUG


@pytest.mark.parametrize(
    "data",
    [b"", b"\x00" * 100, b"\x16\x03\x01", random.Random(7).randbytes(3000)],
    ids=["nothing", "zeros", "half a record", "noise"],
)
def test_garbage_to_the_tls_port(
    certificate: Certificate,
    data: bytes,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with serving(make_settings(**certificate.files)) as server:
        with Peer(server.port) as peer:
            peer.send(data)
            peer.socket.shutdown(socket.SHUT_WR)
            assert peer.is_cut()
        wait_for(lambda: not server.connections, "it is over")
        assert not server._population.arriving
    assert not caplog.records
    assert not capsys.readouterr().err


@pytest.mark.parametrize("drips", [False, True])
def test_a_handshake_that_does_not_come(certificate: Certificate, drips: bool) -> None:
    settings = make_settings(**certificate.files, limits={"tls_handshake_time": 0.2})
    with serving(settings) as server, Peer(server.port) as peer:
        if drips:
            hello = client_hello(certificate.trust)
            gevent.spawn(drip, peer, hello)
        wait_for(lambda: server.connections, "it has come")
        wait_for(lambda: not server.connections, "it was cut off", patience=30)  # of 50 s


@pytest.mark.slow
def test_waiting_for_the_cpu_is_not_the_client_s_time(
    certificate: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a storm a client waits longer for the server than it may take itself."""
    settings = make_settings(**certificate.files, limits={"tls_handshake_time": 1.0})
    with serving(settings) as server:
        monkeypatch.setattr(server._site.pacer, "wait", lambda: gevent.sleep(1.2))
        with Peer(server.port, tls=certificate.trust) as peer:
            assert peer.request().status == 200


def client_hello(trust: ssl.SSLContext) -> bytes:
    outgoing = ssl.MemoryBIO()
    tls = trust.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    return outgoing.read()


def drip(peer: Peer, data: bytes) -> None:
    for byte in data[:-1]:
        try:
            peer.socket.sendall(bytes([byte]))
        except OSError:
            return
        gevent.sleep(0.1)


def test_a_peer_that_is_gone_before_the_handshake(
    certificate: Certificate, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving(make_settings(**certificate.files)) as server:
        for _ in range(10):
            with Peer(server.port) as peer:
                peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        gevent.sleep(0)
        wait_for(lambda: not server.connections, "all are gone")
    assert not capsys.readouterr().err


# How many


@pytest.fixture(autouse=True)
def refusals_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """For as long as it takes a test on a busy machine to read them."""
    monkeypatch.setattr("amiws_gevent.web.connection._LINGER_TIME", WAIT)


def test_one_too_many_is_told_when_to_come_again(caplog: pytest.LogCaptureFixture) -> None:
    with serving(make_settings(limits={"connections": 2})) as server, ExitStack() as stack:
        first = stack.enter_context(upgraded(server))
        stack.enter_context(upgraded(server))
        for _ in range(3):
            with Peer(server.port) as peer:
                peer.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                answer = peer.answer()
                assert (answer.status, answer.headers["retry-after"]) == (503, "5")
                assert b"limits.connections" in answer.body
                assert peer.rest() == b""
        first.socket.close()
        wait_for(lambda: server.connections == 1, "one is gone")
        with upgraded(server):
            pass
    warnings = [record.getMessage() for record in caplog.records]
    assert len(warnings) == 1, "not one for each"
    assert warnings[0].startswith("connections refused: there are 2 already (limits.connections)")


def test_one_too_many_over_tls(certificate: Certificate) -> None:
    settings = make_settings(**certificate.files, limits={"connections": 1})
    with (
        serving(settings) as server,
        upgraded(server, tls=certificate.trust),
        Peer(server.port, tls=certificate.trust) as peer,
    ):
        assert peer.answer().status == 503


@pytest.mark.parametrize("asks", [True, False])
def test_many_too_many_are_all_told(asks: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Past so many they are not waited for."""
    monkeypatch.setattr(acceptor, "MOST_REFUSED", 5)
    with serving(make_settings(limits={"connections": 1})) as server, upgraded(server):
        with ExitStack() as stack:
            peers = [stack.enter_context(Peer(server.port)) for _ in range(30)]
            if asks:
                for peer in peers:
                    peer.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            for peer in peers:
                answer = peer.answer()
                assert (answer.status, answer.headers["retry-after"]) == (503, "5")
                assert b"limits.connections" in answer.body
                assert peer.rest() == b""
        wait_for(lambda: server.connections == 1, "the one client")


def test_many_too_many_over_tls_are_only_closed(
    certificate: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(acceptor, "MOST_REFUSED", 0)
    settings = make_settings(**certificate.files, limits={"connections": 1})
    with (
        serving(settings) as server,
        upgraded(server, tls=certificate.trust),
        Peer(server.port) as peer,
    ):
        assert peer.rest() == b""


def test_one_too_many_from_one_address(caplog: pytest.LogCaptureFixture) -> None:
    settings = make_settings(ws_host="", limits={"connections_per_address": 2})
    with serving(settings) as server, ExitStack() as stack:
        first = stack.enter_context(upgraded(server))
        stack.enter_context(upgraded(server))
        for _ in range(3):
            with Peer(server.port) as peer:
                answer = peer.answer()
                assert (answer.status, answer.headers["retry-after"]) == (503, "5")
                assert b"limits.connections_per_address" in answer.body
        with upgraded(server, host="::1"):
            assert server.connections == 3
        first.socket.close()
        wait_for(lambda: server.connections == 1, "two are gone")
        with upgraded(server):
            pass
        assert server.counts.refused_connections == {"connections_per_address": 3}
    assert [record.getMessage() for record in caplog.records] == [
        "connections from 127.0.0.1 refused: it has 2 already (limits.connections_per_address)"
    ]


def test_more_than_the_rate_waits_and_nobody_is_refused(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("amiws_gevent.web.admission.BURST_TIME", 0.5)
    with serving(make_settings(limits={"connection_rate": 10})) as server, ExitStack() as stack:
        begun = time.monotonic()
        peers = [stack.enter_context(Peer(server.port)) for _ in range(12)]
        answers = [gevent.spawn(peer.request) for peer in peers]
        gevent.joinall(answers)
        assert [answer.get().status for answer in answers] == [200] * 12
        assert time.monotonic() - begun >= 7 / 10 - 0.02, "five at once, and then the rate"
        assert server.counts.pauses["connection_rate"] >= 1
        assert not server.counts.refused_connections
    assert [record.getMessage() for record in caplog.records] == [
        "new connections wait: more than 10 arrive per second (limits.connection_rate)"
    ]


# Those that do not come to ask for anything


@pytest.fixture
def patience_is_short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the server with those who take their time, not with who reads its refusal late."""
    monkeypatch.setattr("amiws_gevent.web.admission.ARRIVAL_TIME", 0.1)


@pytest.mark.usefixtures("patience_is_short")
@pytest.mark.parametrize("tls", [False, True])
def test_half_a_head_does_not_keep_others_out(
    certificate: Certificate, tls: bool, caplog: pytest.LogCaptureFixture
) -> None:
    settings = make_settings(
        **(certificate.files if tls else {}), limits={"handshakes": 3, "header_time": 100}
    )
    trust = certificate.trust if tls else None
    with serving(settings) as server, ExitStack() as stack:
        halves = []
        for _ in range(5):
            halves.append(stack.enter_context(Peer(server.port, tls=trust)))
            halves[-1].send("GET / HTTP/1.1\r\nHo")
        for _ in range(5):
            with Peer(server.port, tls=trust) as peer:
                assert peer.request().status == 200
        for half in halves[:3]:
            answer = half.answer()
            assert (answer.status, answer.headers["retry-after"]) == (503, "5")
            assert b"limits.handshakes" in answer.body
            assert half.rest() == b""
            for _ in range(3):
                half.send("more of it")  # raises when the server has not waited for it to hear
                gevent.sleep(0.005)
        # A slow machine may run out of patience with the last two as well.
        assert set(server.counts.refused_connections) == {"handshakes"}
        assert 3 <= server.counts.refused_connections["handshakes"] <= 5
        assert server.counts.pauses["handshakes"] >= 1
    assert len(caplog.records) == 1
    assert "connections closed: more than 3 have sent no complete request" in caplog.text


@pytest.mark.usefixtures("patience_is_short")
def test_half_a_handshake_does_not_keep_others_out(certificate: Certificate) -> None:
    limits = {"handshakes": 2, "tls_handshake_time": 100}
    settings = make_settings(**certificate.files, limits=limits)
    with serving(settings) as server, ExitStack() as stack:
        halves = [stack.enter_context(Peer(server.port)) for _ in range(2)]
        halves[0].send(client_hello(certificate.trust)[:-1])
        halves.append(stack.enter_context(Peer(server.port)))
        for _ in range(3):
            with Peer(server.port, tls=certificate.trust) as peer:
                assert peer.request().status == 200
        assert all(half.is_cut() for half in halves[:2])


@pytest.mark.usefixtures("patience_is_short")
def test_one_that_never_said_anything_is_only_closed() -> None:
    """A browser opens connections ahead, and takes a new one when that is closed."""
    with (
        serving(make_settings(limits={"handshakes": 1})) as server,
        Peer(server.port) as idle,
        Peer(server.port) as peer,
    ):
        assert peer.request().status == 200
        assert idle.rest() == b""


@pytest.mark.usefixtures("patience_is_short")
def test_half_a_second_request_counts_too() -> None:
    with (
        serving(make_settings(limits={"handshakes": 1})) as server,
        Peer(server.port) as half,
    ):
        assert half.request().status == 200
        with Peer(server.port) as peer:
            assert peer.request().status == 200, "one that is idle is in nobody's way"
        half.send("GET / HT")
        wait_for(lambda: server._population.arriving, "it has begun")
        with Peer(server.port) as peer:
            assert peer.request().status == 200
        assert half.answer().status == 503


def test_the_end_of_a_connection_is_no_request(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor does anyone have to go for it."""
    monkeypatch.setattr("amiws_gevent.web.admission.ARRIVAL_TIME", 0.0)
    with serving(make_settings(limits={"handshakes": 1})) as server:
        with Peer(server.port) as served:
            assert served.request().status == 200
            half = Peer(server.port)
            half.send("GET / HTTP/1.1\r\nHo")
            wait_for(lambda: server.connections == 2, "half a request")
        with half:
            wait_for(lambda: server.connections == 1, "the end of the other")
            half.send("st: x\r\n\r\n")
            assert half.answer().status == 200
        assert not server.counts.refused_connections


def test_clients_and_answered_requests_do_not_count() -> None:
    with (
        serving(make_settings(limits={"handshakes": 1})) as server,
        upgraded(server),
        upgraded(server),
        Peer(server.port) as peer,
    ):
        assert peer.request().status == 200
        assert not server._population.arriving
        assert not server.counts.refused_connections


# What a storm costs the others


@pytest.fixture
def no_garbage_collection() -> Iterator[None]:
    """Of all that the tests before have left."""
    gc.disable()
    yield
    gc.enable()


class Crowd:
    """Connections that are there, and that can all speak while the loop stands still."""

    def __init__(self, stack: ExitStack, port: int, count: int) -> None:
        self.sockets = []
        for _ in range(count):
            sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            stack.callback(sock.close)
            sock._sock.setblocking(True)
            sock._sock.connect(("127.0.0.1", port))
            sock._sock.setblocking(False)
            sock.settimeout(WAIT)
            self.sockets.append(sock)

    def speak(self, data: bytes) -> PauseMeter:
        """Send all at once, and wait for all answers; what the loop was kept from polling."""
        for sock in self.sockets:
            sock._sock.send(data)
        meter = PauseMeter(time.thread_time)  # not what other processes take
        meter.start()
        for sock in self.sockets:
            assert sock.recv(1)
        meter.stop()
        return meter


def test_few_are_accepted_in_a_turn() -> None:
    with serving() as server, ExitStack() as stack:
        crowd = Crowd(stack, server.port, 200)
        assert crowd.speak(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").turns >= 200 / 16


@pytest.mark.usefixtures("no_garbage_collection")
def test_a_storm_of_requests_does_not_hold_the_loop() -> None:
    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        compute()
        start_response("200 OK", [])
        return [b"x"]

    with serving(app=app) as server, ExitStack() as stack:
        crowd = Crowd(stack, server.port, 200)
        wait_for(lambda: server.connections == 200, "all are in")
        assert crowd.speak(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").longest < 0.1


def compute() -> None:
    """As long as a TLS handshake takes."""
    end = time.thread_time() + 0.001
    while time.thread_time() < end:
        pass


@pytest.mark.usefixtures("no_garbage_collection")
def test_a_storm_of_handshakes_does_not_hold_the_loop(
    certificate: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("amiws_gevent.web.acceptor.tls_object", SlowHandshake)
    settings = make_settings(**certificate.files)
    with serving(settings) as server, ExitStack() as stack:
        crowd = Crowd(stack, server.port, 200)
        wait_for(lambda: server.connections == 200, "all are in")
        wait_for(lambda: SlowHandshake.steps >= 200, "each has tried, and waits for its client")
        assert crowd.speak(client_hello(certificate.trust)).longest < 0.1


class SlowHandshake:
    """As with a large key."""

    steps = 0

    def __init__(self, secured: ssl.SSLSocket) -> None:
        self._tls = secured._sslobj

    def do_handshake(self) -> None:
        compute()
        SlowHandshake.steps += 1
        self._tls.do_handshake()


@pytest.fixture
def few_descriptors() -> Iterator[None]:
    """As many as there are, and a handful."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    used = max(int(entry.name) for entry in Path("/proc/self/fd").iterdir())
    resource.setrlimit(resource.RLIMIT_NOFILE, (used + 8, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_without_descriptors_it_waits_for_some(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("amiws_gevent.web.acceptor.ACCEPT_PAUSE", 0.02)
    gone = True
    accept = gevent.server.StreamServer.do_read
    attempts = 0

    def do_read(self: Acceptor) -> Any:
        nonlocal attempts
        attempts += 1
        if gone:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return accept(self)

    with serving() as server, Peer(server.port) as peer:
        monkeypatch.setattr(gevent.server.StreamServer, "do_read", do_read)
        peer.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        wait_for(lambda: attempts >= 3, "it tries again")
        gone = False
        assert peer.answer().status == 200
    assert attempts < 50, "with pauses"
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "Too many open files; raise LimitNOFILE" in caplog.text
    assert not capsys.readouterr().err


@pytest.mark.usefixtures("few_descriptors")
def test_descriptors_that_are_really_gone(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("amiws_gevent.web.server.limit_for_clients", lambda: 1 << 30)
    with serving() as server, ExitStack() as stack:
        peers = []
        while "cannot accept connections now" not in caplog.text:
            sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            stack.callback(sock.close)
            sock.settimeout(WAIT)
            sock.connect(("127.0.0.1", server.port))
            peers.append(sock)
            gevent.sleep(0.01)
        assert "Too many open files; raise LimitNOFILE" in caplog.text
        assert server.counts.pauses["descriptors"] >= 1
        peers.pop(0).close()
        peers.pop(0).close()
        peers[-1].sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert peers[-1].recv(100).startswith(b"HTTP/1.1 200")


def test_the_last_descriptors_are_not_for_clients(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """So that an AMI connection can come back while clients take all that they can get."""
    used = {int(entry.name) for entry in Path("/proc/self/fd").iterdir()}
    free = [number for number in range(1000) if number not in used]
    monkeypatch.setattr("amiws_gevent.web.server.limit_for_clients", lambda: free[12])
    monkeypatch.setattr("amiws_gevent.web.acceptor.ACCEPT_PAUSE", 0.05)
    with serving() as server:
        with ExitStack() as stack:
            for _ in range(12):  # with a descriptor at each end
                stack.enter_context(Peer(server.port))
            last = stack.enter_context(Peer(server.port))
            answer = last.answer()
            assert (answer.status, answer.headers["retry-after"]) == (503, "5")
            assert 0 < server.connections < 12
        with Peer(server.port) as late:
            assert late.request().status == 200
        assert server.counts.refused_connections["descriptors"] >= 1
        assert server.counts.pauses["descriptors"] >= 1
    assert "few file descriptors are left; raise LimitNOFILE" in caplog.text
    assert "but the process may have" in caplog.text


def test_each_server_has_a_descriptor_that_clients_do_not_get() -> None:
    servers = [HOST.model_copy(update={"id": number}) for number in range(5)]
    with serving(make_settings(amihosts=servers)) as server, ExitStack() as stack:
        server._site.room = 3
        for _ in range(3):
            stack.enter_context(upgraded(server))
        late = stack.enter_context(Peer(server.port))
        answer = late.answer()
        assert (answer.status, answer.headers["retry-after"]) == (503, "5")
        assert b"no file descriptors are left" in answer.body
        assert server.counts.refused_connections == {"descriptors": 1}


def test_who_is_refused_does_not_take_the_last_descriptors(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Slow ones would have them for seconds."""
    monkeypatch.setattr(acceptor, "MOST_REFUSED_LAST", 3)
    with serving(make_settings(limits={"connections": 1})) as server, upgraded(server):
        assert server._endpoint._acceptor is not None
        server._endpoint._acceptor._descriptors = 0
        with ExitStack() as stack:
            peers = [stack.enter_context(Peer(server.port)) for _ in range(10)]
            assert [peer.answer().status for peer in peers] == [503] * 10
            assert server._endpoint._acceptor._refusals <= 3


def test_one_is_refused_for_each_pause_without_descriptors(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("amiws_gevent.web.server.limit_for_clients", lambda: 0)
    monkeypatch.setattr("amiws_gevent.web.acceptor.ACCEPT_PAUSE", 100)
    with serving() as server, ExitStack() as stack:
        crowd = Crowd(stack, server.port, 10)
        assert crowd.sockets[0].recv(12) == b"HTTP/1.1 503"
        gevent.sleep(0.05)
        assert server.counts.refused_connections == {"descriptors": 1}


@pytest.mark.parametrize("number", [errno.ECONNABORTED, errno.EPROTO])
def test_a_connection_that_is_gone_before_the_accept(
    monkeypatch: pytest.MonkeyPatch, number: int, capsys: pytest.CaptureFixture[str]
) -> None:
    accept = gevent.server.StreamServer.do_read
    errors = [OSError(number, "gone")]

    def do_read(self: Acceptor) -> Any:
        if errors:
            raise errors.pop()
        return accept(self)

    with serving() as server, Peer(server.port) as peer:
        monkeypatch.setattr(gevent.server.StreamServer, "do_read", do_read)
        assert peer.request().status == 200
    assert not errors
    assert not capsys.readouterr().err


# The socket's options


def test_each_connection_is_tuned() -> None:
    sessions = FakeSessions()
    with serving(sessions=sessions) as server, upgraded(server):
        wait_for(lambda: sessions.clients, "a client")
        option = sessions.clients[0]._socket.getsockopt
        assert option(socket.SOL_SOCKET, socket.SO_SNDBUF) == 128 * 1024
        assert option(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        assert option(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1
        assert option(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 62500
