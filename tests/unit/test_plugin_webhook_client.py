"""One POST against a receiver that does right or wrong: bounded, and told in plain words."""

from __future__ import annotations

import contextlib
import gc
import logging
import socket
import ssl
import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gevent
import pytest
from amiws_plugins.webhook import client as client_module
from amiws_plugins.webhook.answer import KEPT_BODY, Answer
from amiws_plugins.webhook.client import MAX_BODY, Client, NoAnswer, tls_context
from amiws_plugins.webhook.endpoint import parse_endpoint
from gevent import socket as gsocket

from tests.support.certificates import Certificate, make_certificate
from tests.support.greenlets import until
from tests.support.http_receiver import (
    Receiver,
    Step,
    answer,
    close,
    endless,
    hang,
    raw,
    reset,
    then_hang,
    trickle,
)
from tests.support.leaks import open_descriptors
from tests.support.patience import WAIT

PATH = "/hook/s3cret-path?token=s3cret"

OK = b"HTTP/1.1 200 OK\r\n"


def receiver(*script: Step, **options: Any) -> Receiver:
    return Receiver(*script, sleep=gevent.sleep, **options)


def make(url: str, **options: Any) -> Client:
    return Client(parse_endpoint(url), **{"connect_timeout": 5.0, "timeout": 5.0, **options})


def secure(url: str, ca: Path | None = None, *, verify: bool = True, **options: Any) -> Client:
    return make(url, context=tls_context(ca, verify=verify), **options)


def post(client: Client, body: bytes = b'{"n":1}', **headers: str) -> Answer:
    return client.post(body, {"Content-Type": "application/json", **headers})


def accepted(listener: socket.socket) -> socket.socket:
    """The next connection, waited for beside other greenlets."""
    gsocket.wait_read(listener.fileno(), timeout=WAIT)
    return listener.accept()[0]


TOO_MANY = "its answer is not HTTP (HTTPException)"
"""What newer Pythons make of more than 100 answers that are not the last: they are not read on."""


def failure(client: Client) -> str:
    """Why there was no answer."""
    with pytest.raises(NoAnswer) as caught:
        post(client)
    assert "s3cret" not in str(caught.value)
    return str(caught.value)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("right"), "127.0.0.1", "localhost")


@pytest.fixture
def quick_body(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "BODY_TIME", 0.1)


def test_it_posts_body_and_headers() -> None:
    with receiver(answer(202, b"taken")) as target:
        got = post(make(target.url + PATH), b"x" * 300_000, Authorization="Bearer t")
        assert (got.status, got.body) == (202, b"taken")
        (request,) = target.wait_for(1)
    assert request.line == f"POST {PATH} HTTP/1.1"
    assert request.body == b"x" * 300_000
    assert request.get("Host") == f"127.0.0.1:{target.port}"
    assert request.get("Authorization") == "Bearer t"
    assert request.get("Content-Length") == "300000"


def test_the_connection_is_kept() -> None:
    with receiver(default=answer(200, b"fine")) as target:
        client = make(target.url)
        for _ in range(3):
            post(client)
        assert target.connections == 1
        client.close()
        until(lambda: not target.open_connections)


def test_a_kept_connection_that_ended_meanwhile_is_replaced() -> None:
    with receiver(raw(OK + b"Content-Length: 0\r\n\r\n")) as target:
        client = make(target.url)
        post(client)
        until(lambda: not target.open_connections)
        assert post(client).status == 204
        assert target.connections == 2


def test_what_the_answer_says_beside_its_status() -> None:
    step = answer(503, b"busy", "Retry-After: 7", "Location: /x")
    with receiver(step) as target:
        assert post(make(target.url)) == Answer(503, "7", "/x", b"busy")


def test_a_redirect_is_not_followed() -> None:
    with receiver() as other, receiver(answer(307, b"", f"Location: {other.url}")) as target:
        got = post(make(target.url))
        assert (got.status, got.location) == (307, other.url)
        assert not other.requests


