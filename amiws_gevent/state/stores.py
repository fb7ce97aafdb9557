"""Stores of what does not come with the read of a link.

They are here and not with who uses them, since where this package is compiled, a class that is
not cannot be made of one that is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from amiws_gevent.state.store import Name, Store


class ProxyStore(Store):
    """A store in which each change has a position of its own: ``advance`` gives its offset.

    Those who put something come from everywhere.
    """

    def __init__(self, advance: Callable[[], int]) -> None:
        super().__init__()
        self._advance = advance

    def put_all(self, kind: str, key: str, fields: dict[str, Any]) -> bool:
        known = self.get(kind, key)
        if known is not None and all(
            name in known and known[name] == value for name, value in fields.items()
        ):
            return False
        self.begin(self._advance())
        return super().put_all(kind, key, fields)

    def remove(self, kind: str, key: str, last: Any = None) -> bool:
        if self.get(kind, key) is None:
            return False
        self.begin(self._advance())
        return super().remove(kind, key, last)


class MirrorStore(Store):
    """A store that says nothing of what has changed while that is told in pieces.

    What is read of it meanwhile may be newer than its position, as where it is told.
    """

    def __init__(self, offset: int, forgotten: int) -> None:
        super().__init__(offset=offset, forgotten=forgotten)
        self.amid = False
        """Whether some pieces are still to come."""

    @property
    def dirty(self) -> bool:
        return not self.amid and super().dirty

    def drain(self) -> list[Name]:
        return [] if self.amid else super().drain()
