"""What the head of a WebSocket's opening handshake must have (RFC 6455, section 4.2.1); no I/O."""

from __future__ import annotations

import base64
import binascii
from http import HTTPStatus

from amiws_gevent.web.gate import Headers, Verdict
from amiws_gevent.web.requesthead import tokens


def handshake_refusal(headers: Headers, *, version: str, has_body: bool) -> Verdict | None:
    """A refusal if the handshake is wrong (RFC 6455, section 4.2.1), else None."""
    if version != "HTTP/1.1" or has_body:
        return refusal(HTTPStatus.BAD_REQUEST, "An upgrade needs HTTP/1.1 and must have no body.")
    if "upgrade" not in tokens(headers.get("Connection", "")):
        return refusal(
            HTTPStatus.BAD_REQUEST,
            "An upgrade needs 'Connection: Upgrade'; a proxy has to pass it on.",
        )
    if headers.get("Sec-WebSocket-Version") != "13":
        return refusal(
            HTTPStatus.UPGRADE_REQUIRED,
            "Use version 13 of the WebSocket protocol (RFC 6455).",
            ("Sec-WebSocket-Version", "13"),
        )
    if not _is_key(headers.get("Sec-WebSocket-Key", "")):
        return refusal(HTTPStatus.BAD_REQUEST, "Sec-WebSocket-Key must be 16 bytes in base64.")
    return None


def _is_key(text: str) -> bool:
    try:
        return len(base64.b64decode(text, validate=True)) == 16
    except (binascii.Error, ValueError):
        return False


def refusal(status: HTTPStatus, text: str, *headers: tuple[str, str]) -> Verdict:
    """An upgrade that is refused, with a line of text."""
    return Verdict(
        status,
        headers=(("Content-Type", "text/plain; charset=utf-8"), *headers),
        body=f"{status:d} {text}\n".encode(),
    )