@contextlib.contextmanager
def turns() -> Iterator[list[int]]:
    """The turns that another greenlet has had while the block ran."""
    had: list[int] = []

    def tick() -> None:
        while True:
            gevent.sleep(0.01)
            had.append(1)

    ticker = gevent.spawn(tick)
    try:
        yield had
    finally:
        ticker.kill()


@pytest.mark.slow
def test_it_waits_for_its_own_greenlet_only() -> None:
    with receiver(hang) as target, turns() as had:
        assert failure(make(target.url, timeout=2.0)) == "no answer within 2 s"
        assert len(had) > 2


@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.slow
def test_a_receiver_that_never_pauses_stops_nobody(certificate: Certificate, tls: bool) -> None:
    many = b"HTTP/1.1 100 Continue\r\n\r\n" * 10_000
    with receiver(endless(b"", many), tls=certificate.server() if tls else None) as target:
        options = {"timeout": 2.5}
        client = (
            secure(target.url, certificate.ca, **options) if tls else make(target.url, **options)
        )
        with turns() as had:
            why = failure(client)
        assert why == TOO_MANY or len(had) > 2


def bounded(url: str) -> tuple[str, float]:
    """The reason of a failure, and how long it took."""
    start = time.monotonic()
    why = failure(make(url + PATH, timeout=0.5))
    return why, time.monotonic() - start


@pytest.mark.parametrize(
    "step",
    [
        hang,
        trickle(OK, 0.05),
        then_hang(b"HTTP/1."),
        then_hang(OK + b"X: y\r\n"),
        endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    ],
    ids=["never", "a byte now and then", "half a line", "half a head", "continue for ever"],
)
@pytest.mark.slow
def test_an_answer_that_does_not_come_is_waited_for_in_bounds(step: Step) -> None:
    with receiver(step) as target:
        why, took = bounded(target.url)
        assert why in ("no answer within 0.5 s", TOO_MANY)
        assert took < 60
        until(lambda: not target.open_connections)


@pytest.mark.parametrize(
    ("step", "why"),
    [
        (close, "it closed the connection without an answer"),
        (reset, "it closed the connection without an answer"),
        (raw(b"\r\n\r\n"), "its answer is not HTTP (BadStatusLine)"),
        (raw(b"SSH-2.0-s3cret\r\n"), "its answer is not HTTP (BadStatusLine)"),
        (raw(b"HTTP/1.1 abc\r\n\r\n"), "its answer is not HTTP (BadStatusLine)"),
        (raw(OK + b"X: " + b"s3cret" * 20_000), "its answer is not HTTP (LineTooLong)"),
        (raw(OK + b"X: y\r\n" * 200 + b"\r\n"), "its answer is not HTTP (HTTPException)"),
    ],
)
def test_an_answer_that_is_none(step: Step, why: str) -> None:
    with receiver(step) as target:
        assert bounded(target.url)[0] == why
        until(lambda: not target.open_connections)


