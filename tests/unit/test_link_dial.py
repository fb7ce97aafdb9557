from __future__ import annotations

import errno
import gc
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import gevent
import pytest
from gevent import socket as gsocket

from amiws_gevent.config import AmiHost
from amiws_gevent.link.dial import DialFailed, Dialled, Dialler, connect, endpoint
from amiws_gevent.link.resolve import Address, Resolver
from tests.support import ports
from tests.support.ami_server import BANNER, AmiServer, Connection
from tests.support.certificates import Certificate, make_certificate
from tests.support.greenlets import until
from tests.support.leaks import open_descriptors
from tests.support.patience import WAIT


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("good"), "localhost", "127.0.0.1")


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("other"), "other.example")


class Addresses(Resolver):
    """A name with these addresses."""

    def __init__(self, *places: tuple[str, int]) -> None:
        super().__init__()
        self.places = places

    def resolve(self, host: str, port: int, timeout: float) -> list[Address]:
        return [(socket.AF_INET, place) for place in self.places]


def host(port: int, **settings: object) -> AmiHost:
    known = {"id": 1, "name": "pbx", "host": "127.0.0.1", "username": "u", "secret": "s"}
    return AmiHost.model_validate({**known, "port": port, **settings})


def dial(
    port: int, limit: float = 10, *, by: Resolver | None = None, **settings: object
) -> Dialled:
    dialler = Dialler(host(port, **settings), time.monotonic, by)
    return dialler.dial(time.monotonic() + limit)


def speaks(dialled: Dialled) -> bool:
    """Whether the banner comes through; closes the connection."""
    dialled.sock.settimeout(WAIT)
    data = dialled.sock.recv(100)
    dialled.sock.close()
    return bool(data == BANNER)


def is_reset(sock: gsocket.socket) -> bool:
    try:
        sock.getpeername()
    except OSError:
        return True
    return False


