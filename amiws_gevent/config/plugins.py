"""The entries of ``plugins:``: a name or a path, with settings of the plugin's own.

An entry is a text, or a mapping of that one text to settings::

    plugins:
    - ./mine.py
    - event_filter:
        deny: [VarSet]

Two keys are ours in every plugin's settings: ``required`` and ``hook_timeout``.
All others are validated by the plugin's model, which gets text, and lists and
mappings of text, as the file has them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, RootModel, ValidationError

from amiws_gevent import values
from amiws_gevent.config import units
from amiws_gevent.config.document import Reader, is_nothing
from amiws_gevent.config.problems import Place
from amiws_gevent.config.suggest import nearest
from amiws_gevent.pluginload import (
    OWN_SETTINGS,
    PluginCode,
    PluginError,
    describe,
    load_plugin,
)

HOOK_TIMEOUT = 0.05
"""Seconds that a message hook may take; a read of a busy server is a few hundred messages."""

SHORTEST_TIMEOUT, LONGEST_TIMEOUT = 0.001, 10.0  # seconds

DEEPEST = 20  # lists and mappings within each other
MOST_VALUES = 100_000  # of one plugin; YAML's aliases can make many of a few lines

_FORM = 'must be a name, or one name with its settings under it ("- NAME:", then "    KEY: value")'

_T = TypeVar("_T")


@dataclass(frozen=True)
class PluginEntry:
    """One plugin, imported, with validated settings.

    Equal if a reload would run the same code with the same settings; ``given`` is
    what the file has of them, as one text, since their order may matter.
    """

    code: PluginCode
    given: str = field(repr=False)
    settings: BaseModel = field(compare=False)
    required: bool
    hook_timeout: float


class _TooMuch(Exception):
    """Settings that are not taken apart to the end, and why."""


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
        entry = _Entry((*place, index), reader).read(item, directories, base)
        if entry is not None:
            entries.append(entry)
    return tuple(entries)


class _Entry:
    """One entry on its way; ``place`` is where it stands."""

    def __init__(self, place: Place, reader: Reader) -> None:
        self._place = place
        self._reader = reader
        self._values = 0

    def read(self, node: yaml.Node, directories: Sequence[Path], base: Path) -> PluginEntry | None:
        name, under = self._name_and_settings(node)
        if name is None:
            return None
        try:
            code = load_plugin(name, directories, base)
        except PluginError as error:
            self._reader.problem(self._place, str(error))
            return None
        self._place = (*self._place, name)
        if under is None or is_nothing(under):
            nodes: Mapping[str, yaml.Node] = {}
        elif isinstance(under, yaml.MappingNode):
            nodes = self._reader.mapping(under, self._place)
        else:
            self._reader.problem(self._place, "must have its settings as lines of `key: value`")
            return None
        required = self._own(nodes, "required", units.flag, code.required)
        timeout = self._own(nodes, "hook_timeout", _timeout, HOOK_TIMEOUT)
        given = self._given(nodes)
        settings = None if given is None else self._validated(code, given)
        if settings is None:
            return None
        return PluginEntry(code, json.dumps(given), settings, required, timeout)

    def _name_and_settings(self, node: yaml.Node) -> tuple[str | None, yaml.Node | None]:
        if isinstance(node, yaml.ScalarNode):
            text = self._reader.scalar(node, self._place)
            if text and text.isprintable():
                return str(text), None
        elif isinstance(node, yaml.MappingNode):
            found = self._reader.mapping(node, self._place)
            name = next(iter(found), "")
            if len(found) == 1 and name and name.isprintable():
                return name, found[name]
        self._reader.problem(self._place, _FORM)
        return None, None

    def _own(
        self,
        nodes: Mapping[str, yaml.Node],
        key: str,
        read: Callable[[object], _T],
        default: _T,
    ) -> _T:
        node = nodes.get(key)
        if node is None or is_nothing(node):
            return default
        place = (*self._place, key)
        scalar: object = []
        if isinstance(node, yaml.ScalarNode):
            scalar = self._reader.scalar(node, place)
        try:
            return read(scalar)
        except ValueError as error:
            self._reader.problem(place, str(error))
            return default

    def _given(self, nodes: Mapping[str, yaml.Node]) -> dict[str, Any] | None:
        """The settings for the plugin's model; None if they are beyond all measure.

        A key without a value is as no key at all, as everywhere in the file.
        """
        given = {}
        for key, node in nodes.items():
            if key in OWN_SETTINGS or is_nothing(node):
                continue
            place = (*self._place, key)
            try:
                given[key] = self._plain(node, place, ())
            except _TooMuch as error:
                self._reader.problem(place, str(error))
                return None
        return given

    def _plain(self, node: yaml.Node, place: Place, within: tuple[int, ...]) -> Any:
        self._values += 1
        if self._values > MOST_VALUES:
            raise _TooMuch(f"has more than {MOST_VALUES:,} values")
        if id(node) in within:
            raise _TooMuch("has a list or mapping that holds itself")
        if len(within) == DEEPEST:
            raise _TooMuch(f"is nested more than {DEEPEST} deep")
        within = (*within, id(node))
        if isinstance(node, yaml.MappingNode):
            found = self._reader.mapping(node, place)
            return {key: self._plain(value, (*place, key), within) for key, value in found.items()}
        if isinstance(node, yaml.SequenceNode):
            items = self._reader.sequence(node, place)
            return [self._plain(item, (*place, at), within) for at, item in enumerate(items)]
        assert isinstance(node, yaml.ScalarNode)
        text = self._reader.scalar(node, place)
        return None if text is None else str(text)

    def _validated(self, code: PluginCode, given: Mapping[str, Any]) -> BaseModel | None:
        model = code.settings_model
        if model.model_config.get("extra") is None and not issubclass(model, RootModel):
            unknown = [key for key in given if key not in _keys(model)]
            for key in unknown:  # pydantic would pass over a slip of the pen
                self._reader.problem((*self._place, key), _no_setting(code, (key,)))
            if unknown:
                return None
        try:
            return model.model_validate(given)
        except ValidationError as error:
            for found in error.errors(include_url=False, include_input=False):
                self._explain(code, found["type"], found["loc"], found["msg"])
        except Exception as error:  # noqa: BLE001 - validators of a plugin may raise anything
            self._reader.problem(self._place, f"plugin {code.name}: {describe(error, code.origin)}")
        return None

    def _explain(
        self, code: PluginCode, kind: str, loc: tuple[str | int, ...], message: str
    ) -> None:
        place = self._place
        for step in loc:  # among them pydantic may have what it tried there ("list[str]")
            if (*place, step) in self._reader.lines:
                place = (*place, step)
        if kind == "missing":
            place, message = (*place, loc[-1]), "is missing"
        elif kind == "extra_forbidden":
            message = _no_setting(code, loc)
        self._reader.problem(place, " ".join(message.removeprefix("Value error, ").split()))


def _timeout(value: object) -> float:
    seconds = values.seconds(value)
    if not SHORTEST_TIMEOUT <= seconds <= LONGEST_TIMEOUT:
        raise ValueError(f"must be from {SHORTEST_TIMEOUT * 1000:g} ms to {LONGEST_TIMEOUT:g} s")
    return seconds


def _no_setting(code: PluginCode, loc: Sequence[str | int]) -> str:
    known = [*_keys(code.settings_model), *OWN_SETTINGS] if len(loc) == 1 else []
    near = nearest(str(loc[-1]), known)
    hint = f"; did you mean {near}?" if near else ""
    return f"is no setting of the plugin {code.name}{hint}"


def _keys(model: type[BaseModel]) -> list[str]:
    """The keys that a model takes in a file."""
    return [
        key
        for name, field in model.model_fields.items()
        for key in (name, field.alias, field.validation_alias)
        if isinstance(key, str)
    ]
