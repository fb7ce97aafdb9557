"""Plugins for tests: their text, loaded and running, without a configuration file."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from amiws_gevent.ami import Kind, Message
from amiws_gevent.plugins.api import ServerInfo
from amiws_gevent.plugins.entry import PluginEntry
from amiws_gevent.plugins.loading import PluginCode, load_plugin
from amiws_gevent.plugins.manager import Plugins, RunningPlugin
from amiws_gevent.runtime.log import LogLimiter

SERVER = ServerInfo(1, "pbx", False)


def event(name: str, **headers: str) -> Message:
    """An event as a server sends it."""
    return Message(Kind.EVENT, [("Event", name), *headers.items()])


def write(folder: Path, source: str, name: str = "mine.py") -> Path:
    """A plugin's file, its text as it stands indented in a test."""
    path = folder / name
    path.write_text(textwrap.dedent(source).lstrip("\n"))
    return path


def load(folder: Path, source: str, name: str = "mine.py") -> PluginCode:
    """The plugin of that text, as the configuration would name it by its path."""
    write(folder, source, name)
    return load_plugin(f"./{name}", [], folder)


def entry(
    folder: Path,
    source: str,
    name: str = "mine.py",
    *,
    required: bool | None = None,
    hook_timeout: float = 0.05,
    given: str = "",
    **settings: Any,
) -> PluginEntry:
    """An entry of ``plugins:`` with that plugin; ``settings`` are validated by its model."""
    code = load(folder, source, name)
    made: BaseModel = code.settings_model.model_validate(settings)
    given = given or repr(settings)
    needed = code.required if required is None else required
    return PluginEntry(code, given, made, needed, hook_timeout)


def running(
    *entries: PluginEntry, limiter: LogLimiter | None = None, queue_limit: int = 1 << 20
) -> Plugins:
    """Plugins that have not been started."""
    limiter = limiter or LogLimiter()
    return Plugins(
        [
            RunningPlugin(entry, name=entry.code.name, limiter=limiter, queue_limit=queue_limit)
            for entry in entries
        ]
    )
