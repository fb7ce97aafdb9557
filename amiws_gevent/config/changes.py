"""What of a configuration is other than in the one before: keys, never values."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import BaseModel

from amiws_gevent.config.model import AmiHost, ApiToken, Settings
from amiws_gevent.plugins.entry import PluginEntry


def changed_keys(before: Settings, now: Settings) -> list[str]:
    """The keys, such as ``ws_port``, ``limits.connections``, ``amihosts[pbx1].secret``.

    An entry of a list that was added has a plus before its name, one that is gone a minus.
    """
    return list(_changed("", before, now))


def _changed(path: str, before: object, now: object) -> Iterator[str]:
    if before == now:
        return
    if isinstance(before, BaseModel) and isinstance(now, BaseModel) and type(before) is type(now):
        for key in type(now).model_fields:
            place = f"{path}.{key}" if path else key
            if key != "path":
                yield from _changed(place, getattr(before, key), getattr(now, key))
        return
    named = _named(before), _named(now)
    if named[0] is None or named[1] is None or not (named[0] or named[1]):
        yield path
        return
    yield from _entries(path, named[0], named[1])


def _entries(path: str, before: dict[str, object], now: dict[str, object]) -> Iterator[str]:
    found = False
    for name in dict.fromkeys((*before, *now)):
        place = f"{path}[{name}]"
        if name not in now or name not in before:
            found = True
            yield f"{path}[{'-' if name not in now else '+'}{name}]"
            continue
        for key in _changed(place, before[name], now[name]):
            found = True
            yield key
    if not found:
        yield path  # in another order


def _named(value: object) -> dict[str, object] | None:
    """The entries of a list of servers, tokens or plugins by their names; None for all else."""
    if not isinstance(value, tuple):
        return None
    named: dict[str, object] = {}
    for entry in value:
        if isinstance(entry, AmiHost | ApiToken):
            named[entry.name] = entry
        elif isinstance(entry, PluginEntry):
            named[entry.code.name] = entry
        else:
            return None
    return named
