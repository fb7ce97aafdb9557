"""The entries of ``plugins:``: a name or a path, with settings of the plugin's own.

An entry is a text, or a mapping of that one text to settings::

    plugins:
    - ./mine.py
    - event_filter:
        deny: [VarSet]

Two keys are ours in every plugin's settings: ``required`` and ``hook_timeout``.
All others are validated by the plugin's model, which gets text, and lists and
mappings of text, as the file has them. What pydantic finds wrong is told in words
for who writes YAML.
"""

from __future__ import annotations

import json
import typing
from collections.abc import Callable, Container, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import yaml
from pydantic import AliasChoices, AliasPath, BaseModel, RootModel, ValidationError

from amiws_gevent import values
from amiws_gevent.config import units
from amiws_gevent.config.document import Reader, TooMuch, Tree, is_nothing
from amiws_gevent.config.problems import Place, worded
from amiws_gevent.config.suggest import nearest
from amiws_gevent.config.syntax import missing_blank
from amiws_gevent.plugins.api import SettingError
from amiws_gevent.plugins.entry import PluginEntry
from amiws_gevent.plugins.loading import (
    OWN_SETTINGS,
    PluginCode,
    PluginError,
    describe,
    load_plugin,
)
from amiws_gevent.values import names_secret

HOOK_TIMEOUT = 0.05
"""Seconds that a message hook may take; a read of a busy server is a few hundred messages."""

SHORTEST_TIMEOUT, LONGEST_TIMEOUT = 0.001, 10.0  # seconds

SHORTEST_SECRET = 4  # letters; a shorter one is in every message
_TELLING = 12  # letters of a secret that a message must not have

_FORM = 'must be a name, or one name with its settings under it ("- NAME:", then "    KEY: value")'

_T = TypeVar("_T")

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo
    from pydantic_core import ErrorDetails


def read_plugins(
    node: yaml.Node | None, reader: Reader, directories: Sequence[Path], base: Path
) -> tuple[PluginEntry, ...]:
    """Import and check the plugins of the sequence ``node``; problems go to ``reader``.

    Relative paths, theirs and those in their settings, count from ``base``.
    """
    place: Place = ("plugins",)
    if node is None or (isinstance(node, yaml.ScalarNode) and not node.value):
        return ()
    if not isinstance(node, yaml.SequenceNode):
        reader.problem(place, 'must be a list of plugins, each beginning with "- "')
        return ()
    entries = []
    for index, item in enumerate(reader.sequence(node, place)):
        entry = _Entry((*place, index), reader, base).read(item, directories)
        if entry is not None:
            entries.append(entry)
    return tuple(entries)


