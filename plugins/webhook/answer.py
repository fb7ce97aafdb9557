"""What a receiver's answer means, and how much of it may be shown."""

from __future__ import annotations

import email.utils
import enum
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC

from urllib3.exceptions import LocationParseError
from urllib3.util import parse_url

MAX_RETRY_AFTER = 300.0
"""Seconds; a receiver that asks for more is asked again then."""

MAX_EXCERPT = 200
"""Characters of an answer that are shown."""

KEPT_BODY = 4096
"""Bytes of an answer's body that are kept for that."""

# RFC 9110: 408 Request Timeout, 429 Too Many Requests (RFC 6585); RFC 8470: 425 Too Early.
_LATER = frozenset({408, 425, 429})


class Verdict(enum.Enum):
    DELIVERED = "delivered"
    LATER = "later"
    REFUSED = "refused"


@dataclass(frozen=True)
class Answer:
    """The parts of a receiver's answer that matter; ``body`` is its beginning."""

    status: int
    retry_after: str = ""
    location: str = ""
    body: bytes = b""

    @property
    def verdict(self) -> Verdict:
        """2xx: it has the batch. 408, 425, 429, 5xx: try again. All others: it never will."""
        if 200 <= self.status < 300:
            return Verdict.DELIVERED
        if self.status in _LATER or self.status >= 500:
            return Verdict.LATER
        return Verdict.REFUSED

    def pause(self, now: float) -> float:
        """Seconds that ``Retry-After`` asks for at the time ``now`` (Unix), 0 to `MAX_RETRY_AFTER`.

        It is a number of seconds or a date (RFC 9110, section 10.2.3).
        """
        text = self.retry_after.strip()
        if re.fullmatch(r"[0-9]{1,12}", text):
            return min(float(text), MAX_RETRY_AFTER)
        try:
            when = email.utils.parsedate_to_datetime(text)
            seconds = when.replace(tzinfo=when.tzinfo or UTC).timestamp() - now
        except (ValueError, TypeError, OverflowError, IndexError):
            return 0.0
        return min(max(seconds, 0.0), MAX_RETRY_AFTER)

    def describe(self, hidden: Iterable[str]) -> str:
        """``401: "no such token"``: one line for the log without any text of ``hidden``."""
        if 300 <= self.status < 400:
            place = f" to {public(self.location)}" if self.location else ""
            return f"{self.status}, a redirect{place}, which is not followed; correct url"
        shown = excerpt(self.body, hidden)
        return f'{self.status}: "{shown}"' if shown else str(self.status)


def excerpt(body: bytes, hidden: Iterable[str]) -> str:
    """The beginning of ``body`` in one line of printable characters.

    Every text of ``hidden`` is replaced: receivers answer with what they were sent.
    """
    text = body.decode("utf-8", "replace")
    secrets = sorted(filter(None, hidden), key=len, reverse=True)
    for secret in secrets:
        text = text.replace(secret, "***")
    if len(body) >= KEPT_BODY and secrets:  # cut off there, perhaps in the middle of one
        text = text[: max(0, len(text) - len(secrets[0]))]
    plain = (char if char.isprintable() and char != "\ufffd" else " " for char in text)
    text = " ".join("".join(plain).split())
    return text if len(text) <= MAX_EXCERPT else text[: MAX_EXCERPT - 3] + "..."


def public(url: str) -> str:
    """What may be shown of a URL that somebody else wrote: no login, path or query.

    The path too may be a secret: that of many chat services' webhooks is.
    """
    try:
        parsed = parse_url(url)
    except LocationParseError:
        return "an invalid URL"
    if not parsed.host:
        return "another path"
    return excerpt(f"{parsed.scheme or 'http'}://{parsed.netloc}".encode(), ())
