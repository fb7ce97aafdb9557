"""Lines that prove each other.

    {"seq":7,"time":"2026-11-29T08:32:57.123Z","what":"login",…,"mac":"5f3a…"}

The code of a line is HMAC-SHA256 (RFC 2104), with the key of the audit, over the code of the line
before (32 bytes; NOTHING for the first of all) and the bytes of the line up to its ``,"mac"``. So
nobody without the key can change, remove, insert or move a line that another follows. Sequence
numbers go on over all files, without a gap, and so does the chain. The first line of each file
says where the one before ended.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from dataclasses import dataclass
from typing import Any, NamedTuple

NOTHING = bytes(32)
"""Stands for the code of the line before the first."""

SHORTEST_KEY = 32  # bytes

_MAC = re.compile(rb',"mac":"([0-9a-f]{64})"\}')
_TAIL = len(b',"mac":""}') + 64
_SEQ = re.compile(rb'\{"seq":([0-9]{1,18}),"')
_HEAD = re.compile(r"([0-9]{1,18}):([0-9a-f]{64})")


class Head(NamedTuple):
    """Where a chain stands: the number and the code of its last line. Text: ``7:5f3a…``."""

    seq: int = 0
    mac: bytes = NOTHING

    def __str__(self) -> str:
        return f"{self.seq}:{self.mac.hex()}"

    @classmethod
    def of(cls, text: str) -> Head:
        """The head that ``str`` has made a text of; raises ValueError."""
        found = _HEAD.fullmatch(text.strip().lower())
        if found is None:
            raise ValueError("must be a number, a colon and 64 hexadecimal digits")
        return cls(int(found[1]), bytes.fromhex(found[2]))


class Key:
    """The key of a chain. Its ``name`` tells keys apart, and nothing of the key."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self.name = self._hmac(b"name of the key")[:8].hex()

    def mac(self, before: bytes, body: bytes) -> bytes:
        """The code of a line: of the one before, and of its bytes up to ``,"mac"``."""
        return self._hmac(before + body)

    def _hmac(self, data: bytes) -> bytes:
        return hmac.digest(self._secret, data, hashlib.sha256)


@dataclass(frozen=True)
class Line:
    """A line as it stands in a file: what it says of itself, which may be wrong."""

    seq: int
    body: bytes
    """Up to ``,"mac"``."""
    mac: bytes

    @property
    def head(self) -> Head:
        return Head(self.seq, self.mac)

    def follows(self, head: Head, key: Key) -> bool:
        """Whether it is the line behind ``head``, as it was written."""
        mac = key.mac(head.mac, self.body)
        return self.seq == head.seq + 1 and hmac.compare_digest(mac, self.mac)

    def fields(self) -> dict[str, Any]:
        """What it says, without its number and code; empty if that is not JSON."""
        try:
            found = json.loads(self.body + b"}")
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}


def seal(record: bytes, head: Head, key: Key) -> tuple[bytes, Head]:
    """The line (with its line feed) of a record behind ``head``, and the head then.

    ``record`` is a JSON object in one line, not empty.
    """
    body = b'{"seq":%d,%b' % (head.seq + 1, record[1:-1])
    mac = key.mac(head.mac, body)
    return b'%b,"mac":"%b"}\n' % (body, mac.hex().encode()), Head(head.seq + 1, mac)


def line_of(data: bytes) -> Line | None:
    """The line that ``data`` (without line feed) is; None if it has not that form."""
    mac, seq = _MAC.fullmatch(data[-_TAIL:]), _SEQ.match(data)
    if mac is None or seq is None:
        return None
    return Line(int(seq[1]), data[:-_TAIL], bytes.fromhex(mac[1].decode()))
