"""TLS to a receiver (RFC 5425): by authority and name, or by fingerprint; our certificate."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Protocol

from gevent import socket as gsocket
from gevent.ssl import SSLSocket

from amiws_gevent.plugins import SettingError
from amiws_gevent.plugins.kit import ClientContext, fingerprint, same_fingerprint, tls_context


class TlsSettings(Protocol):
    """What the settings say of TLS."""

    @property
    def ssl_verify(self) -> bool: ...
    @property
    def ssl_ca(self) -> Path | None: ...
    @property
    def ssl_cert(self) -> Path | None: ...
    @property
    def ssl_key(self) -> Path | None: ...
    @property
    def ssl_fingerprint(self) -> str | None: ...
    @property
    def ssl_server_name(self) -> str | None: ...


def make_context(settings: TlsSettings) -> ClientContext:
    """A context with the files as they are now. Raises SettingError for one that is of no use."""
    return tls_context(
        verify=settings.ssl_verify and settings.ssl_fingerprint is None,
        ca=settings.ssl_ca,
        cert=settings.ssl_cert,
        key=settings.ssl_key,
    )


def check_name(context: ClientContext, name: str) -> None:
    """ValueError for what TLS cannot carry as a server's name."""
    try:
        context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname=name)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{name!r:.80} is not a name for TLS ({error})") from None


def handshake(sock: gsocket.socket, host: str, settings: TlsSettings) -> SSLSocket:
    """TLS over the connected ``sock``, which may be closed on failure.

    Waits cooperatively, without a limit of its own. Raises OSError that says why.
    The name must have passed `check_name`.
    """
    try:
        context = make_context(settings)
    except SettingError as error:
        raise OSError(str(error)) from None
    wrapped: SSLSocket = context.wrap_socket(sock, server_hostname=settings.ssl_server_name or host)
    presented, wanted = fingerprint(wrapped), settings.ssl_fingerprint
    if wanted is not None and not same_fingerprint(presented, wanted):
        wrapped.close()
        raise OSError(f"the receiver's certificate is not that of ssl_fingerprint, but {presented}")
    return wrapped
