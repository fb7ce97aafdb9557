"""What peers are called, in the log and where they are counted."""

from __future__ import annotations

import ipaddress
from typing import Protocol


class Named(Protocol):
    """Who a client is."""

    @property
    def address(self) -> str: ...

    @property
    def user(self) -> str | None: ...


def name_of(client: Named) -> str:
    """A client as the log names it: its address, and its user if it has one."""
    return f"{client.address} ({client.user})" if client.user else client.address


def host_of(peer: str) -> str:
    """The address in a name with or without its port: ``192.0.2.1:5038``, ``[::1]:5038``."""
    if peer.startswith("["):
        return peer[1:].partition("]")[0]
    return peer.partition(":")[0] if peer.count(":") == 1 else peer


def is_this_machine(host: str) -> bool:
    """Whether an address is a loopback one."""
    return host == "unix" or host == "::1" or host.startswith("127.")


def network_of(host: str) -> str:
    """What counts as one address: an IPv4 address, or the /64 that one IPv6 host gets."""
    if ":" not in host:
        return host
    address = ipaddress.IPv6Address(host.partition("%")[0])
    return str(ipaddress.IPv6Network((int(address) >> 64 << 64, 64)))