@pytest.mark.usefixtures("quick_body")
@pytest.mark.parametrize(
    "step",
    [
        then_hang(OK + b"Content-Length: 100\r\n\r\nab"),
        then_hang(OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nab"),
        raw(OK + b"Content-Length: 100\r\n\r\nab"),
        raw(OK + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\nab"),
        endless(OK + b"\r\n", b"x"),
        endless(OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
    ],
    ids=["hangs", "hangs in a chunk", "ends", "no chunk", "drips", "drips chunks"],
)
def test_the_status_counts_whatever_the_body_does(step: Step) -> None:
    with receiver(step) as target:
        client = make(target.url)
        assert post(client).status == 200
        until(lambda: not target.open_connections)
        assert post(client).status == 204


def test_of_100_megabytes_only_the_beginning_is_read() -> None:
    head = OK + b"Content-Length: 100000000\r\n\r\n"
    with receiver(endless(head, b"x" * MAX_BODY)) as target:
        client = make(target.url)
        assert post(client).body == b"x" * KEPT_BODY
        until(lambda: not target.open_connections)
        assert target.sent < 50_000_000  # what fits into the buffers of two sockets
        assert post(client).status == 204


def test_a_body_that_is_not_taken_is_given_up_in_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:  # connects, and never reads
        client = make(f"http://127.0.0.1:{listener.getsockname()[1]}", timeout=0.5)
        with pytest.raises(NoAnswer, match="no answer within"):
            post(client, b"x" * 20_000_000)


def test_a_refused_connection() -> None:
    with receiver() as target:
        target.refuse()
        assert failure(make(target.url)) == "cannot connect: Connection refused"


def test_over_ipv6() -> None:
    with receiver(host="::1") as target:
        assert post(make(target.url)).status == 204
        assert target.requests[0].get("Host") == f"[::1]:{target.port}"


def looked_up(monkeypatch: pytest.MonkeyPatch, look_up: Callable[..., Any]) -> None:
    monkeypatch.setattr(gsocket, "getaddrinfo", look_up)


def test_a_name_that_is_not_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    looked_up(monkeypatch, missing)
    why = failure(make("http://nowhere.example"))
    assert why == "cannot find nowhere.example: Name or service not known"


def test_a_name_server_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    looked_up(monkeypatch, lambda *_, **__: gevent.sleep(60))
    why = failure(make("http://slow.example", connect_timeout=0.1))
    assert why == "cannot find slow.example: the name server does not answer"


def test_a_name_without_an_address(monkeypatch: pytest.MonkeyPatch) -> None:
    looked_up(monkeypatch, lambda *_, **__: [])
    assert failure(make("http://empty.example")) == "cannot connect: it has no address"


def test_a_name_that_can_be_none() -> None:
    assert failure(make(f"http://{'a' * 64}.example")).startswith("cannot find aaa")


def test_the_next_address_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    with receiver() as dead, receiver() as target:
        dead.refuse()
        places = [("127.0.0.1", dead.port), ("127.0.0.1", target.port)]
        infos = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", place) for place in places]
        looked_up(monkeypatch, lambda *_, **__: infos)
        assert post(make("http://two.example")).status == 204


@pytest.mark.slow
def test_an_address_that_is_silent_is_left_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        receiver() as target,
        socket.create_server(("127.0.0.1", 0), backlog=0) as listener,
        socket.create_connection(listener.getsockname()),  # fills the backlog
    ):
        places = [listener.getsockname(), ("127.0.0.1", target.port)]
        infos = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", place) for place in places]
        looked_up(monkeypatch, lambda *_, **__: infos)
        client = make("http://two.example", connect_timeout=4.0)
        assert post(client).status == 204


# -- TLS -----------------------------------------------------------------------------


@pytest.fixture
def tls_receiver(certificate: Certificate) -> Iterator[Receiver]:
    with receiver(tls=certificate.server()) as target:
        yield target


def test_over_tls(tls_receiver: Receiver, certificate: Certificate) -> None:
    client = secure(tls_receiver.url, certificate.ca)
    assert post(client).status == 204
    assert post(client).status == 204
    assert tls_receiver.connections == 1
    client.close()
    until(lambda: not tls_receiver.open_connections)


def test_a_certificate_of_strangers(tls_receiver: Receiver, tmp_path: Path) -> None:
    stranger = make_certificate(tmp_path, "127.0.0.1")
    why = failure(secure(tls_receiver.url, stranger.ca))
    assert why.startswith("its certificate is not accepted: unable to get local issuer")
    assert not tls_receiver.requests


def test_the_systems_authorities_are_asked_without_a_file(tls_receiver: Receiver) -> None:
    assert failure(secure(tls_receiver.url)).startswith("its certificate is not accepted")


def test_a_certificate_for_another_name(tmp_path: Path) -> None:
    other = make_certificate(tmp_path, "other.example")
    with receiver(tls=other.server()) as target:
        why = failure(secure(target.url, other.ca))
        assert why.startswith("its certificate is not accepted: IP address mismatch")
        assert not target.requests


def test_any_certificate_when_it_is_not_to_be_checked(tls_receiver: Receiver) -> None:
    assert post(secure(tls_receiver.url, verify=False)).status == 204


@pytest.mark.slow
def test_tls_to_a_port_without_it() -> None:
    with receiver() as target:
        url = target.url.replace("http://", "https://")
        assert failure(secure(url, verify=False, timeout=1.0)).startswith(("TLS: ", "no answer"))


def test_tls_with_a_peer_that_answers_something_else() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = secure(f"https://127.0.0.1:{listener.getsockname()[1]}", verify=False)
        posting = gevent.spawn(failure, client)
        with accepted(listener) as peer:
            peer.sendall(b"220 mail.example ESMTP\r\n" * 10)
            assert posting.get(timeout=WAIT).startswith("TLS: ")


def test_a_handshake_that_does_not_come() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"https://127.0.0.1:{listener.getsockname()[1]}"
        assert failure(secure(url, verify=False, connect_timeout=0.2)) == "no answer in time"


def test_old_tls_is_not_spoken(certificate: Certificate) -> None:
    assert tls_context(certificate.ca, verify=True).minimum_version >= ssl.TLSVersion.TLSv1_2


# -- what must not be left behind ----------------------------------------------------------


@pytest.mark.slow
def test_faults_leave_no_descriptor_open(certificate: Certificate) -> None:
    steps = (reset, close, raw(b"x\r\n"), then_hang(OK), answer(500, b"x" * 100))
    with receiver() as plain, receiver(tls=certificate.server()) as tls:
        clients = [make(plain.url, timeout=0.2), secure(tls.url, certificate.ca, timeout=0.2)]
        gevent.get_hub().threadpool  # noqa: B018 - has descriptors of its own
        gc.collect()
        before = open_descriptors()
        for _ in range(3):
            for client, target in zip(clients, (plain, tls), strict=True):
                target.script.extend(steps)
                for _ in steps:
                    with contextlib.suppress(NoAnswer):
                        post(client)
        for client in clients:
            client.close()
        until(lambda: not plain.open_connections + tls.open_connections)
        assert open_descriptors() <= before


@pytest.mark.parametrize("what", ["hang", "close", "reset"])
@pytest.mark.slow
def test_a_handshake_that_fails_leaves_no_descriptor_open(what: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = secure(f"https://127.0.0.1:{listener.getsockname()[1]}", verify=False, timeout=0.2)
        gevent.get_hub().threadpool  # noqa: B018 - has descriptors of its own
        gc.collect()
        before = open_descriptors()
        for _ in range(3):
            posting = gevent.spawn(failure, client)
            peer = accepted(listener)
            if what == "reset":
                peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            if what != "hang":
                peer.close()
            assert posting.get()
            peer.close()
        assert open_descriptors() <= before


def test_a_handshake_with_a_peer_that_has_gone_closes_the_socket() -> None:
    """Of a socket that was reset before the wrapping gevent would lose the descriptor."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        sock = gsocket.create_connection(listener.getsockname())
        peer = accepted(listener)
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        peer.close()
        gsocket.wait_read(sock.fileno(), timeout=WAIT)
        before = open_descriptors()
        with pytest.raises(OSError, match=r"not connected|reset"):
            tls_context(None, verify=False).wrap_socket(sock)
        assert open_descriptors() < before


def test_a_greenlet_that_is_killed_while_it_connects_leaves_nothing() -> None:
    with (
        socket.create_server(("127.0.0.1", 0), backlog=0) as listener,
        socket.create_connection(listener.getsockname()),  # fills the backlog
    ):
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        gevent.get_hub().threadpool  # noqa: B018 - has descriptors of its own
        gc.collect()
        before = open_descriptors()
        posting = gevent.spawn(post, make(address))
        until(lambda: open_descriptors() - before)
        posting.kill()
        assert open_descriptors() <= before


def test_a_greenlet_that_is_killed_closes_its_connection() -> None:
    with receiver(hang) as target:
        posting = gevent.spawn(post, make(target.url))
        target.wait_for(1)
        posting.kill()
        until(lambda: not target.open_connections)


def test_no_log_line_shows_the_path(caplog: pytest.LogCaptureFixture) -> None:
    """urllib3 names the whole URL when the head of an answer is broken."""
    caplog.set_level(logging.INFO)
    with receiver(raw(OK + b"no header\r\nX: y\r\n\r\n")) as target:
        assert post(make(target.url + PATH)).status == 200
    assert "s3cret" not in caplog.text
