"""Content codings: which of them a client takes, and long answers in one."""

from __future__ import annotations

import zlib

import flask
from werkzeug.datastructures import Accept
from werkzeug.http import parse_accept_header

from amiws_gevent.runtime.loop import yield_to_loop

GZIP = "gzip"

SMALLEST = 1024
"""Bytes of an answer that is compressed; less fits into one packet as it is."""

_PIECE = 64 * 1024  # bytes that are compressed before others have their turn: about a millisecond
_LEVEL = 3  # twice as fast as 6, for a tenth more bytes of JSON
_GZIP_BITS = 16 + zlib.MAX_WBITS


def quality(accepted: str, coding: str) -> float:
    """How much an ``Accept-Encoding`` likes a coding; 0: not at all (RFC 9110, 12.5.3)."""
    qualities = {item.lower(): quality for item, quality in parse_accept_header(accepted, Accept)}
    return qualities.get(coding, qualities.get("*", 0.0))


def compress(response: flask.Response) -> flask.Response:
    """A whole answer to the request that is being served, in gzip if the client takes that.

    Its ETag must be weak, since it is that of both forms. A stream stays as it is: what is
    compressed comes only once there is enough of it.
    """
    if response.is_streamed:
        return response
    response.vary.add("Accept-Encoding")
    accepted = flask.request.headers.get("Accept-Encoding", "")
    if response.status_code == 200 and quality(accepted, GZIP) > 0:
        data = response.get_data()
        if len(data) >= SMALLEST:
            response.set_data(_gzip(data))
            response.content_encoding = GZIP
    return response


def _gzip(data: bytes) -> bytes:
    compressor = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP_BITS)
    pieces = []
    for start in range(0, len(data), _PIECE):
        if start:
            yield_to_loop()
        pieces.append(compressor.compress(data[start : start + _PIECE]))
    return b"".join([*pieces, compressor.flush()])
