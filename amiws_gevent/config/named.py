"""The files and folders that a configuration names in any setting, plugins' included.

None of them may be served as a static file. All settings are walked, so that a new key or
a plugin's counts as well.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from pydantic import BaseModel

from amiws_gevent.config.model import Settings
from amiws_gevent.config.problems import Place
from amiws_gevent.plugins.entry import PluginEntry

# The one folder that is there to be served; an htdigest file or a key below it still counts.
_SERVED = "web_root"


def named_paths(settings: Settings) -> list[Path]:
    """Every path of the settings, once: files and folders, there or not, absolute.

    With them the files of plugins and the folders they lie in. A text of a plugin's
    settings that begins with a slash counts: its author may not know of ``AnyPath``.
    """
    found = [path for _, path in _walk(settings, ())]
    found += [settings.logouts_file] if settings.logouts_file is not None else []
    found += [path for entry in settings.plugins for path in _sources(entry)]
    return list(dict.fromkeys(path for path in found if path.is_absolute()))


def named_root(settings: Settings) -> Place | None:
    """Where a folder is named that is the whole of ``web_root``; None if there is none.

    Texts of plugins do not count: one may well say where the clients are.
    """
    for place, path in _walk(settings, (), texts=False):
        try:
            if path.samefile(settings.web_root):
                return place
        except OSError:
            continue
    return None


def _walk(value: object, place: Place, *, texts: bool = True) -> Iterator[tuple[Place, Path]]:
    """The paths in a value of the settings, each with where it stands."""
    if isinstance(value, Path):
        yield place, value
    elif isinstance(value, str):
        if texts and value.startswith("/"):
            yield place, Path(value)
    else:
        for step, part in _parts(value):
            yield from _walk(part, (*place, step), texts=texts)


def _parts(value: object) -> Iterable[tuple[str | int, object]]:
    if isinstance(value, Settings):
        return [(key, part) for key, part in value if key != _SERVED]
    if isinstance(value, BaseModel):
        return list(value)
    if isinstance(value, PluginEntry):
        return [(value.code.name, value.settings)]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return [(each.name, getattr(value, each.name)) for each in dataclasses.fields(value)]
    if isinstance(value, Mapping):
        return [(str(key), part) for key, part in value.items()]
    if isinstance(value, list | tuple | set | frozenset):
        return list(enumerate(value))
    return ()


def _sources(entry: PluginEntry) -> Iterable[Path]:
    """A plugin's file, and its folder: what lies beside a plugin is its source too."""
    origin = Path(entry.code.origin)
    return origin, origin.parent
