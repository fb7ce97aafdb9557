"""TLS to an AMI server: client certificate, verification by CA or by fingerprint.

Asterisk's own certificates are mostly self-signed, so a fingerprint (SHA-256 of the
certificate's DER form) may be pinned in place of a CA; it replaces the check of CA and
host name. Whatever is refused says which fingerprint the server presented.
"""

from __future__ import annotations

import ssl
from functools import partial
from pathlib import Path

from gevent import socket as gsocket
from gevent.ssl import SSLSocket

from amiws_gevent.config import AmiHost
from amiws_gevent.errors import AmiwsError
from amiws_gevent.runtime import tls
from amiws_gevent.runtime.threads import in_thread
from amiws_gevent.runtime.tls import ClientContext, TlsFileError, fingerprint, same_fingerprint

# What OpenSSL's reasons mean for the person who reads the log (SSLError.reason, as in
# openssl/sslerr.h; versions name the same fault differently).
_NO_TLS = "the port does not speak TLS (AMI with TLS is usually on port 5039)"
_TOO_OLD = "the server does not support TLS 1.2 or later"
_CLIENT = "the server asks for a client certificate, or for another one: see ssl_cert and ssl_key"
_MEANINGS = {
    "WRONG_VERSION_NUMBER": _NO_TLS,
    "RECORD_LAYER_FAILURE": _NO_TLS,
    "PACKET_LENGTH_TOO_LONG": _NO_TLS,
    "HTTP_REQUEST": _NO_TLS,
    "UNSUPPORTED_PROTOCOL": _TOO_OLD,
    "TLSV1_ALERT_PROTOCOL_VERSION": _TOO_OLD,
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": _CLIENT,
    "TLSV1_ALERT_UNKNOWN_CA": _CLIENT,
    "SSLV3_ALERT_BAD_CERTIFICATE": _CLIENT,
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": _CLIENT,
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": _CLIENT,
    "SSLV3_ALERT_HANDSHAKE_FAILURE": "the server accepts none of the offered ciphers, "
    "or wants a client certificate (ssl_cert and ssl_key)",
}


class TlsFailed(AmiwsError):
    """The handshake failed; ``str()`` is the reason for the log.

    ``unverified``: the server's certificate is why. ``fingerprint``: which one it
    presented, where known.
    """

    def __init__(
        self, reason: str, *, unverified: bool = False, fingerprint: str | None = None
    ) -> None:
        super().__init__(reason)
        self.unverified = unverified
        self.fingerprint = fingerprint


class TlsClient:
    """The TLS side of one link: its context, kept until one of its files changes."""

    def __init__(self, host: AmiHost) -> None:
        self._host = host
        self._pin = host.ssl_fingerprint
        self._files = [path for path in (host.ssl_cert, host.ssl_key, host.ssl_ca) if path]
        self._stamp: list[tuple[int, int, int]] | None = None
        self._context: ClientContext | None = None

    @property
    def unverified(self) -> bool:
        """Neither a CA nor a fingerprint stands for the server."""
        return self._pin is None and not self._host.ssl_verify

    def handshake(self, sock: gsocket.socket) -> tuple[SSLSocket, str]:
        """TLS over the connected ``sock``, which is taken over (closed on failure).

        Returns the socket and the certificate's fingerprint. Blocks cooperatively
        without a limit of its own. Raises TlsFailed.
        """
        try:
            context = self._current_context()
        except BaseException:
            sock.close()
            raise
        wrapped, presented = self._wrap(sock, context)
        if self._pin is not None and not same_fingerprint(presented, self._pin):
            wrapped.close()
            raise TlsFailed(
                "the server's certificate does not match ssl_fingerprint",
                unverified=True,
                fingerprint=presented,
            )
        return wrapped, presented

    def peek(self, sock: gsocket.socket) -> str:
        """The fingerprint that the server presents, whatever verification says.

        ``sock`` is a connection of its own for that and is closed again: after a
        refused certificate OpenSSL no longer tells which one it was.
        """
        try:
            context = self._make_context(verify=False)
        except OSError as error:
            sock.close()
            raise TlsFailed(str(error)) from error
        wrapped, presented = self._wrap(sock, context)
        wrapped.close()
        return presented

    def _wrap(self, sock: gsocket.socket, context: ClientContext) -> tuple[SSLSocket, str]:
        try:
            wrapped = context.wrap_socket(sock, server_hostname=self._host.host)
        except (OSError, ValueError) as error:  # ValueError: a name that no TLS can carry
            raise _failure(error) from error
        return wrapped, fingerprint(wrapped)

    def _current_context(self) -> ClientContext:
        try:
            stamp = [_stamp(path) for path in self._files]
            if self._context is None or stamp != self._stamp:
                self._context = self._make_context(self._host.ssl_verify and self._pin is None)
                self._stamp = stamp
        except OSError as error:
            named = ", ".join(str(path) for path in self._files)
            why = error.why if isinstance(error, TlsFileError) else error
            raise TlsFailed(f"cannot load the TLS files ({named}): {why}") from error
        return self._context

    def _make_context(self, verify: bool) -> ClientContext:
        host = self._host
        ca = host.ssl_ca if verify else None
        made = partial(
            tls.client_context, verify=verify, ca=ca, cert=host.ssl_cert, key=host.ssl_key
        )
        return in_thread(made)  # the system's CAs take some 30 ms, for each server


def _failure(error: OSError | ValueError) -> TlsFailed:
    if isinstance(error, (ssl.SSLEOFError, ConnectionError)):
        return TlsFailed("the server closed the connection during the TLS handshake")
    if isinstance(error, ssl.SSLError):
        refused = isinstance(error, ssl.SSLCertVerificationError)
        return TlsFailed(explain(error), unverified=refused)
    return TlsFailed(f"TLS: {error}")


def explain(error: ssl.SSLError) -> str:
    """An error of OpenSSL in words for the log."""
    return tls.explain(error, "the server's", _MEANINGS)


def setting_for(presented: str) -> str:
    """The line to paste into a server's settings that pins this fingerprint."""
    return f'ssl_fingerprint: "{presented}"'


def _stamp(path: Path) -> tuple[int, int, int]:
    status = path.stat()
    return status.st_ino, status.st_size, status.st_mtime_ns
