"""TLS as a client: contexts, fingerprints, errors in words."""

from __future__ import annotations

import errno
import gc
import ssl
import struct
import subprocess
from pathlib import Path
from typing import Any

import pytest
from gevent import socket

from amiws_gevent.runtime import tls
from amiws_gevent.runtime.tls import ClientContext, TlsFileError, client_context
from tests.support.certificates import Certificate, make_certificate


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("cert"), "localhost")


def test_the_fingerprint_is_that_of_openssl(certificate: Certificate) -> None:
    command = ["openssl", "x509", "-noout", "-fingerprint", "-sha256", "-in", certificate.cert]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout

    class Socket:
        def getpeercert(self, *, binary_form: bool) -> bytes:
            assert binary_form
            return ssl.PEM_cert_to_DER_cert(certificate.cert.read_text())

    fake: Any = Socket()
    assert printed.strip().split("=")[1] == tls.fingerprint(fake) == certificate.fingerprint


@pytest.mark.parametrize("spelled", ["AB:CD:01", "abcd01", "Ab Cd 01", "ab:cd:01"])
def test_a_fingerprint_may_be_spelled_in_several_ways(spelled: str) -> None:
    assert tls.same_fingerprint("AB:CD:01", spelled)
    assert not tls.same_fingerprint("AB:CD:02", spelled)


def test_verification_covers_authority_and_name(certificate: Certificate) -> None:
    context = client_context(ca=certificate.ca)
    assert context.verify_mode == ssl.CERT_REQUIRED
    assert context.check_hostname
    assert len(context.get_ca_certs()) == 1


def test_without_verification_anybody_is_believed() -> None:
    context = client_context(verify=False)
    assert context.verify_mode == ssl.CERT_NONE
    assert not context.check_hostname


def test_the_systems_authorities_stand_in_for_a_file(
    certificate: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = []
    monkeypatch.setattr(ClientContext, "load_default_certs", lambda self, use: loaded.append(use))
    client_context(ca=certificate.ca)
    client_context(verify=False)
    assert loaded == []
    client_context()
    assert loaded == [ssl.Purpose.SERVER_AUTH]


@pytest.mark.parametrize("verify", [True, False])
def test_old_versions_are_not_spoken_and_nothing_is_renegotiated(verify: bool) -> None:
    context = client_context(verify=verify)
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    assert context.options & ssl.OP_NO_RENEGOTIATION


def test_a_file_of_no_use_is_named_with_its_setting(
    certificate: Certificate, tmp_path: Path
) -> None:
    with pytest.raises(TlsFileError, match=r"gone\.pem: cannot be used: No such file") as caught:
        client_context(ca=tmp_path / "gone.pem")
    assert caught.value.setting == "ssl_ca"
    with pytest.raises(TlsFileError, match=r"with ssl_key: .*cert.*, .*gone: cannot") as caught:
        client_context(verify=False, cert=certificate.cert, key=tmp_path / "gone")
    assert caught.value.setting == "ssl_cert"


def test_an_encrypted_key_fails_and_asks_nobody(tmp_path: Path) -> None:
    made = make_certificate(tmp_path, "localhost", passphrase=b"open sesame")
    with pytest.raises(TlsFileError, match="cannot be used"):
        client_context(cert=made.cert, key=made.key)


def test_the_socket_is_closed_where_the_handshake_fails() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        sock = socket.create_connection(listener.getsockname())
        peer, _ = listener.accept()
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        peer.close()
        with pytest.raises(OSError, match=r"."):
            client_context(verify=False).wrap_socket(sock)
        assert sock.fileno() == -1
        gc.collect()  # a socket left open would warn here, and warnings are errors


def reasoned(reason: str) -> ssl.SSLError:
    error = ssl.SSLError(1, f"[SSL: {reason}]")
    error.reason = reason
    return error


def test_errors_in_words() -> None:
    meanings = {"NO_SUCH_THING": "it has none"}
    assert tls.explain(reasoned("NO_SUCH_THING"), meanings=meanings) == (
        "TLS: it has none (NO_SUCH_THING)"
    )
    assert tls.explain(reasoned("OTHER"), meanings=meanings) == "TLS: OTHER"
    assert tls.explain(ssl.SSLError("made in Python")) == "TLS: ('made in Python',)"
    assert tls.explain(OSError(errno.ECONNREFUSED, "Connection refused")) == "Connection refused"
    assert tls.explain(OSError("in words")) == "in words"
    refused = ssl.SSLCertVerificationError(1, "certificate verify failed")
    refused.verify_message = "it is old"
    assert tls.explain(refused, "the server's") == (
        "the server's certificate is not accepted: it is old"
    )
