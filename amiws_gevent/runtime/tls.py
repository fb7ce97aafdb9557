"""TLS as a client, for links and plugins: whom to believe, and what to say of a failure."""

from __future__ import annotations

import hashlib
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gevent.ssl import SSLContext, SSLSocket


class TlsFileError(OSError):
    """A file of TLS cannot be used; ``str()`` is which and why, the latter as ``why`` too.

    ``setting`` is what the key of such a file is called in all settings: ssl_ca or
    ssl_cert (the latter for a pair of certificate and key).
    """

    def __init__(self, setting: str, files: str, error: OSError) -> None:
        self.setting = setting
        self.why = explain(error)
        super().__init__(f"{files}: cannot be used: {self.why}")


class ClientContext(SSLContext):
    """Leaves no socket open when a handshake fails or is cut off; gevent's leaves some."""

    def wrap_socket(self, sock: Any, *arguments: Any, **options: Any) -> Any:
        """TLS over the connected ``sock``, which is taken over: closed, if that fails.

        Does the handshake. Waits cooperatively, without a limit of its own. Raises OSError,
        and ValueError for a ``server_hostname`` that TLS cannot carry.
        """
        wrapped = None
        try:
            sock.getpeername()  # of one that was reset already the wrapping would lose it
            options["do_handshake_on_connect"] = False
            wrapped = super().wrap_socket(sock, *arguments, **options)
            wrapped.do_handshake()
        except BaseException:
            (wrapped or sock).close()
            raise
        return wrapped


def client_context(
    *,
    verify: bool = True,
    ca: Path | None = None,
    cert: Path | None = None,
    key: Path | None = None,
    kind: type[ClientContext] = ClientContext,
) -> ClientContext:
    """TLS 1.2 or later, with the files as they are now. Raises TlsFileError.

    With ``verify`` authority and name of the other side are checked; authorities are those
    of ``ca`` (PEM), by default the system's. ``cert`` and its ``key`` are our own.
    """
    context = kind(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION  # a write would have to wait for reads
    context.check_hostname = verify
    context.verify_mode = ssl.CERT_REQUIRED if verify else ssl.CERT_NONE
    if ca is not None:
        try:
            context.load_verify_locations(cafile=str(ca))
        except OSError as error:
            raise TlsFileError("ssl_ca", str(ca), error) from error
    elif verify:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    if cert is not None:
        try:
            # an encrypted key must fail, not ask for its passphrase on a terminal
            context.load_cert_chain(str(cert), str(key), password="")
        except OSError as error:
            raise TlsFileError("ssl_cert", f"with ssl_key: {cert}, {key}", error) from error
    return context


def fingerprint(sock: SSLSocket) -> str:
    """SHA-256 of what the other side presented, as ``AB:CD:...``, as openssl prints it."""
    certificate = sock.getpeercert(binary_form=True) or b""
    return hashlib.sha256(certificate).digest().hex(":").upper()


def same_fingerprint(one: str, other: str) -> bool:
    """Whether two fingerprints are one, whatever their letters' case, with colons or without."""
    return _digits(one) == _digits(other)


def _digits(fingerprint: str) -> str:
    return fingerprint.replace(":", "").replace(" ", "").lower()


def explain(error: OSError, whose: str = "its", meanings: Mapping[str, str] = {}) -> str:
    """An error of a socket or of TLS in words for the log.

    ``whose`` certificate it was. ``meanings`` has words for some of OpenSSL's reasons
    (SSLError.reason, as in openssl/sslerr.h).
    """
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"{whose} certificate is not accepted: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        reason = getattr(error, "reason", None) or str(error)  # made in Python it has none
        meaning = meanings.get(reason)
        return f"TLS: {meaning} ({reason})" if meaning else f"TLS: {reason}"
    return error.strerror or str(error)
