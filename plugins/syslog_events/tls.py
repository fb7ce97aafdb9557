"""TLS to a receiver (RFC 5425): by authority and name, or by fingerprint; our certificate."""

from __future__ import annotations

import hashlib
import hmac
import ssl
from pathlib import Path
from typing import Protocol

from gevent import socket as gsocket
from gevent.ssl import SSLContext, SSLSocket

from amiws_gevent.plugins import SettingError


class TlsSettings(Protocol):
    """What of the plugin's settings belongs here."""

    @property
    def ssl_ca(self) -> Path | None: ...
    @property
    def ssl_verify(self) -> bool: ...
    @property
    def ssl_server_name(self) -> str | None: ...
    @property
    def ssl_fingerprint(self) -> str | None: ...
    @property
    def ssl_cert(self) -> Path | None: ...
    @property
    def ssl_key(self) -> Path | None: ...


def make_context(settings: TlsSettings) -> SSLContext:
    """A context with the files as they are now. Raises SettingError for one that is of no use."""
    context = SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION  # a write would have to wait for reads
    verify = settings.ssl_verify and settings.ssl_fingerprint is None
    context.check_hostname = verify
    context.verify_mode = ssl.CERT_REQUIRED if verify else ssl.CERT_NONE
    if settings.ssl_ca is not None:
        try:
            context.load_verify_locations(cafile=str(settings.ssl_ca))
        except OSError as error:
            raise _unusable("ssl_ca", settings.ssl_ca, error) from None
    elif verify:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    if settings.ssl_cert is not None:
        try:
            # an encrypted key must fail, not ask for its passphrase on a terminal
            context.load_cert_chain(str(settings.ssl_cert), str(settings.ssl_key), password="")
        except OSError as error:
            files = f"with ssl_key: {settings.ssl_cert}, {settings.ssl_key}"
            raise _unusable("ssl_cert", files, error) from None
    return context


def _unusable(key: str, files: object, error: OSError) -> SettingError:
    return SettingError(key, f"{files}: cannot be used: {explain(error)}")


def check_name(context: SSLContext, name: str) -> None:
    """ValueError for what TLS cannot carry as a server's name."""
    try:
        context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname=name)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{name!r:.80} is no name for TLS ({error})") from None


def handshake(sock: gsocket.socket, host: str, settings: TlsSettings) -> SSLSocket:
    """TLS over the connected ``sock``, which stays the caller's on failure.

    Waits cooperatively, without a limit of its own. Raises OSError that says why.
    The name must have passed `check_name`.
    """
    try:
        context = make_context(settings)
    except SettingError as error:
        raise OSError(str(error)) from None
    sock.getpeername()  # one that was reset already would leak from a failing wrap
    name = settings.ssl_server_name or host
    wrapped = context.wrap_socket(sock, server_hostname=name, do_handshake_on_connect=False)
    try:
        wrapped.do_handshake()
        _compare(wrapped, settings.ssl_fingerprint)
    except BaseException:
        wrapped.close()
        raise
    return wrapped


def _compare(sock: SSLSocket, wanted: str | None) -> None:
    if wanted is None:
        return
    presented = hashlib.sha256(sock.getpeercert(binary_form=True) or b"").hexdigest()
    if not hmac.compare_digest(presented, wanted):
        raise OSError(
            "the receiver's certificate is not the one of ssl_fingerprint: it presents "
            f"{bytes.fromhex(presented).hex(':').upper()}"
        )


def explain(error: OSError) -> str:
    """An error of a socket or of TLS in words for the log."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not accepted: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"TLS: {getattr(error, 'reason', None) or error}"
    return error.strerror or str(error)
