"""Where a recording begins a session: its banner, and its login's answer found behind it.

The server that plays it greets and answers logins itself, so neither may go
out a second time in the middle of the stream.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

from amiws_gevent.simulator.replay.recording import LOGIN_WITHIN, Packet, Role

BANNER = b"Asterisk Call Manager/11.0.0\r\n"
ACCEPTED = b"Response: Success\r\nMessage: Authentication accepted\r\n\r\n"


class Opening(NamedTuple):
    """A session begins: what clients get that connect from now on."""

    banner: bytes = BANNER
    early: bytes = b""
    """What came between the banner and the login's answer; goes to the first that logs in."""
    accepted: bytes = ACCEPTED
    """The answer to a login."""
    time: float | None = None
    """When the session began, in seconds since the epoch, if it is known."""


def with_openings(packets: Iterator[Packet]) -> Iterator[Packet | Opening]:
    """The packets, but those of the beginning of a session gathered in its Opening.

    A session begins with a banner, or with a login's answer that has none before it.
    """
    ahead: deque[Packet] = deque()
    while (packet := ahead.popleft() if ahead else next(packets, None)) is not None:
        if packet.role is Role.BANNER:
            # Nothing is ahead: the look for a login ends with the next banner.
            opening, others = _open(packet, packets)
            yield opening
            ahead.extend(others)
        elif packet.role is Role.ACCEPTED:
            yield Opening(accepted=packet.data, time=packet.time)
        else:
            yield packet


def _open(banner: Packet, packets: Iterator[Packet]) -> tuple[Opening, list[Packet]]:
    """The opening, and the packets that were looked at but do not belong to it."""
    seen: list[Packet] = []
    for packet in packets:
        if packet.role is Role.ACCEPTED:
            early = b"".join([other.data for other in seen if other.role is not Role.CHALLENGE])
            return Opening(banner.data, early, packet.data, banner.time), []
        seen.append(packet)
        if packet.role is Role.BANNER or len(seen) == LOGIN_WITHIN:
            break
    return Opening(banner.data, time=banner.time), seen
