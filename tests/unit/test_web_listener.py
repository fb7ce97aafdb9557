"""Listening and certificates: what works, and what a person is told when it does not."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest
import trustme
from gevent import socket, ssl

from amiws_gevent.errors import ListenError
from amiws_gevent.web import listener as listener_module
from amiws_gevent.web.listener import open_listener, reserve_port, share_listener, tls_context
from tests.support.patience import WAIT
from tests.support.webserver import make_settings


def reach(host: str, port: int) -> str:
    """Connect; the address that the connection comes from."""
    with socket.create_connection((host, port), timeout=WAIT) as sock:
        return str(sock.getsockname()[0])


def test_all_interfaces() -> None:
    with open_listener("", 0) as listener:
        port = listener.getsockname()[1]
        assert reach("127.0.0.1", port) == "127.0.0.1"
        assert reach("::1", port) == "::1"


@pytest.mark.parametrize("number", [errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL])
def test_all_interfaces_without_ipv6(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    listen = listener_module._bound

    def ipv4_only(family: int, *args: Any, **options: Any) -> socket.socket:
        if family == socket.AF_INET6:
            raise OSError(number, os.strerror(number))
        return listen(family, *args, **options)

    monkeypatch.setattr(listener_module, "_bound", ipv4_only)
    with open_listener("", 0) as listener:
        assert listener.getsockname()[0] == "0.0.0.0"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_one_address(host: str) -> None:
    with open_listener(host, 0) as listener:
        assert listener.getsockname()[0] == "127.0.0.1"


def test_one_ipv6_address_is_that_alone() -> None:
    with open_listener("::1", 0) as listener, pytest.raises(ConnectionRefusedError):
        reach("127.0.0.1", listener.getsockname()[1])


@pytest.mark.parametrize("host", ["", "127.0.0.1"])
def test_a_port_in_use(host: str) -> None:
    with open_listener(host, 0) as first:
        port = first.getsockname()[1]
        with pytest.raises(ListenError, match=rf"port {port}.* is in use.*ss -ltnp"):
            open_listener(host, port)


def test_a_port_that_was_in_use_a_moment_ago() -> None:
    first = open_listener("127.0.0.1", 0)
    port = first.getsockname()[1]
    near = socket.create_connection(("127.0.0.1", port), timeout=WAIT)
    far, _ = first.accept()
    far.close()  # its side now waits, for minutes
    near.close()
    first.close()
    open_listener("127.0.0.1", port).close()


def test_an_address_of_another_machine() -> None:
    with pytest.raises(
        ListenError, match=r"ws_host 192\.0\.2\.1 is not an address of this machine"
    ):
        open_listener("192.0.2.1", 0)


def test_a_name_that_is_none() -> None:
    with pytest.raises(ListenError, match=r"ws_host no\.such\.invalid: no such name"):
        open_listener("no.such.invalid", 0)


@pytest.mark.parametrize(
    ("number", "words"),
    [(errno.EACCES, "need root or CAP_NET_BIND_SERVICE"), (errno.ENOMEM, "cannot listen on")],
)
def test_other_errors(monkeypatch: pytest.MonkeyPatch, number: int, words: str) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(listener_module, "_bound", refuse)
    for host in ("", "127.0.0.1"):
        with pytest.raises(ListenError, match=words):
            open_listener(host, 80)


def test_a_shared_listener_goes_on_when_the_first_is_closed() -> None:
    first = open_listener("127.0.0.1", 0)
    port = first.getsockname()[1]
    with share_listener(first) as second, socket.create_connection(("127.0.0.1", port)) as early:
        first.close()
        sock, address = second.accept()
        assert address == early.getsockname()
        sock.close()
        assert reach("127.0.0.1", port)


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    """A certificate and its key."""
    issued = trustme.CA().issue_cert("localhost")
    paths = {"ssl_cert": tmp_path / "cert.pem", "ssl_key": tmp_path / "key.pem"}
    issued.private_key_pem.write_to_path(paths["ssl_key"])
    for blob in issued.cert_chain_pems:
        blob.write_to_path(paths["ssl_cert"], append=True)
    return paths


def test_no_certificate_is_no_tls() -> None:
    assert tls_context(make_settings()) is None


def test_a_context(files: dict[str, Path]) -> None:
    context = tls_context(make_settings(**files))
    assert context is not None
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    assert context.options & ssl.OP_NO_RENEGOTIATION
    assert isinstance(context, ssl.SSLContext), "one that waits for gevent"


@pytest.mark.parametrize("key", ["ssl_cert", "ssl_key"])
def test_a_file_that_is_not_there(files: dict[str, Path], key: str) -> None:
    files[key].unlink()
    with pytest.raises(ListenError, match=rf"{key} {files[key]} cannot be read: No such file"):
        tls_context(make_settings(**files))


@pytest.mark.parametrize("key", ["ssl_cert", "ssl_key"])
def test_a_file_that_is_something_else(files: dict[str, Path], key: str) -> None:
    files[key].write_text("nothing of the kind\n")
    with pytest.raises(ListenError, match=str(files[key])):
        tls_context(make_settings(**files))


def test_a_key_of_another_certificate(files: dict[str, Path]) -> None:
    trustme.CA().issue_cert("other").private_key_pem.write_to_path(files["ssl_key"])
    with pytest.raises(ListenError, match="KEY_VALUES_MISMATCH"):
        tls_context(make_settings(**files))


def test_a_key_with_a_passphrase_asks_nobody(files: dict[str, Path]) -> None:
    from cryptography.hazmat.primitives import serialization

    key = serialization.load_pem_private_key(files["ssl_key"].read_bytes(), None)
    locked = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"open sesame"),
    )
    files["ssl_key"].write_bytes(locked)
    with pytest.raises(ListenError, match="the key has a passphrase"):
        tls_context(make_settings(**files))


def test_several_processes_may_share_a_port_and_nobody_else() -> None:
    with (
        reserve_port("127.0.0.1", 0) as kept,
        open_listener("127.0.0.1", kept.getsockname()[1], shared=True) as one,
        open_listener("127.0.0.1", kept.getsockname()[1], shared=True) as other,
    ):
        port = kept.getsockname()[1]
        assert one.getsockname() == other.getsockname()
        for opens in (open_listener, reserve_port):
            with pytest.raises(ListenError, match="is in use"):
                opens("127.0.0.1", port)
        reserve_port("0.0.0.0", port, own=True).close()


def test_a_port_that_others_share_is_not_kept() -> None:
    with open_listener("127.0.0.1", 0, shared=True) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(ListenError, match="set another metrics_listen"):
            reserve_port("127.0.0.1", port, port_key="metrics_listen")
