"""What Autobahn's cases 12 and 13 send, by the client side of another library (`websockets`).

Their sizes, frames and offers, as `case12_x_x.py` of autobahntestsuite 0.8.2 has them; fewer
messages of each. Those with binary data are left out, since the server takes text alone. To run the
suite itself: `tests/conformance/echo.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from itertools import cycle

import pytest
from websockets.exceptions import NegotiationError
from websockets.extensions.base import Extension
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from websockets.frames import Frame, Opcode
from websockets.headers import build_extension, parse_extension

from amiws_gevent.web.server import WebServer
from tests.conformance.echo import Echo
from tests.conformance.test_compression import text
from tests.support.webserver import Frame as ServersFrame
from tests.support.webserver import Peer, make_settings, serving

LARGEST = 131072

MESSAGES = [(size, size) for size in (16, 64, 256, 1024, 4096, 8192, 16384, 32768, 65536, LARGEST)]
MESSAGES += [(size, 256) for size in (8192, 16384, 32768, 65536, LARGEST)]
MESSAGES += [(LARGEST, frame) for frame in (1024, 4096, 32768)]
"""Characters of a message, and of each of its frames."""

SOME = 3  # messages of each

COMPRESSED = 256
"""Bytes from which on all of these messages are sent compressed."""


@pytest.fixture(scope="module")
def server() -> Iterator[WebServer]:
    with serving(make_settings(limits={"client_message": LARGEST}), sessions=Echo()) as started:
        yield started


def offer(*, alone: bool = False, bits: int | None = None) -> ClientPerMessageDeflateFactory:
    """As Autobahn's client makes it; what it asks of the server is given."""
    return ClientPerMessageDeflateFactory(
        server_no_context_takeover=alone,
        client_no_context_takeover=True,
        server_max_window_bits=bits,
        client_max_window_bits=True,
    )


def agreed(
    answer: str | None, offers: list[ClientPerMessageDeflateFactory]
) -> tuple[Extension, ...]:
    """What the library makes of the server's answer: it has to be one to some offer."""
    if answer is None:
        return ()
    ((name, params),) = parse_extension(answer)
    assert name == "permessage-deflate"
    for one in offers:
        with suppress(NegotiationError):
            return (one.process_response_params(params, ()),)
    raise AssertionError(f"{answer} is none to any offer")


@pytest.mark.parametrize(
    ("offers", "is_accepted"),
    [
        ([offer()], True),  # 12, 13.1
        ([offer(alone=True)], True),  # 13.2
        ([offer(bits=9)], False),  # 13.3
        ([offer(bits=15)], True),  # 13.4
        ([offer(alone=True, bits=9)], False),  # 13.5
        ([offer(alone=True, bits=15)], True),  # 13.6
        ([offer(alone=True, bits=9), offer(alone=True), offer()], True),  # 13.7
    ],
)
def test_all_messages_come_back(
    server: WebServer, offers: list[ClientPerMessageDeflateFactory], is_accepted: bool
) -> None:
    header = ", ".join(
        build_extension([("permessage-deflate", one.get_request_params())]) for one in offers
    )
    with Peer(server.port) as peer:
        answer = peer.handshake(f"Sec-WebSocket-Extensions: {header}\r\n")
        extensions = agreed(answer.headers.get("sec-websocket-extensions"), offers)
        assert bool(extensions) == is_accepted
        peer.rsv1 = True
        start = cycle(range(0, 7000, 997))
        for size, frame in MESSAGES:
            for begin, _ in zip(start, range(SOME), strict=False):
                message = text(size + begin)[begin:]
                for part in frames(message, frame):
                    peer.send(part.serialize(mask=True, extensions=extensions))
                came = peer.frame()
                assert came.compressed == (is_accepted and size >= COMPRESSED)
                assert heard(came, extensions) == message


def frames(message: bytes, size: int) -> Iterator[Frame]:
    for start in range(0, len(message), size):
        opcode = Opcode.CONT if start else Opcode.TEXT
        yield Frame(opcode, message[start : start + size], fin=start + size >= len(message))


def heard(came: ServersFrame, extensions: tuple[Extension, ...]) -> bytes:
    """A message, as the library understands it."""
    frame = Frame(Opcode(came.opcode), came.payload, came.fin, rsv1=came.compressed)
    for extension in extensions:
        frame = extension.decode(frame)
    assert (frame.opcode, frame.fin) == (Opcode.TEXT, True)
    return bytes(frame.data)
