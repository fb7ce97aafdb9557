"""Proxies: whatever a client sends through a trusted proxy, its address is what the proxy saw."""

from __future__ import annotations

import ipaddress

from hypothesis import given
from hypothesis import strategies as st

from amiws_gevent.config.units import networks, path_prefix
from amiws_gevent.plugins.api import Headers
from amiws_gevent.web.proxies import Proxies

PROXY = "10.0.0.1"
TRUSTED = networks("10.0.0.0/24")
OUTSIDE = networks("198.51.100.0/24, 2001:db8::/32")

# As a request head may have it: no control characters but tabs.
wsgi_text = st.text(
    st.characters(max_codepoint=255, exclude_categories=["Cc"], include_characters="\t"),
    max_size=60,
)
listed = st.lists(
    st.sampled_from(
        [
            "for=6.6.6.6",
            "6.6.6.6",
            "10.0.0.2",
            '"',
            "\\",
            ",",
            ";",
            "for=",
            'host="',
            " ",
            "proto=https",
        ]
    ),
    max_size=12,
).map("".join)
sent = st.one_of(wsgi_text, listed)
clients = st.sampled_from(OUTSIDE).flatmap(
    lambda network: st.integers(0, network.num_addresses - 1).map(lambda number: network[number])
)


def way(headers: list[tuple[str, str]], forwarded: bool, peer: str = PROXY) -> tuple[str, str, str]:
    found = Proxies(TRUSTED, forwarded=forwarded).way(peer, "http", Headers(headers))
    return found.address, found.scheme, found.prefix


@given(st.lists(sent, max_size=3), clients, st.booleans())
def test_what_a_client_sends_does_not_hide_it(
    sent: list[str], client: ipaddress.IPv4Address | ipaddress.IPv6Address, own: bool
) -> None:
    """The proxy adds to the last header that it got, or adds one of its own."""
    for name, forwarded, entry in (
        ("X-Forwarded-For", False, str(client)),
        ("Forwarded", True, f'for="[{client}]"' if client.version == 6 else f"for={client}"),
    ):
        values = list(sent)
        if own or not values:
            values.append(entry)
        else:
            values[-1] = f"{values[-1]}, {entry}"
        headers = [(name, value) for value in values]
        assert way(headers, forwarded)[0] == str(client)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(
                ["X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Prefix", "Forwarded"]
            ),
            sent,
        ),
        max_size=6,
    ),
    st.booleans(),
)
def test_what_is_found_is_always_sound(headers: list[tuple[str, str]], forwarded: bool) -> None:
    address, scheme, prefix = way(headers, forwarded)
    assert str(ipaddress.ip_address(address)) == address
    assert scheme in ("http", "https")
    assert path_prefix(prefix) == prefix
    assert way(headers, forwarded, "192.0.2.1") == ("192.0.2.1", "http", "")