class _Entry:
    """One entry on its way; ``place`` is where it stands."""

    def __init__(self, place: Place, reader: Reader, base: Path) -> None:
        self._place = place
        self._reader = reader
        self._tree = Tree(reader)
        self._base = base
        self._secrets: list[str] = []

    def read(self, node: yaml.Node, directories: Sequence[Path]) -> PluginEntry | None:
        name, under = self._name_and_settings(node)
        if name is None:
            return None
        slip = missing_blank(name)
        if slip is not None:
            self._reader.problem(self._place, slip)
            return None
        try:
            code = load_plugin(name, directories, self._base)
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
                given[key] = self._plain(self._tree.read(node, place), place)
            except TooMuch as error:
                self._reader.problem(place, str(error))
                return None
        return given

    def _plain(self, value: Any, place: Place) -> Any:
        """What the reader has made, as the plugin gets it; secrets are remembered."""
        if isinstance(value, dict):
            return {key: self._plain(each, (*place, key)) for key, each in value.items()}
        if isinstance(value, list):
            return [self._plain(each, (*place, at)) for at, each in enumerate(value)]
        if value is not None and any(names_secret(str(step)) for step in place):
            self._secrets.append(value)
        if value is None or value.replaced:
            return value  # knows that no message may show it
        return str(value)

    def _validated(self, code: PluginCode, given: Mapping[str, Any]) -> BaseModel | None:
        model = code.settings_model
        if model.model_config.get("extra") is None and not issubclass(model, RootModel):
            unknown = [key for key in given if key not in _keys(model)]
            for key in unknown:  # pydantic would pass over a slip of the pen
                self._reader.problem((*self._place, key), _no_setting(code, (key,), given))
            if unknown:
                return None
        try:
            return model.model_validate(given, context=values.LoadContext(self._base))
        except ValidationError as error:
            for found in error.errors(include_url=False, include_input=False):
                self._explain(code, found)
        except Exception as error:  # noqa: BLE001 - validators of a plugin may raise anything
            told = f"plugin {code.name}: {describe(error, code.origin)}"
            self._reader.problem(self._place, self._discreet(told))
        return None

    def _explain(self, code: PluginCode, found: ErrorDetails) -> None:
        kind, loc = found["type"], found["loc"]
        message = worded(kind, found["msg"])
        cause = found.get("ctx", {}).get("error")
        place = self._place
        for step in loc:  # among them pydantic may have what it tried there ("list[str]")
            if (*place, step) in self._reader.lines:
                place = (*place, step)
        if kind == "missing":
            place, message = (*place, loc[-1]), "is missing"
        elif kind == "extra_forbidden":
            around = place[:-1]
            beside = {str(place[-1]) for place in self._reader.lines if place[:-1] == around}
            message = _no_setting(code, loc, beside)
        elif isinstance(cause, SettingError):
            place, message = (*place, cause.key), cause.message
        self._reader.problem(place, self._discreet(" ".join(message.split())))

    def _discreet(self, message: str) -> str:
        """The message, unless it shows what a key such as ``token`` has, or its beginning."""
        begins = (secret[:_TELLING] for secret in self._secrets if len(secret) >= SHORTEST_SECRET)
        if any(begin in message for begin in begins):
            return "is wrong; the plugin's message shows a secret and is left out"
        return message


def _timeout(value: object) -> float:
    seconds = values.seconds(value)
    if not SHORTEST_TIMEOUT <= seconds <= LONGEST_TIMEOUT:
        raise ValueError(f"must be from {SHORTEST_TIMEOUT * 1000:g} ms to {LONGEST_TIMEOUT:g} s")
    return seconds


def _no_setting(code: PluginCode, loc: Sequence[str | int], given: Container[str]) -> str:
    """Why the key at ``loc`` is refused; ``given`` are those that stand beside it."""
    key = str(loc[-1])
    known = [field for model in _models_at(code.settings_model, loc) for field in _fields(model)]
    same = [name for names in known if key in names for name in names if name != key]
    for name in same:
        if name in given:  # of several names of a field pydantic takes one
            return f"is another name for {name}, which is given too; remove one of them"
    hints = [names[0] for names in known] + (list(OWN_SETTINGS) if len(loc) == 1 else [])
    near = same[0] if same else nearest(key, hints)
    hint = f"; did you mean {near}?" if near else ""
    return f"is not a setting of the plugin {code.name}{hint}"


def _models_at(model: type[BaseModel], loc: Sequence[str | int]) -> list[type[BaseModel]]:
    """The models that the mapping may be in which the key at ``loc`` stands."""
    models = [model]
    for step in loc[:-1]:
        inner = [
            each
            for outer in models
            for name, field in outer.model_fields.items()
            if step in _names(name, field)
            for each in _models_in(field.annotation)
        ]
        models = inner or models  # a step may also be an item, or what pydantic tried there
    return models


def _models_in(annotation: object) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in typing.get_args(annotation) for model in _models_in(part)]


def _keys(model: type[BaseModel]) -> list[str]:
    """The keys that a model takes in a file."""
    return [key for names in _fields(model) for key in names]


def _fields(model: type[BaseModel]) -> list[list[str]]:
    """The keys of each field, the one to recommend first."""
    return [_names(name, field) for name, field in model.model_fields.items()]


def _names(name: str, field: FieldInfo) -> list[str]:
    alias = field.validation_alias
    others = alias.choices if isinstance(alias, AliasChoices) else [alias, field.alias]
    texts = [str(other.path[0]) if isinstance(other, AliasPath) else other for other in others]
    return list(dict.fromkeys([*(text for text in texts if text is not None), name]))
