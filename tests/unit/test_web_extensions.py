"""What comes of a client's Sec-WebSocket-Extensions."""

from __future__ import annotations

import pytest

from amiws_gevent.web.extensions import Agreement, agree
from amiws_gevent.web.frames import deflated_alone, deflated_frames

SHARED = Agreement()
ALONE = Agreement(alone=True)
NAMED = Agreement(names_bits=True)


@pytest.mark.parametrize(
    ("offers", "agreed"),
    [
        ("permessage-deflate", SHARED),
        ("permessage-deflate; client_max_window_bits", SHARED),  # as browsers have it
        ("permessage-deflate;client_max_window_bits=10;client_no_context_takeover", SHARED),
        ('PerMessage-Deflate ; client_max_window_bits = "12"', SHARED),
        ("permessage-deflate; server_max_window_bits=15", NAMED),
        ('permessage-deflate; server_max_window_bits="15"', NAMED),
        ("permessage-deflate; server_no_context_takeover", ALONE),
        ("x-webkit-deflate-frame, permessage-deflate", SHARED),
        ("foo; bar=1; baz, , permessage-deflate; client_max_window_bits", SHARED),
        # The first that can be accepted counts.
        ("permessage-deflate; server_max_window_bits=10, permessage-deflate", SHARED),
        (
            "permessage-deflate; server_no_context_takeover; server_max_window_bits=15",
            Agreement(alone=True, names_bits=True),
        ),
        ("permessage-deflate; mux, permessage-deflate; server_no_context_takeover", ALONE),
    ],
)
def test_what_is_accepted(offers: str, agreed: Agreement) -> None:
    assert agree([offers]) == agreed


@pytest.mark.parametrize(
    "parameters",
    [
        "server_max_window_bits",
        "server_max_window_bits=8",
        "server_max_window_bits=14",
        "server_max_window_bits=16",
        "server_max_window_bits=7",
        "server_max_window_bits=015",
        "server_max_window_bits=+15",
        "server_max_window_bits=\uff11\uff15",
        "server_max_window_bits=",
        'server_max_window_bits="15',
        "client_max_window_bits=",
        "client_max_window_bits=7",
        "client_max_window_bits=1e1",
        "client_max_window_bits=99999999999999999999",
        "client_max_window_bits; client_max_window_bits=10",
        "server_no_context_takeover; server_no_context_takeover",
        "server_no_context_takeover=true",
        "client_no_context_takeover=1",
        "client_no_context_takeover=",
        "unknown",
        "unknown=1",
        "",
        "=15",
        "; ;",
        "a" * 30_000,
        ";".join(["client_no_context_takeover"] * 1000),
    ],
)
def test_what_is_declined(parameters: str) -> None:
    assert agree([f"permessage-deflate; {parameters}"]) is None


@pytest.mark.parametrize(
    "header",
    ["", ",", ";;;", "x", '"permessage-deflate"', "permessage-deflate2", "\x00\xff", "," * 9],
)
def test_what_is_no_offer(header: str) -> None:
    assert agree([header]) is None


def test_offers_in_several_headers_are_one_list() -> None:
    declined, accepted = "permessage-deflate; server_max_window_bits=9", "permessage-deflate"
    assert agree([declined, accepted]) == SHARED
    assert agree([]) is None


def test_of_many_offers_the_first_are_looked_at() -> None:
    assert agree(["x, " * 15 + "permessage-deflate"]) == SHARED
    assert agree(["x, " * 16 + "permessage-deflate"]) is None


def test_what_the_client_is_told() -> None:
    assert SHARED.header == "permessage-deflate; client_no_context_takeover"
    assert Agreement(alone=True, names_bits=True).header == (
        "permessage-deflate; client_no_context_takeover; server_no_context_takeover; "
        "server_max_window_bits=15"
    )


def test_how_messages_are_encoded() -> None:
    assert SHARED.encode is NAMED.encode is deflated_frames
    assert ALONE.encode is deflated_alone
