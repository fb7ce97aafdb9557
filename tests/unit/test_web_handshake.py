"""The opening handshake: what its head must have."""

from __future__ import annotations

import pytest

from amiws_gevent.web.gate import Headers
from amiws_gevent.web.handshake import handshake_refusal

WHOLE = {
    "Connection": "keep-alive, Upgrade",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}


def status(version: str = "HTTP/1.1", *, has_body: bool = False, **changes: str) -> int:
    headers = WHOLE | {name.replace("_", "-"): value for name, value in changes.items()}
    told = handshake_refusal(Headers(headers.items()), version=version, has_body=has_body)
    return 101 if told is None else told.status


def test_one_that_is_right() -> None:
    assert status() == 101


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({"version": "HTTP/1.0"}, 400),
        ({"has_body": True}, 400),
        ({"Connection": "keep-alive"}, 400),
        ({"Sec_WebSocket_Version": "8"}, 426),
        ({"Sec_WebSocket_Key": "c2hvcnQ="}, 400),
        ({"Sec_WebSocket_Key": "not base64!"}, 400),
    ],
)
def test_what_is_wrong(changes: dict[str, str], wanted: int) -> None:
    assert status(**changes) == wanted  # type: ignore[arg-type]


def test_the_version_that_is_known_is_told() -> None:
    headers = Headers({**WHOLE, "Sec-WebSocket-Version": "8"}.items())
    told = handshake_refusal(headers, version="HTTP/1.1", has_body=False)
    assert told is not None
    assert ("Sec-WebSocket-Version", "13") in told.headers