@pytest.fixture
def dead() -> Iterator[tuple[str, int]]:
    """An address that answers no connection: its queue of new ones is full."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        fillers = []
        while len(fillers) < 20:
            filler = socket.socket()
            fillers.append(filler)
            filler.settimeout(0.1)
            try:
                filler.connect(listener.getsockname())
            except TimeoutError:
                break
        else:
            raise AssertionError("the queue does not fill")
        yield listener.getsockname()
        for filler in fillers:
            filler.close()


@pytest.fixture
def free_port() -> int:
    """A port where nobody listens."""
    return ports.free_port()


@pytest.mark.parametrize(
    ("keepalive", "dead_peer"),
    [
        (30.0, (30, 6, 5, 60_000)),
        (0.05, (1, 1, 5, 100)),
        (1e7, (32767, 32767, 5, 2**31 - 1)),  # the most that Linux takes
    ],
)
def test_tcp_options(keepalive: float, dead_peer: tuple[int, ...]) -> None:
    """The kernel looks for a dead peer even when nothing is sent."""
    with AmiServer(sleep=gevent.sleep) as server:
        sock = connect((socket.AF_INET, ("127.0.0.1", server.port)), 10, keepalive)
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        names = ("TCP_KEEPIDLE", "TCP_KEEPINTVL", "TCP_KEEPCNT", "TCP_USER_TIMEOUT")
        options = [getattr(socket, name) for name in names]
        assert tuple(sock.getsockopt(socket.IPPROTO_TCP, o) for o in options) == dead_peer
        sock.close()


@pytest.mark.parametrize(("address", "name"), [("127.0.0.1", "localhost"), ("::1", "::1")])
def test_addresses_and_names_of_both_families(address: str, name: str) -> None:
    with AmiServer(host=address, sleep=gevent.sleep) as server:
        dialled = dial(server.port, host=name)
        assert dialled.address == endpoint(address, server.port)
        assert dialled.fingerprint is None
        assert speaks(dialled)


def test_endpoint() -> None:
    assert endpoint("2001:db8::1", 5038) == "[2001:db8::1]:5038"
    assert endpoint("pbx.example", 5038) == "pbx.example:5038"


def test_a_refused_connection_is_told_with_its_address(free_port: int) -> None:
    with pytest.raises(DialFailed) as caught:
        dial(free_port)
    assert str(caught.value) == f"127.0.0.1:{free_port}: Connection refused"
    assert caught.value.advice == ""


def test_without_descriptors_it_is_told_what_to_raise(
    free_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_more(*_: object, **__: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(gsocket, "socket", no_more)
    with pytest.raises(DialFailed, match=r"Too many open files \(raise LimitNOFILE or"):
        dial(free_port)


def test_every_address_is_tried_and_told(free_port: int) -> None:
    places = Addresses(("127.0.0.1", free_port), ("127.0.0.2", free_port))
    with pytest.raises(DialFailed) as caught:
        dial(free_port, by=places)
    assert str(caught.value) == (
        f"127.0.0.1:{free_port}: Connection refused; 127.0.0.2:{free_port}: Connection refused"
    )


@pytest.mark.slow
def test_a_dead_first_address_leaves_time_for_the_next(dead: tuple[str, int]) -> None:
    with AmiServer(sleep=gevent.sleep) as server:
        begin = time.monotonic()
        dialled = dial(1, 4.0, by=Addresses(dead, ("127.0.0.1", server.port)))
        assert time.monotonic() - begin > 1.9
        assert speaks(dialled)


def test_only_dead_addresses_end_with_the_time_limit(dead: tuple[str, int]) -> None:
    begin = time.monotonic()
    with pytest.raises(DialFailed, match=r"no answer in time; .*no answer in time"):
        dial(1, 0.4, by=Addresses(dead, dead))
    assert 0.35 < time.monotonic() - begin < WAIT


def test_a_name_without_addresses(free_port: int) -> None:
    with pytest.raises(DialFailed, match=r"127\.0\.0\.1 has no address"):
        dial(free_port, by=Addresses())


def test_an_unknown_name_is_told() -> None:
    def unknown(*_: object, **__: object) -> list[tuple[object, ...]]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    with pytest.raises(DialFailed, match=r"cannot find pbx\.invalid: Name or service not known"):
        dial(5038, host="pbx.invalid", by=Resolver(unknown))


def test_a_name_server_that_hangs_is_told() -> None:
    class Hanging(Resolver):
        def resolve(self, host: str, port: int, timeout: float) -> list[Address]:
            raise TimeoutError(f"looking up {host} takes too long")

    with pytest.raises(DialFailed, match="looking up pbx takes too long"):
        dial(5038, host="pbx", by=Hanging())


class TestTls:
    def test_verified_by_its_ca(self, certificate: Certificate) -> None:
        with AmiServer(tls=certificate.server(), sleep=gevent.sleep) as server:
            dialled = dial(server.port, ssl_ca=certificate.ca)
            assert dialled.fingerprint == certificate.fingerprint
            assert speaks(dialled)

    def test_pinned_by_its_fingerprint(self, certificate: Certificate) -> None:
        with AmiServer(tls=certificate.server(), sleep=gevent.sleep) as server:
            assert speaks(dial(server.port, ssl_fingerprint=certificate.fingerprint))

    def test_a_pin_stands_in_for_authority_and_name(self, other: Certificate) -> None:
        with AmiServer(tls=other.server(), sleep=gevent.sleep) as server:
            dialled = dial(
                server.port, ssl=True, ssl_verify=True, ssl_fingerprint=other.fingerprint
            )
            assert speaks(dialled)

    def test_unverified_takes_any(self, other: Certificate) -> None:
        with AmiServer(tls=other.server(), sleep=gevent.sleep) as server:
            assert speaks(dial(server.port, ssl=True, ssl_verify=False))

    def test_an_unknown_authority_is_refused_with_the_line_to_paste(
        self, certificate: Certificate
    ) -> None:
        with AmiServer(tls=certificate.server(), sleep=gevent.sleep) as server:
            with pytest.raises(DialFailed, match="certificate is not accepted: ") as caught:
                dial(server.port, ssl=True)
            assert f'ssl_fingerprint: "{certificate.fingerprint}"' in caught.value.advice
            assert "ssl_ca" in caught.value.advice
            assert not server.received

    def test_another_host_name_is_refused(self, other: Certificate) -> None:
        with (
            AmiServer(tls=other.server(), sleep=gevent.sleep) as server,
            pytest.raises(DialFailed, match=r"certificate is not accepted: .*mismatch") as caught,
        ):
            dial(server.port, ssl_ca=other.ca)
        assert other.fingerprint in caught.value.advice

    def test_another_certificate_than_the_pinned_one_is_refused(
        self, certificate: Certificate, other: Certificate
    ) -> None:
        with (
            AmiServer(tls=certificate.server(), sleep=gevent.sleep) as server,
            pytest.raises(DialFailed, match="does not match ssl_fingerprint") as caught,
        ):
            dial(server.port, ssl_fingerprint=other.fingerprint)
        assert certificate.fingerprint in caught.value.advice
        assert other.fingerprint not in caught.value.advice
        assert len(server.connections) == 1

    def test_a_fingerprint_that_cannot_be_learnt_is_not_told(
        self, certificate: Certificate
    ) -> None:
        """The server is gone when it is asked again."""
        with AmiServer(tls=certificate.server(), sleep=gevent.sleep) as server:
            dialler = Dialler(host(server.port, ssl=True), time.monotonic)
            original = connect

            def once(*args: object) -> gsocket.socket:
                sock = original(*args)  # type: ignore[arg-type]
                server.wait_connections(1)
                server.refuse()
                return sock

            with pytest.MonkeyPatch.context() as patch:
                patch.setattr("amiws_gevent.link.dial.connect", once)
                with pytest.raises(DialFailed) as caught:
                    dialler.dial(time.monotonic() + 10)
        assert caught.value.advice.startswith("set ssl_fingerprint, or ssl_ca")

    def test_a_client_certificate_is_presented(
        self, certificate: Certificate, tmp_path: Path
    ) -> None:
        mine = make_certificate(tmp_path, "amiws.example")
        context = certificate.server()
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(mine.ca)
        with AmiServer(tls=context, sleep=gevent.sleep) as server:
            settings = {"ssl_ca": certificate.ca, "ssl_cert": mine.cert, "ssl_key": mine.key}
            assert speaks(dial(server.port, **settings))

    def test_a_port_without_tls_is_told(self) -> None:
        with (
            AmiServer(sleep=gevent.sleep) as server,
            pytest.raises(DialFailed, match="the port does not speak TLS"),
        ):
            dial(server.port, ssl=True)

    def test_an_old_server_is_told(self, certificate: Certificate) -> None:
        context = certificate.server()
        with pytest.warns(DeprecationWarning, match="TLSv1 is deprecated"):
            context.minimum_version = ssl.TLSVersion.TLSv1
        with pytest.warns(DeprecationWarning, match="TLSv1_1 is deprecated"):
            context.maximum_version = ssl.TLSVersion.TLSv1_1
        context.set_ciphers("ALL:@SECLEVEL=0")
        with (
            AmiServer(tls=context, sleep=gevent.sleep) as server,
            pytest.raises(DialFailed, match=r"does not support TLS 1\.2 or later"),
        ):
            dial(server.port, ssl=True)

    def test_a_server_that_closes_in_the_handshake_is_told(self) -> None:
        with (
            AmiServer(Connection.close, sleep=gevent.sleep) as server,
            pytest.raises(DialFailed, match="closed the connection during the TLS handshake"),
        ):
            dial(server.port, ssl=True)

    def test_a_connection_that_is_reset_at_once_is_told_and_released(self) -> None:
        connected = threading.Event()

        def reset_then(connection: Connection) -> None:
            connected.wait(WAIT)
            connection.reset()

        def reset_first(*args: object) -> gsocket.socket:
            sock = connect(*args)  # type: ignore[arg-type]
            connected.set()
            until(lambda: is_reset(sock))
            return sock

        with (
            AmiServer(reset_then, sleep=gevent.sleep) as server,
            pytest.MonkeyPatch.context() as patch,
        ):
            patch.setattr("amiws_gevent.link.dial.connect", reset_first)
            with pytest.raises(DialFailed, match=r"TLS: .*not connected"):
                dial(server.port, ssl=True)
        gc.collect()  # a socket that was left open warns, and so fails the test

    def test_a_handshake_that_hangs_ends_with_the_time_limit(self) -> None:
        with AmiServer(Connection.hang, sleep=gevent.sleep) as server:
            begin = time.monotonic()
            with pytest.raises(DialFailed, match="no answer to the TLS handshake in time"):
                dial(server.port, 0.3, ssl=True)
            assert time.monotonic() - begin < WAIT

    def test_files_that_cannot_be_read_are_told(self, tmp_path: Path) -> None:
        mine = make_certificate(tmp_path, "amiws.example")
        with AmiServer(sleep=gevent.sleep) as server:
            dialler = Dialler(
                host(server.port, ssl_cert=mine.cert, ssl_key=mine.key), time.monotonic
            )
            mine.cert.unlink()
            with pytest.raises(DialFailed, match="cannot load the TLS files"):
                dialler.dial(time.monotonic() + 10)


def test_failures_leave_no_descriptor_open(
    certificate: Certificate, free_port: int, dead: tuple[str, int]
) -> None:
    gevent.sleep(0)
    before = open_descriptors()
    with AmiServer(tls=certificate.server(), sleep=gevent.sleep) as server:
        for port, by, settings in (
            (free_port, None, {}),
            (1, Addresses(dead), {}),
            (server.port, None, {"ssl": True}),
            (server.port, None, {"ssl_fingerprint": "ab" * 32}),
        ):
            with pytest.raises(DialFailed):
                dial(port, 0.5, by=by, **settings)
    until(lambda: open_descriptors() <= before)


def test_a_killed_dial_leaves_no_descriptor_open(dead: tuple[str, int]) -> None:
    before = open_descriptors()
    dialling = gevent.spawn(dial, 1, 20, by=Addresses(dead))
    until(lambda: open_descriptors() - before)
    dialling.kill()
    until(lambda: open_descriptors() <= before)
