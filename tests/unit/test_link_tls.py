from __future__ import annotations

import os
import ssl
from pathlib import Path

import pytest
import yaml
from gevent.monkey import get_original

from amiws_gevent.config import AmiHost
from amiws_gevent.link import tls
from amiws_gevent.link.tls import TlsClient, TlsFailed
from amiws_gevent.runtime.tls import ClientContext, same_fingerprint
from tests.support.certificates import Certificate, make_certificate

this_thread = get_original("_thread", "get_ident")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("cert"), "localhost")


def client(**settings: object) -> TlsClient:
    known = {"id": 1, "name": "pbx", "host": "localhost", "username": "u", "secret": "s"}
    return TlsClient(AmiHost.model_validate({**known, "ssl": True, **settings}))


def failed(reason: str) -> ssl.SSLError:
    error = ssl.SSLError(1, f"[SSL: {reason}]")
    error.reason = reason
    return error


def test_the_line_to_paste_is_what_the_settings_take(certificate: Certificate) -> None:
    settings = yaml.safe_load(tls.setting_for(certificate.fingerprint))
    pin = client(**settings)._pin
    assert pin is not None
    assert same_fingerprint(pin, certificate.fingerprint)


@pytest.mark.parametrize(
    ("settings", "unverified"),
    [
        ({}, False),
        ({"ssl_verify": False}, True),
        ({"ssl_verify": False, "ssl_fingerprint": "ab" * 32}, False),
        ({"ssl_fingerprint": "ab" * 32}, False),
    ],
)
def test_unverified_is_what_neither_verifies_nor_pins(
    settings: dict[str, object], unverified: bool
) -> None:
    assert client(**settings).unverified is unverified


def test_verification_covers_authority_and_host_name(certificate: Certificate) -> None:
    context = client(ssl_ca=certificate.ca)._current_context()
    assert context.verify_mode == ssl.CERT_REQUIRED
    assert context.check_hostname
    assert len(context.get_ca_certs()) == 1
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2


def test_without_a_ca_of_its_own_the_systems_are_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = []
    monkeypatch.setattr(ClientContext, "load_default_certs", lambda self, use: loaded.append(use))
    client()._current_context()
    client(ssl_verify=False)._current_context()
    assert loaded == [ssl.Purpose.SERVER_AUTH]


def test_the_event_loop_goes_on_while_they_are_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    threads = []
    monkeypatch.setattr(
        ClientContext, "load_default_certs", lambda self, use: threads.append(this_thread())
    )
    client()._current_context()
    assert threads != [this_thread()]


def test_the_context_is_kept_until_a_file_changes(tmp_path: Path) -> None:
    certificate = make_certificate(tmp_path, "localhost")
    one = client(ssl_cert=certificate.cert, ssl_key=certificate.key)
    context = one._current_context()
    assert one._current_context() is context
    make_certificate(tmp_path, "localhost")
    os.utime(certificate.cert, ns=(1, 1))
    assert one._current_context() is not context


def test_a_file_that_is_gone_is_a_failure_that_names_it(tmp_path: Path) -> None:
    certificate = make_certificate(tmp_path, "localhost")
    one = client(ssl_cert=certificate.cert, ssl_key=certificate.key)
    certificate.key.unlink()
    with pytest.raises(TlsFailed, match=r"cannot load the TLS files \(.*key\.pem\)"):
        one._current_context()


def test_an_encrypted_key_fails_and_asks_nobody(tmp_path: Path) -> None:
    certificate = make_certificate(tmp_path, "localhost", passphrase=b"open sesame")
    with pytest.raises(TlsFailed, match="cannot load the TLS files"):
        client(ssl_cert=certificate.cert, ssl_key=certificate.key)._current_context()


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        ("WRONG_VERSION_NUMBER", "does not speak TLS"),
        ("UNSUPPORTED_PROTOCOL", "does not support TLS 1.2 or later"),
        ("TLSV13_ALERT_CERTIFICATE_REQUIRED", "asks for a client certificate"),
        ("SOMETHING_ELSE", "TLS: SOMETHING_ELSE"),
    ],
)
def test_what_openssl_says_is_put_in_words(reason: str, said: str) -> None:
    assert said in tls.explain(failed(reason))
    assert reason in tls.explain(failed(reason))


def test_an_error_without_a_reason_keeps_its_text() -> None:
    assert tls.explain(ssl.SSLError(5, "odd thing")) == "TLS: odd thing"
