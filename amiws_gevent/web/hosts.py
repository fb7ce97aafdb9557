"""The names by which browsers may reach this program: the check against DNS rebinding.

A web site that a user visits may point a name of its own at this machine. The browser then
takes its pages to be of our origin, and ``Origin`` does not tell; only the foreign name in
``Host`` does. A login stops this attack (browsers keep cookies and passwords for each name
apart), and so does TLS (our certificate does not have the foreign name). Without either,
the allowed names must be configured.

Some names always pass, since no web site can have them: IP addresses, names without a dot,
and names below the domains of `UNREGISTRABLE`.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable
from pathlib import Path

from amiws_gevent.web.origin import parse_authority

UNREGISTRABLE = ("localhost", "local", "internal", "home.arpa", "test")
"""Domains that nobody can register: RFC 6761, 6762 and 8375, and ICANN's for private use."""

HOSTS_FILE = Path("/etc/hosts")


class HostPolicy:
    """``allowed`` is ``allowed_hosts`` of the configuration, ``own`` are names besides.

    An entry is a name, ``.name`` for it and all below it, ``*.name`` for those below it
    alone, or ``*`` for all. ``enforced`` is False without the key (``allowed`` None):
    then ``allows`` says which names are known, and the others cause only a warning.
    """

    def __init__(self, allowed: Iterable[str] | None, own: Iterable[str] = ()) -> None:
        entries = list(allowed or ())
        self.enforced = allowed is not None
        self._all = "*" in entries
        self._ends = tuple(entry.removeprefix("*") for entry in entries if entry[:1] in ".*")
        self._names = {entry.removeprefix(".") for entry in entries if not entry.startswith("*")}
        self._names.update(name.lower().removesuffix(".") for name in own)

    def allows(self, host: str) -> bool:
        """Whether a ``Host`` header is allowed; its port makes no difference."""
        if self._all:
            return True
        name = host_name(host)
        if name is None:
            return False
        if is_unregistrable(name) or name in self._names:
            return True
        return name.endswith(self._ends)


def host_name(host: str) -> str | None:
    """The name or address in a ``Host`` header, spelt as it compares; None if there is none."""
    authority = parse_authority(host, "http")
    return authority.host if authority else None


def is_unregistrable(name: str) -> bool:
    """Whether no web site of others can have the name (which ``host_name`` gave)."""
    if "." not in name or name.endswith(tuple(f".{domain}" for domain in UNREGISTRABLE)):
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
