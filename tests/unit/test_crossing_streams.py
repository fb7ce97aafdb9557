"""Names of streams, and the directory."""

from __future__ import annotations

import pytest

from amiws_gevent.crossing.codec import FORMAT, FormatError
from amiws_gevent.crossing.streams import (
    DIRECTORY,
    Directory,
    decode_directory,
    server_of,
    stream_of,
)
from amiws_gevent.plugins.api import ServerInfo


def test_a_stream_is_of_a_server_or_the_directory() -> None:
    assert [server_of(stream_of(server)) for server in (0, 7)] == [0, 7]
    assert server_of(DIRECTORY) is None


def test_the_directory_is_decoded_as_it_was() -> None:
    servers = (ServerInfo(0, "amiws-gevent", False), ServerInfo(2, 'ü"', True))
    directory = Directory(servers, frozenset({0, 2}), True, "why", bytes(range(32)))
    assert decode_directory(directory.encode()) == directory


@pytest.mark.parametrize("data", [b"", b"amiws-gevent 99\n{}", FORMAT + b"\n{}", FORMAT + b"\nno"])
def test_what_is_no_directory(data: bytes) -> None:
    with pytest.raises(FormatError):
        decode_directory(data)
