"""By which names browsers may reach this server: the check against DNS rebinding.

A web site that a user visits may let a name of its own point at this server. To the
browser its pages then are of this server's origin, whatever ``Origin`` is compared with;
that the name in ``Host`` is not one of ours is all that gives them away. A login stops
them (cookies and passwords are kept for each name apart) and so does TLS (there is no
certificate of ours with their name). Where neither is, the names have to be known.

These pass always, since no web site can have them: IP addresses, names without a dot,
and those below the domains of `NOBODYS`.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable
from pathlib import Path

from amiws_gevent.web.origin import parse_authority

NOBODYS = ("localhost", "local", "internal", "home.arpa", "test")
"""Domains that nobody can register: RFC 6761, 6762 and 8375, and ICANN's for private use."""

HOSTS_FILE = Path("/etc/hosts")


class HostPolicy:
    """``allowed`` is ``allowed_hosts`` of the configuration, ``own`` are names besides.

    An entry is a name, ``.name`` for it and all below it, ``*.name`` for those below it
    alone, or ``*`` for all. ``enforced`` is False without the key (``allowed`` None):
    then ``allows`` says which names are known, and the others are only worth a warning.
    """

    def __init__(self, allowed: Iterable[str] | None, own: Iterable[str] = ()) -> None:
        entries = list(allowed or ())
        self.enforced = allowed is not None
        self._all = "*" in entries
        self._ends = tuple(entry.removeprefix("*") for entry in entries if entry[:1] in ".*")
        self._names = {entry.removeprefix(".") for entry in entries if not entry.startswith("*")}
        self._names.update(name.lower().removesuffix(".") for name in own)

    def allows(self, host: str) -> bool:
        """Whether the value of a ``Host`` header may be; its port makes no difference."""
        if self._all:
            return True
        name = host_name(host)
        if name is None:
            return False
        if is_nobodys(name) or name in self._names:
            return True
        return name.endswith(self._ends)


def host_name(host: str) -> str | None:
    """The name or address in a ``Host`` header, spelt as it compares; None if there is none."""
    authority = parse_authority(host, "http")
    return authority.host if authority else None


def is_nobodys(name: str) -> bool:
    """Whether no web site of others can have the name (which ``host_name`` gave)."""
    if "." not in name or name.endswith(tuple(f".{domain}" for domain in NOBODYS)):
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def names_of_this_machine(file: Path = HOSTS_FILE) -> set[str]:
    """Its host name, and the names that ``file`` (hosts(5)) has for it.

    DNS is not asked: a start or a reload would wait for it.
    """
    name = socket.gethostname()
    try:
        text = file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return {name}
    lines = [line.partition("#")[0].split()[1:] for line in text.splitlines()]
    return {name}.union(*(names for names in lines if name in names))
