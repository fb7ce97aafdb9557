"""Who a client is: one value for the log, for what one may do, and for what is recorded."""

from __future__ import annotations

from dataclasses import dataclass

NONE = "none"
"""Nobody had to log in."""
DIGEST = "digest"
"""A user of ``auth_file``: by HTTP Digest, or by the session cookie that follows it."""
TOKEN = "token"  # noqa: S105
"""A program with one of ``api_tokens``."""
PROXY = "proxy"
"""A user whom a trusted proxy has named (``auth_header``)."""


@dataclass(frozen=True)
class Identity:
    """``user`` is None if nobody had to log in, ``token:NAME`` of a program.

    No other user has a colon in its name. ``kind`` is one of the words above. ``address`` has
    no port; behind a trusted proxy it is the client's own.
    """

    user: str | None = None
    kind: str = NONE
    address: str = ""
