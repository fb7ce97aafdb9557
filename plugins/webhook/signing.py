"""The key of the settings, and the two signatures that it makes of a delivery.

Ours is that of ``X-Amiws-Signature``. The other is that of Standard Webhooks 1.0
(https://www.standardwebhooks.com), for which receivers have libraries.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac

STANDARD_PREFIX = b"whsec_"
"""What Standard Webhooks has before a symmetric key in base64."""


class Key:
    """The bytes of the settings' key. ValueError, which does not show it, for a wrong ``whsec_``.

    Such a key is base64 for the standard signature; any other is taken as it is.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._standard = _standard_key(key)

    def signature(self, timestamp: str, body: bytes) -> str:
        """``sha256=`` and the HMAC in hexadecimal digits over ``timestamp``, a dot and ``body``."""
        signed = hmac.new(self._key, timestamp.encode() + b"." + body, hashlib.sha256)
        return f"sha256={signed.hexdigest()}"

    def standard_signature(self, id_: str, timestamp: str, body: bytes) -> str:
        """``v1,`` and the HMAC in base64 over ``id_``, ``timestamp`` and ``body``, dots between."""
        signed = hmac.digest(self._standard, f"{id_}.{timestamp}.".encode() + body, hashlib.sha256)
        return f"v1,{base64.b64encode(signed).decode()}"

    def texts(self) -> list[str]:
        """The key as a text, and what of it is one without its prefix: for no log."""
        forms = dict.fromkeys((self._key, self._key.removeprefix(STANDARD_PREFIX)))
        return [form.decode("utf-8", "replace") for form in forms]


def _standard_key(key: bytes) -> bytes:
    if not key.startswith(STANDARD_PREFIX):
        return key
    try:
        decoded = base64.b64decode(key.removeprefix(STANDARD_PREFIX), validate=True)
    except binascii.Error:
        decoded = b""
    if not decoded:
        raise ValueError("must have base64 after whsec_; `openssl rand -base64 32` makes some")
    return decoded
