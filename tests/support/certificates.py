"""Certificates with just the fault that a test is about."""

from __future__ import annotations

import hashlib
import ssl
from dataclasses import dataclass
from pathlib import Path

import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)


@dataclass(frozen=True)
class Certificate:
    """Files of a certificate, its key and the authority that signed it."""

    cert: Path
    key: Path
    ca: Path
    fingerprint: str
    """SHA-256 of the DER form as ``AB:CD:...``."""

    def server(self) -> ssl.SSLContext:
        """A context that presents it."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.cert, self.key)
        return context

    def client(self) -> ssl.SSLContext:
        """A context that accepts it."""
        return ssl.create_default_context(cafile=self.ca)


def make_certificate(folder: Path, *names: str, passphrase: bytes | None = None) -> Certificate:
    """A certificate for ``names`` by an authority of its own, in files under ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    authority = trustme.CA()
    issued = authority.issue_cert(*names)
    made = Certificate(
        folder / "cert.pem",
        folder / "key.pem",
        folder / "ca.pem",
        _fingerprint(issued.cert_chain_pems[0].bytes()),
    )
    made.cert.write_bytes(b"".join(pem.bytes() for pem in issued.cert_chain_pems))
    key = issued.private_key_pem.bytes()
    if passphrase is not None:
        key = load_pem_private_key(key, None).private_bytes(
            Encoding.PEM, PrivateFormat.TraditionalOpenSSL, BestAvailableEncryption(passphrase)
        )
    made.key.write_bytes(key)
    authority.cert_pem.write_to_path(str(made.ca))
    return made


def _fingerprint(pem: bytes) -> str:
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem.decode())).digest().hex(":").upper()
