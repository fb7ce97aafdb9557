r"""One syslog line as RFC 5424, section 6, wants it.

::

    <132>1 2026-11-22T18:12:20.973Z gw.example.com amiws-gevent 4711 PeerStatus
    [meta sequenceId="7"][amiws@32473 server="pbx1" server_id="1" rule="peer_unreachable"]
    [ami@32473 Peer="SIP/101" PeerStatus="Unreachable"] SIP/101 is Unreachable on pbx1

(one line, without the line ends). Whatever a server or a caller wrote stays inside
its parameter or the message: ``"``, ``\`` and ``]`` are escaped, control characters
are spelt out (``\n``, ``\x1b``), names lose the signs that they must not have. A
line is cut to its limit at the end of a character, and a parameter that does not fit
is left out whole.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

Parameters = Iterable[tuple[str, str]]
"""Names and values of one SD-ELEMENT, as they came."""

BOM = b"\xef\xbb\xbf"
NIL = b"-"
CUT = "..."
LARGEST_HEAD = 386
"""Bytes before the structured data: <191>1, the time, and fields of their full length."""
LARGEST_SEQUENCE = 2**31 - 1  # RFC 5424, section 7.3.1

# Besides C0, DEL and C1: what ends a line for some readers, what reorders a terminal's
# text, and halves of surrogate pairs, which no UTF-8 has.
_CONTROL = r"\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff"
_CONTROLS = re.compile(f"[{_CONTROL}]")
_SPECIAL = re.compile(rf'["\\\]{_CONTROL}]')
_NOT_PRINTABLE = re.compile(r"[^\x21-\x7e]")  # PRINTUSASCII
_NOT_NAME = re.compile(r'[^\x21-\x7e]|[="\]]')  # SD-NAME


def escape_controls(text: str) -> str:
    r"""Control characters spelt ``\n``, ``\x1b`` and so on, all else as it is."""
    return _CONTROLS.sub(lambda match: ascii(match[0])[1:-1], text)


def printable(text: str, most: int) -> bytes:
    """A header field: at most so many of PRINTUSASCII, ``-`` for nothing."""
    return _NOT_PRINTABLE.sub("_", text[:most]).encode() or NIL


def parameter_name(name: str) -> str:
    """An SD-NAME: 1 to 32 of PRINTUSASCII without ``=``, ``]`` and ``"``."""
    return _NOT_NAME.sub("_", name[:32]) or "_"


def parameter_value(value: str) -> str:
    """A PARAM-VALUE, escaped; control characters are spelt out first."""
    return _SPECIAL.sub(_escaped, value)


def _escaped(match: re.Match[str]) -> str:
    sign = match[0]
    return "\\" + (sign if sign in '"\\]' else ascii(sign)[1:-1])


def cut(text: str, most: int) -> bytes:
    """UTF-8 of at most ``most`` bytes, in whole characters, ``...`` at a cut end."""
    data = text[: most + 1].encode()
    if len(data) <= most:
        return data
    kept = data[: max(most - len(CUT), 0)].decode("utf-8", "ignore").encode()
    return (kept + CUT.encode())[:most]


@dataclass(frozen=True)
class Format:
    """Makes lines of one program: what is the same in each of them.

    ``limit`` is the most bytes of a line, framing not counted, at least 480 (what
    RFC 5424, section 6.1, has every receiver take). ``bom``: mark a message that is
    not ASCII as UTF-8, as section 6.4 has it.
    """

    hostname: str
    app_name: str
    process_id: int
    limit: int
    bom: bool = True

    @property
    def text_room(self) -> int:
        """Bytes of a message that is never cut, however much the parameters want."""
        return (self.limit - LARGEST_HEAD) // 2 - len(BOM)

    def line(
        self,
        priority: int,
        when: float,
        message_id: str,
        elements: Sequence[tuple[str, Parameters]],
        text: str,
    ) -> bytes:
        """One line. ``priority`` is facility * 8 + severity, ``when`` in seconds of Unix time.

        The SD-IDs of ``elements`` must be right as they are. Parameters may take what
        the head and the message leave, and at least half of the rest.
        """
        head = b" ".join(
            (
                b"<%d>1" % priority,
                timestamp(when),
                printable(self.hostname, 255),
                printable(self.app_name, 48),
                b"%d" % self.process_id,
                printable(message_id, 32),
                b"",
            )
        )
        room = self.limit - len(head)
        message = self._message(text, room)
        wanted = min(len(message) + 1, room // 2)
        data = _structured_data(elements, room - wanted)
        left = room - len(data) - 1
        if len(message) > left:
            message = self._message(text, left)
        return head + data + (b" " + message if message else b"")

    def _message(self, text: str, most: int) -> bytes:
        escaped = escape_controls(text[: self.limit + 1])
        if self.bom and not escaped.isascii() and most > len(BOM):
            return BOM + cut(escaped, most - len(BOM))
        return cut(escaped, max(most, 0))


def timestamp(when: float) -> bytes:
    """UTC with milliseconds (RFC 5424, section 6.2.3)."""
    milliseconds = int(when * 1000)
    seconds, rest = divmod(milliseconds, 1000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{rest:03d}Z".encode()


def _structured_data(elements: Sequence[tuple[str, Parameters]], room: int) -> bytes:
    """The elements, as far as their parameters fit; ``-`` without any."""
    made = []
    for identifier, parameters in elements:
        room -= len(identifier) + 2
        kept = []
        for name, value in parameters:
            if len(value) >= room:  # a character is at least a byte
                continue
            parameter = f' {parameter_name(name)}="{parameter_value(value)}"'.encode()
            if len(parameter) <= room:
                room -= len(parameter)
                kept.append(parameter)
        if kept:
            made.append(b"[%b%b]" % (identifier.encode(), b"".join(kept)))
        else:
            room += len(identifier) + 2
    return b"".join(made) or NIL
