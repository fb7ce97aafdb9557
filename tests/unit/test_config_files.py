"""Files that the configuration names."""

from __future__ import annotations

import datetime
import os
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PrivateFormat

from amiws_gevent.config import files
from tests.support.certificates import make_certificate


def denied(*_: object, **__: object) -> None:
    """What root, who runs these tests in a container, never meets."""
    raise PermissionError(13, "Permission denied")


def test_a_readable_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"")
    assert files.why_unreadable(path) is None


def test_files_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fifo, file = tmp_path / "fifo", tmp_path / "file"
    os.mkfifo(fifo)
    file.write_bytes(b"")
    assert files.why_unreadable(tmp_path) == "is a folder, not a file"
    assert files.why_unreadable(fifo) == "is not a regular file"
    assert files.why_unreadable(tmp_path / "none") == "does not exist"
    assert files.why_unreadable(file / "below") == "does not exist"
    assert "too long" in (files.why_unreadable(tmp_path / ("x" * 300)) or "")
    monkeypatch.setattr(Path, "open", denied)
    assert files.why_unreadable(file) == (
        f"cannot be read by the user this runs as (uid {os.geteuid()})"
    )


def test_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"")
    assert files.why_no_folder(tmp_path) is None
    assert files.why_no_folder(file) == "is not a folder"
    assert files.why_no_folder(tmp_path / "none") == "does not exist"
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert "cannot be read by the user" in (files.why_no_folder(tmp_path) or "")


def test_authorities(tmp_path: Path) -> None:
    made = make_certificate(tmp_path, "localhost")
    assert files.why_no_authorities(made.ca) is None
    assert files.why_no_authorities(made.key) == "has no certificate in PEM form"
    assert files.why_no_authorities(tmp_path / "none") == "does not exist"


def test_a_pair_that_fits(tmp_path: Path) -> None:
    made = make_certificate(tmp_path, "localhost")
    assert files.why_no_pair(made.cert, made.key) is None


def test_pairs_that_do_not_fit_name_the_file_to_blame(tmp_path: Path) -> None:
    made = make_certificate(tmp_path / "made", "localhost")
    other = make_certificate(tmp_path / "other", "localhost")
    text = tmp_path / "text"
    text.write_text("-----BEGIN RUBBISH-----\n")
    no_certificate = ("ssl_cert", "has no certificate in PEM form")
    assert files.why_no_pair(text, made.key) == no_certificate
    assert files.why_no_pair(made.key, made.key) == no_certificate
    assert files.why_no_pair(made.cert, text) == ("ssl_key", "has no private key in PEM form")
    assert files.why_no_pair(made.cert, other.key) == (
        "ssl_key",
        "is not the key of the certificate in ssl_cert",
    )


def test_files_that_vanish_while_they_are_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make_certificate(tmp_path, "localhost")
    blamed, why = files.why_no_pair(made.cert, tmp_path / "none") or ("", "")
    assert blamed == "ssl_key"
    assert why.startswith("cannot be loaded: ")
    monkeypatch.setattr(files, "why_unreadable", lambda _: None)
    with pytest.raises(ValueError, match="does not exist"):
        files.read_secret(tmp_path / "none")


def test_a_key_with_a_passphrase_asks_nobody(tmp_path: Path) -> None:
    locked = make_certificate(tmp_path, "localhost", passphrase=b"open sesame")
    blamed, why = files.why_no_pair(locked.cert, locked.key) or ("", "")
    assert blamed == "ssl_key"
    assert why.startswith("is protected by a passphrase")


def test_a_certificate_that_openssl_finds_too_weak(tmp_path: Path) -> None:
    key = rsa.generate_private_key(65537, 1024)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    start = datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC)
    end = start + datetime.timedelta(days=9999)
    weak = x509.CertificateBuilder(name, name, key.public_key(), 1, start, end).sign(
        key, hashes.SHA256()
    )
    certificate, key_file = tmp_path / "cert.pem", tmp_path / "key.pem"
    certificate.write_bytes(weak.public_bytes(Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    assert files.why_no_pair(certificate, key_file) == (
        "ssl_cert",
        "has a key that is too small for OpenSSL's security level",
    )


@pytest.mark.parametrize(
    ("content", "secret"),
    [
        (b"hunter2", "hunter2"),
        (b"hunter2\n", "hunter2"),
        (b"hunter2\r\n", "hunter2"),
        (b"hunter2\nsecond line\n", "hunter2"),
        (b" hunter2 \n", " hunter2 "),
        ("pä$$wörd${X}\n".encode(), "pä$$wörd${X}"),
        (b"hunter2\n\xff", "hunter2"),
    ],
)
def test_secret_files(tmp_path: Path, content: bytes, secret: str) -> None:
    path = tmp_path / "secret"
    path.write_bytes(content)
    assert files.read_secret(path) == secret


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "has an empty first line"),
        (b"\nhunter2", "has an empty first line"),
        (b"\r\n", "has an empty first line"),
        (b"hunter\xff", "is not UTF-8"),
        (None, "does not exist"),
    ],
)
def test_secret_files_that_hold_none(tmp_path: Path, content: bytes | None, why: str) -> None:
    path = tmp_path / "secret"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ValueError, match=why) as caught:
        files.read_secret(path)
    assert "hunter" not in str(caught.value)


def test_public_files(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"")
    path.chmod(0o640)
    assert not files.is_public(path)
    path.chmod(0o604)
    assert files.is_public(path)
    tmp_path.chmod(0o755)
    assert not files.is_public(tmp_path)
    assert not files.is_public(tmp_path / "none")


def test_realms_of_an_htdigest_file(tmp_path: Path) -> None:
    path = tmp_path / "htdigest"
    path.write_bytes("bob:floor 2:abc\r\n\nnonsense\nalice:Büro:def".encode() + b"\n\xff:x:y\n")
    assert files.has_realm(path, "floor 2")
    assert files.has_realm(path, "Büro")
    assert files.has_realm(path, "x")
    assert not files.has_realm(path, "bob")
    assert not files.has_realm(path, "floor")
    assert not files.has_realm(tmp_path / "none", "floor 2")
