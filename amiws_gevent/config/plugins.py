"""The entries of ``plugins:``: a name or a path, with settings of the plugin's own.

An entry is a text, or a mapping of that one text to settings::

    plugins:
    - ./mine.py
    - event_filter:
        deny: [VarSet]

Two keys are ours in every plugin's settings: ``required`` and ``hook_timeout``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from amiws_gevent.config import units
from amiws_gevent.config.document import Reader
from amiws_gevent.config.problems import Place
from amiws_gevent.config.suggest import nearest
from amiws_gevent.pluginload import PluginCode, PluginError, load_plugin

HOOK_TIMEOUT = 0.05
"""Seconds that a message hook may take; a read of a busy server is a few hundred messages."""

_OURS = ("required", "hook_timeout")
_FORM = 'must be a name, or one name with its settings under it ("- NAME:", then "    KEY: value")'


@dataclass(frozen=True)
class PluginEntry:
    """One plugin, imported, with validated settings.

    Equal if a reload would run the same code with the same settings.
    """

    code: PluginCode
    given: Any = field(repr=False)
    settings: BaseModel = field(compare=False)
    required: bool
    hook_timeout: float


def read_plugins(
    node: yaml.Node | None, reader: Reader, directories: Sequence[Path], base: Path
) -> tuple[PluginEntry, ...]:
    """Import and check the plugins of the sequence ``node``; problems go to ``reader``."""
    place: Place = ("plugins",)
    if node is None or (isinstance(node, yaml.ScalarNode) and not node.value):
        return ()
    if not isinstance(node, yaml.SequenceNode):
        reader.problem(place, 'must be a list of plugins, each beginning with "- "')
        return ()
    entries = []
    for index, item in enumerate(reader.sequence(node, place)):
        entry = _entry(item, (*place, index), reader, directories, base)
        if entry is not None:
            entries.append(entry)
    return tuple(entries)


def _entry(
    node: yaml.Node, place: Place, reader: Reader, directories: Sequence[Path], base: Path
) -> PluginEntry | None:
    name, given = _name_and_settings(node, place, reader)
    if name is None:
        return None
    if not isinstance(given, dict):
        reader.problem((*place, name), "must have settings as lines of `key: value` under it")
        return None
    try:
        code = load_plugin(name, directories, base)
    except PluginError as error:
        reader.problem(place, str(error))
        return None
    place = (*place, name)
    required = _own(given, "required", code.required, units.flag, place, reader)
    timeout = _own(given, "hook_timeout", HOOK_TIMEOUT, units.seconds, place, reader)
    settings = _validated(code, given, place, reader)
    if settings is None:
        return None
    return PluginEntry(code, given, settings, required, timeout)


def _name_and_settings(node: yaml.Node, place: Place, reader: Reader) -> tuple[str | None, Any]:
    if isinstance(node, yaml.ScalarNode):
        text = reader.scalar(node, place)
        if text:
            return str(text), {}
    elif isinstance(node, yaml.MappingNode):
        found = reader.mapping(node, place)
        if len(found) == 1:
            ((name, value),) = found.items()
            settings = _plain(value, (*place, name), reader)
            return name, {} if settings is None else settings
    reader.problem(place, _FORM)
    return None, None


def _plain(node: yaml.Node, place: Place, reader: Reader, depth: int = 0) -> Any:
    """Text, lists and mappings of text; what holds itself ends as nothing."""
    if depth > 20:
        reader.problem(place, "is nested too deeply")
        return None
    if isinstance(node, yaml.MappingNode):
        return {
            key: _plain(value, (*place, key), reader, depth + 1)
            for key, value in reader.mapping(node, place).items()
        }
    if isinstance(node, yaml.SequenceNode):
        return [
            _plain(item, (*place, index), reader, depth + 1)
            for index, item in enumerate(reader.sequence(node, place))
        ]
    assert isinstance(node, yaml.ScalarNode)
    text = reader.scalar(node, place)
    return None if text is None else str(text)


def _own(
    given: dict[str, Any], key: str, default: Any, read: Any, place: Place, reader: Reader
) -> Any:
    if given.get(key) is None:
        return default
    try:
        return read(given[key])
    except ValueError as error:
        reader.problem((*place, key), str(error))
        return default


def _validated(
    code: PluginCode, given: dict[str, Any], place: Place, reader: Reader
) -> BaseModel | None:
    theirs = {key: value for key, value in given.items() if key not in _OURS and value is not None}
    try:
        return code.settings_model.model_validate(theirs)
    except ValidationError as error:
        for found in error.errors(include_url=False, include_input=False):
            where: Place = (*place, *found["loc"])
            reader.problem(where, _worded(code, found["type"], found["loc"], found["msg"]))
    except Exception as error:  # noqa: BLE001 - validators of a plugin may raise anything
        reader.problem(place, f"{type(error).__name__}: {error}")
    return None


def _worded(code: PluginCode, kind: str, loc: Sequence[Any], message: str) -> str:
    if kind == "missing":
        return "is missing"
    if kind == "extra_forbidden":
        known = [*code.settings_model.model_fields, *_OURS] if len(loc) == 1 else []
        near = nearest(str(loc[-1]), known)
        hint = f"; did you mean {near}?" if near else ""
        return f"is no setting of the plugin {code.name}{hint}"
    return message.removeprefix("Value error, ")
