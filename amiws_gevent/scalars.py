"""Text as the configuration file has it, and how much of it a message may show."""

from __future__ import annotations

import re
from typing import Self

# Enough to recognise a value by, short enough for a syslog line.
SHOWN_LENGTH = 40

_SECRET_NAME = re.compile(
    r"(secret|passw(or)?d|passphrase|pwd|token|credentials?|authorization|api[_-]?key)s?",
    re.IGNORECASE,
)
# The password in scheme://user:password@host, or without the scheme.
_PASSWORD_OF_URL = re.compile(r"((?:^|//)[^/@:]*:)[^/]*@")


class Scalar(str):
    """A value's text after ``${NAME}`` was replaced, knowing how it was written.

    ``written`` is the text of the file. Where the two differ a message shows
    ``written``: what the environment holds may be a secret.
    """

    __slots__ = ("written",)

    written: str

    def __new__(cls, text: str, written: str | None = None) -> Self:
        scalar = super().__new__(cls, text)
        scalar.written = text if written is None else written
        return scalar

    @property
    def replaced(self) -> bool:
        """Whether any part of it came from the environment."""
        return self != self.written


def shown(value: object, length: int = SHOWN_LENGTH) -> str:
    """``value`` for a message: quoted, control characters escaped, shortened.

    Without the password of ``user:password@host``. Lists and mappings are named,
    not shown. Never call it with a secret.
    """
    if isinstance(value, list | tuple | set | frozenset):
        return "a list"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, Scalar) and value.replaced:
        return f"what {_quoted(value.written, length)} stands for"
    return _quoted(str(value), length)


def names_secret(key: str) -> bool:
    """Whether what stands under this key is a secret by the key's name: ``api_token``."""
    return _SECRET_NAME.fullmatch(re.split(r"[_-](?!key)", key)[-1]) is not None


def _quoted(text: str, length: int) -> str:
    text = _PASSWORD_OF_URL.sub(r"\1…@", text)
    return repr(text if len(text) <= length else text[: length - 1] + "…")
