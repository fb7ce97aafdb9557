"""TLS to a receiver: whom it believes, and what it says when it does not."""

from __future__ import annotations

import contextlib
import gc
import socket
import ssl
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gevent
import pytest
from amiws_plugins.syslog_events import transports
from amiws_plugins.syslog_events.tls import handshake, make_context
from amiws_plugins.syslog_events.transports import Stream, octet_counted
from amiws_plugins.syslog_events.units import Target
from gevent import socket as gsocket
from gevent.ssl import SSLContext

from amiws_gevent.plugins.kit import Outbox, explain
from tests.support.certificates import Certificate, make_certificate
from tests.support.greenlets import until
from tests.support.patience import WAIT


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("server"), "logs.example")


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("client"), "gateway.example")


def settings(**given: Any) -> Any:
    names = ("ca", "server_name", "fingerprint", "cert", "key")
    nothing = {f"ssl_{name}": None for name in names}
    return SimpleNamespace(**{**nothing, "ssl_verify": True, **given})


class Receiver:
    """Takes one connection after the other, and keeps what it reads and why it failed."""

    def __init__(self, certificate: Certificate, client_ca: Path | None = None) -> None:
        self.context = SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(str(certificate.cert), str(certificate.key))
        if client_ca is not None:
            self.context.verify_mode = ssl.CERT_REQUIRED
            self.context.load_verify_locations(str(client_ca))
        self.socket = gsocket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.listen()
        self.port: int = self.socket.getsockname()[1]
        self.received = b""
        self.closed_well = 0
        self.serve: Callable[[gsocket.socket], None] = self.read
        self._greenlet = gevent.spawn(self._run)

    def _run(self) -> None:
        while True:
            accepted, _ = self.socket.accept()
            try:
                self.serve(accepted)
            except OSError:
                continue
            finally:
                accepted.close()

    @contextlib.contextmanager
    def secured(self, accepted: gsocket.socket) -> Iterator[Any]:
        wrapped = self.context.wrap_socket(
            accepted, server_side=True, do_handshake_on_connect=False
        )
        with wrapped:  # in wrap_socket a handshake that fails would leak the socket
            wrapped.do_handshake()
            yield wrapped

    def read(self, accepted: gsocket.socket) -> None:
        with self.secured(accepted) as secure:
            while data := secure.recv(4096):
                self.received += data
            self.closed_well += 1

    def stop(self) -> None:
        self._greenlet.kill()
        self.socket.close()

    def connect(self, **given: Any) -> Any:
        raw = gsocket.create_connection(("127.0.0.1", self.port), 20)
        try:
            return handshake(raw, "logs.example", settings(**given))
        except BaseException:
            raw.close()
            raise


@pytest.fixture
def receiver(certificate: Certificate) -> Iterator[Receiver]:
    made = Receiver(certificate)
    yield made
    made.stop()


def test_an_authority_that_is_believed(receiver: Receiver, certificate: Certificate) -> None:
    with receiver.connect(ssl_ca=certificate.ca) as secure:
        assert secure.version() in ("TLSv1.2", "TLSv1.3")


def test_another_authority(receiver: Receiver, client: Certificate) -> None:
    with pytest.raises(ssl.SSLCertVerificationError) as caught:
        receiver.connect(ssl_ca=client.ca)
    assert explain(caught.value).startswith("its certificate is not accepted: ")


def test_the_system_does_not_believe_ours(receiver: Receiver) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        receiver.connect()


def test_another_name(receiver: Receiver, certificate: Certificate) -> None:
    with pytest.raises(ssl.SSLCertVerificationError, match=r"other\.example"):
        receiver.connect(ssl_ca=certificate.ca, ssl_server_name="other.example")


def test_without_verification(receiver: Receiver) -> None:
    receiver.connect(ssl_verify=False, ssl_server_name="other.example").close()


def test_a_fingerprint_replaces_authority_and_name(
    receiver: Receiver, certificate: Certificate
) -> None:
    pin = certificate.fingerprint.replace(":", "").lower()
    receiver.connect(ssl_fingerprint=pin, ssl_server_name="other.example").close()


def test_another_fingerprint_says_which_it_is(receiver: Receiver, certificate: Certificate) -> None:
    with pytest.raises(OSError, match="not that of ssl_fingerprint") as caught:
        receiver.connect(ssl_fingerprint="0" * 64, ssl_verify=False)
    assert certificate.fingerprint in explain(caught.value)


def test_a_receiver_that_speaks_no_tls(receiver: Receiver, certificate: Certificate) -> None:
    receiver.serve = lambda accepted: accepted.sendall(b"220 hello\r\n" * 10)
    with pytest.raises(ssl.SSLError) as caught:
        receiver.connect(ssl_ca=certificate.ca)
    assert explain(caught.value).startswith("TLS: ")


def test_a_file_that_has_gone_is_an_error_of_the_connection(
    receiver: Receiver, tmp_path: Path
) -> None:
    with pytest.raises(OSError, match=r"ssl_ca: .*/gone\.pem: cannot be used: No such file"):
        receiver.connect(ssl_ca=tmp_path / "gone.pem")


