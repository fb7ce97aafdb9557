"""An HTTP request as decisions see it: the gate's, and those of plugins."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal


class Headers(Mapping[str, str]):
    """The headers of one request: names without regard to case, repeats kept.

    Values are text as WSGI has it (each character one byte, Latin-1). ``get`` and
    ``[]`` join the values of a repeated name with ``", "`` (RFC 9110, section 5.3), so
    that a second ``Host`` or ``Origin`` never goes unseen.
    """

    __slots__ = ("_values",)

    def __init__(self, pairs: Iterable[tuple[str, str]] = ()) -> None:
        self._values: dict[str, list[str]] = {}
        for name, value in pairs:
            self._values.setdefault(name.lower(), []).append(value.strip(" \t"))

    def __getitem__(self, name: str) -> str:
        return ", ".join(self._values[name.lower()])

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self._values

    def getall(self, name: str) -> list[str]:
        """Every value of the name in the order of the request; empty without one."""
        return list(self._values.get(name.lower(), ()))


@dataclass(frozen=True)
class RequestInfo:
    """What a decision is made on.

    ``target`` is the raw target of the request line (``/a%20b?x=1``): Digest is
    computed over it, and an unquoted path would not match. ``address`` is the peer's,
    without its port. The web server puts one into the WSGI environ as ``amiws.request``.
    """

    method: str
    target: str
    headers: Headers
    scheme: Literal["http", "https"]
    address: str
