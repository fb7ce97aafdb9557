"""Checks the files that the configuration names: they exist, are readable and valid.

The functions return what is wrong, as text for a person, or None. No text shows what a
file contains.
"""

from __future__ import annotations

import os
import ssl
import stat
from collections.abc import Mapping
from pathlib import Path

# Longer than any secret; a wrong file (a disk image, a log) is not read whole.
_LONGEST_SECRET_FILE = 64 * 1024


class _EncryptedKey(Exception):
    """OpenSSL asks for a passphrase."""


def why_unreadable(path: Path) -> str | None:
    """Why this process cannot read ``path`` as a file, or None if it can."""
    try:
        if path.is_dir():
            return "is a folder, not a file"
        # Opening a named pipe would wait for its writer.
        if path.exists() and not path.is_file():
            return "is not a regular file"
        with path.open("rb"):
            return None
    except OSError as error:
        return _reason(error)


def why_no_folder(path: Path) -> str | None:
    """Why static files cannot be served out of ``path``, or None if they can."""
    try:
        if not stat.S_ISDIR(path.stat().st_mode):
            return "is not a folder"
    except OSError as error:
        return _reason(error)
    if not os.access(path, os.R_OK | os.X_OK):
        return f"cannot be read by {_who()}"
    return None


def why_no_authorities(path: Path) -> str | None:
    """Why ``path`` cannot be the CAs to trust (PEM), or None if it can."""
    trial = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        trial.load_verify_locations(cafile=path)
    except (ssl.SSLError, ValueError):
        return "has no certificate in PEM form"
    except OSError as error:
        return _reason(error)
    return None


def why_no_pair(certificate: Path, key: Path) -> tuple[str, str] | None:
    """Which of two readable files is wrong as part of a TLS pair, and why; None if they fit.

    The first of the answer is ``ssl_cert`` or ``ssl_key``.
    """
    if (no_certificate := why_no_authorities(certificate)) is not None:
        return "ssl_cert", no_certificate
    trial = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        trial.load_cert_chain(certificate, key, password=_refuse_passphrase)
    except _EncryptedKey:
        return "ssl_key", (
            "is protected by a passphrase, which a daemon cannot ask for; "
            "store it without one (openssl pkey -in KEY -out NEWKEY)"
        )
    except ssl.SSLError as error:
        return _blame(error.reason or "")
    except (ValueError, OSError) as error:
        return "ssl_key", f"cannot be loaded: {error}"
    return None


def read_secret(path: Path) -> str:
    """The first line of a file, without its end. Raises ValueError saying why not."""
    unreadable = why_unreadable(path)
    if unreadable is not None:
        raise ValueError(unreadable)
    try:
        with path.open("rb") as stream:
            line = stream.read(_LONGEST_SECRET_FILE).split(b"\n", 1)[0]
    except OSError as error:
        raise ValueError(_reason(error)) from None
    try:
        text = line.removesuffix(b"\r").decode()
    except UnicodeDecodeError:
        raise ValueError("is not UTF-8 text in its first line") from None
    if not text:
        raise ValueError("has an empty first line; the secret must be there")
    return text


def is_public(path: Path) -> bool:
    """Whether every user of the machine may read ``path``."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return stat.S_ISREG(mode) and bool(mode & stat.S_IROTH)


def has_realm(path: Path, realm: str) -> bool:
    """Whether an htdigest file (``user:realm:HA1`` lines) has a user of ``realm``."""
    wanted = realm.encode()
    try:
        lines = path.read_bytes().splitlines()
    except OSError:
        return False
    return any(line.split(b":")[1:2] == [wanted] for line in lines)


def _refuse_passphrase() -> str:
    raise _EncryptedKey


# OpenSSL's reasons that speak of the certificate; all others are about the key.
_CERTIFICATE_REASONS: Mapping[str, str] = {
    "EE_KEY_TOO_SMALL": "has a key that is too small for OpenSSL's security level",
    "CA_KEY_TOO_SMALL": "comes with a CA whose key is too small for OpenSSL's security level",
    "CA_MD_TOO_WEAK": "is signed with a digest too weak for OpenSSL's security level",
}


def _blame(reason: str) -> tuple[str, str]:
    if reason in _CERTIFICATE_REASONS:
        return "ssl_cert", _CERTIFICATE_REASONS[reason]
    if reason == "KEY_VALUES_MISMATCH":
        return "ssl_key", "is not the key of the certificate in ssl_cert"
    return "ssl_key", "has no private key in PEM form"


def _reason(error: OSError) -> str:
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return "does not exist"
    if isinstance(error, PermissionError):
        return f"cannot be read by {_who()}"
    return f"cannot be read: {error.strerror or error}"


def _who() -> str:
    return f"the user this runs as (uid {os.geteuid()})"