@pytest.mark.parametrize("said", [b"", b"goodbye"])
def test_a_socket_that_was_reset_leaks_nothing(receiver: Receiver, said: bytes) -> None:
    """Python's own check of that in wrap_socket would keep its copy of the socket open."""

    def reset(accepted: gsocket.socket) -> None:
        accepted.sendall(said)
        accepted.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    receiver.serve = reset
    raw = gsocket.create_connection(("127.0.0.1", receiver.port), 20)
    until(lambda: not is_connected(raw))
    with pytest.raises(OSError, match=r"."):
        handshake(raw, "logs.example", settings(ssl_verify=False))
    raw.close()
    gc.collect()  # a socket left open would warn here, and warnings are errors


def is_connected(sock: gsocket.socket) -> bool:
    try:
        sock.getpeername()
    except OSError:
        return False
    return True


def test_old_versions_are_not_spoken() -> None:
    assert make_context(settings()).minimum_version == ssl.TLSVersion.TLSv1_2


def stream_to(receiver: Receiver, **given: Any) -> Stream:
    target = Target("tls", host="127.0.0.1", port=receiver.port)
    chosen = settings(**given)
    return Stream(target, octet_counted, lambda sock: handshake(sock, "logs.example", chosen))


def send(stream: Stream, *lines: bytes) -> Outbox[bytes]:
    outbox: Outbox[bytes] = Outbox(100_000, 1 << 30)
    for line in lines:
        outbox.put(line)
    while stream.flush(outbox):
        gevent.sleep(0)
    return outbox


def test_lines_over_tls_and_a_proper_end(receiver: Receiver, certificate: Certificate) -> None:
    stream = stream_to(receiver, ssl_ca=certificate.ca)
    stream.open()
    assert not len(send(stream, b"one", b"two"))
    stream.finish()
    stream.close()
    until(lambda: receiver.closed_well == 1)
    assert receiver.received == b"3 one3 two"


def test_a_receiver_that_ends_is_noticed_before_writing(
    receiver: Receiver, certificate: Certificate
) -> None:
    said = gevent.event.Event()

    def end(accepted: gsocket.socket) -> None:
        with receiver.secured(accepted) as secure:
            receiver.received += secure.recv(100)
            secure.setblocking(False)
            with contextlib.suppress(ssl.SSLError):
                secure.unwrap()  # says that it ends, and does not wait for the answer
            said.set()

    receiver.serve = end
    stream = stream_to(receiver, ssl_ca=certificate.ca)
    stream.open()
    send(stream, b"one")
    assert said.wait(WAIT)
    outbox: Outbox[bytes] = Outbox(10, 1000)
    outbox.put(b"two")
    with pytest.raises(OSError, match=r"."):
        stream.flush(outbox)
    assert stream.give_up(outbox) == 0
    assert outbox.pop() == b"two"
    assert receiver.received == b"3 one"
    stream.close()


def test_without_the_certificate_that_it_wants_no_line_is_given_to_it(
    certificate: Certificate, client: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In TLS 1.3 the handshake is done for us before the receiver has looked at ours."""
    monkeypatch.setattr(transports, "SETTLE_TIME", 20.0)
    receiver = Receiver(certificate, client.ca)
    stream = stream_to(receiver, ssl_ca=certificate.ca)
    with pytest.raises(OSError, match=r"."):
        stream.open()
    stream.close()
    monkeypatch.setattr(transports, "SETTLE_TIME", 0.05)
    chosen = {"ssl_ca": certificate.ca, "ssl_cert": client.cert, "ssl_key": client.key}
    stream = stream_to(receiver, **chosen)
    stream.open()
    send(stream, b"one")
    stream.finish()
    stream.close()
    assert receiver.received == b"3 one"
    receiver.stop()


def test_a_full_connection_over_tls_takes_up_where_it_was(
    receiver: Receiver, certificate: Certificate
) -> None:
    """Records that the kernel did not take whole are gone on with, byte for byte."""
    stream = stream_to(receiver, ssl_ca=certificate.ca)
    go_on = gevent.event.Event()

    def read_late(accepted: gsocket.socket) -> None:
        with receiver.secured(accepted) as secure:
            go_on.wait(WAIT)
            while data := secure.recv(65536):
                receiver.received += data

    receiver.serve = read_late
    stream.open()
    lines = [b"%06d" % number + b"x" * 500 for number in range(20_000)]
    outbox = send(stream, *lines)
    assert stream.blocked
    go_on.set()
    with gevent.Timeout(WAIT):
        while stream.flush(outbox) or stream.blocked:
            gevent.sleep(0)
    stream.finish()
    stream.close()
    assert receiver.received == b"".join(map(octet_counted, lines))


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ConnectionRefusedError(111, "Connection refused"), "Connection refused"),
        (OSError("in words"), "in words"),
        (ssl.SSLError("made in Python"), "TLS: "),
    ],
)
def test_errors_in_words(error: OSError, said: str) -> None:
    assert explain(error).startswith(said)
