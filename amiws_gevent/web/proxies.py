"""What reverse proxies say of the clients behind them, and which of them is believed.

Only a proxy whose address ``trusted_proxies`` lists is believed. The list of hops that it sends
is read from its end: each entry was added by the hop behind it, so it is true as long as that hop
is trusted. The first that is not is the client; whatever stands before it the client may have made
up. Only one family of headers is read (``proxy_headers``), since a proxy passes on the other as
the client sent it.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from typing import Literal, NamedTuple

from amiws_gevent.config.units import IpNetwork, path_prefix
from amiws_gevent.plugins.api import Headers

MOST_HOPS = 32
"""More are not read: no request comes through so many proxies."""

MOST_COMMAS = 16
"""Within the quotes of one element of Forwarded."""

_SCHEMES: dict[str, Literal["http", "https"]] = {
    "http": "http",
    "https": "https",
    "ws": "http",  # of Traefik
    "wss": "https",
}
_PORT = r"(?::[0-9A-Za-z._-]{1,32})?"
_NODE = re.compile(
    rf"\[([0-9A-Fa-f:.]{{2,45}})\]{_PORT}|([0-9.]{{7,15}}){_PORT}|([0-9A-Fa-f:.]{{2,45}})"
)
_PAIR = r"""[!#$%&'*+.^_`|~0-9A-Za-z-]+=(?:"(?:[^"\\]|\\.)*"|[!#$%&'*+.^_`|~0-9A-Za-z-]+)"""
_ELEMENT = re.compile(rf"[ \t]*{_PAIR}(?:[ \t]*;[ \t]*{_PAIR})*[ \t]*;?[ \t]*")
_ESCAPE = re.compile(r"\\(.)")


class Way(NamedTuple):
    """How a request came: the address and scheme of its client, and the proxy that brought it.

    ``proxy`` is empty, and all else as the connection has it, without a trusted proxy.
    """

    address: str
    scheme: Literal["http", "https"]
    prefix: str = ""
    proxy: str = ""


class _Hop(NamedTuple):
    """What one proxy says of who came to it; None where it says nothing that can be read."""

    address: str | None
    scheme: Literal["http", "https"] | None


class Proxies:
    """The trusted proxies of one configuration; ``forwarded``: they send RFC 7239's header."""

    def __init__(self, networks: Iterable[IpNetwork] = (), *, forwarded: bool = False) -> None:
        self._networks = tuple(networks)
        self._forwarded = forwarded

    def trusts(self, address: str) -> bool:
        """Whether an address, without a port, is that of a trusted proxy."""
        if not self._networks:
            return False
        try:
            parsed = ipaddress.ip_address(address.partition("%")[0])
        except ValueError:
            return False
        return any(parsed in network for network in self._networks)

    def way(self, peer: str, scheme: Literal["http", "https"], headers: Headers) -> Way:
        """Of a request with these headers from the address ``peer``."""
        if not self.trusts(peer):
            return Way(peer, scheme)
        hops = _of_forwarded(headers) if self._forwarded else _of_x_forwarded(headers)
        address = peer
        for hop in hops[:MOST_HOPS]:  # the nearest first
            scheme = hop.scheme or scheme
            if hop.address is None:
                break
            address = hop.address
            if not self.trusts(address):
                break
        return Way(address, scheme, _prefix_of(headers), peer)


def _of_x_forwarded(headers: Headers) -> list[_Hop]:
    """Of X-Forwarded-For and -Proto, the nearest first.

    Each proxy adds to the first. To the second each adds, or the outermost writes the only word,
    which then counts for all.
    """
    addresses = [_address(word) for word in _words(headers, "X-Forwarded-For")]
    schemes = [_SCHEMES.get(word.lower()) for word in _words(headers, "X-Forwarded-Proto")]
    hops = max(len(addresses), 1)
    addresses += [None] * (hops - len(addresses))
    schemes += schemes[-1:] * (hops - len(schemes)) if schemes else [None] * hops
    return list(map(_Hop, addresses, schemes))


def _words(headers: Headers, name: str) -> list[str]:
    """The words of a list that may be spread over several headers, the last first."""
    text = ",".join(headers.getall(name))
    return [word.strip(" \t") for word in text.split(",")][: -MOST_HOPS - 1 : -1] if text else []


def _of_forwarded(headers: Headers) -> list[_Hop]:
    """Of Forwarded (RFC 7239), the nearest first; up to what cannot be read."""
    hops: list[_Hop] = []
    for line in reversed(headers.getall("Forwarded")):
        rest: str | None = line
        while rest is not None:
            rest, element = _last_element(rest)
            if element is None or len(hops) == MOST_HOPS:
                return hops
            hops.append(_hop_of(element))
    return hops


def _last_element(line: str) -> tuple[str | None, str | None]:
    """What stands before the last element of a list, and that; None where there is nothing.

    From the end and as short as can be: a quote that the client has left open reaches no further
    than to what the proxy has added.
    """
    comma = len(line)
    for _ in range(MOST_COMMAS):
        comma = line.rfind(",", 0, comma)
        element = line[comma + 1 :]
        if _ELEMENT.fullmatch(element):
            return (line[:comma] if comma >= 0 else None), element
        if comma < 0:
            break
    return None, None


def _hop_of(element: str) -> _Hop:
    """Of an element that _ELEMENT fits; a parameter that it has twice counts as none."""
    values: dict[str, list[str]] = {}
    for pair in re.findall(_PAIR, element):
        name, _, value = pair.partition("=")
        plain = _ESCAPE.sub(r"\1", value[1:-1]) if value.startswith('"') else value
        values.setdefault(name.lower(), []).append(plain)
    told = {name: found[0] for name, found in values.items() if len(found) == 1}
    return _Hop(_address(told.get("for", "")), _SCHEMES.get(told.get("proto", "").lower()))


def _address(text: str) -> str | None:
    """An address, with or without a port, as it is compared and shown; None of anything else.

    ``unknown`` and the hidden names of RFC 7239 are none.
    """
    match = _NODE.fullmatch(text)
    if match is None:
        return None
    try:
        parsed = ipaddress.ip_address(next(filter(None, match.groups())))
    except ValueError:
        return None
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
    return str(mapped or parsed)


def _prefix_of(headers: Headers) -> str:
    """What a proxy has taken from the beginning of the path; empty if nothing that can be used."""
    values = headers.getall("X-Forwarded-Prefix")
    try:
        return path_prefix(values[0]) if len(values) == 1 else ""
    except ValueError:
        return ""
