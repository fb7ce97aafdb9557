"""From a YAML file to settings, with every problem of the file told at once."""

from __future__ import annotations

import os
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import yaml
from pydantic import BaseModel, ValidationError

from amiws_gevent.config.advice import advice_on, unknown_events
from amiws_gevent.config.audit import Audit
from amiws_gevent.config.document import Reader, TooMuch, Tree, compose, read_text
from amiws_gevent.config.migration import differences
from amiws_gevent.config.model import AmiHost, ApiToken, Limits, Settings, file_keys
from amiws_gevent.config.named import named_root
from amiws_gevent.config.plugins import read_plugins
from amiws_gevent.config.problems import ConfigError, Place, Problem, key_path, worded
from amiws_gevent.config.redis import Redis
from amiws_gevent.config.roles import located, unknown_key_of_roles
from amiws_gevent.config.suggest import nearest, unknown_key
from amiws_gevent.config.syntax import missing_blank
from amiws_gevent.runtime.loop import Pieces
from amiws_gevent.values import LoadContext, folder_of_file, shown

# Keys of the top that begin so hold anchors for other places, as in Compose files.
ANCHOR_PREFIX = "x-"

_PLACES: Mapping[type[BaseModel], str] = {
    Settings: "the top level",
    AmiHost: "amihosts",
    ApiToken: "api_tokens",
    Limits: "limits",
    Audit: "audit",
    Redis: "redis",
}

_TREES = frozenset({"roles", "users"})
"""Keys of the top under which names of the operator's own stand. Unknown keys there are problems:
what is written to limit must not be passed over."""

_QUOTING = "; a text that begins with # & * or ! must be in quotes"
_SERVERS = 'must be a list of servers, each beginning with "- "'


@dataclass(frozen=True)
class LoadResult:
    """Sound settings, and what an operator should know: one ``FILE:LINE: KEY: …`` each.

    ``slips`` are those of the warnings that say that something of the file is not read, or
    not as it stands there: unknown keys and events, keys given twice, secrets cut at a #. ``notes``
    say of a file of amiws what is otherwise here.
    """

    settings: Settings
    warnings: list[str]
    slips: list[str]
    text: str = field(default="", repr=False)
    """What the file has, secrets too."""
    notes: Sequence[str] = ()


def load_settings(
    path: Path,
    *,
    environ: Mapping[str, str] = os.environ,
    base: Path | None = None,
    plugin_base: Path | None = None,
    replaced: Mapping[str, object] | None = None,
    text: str | None = None,
) -> LoadResult:
    """Read and check a configuration file. Raises ConfigError with all its problems.

    ``environ`` has the variables that ``${NAME}`` stands for. Relative paths, the
    file's own and those in it, count from ``base``, by default the current
    directory; a daemon that has left that directory gives the one of its start.
    Those of plugins count from ``plugin_base``, by default the file's folder. Keys
    of ``replaced`` have their values from there; what the file has is not read.
    ``text`` is what the file has, if somebody has read it already.
    """
    base = Path.cwd() if base is None else base
    path = base / path
    text = read_text(path) if text is None else text
    pieces = Pieces()
    root = compose(path, text, pieces)
    context = LoadContext(base, plugin_base or path.parent)
    result = _Loading(path, root, Reader(environ), replaced or {}, pieces).result(context)
    return replace(result, text=text)


class _Loading:
    """One file on its way to settings."""

    def __init__(
        self,
        path: Path,
        root: yaml.MappingNode,
        reader: Reader,
        replaced: Mapping[str, object],
        pieces: Pieces,
    ) -> None:
        self._path = path
        self._root = root
        self._reader = reader
        self._replaced = replaced
        self._pieces = pieces
        self._raw: dict[str, object] = {}
        self._plugins: yaml.Node | None = None
        # Unknown keys, each at the place of its mapping: what a missing key may be.
        self._unknown: dict[Place, list[str]] = {}

    def result(self, context: LoadContext) -> LoadResult:
        self._raw = {**self._mapping(self._root, (), Settings), **self._replaced}
        beside = folder_of_file(context)
        self._raw["plugins"] = read_plugins(
            self._plugins, self._reader, self._plugin_folders(beside), beside
        )
        self._pieces.between()
        try:
            settings = Settings.model_validate({**self._raw, "path": self._path}, context=context)
        except ValidationError as error:
            self._explain(error)
        else:
            self._pieces.between()
            self._check_root(settings)
            self._pieces.between()
            if not self._reader.problems:
                for place, message in unknown_events(self._raw):
                    self._reader.warn(place, message)
                    self._pieces.between()
                slips = self._warnings(self._reader.warnings)
                advice = advice_on(settings, self._raw)
                return LoadResult(
                    settings,
                    self._warnings([*self._reader.warnings, *advice]),
                    slips,
                    notes=self._warnings(differences(settings, self._raw)),
                )
        problems = {self._told(place, message) for place, message in self._reader.problems}
        raise ConfigError(self._path, problems, self._warnings(self._reader.warnings)) from None

    def _mapping(
        self, node: yaml.MappingNode, place: Place, model: type[BaseModel]
    ) -> dict[str, object]:
        """The values of the keys that ``model`` knows; of the others, a warning each."""
        self._pieces.between()
        known = file_keys(model)
        raw: dict[str, object] = {}
        for key, value in self._reader.mapping(node, place).items():
            if not place and key in self._replaced:
                continue
            if not place and key == "plugins":
                self._plugins = value  # read last, since plugin_dirs may come after it
            elif not place and key in _TREES:
                raw[key] = self._tree(value, (key,))
            elif key in known:
                raw[key] = self._value(value, (*place, key), model.model_fields[key].annotation)
            elif place or not key.startswith(ANCHOR_PREFIX):
                self._warn_of_key(place, key, known, _elsewhere(model))
        return raw

    def _tree(self, node: yaml.Node, place: Place) -> object:
        try:
            return Tree(self._reader).read(node, place)
        except TooMuch as error:
            self._reader.problem(place, str(error))
            return {}

    def _warn_of_key(
        self, place: Place, key: str, known: list[str], elsewhere: Mapping[str, str]
    ) -> None:
        name, colon, _ = key.partition(":")
        if colon:  # {secret:hunter2}: the rest is a value, which may be a secret
            self._reader.lines[*place, name] = self._reader.line((*place, key))
            slip = missing_blank(key) or unknown_key(name, known, elsewhere)
            self._reader.warn((*place, name), slip)
        else:
            self._reader.warn((*place, key), unknown_key(key, known, elsewhere))
        self._unknown.setdefault(place, []).append(name)

    def _value(self, node: yaml.Node, place: Place, kind: object) -> object:
        """Text, a list of what ``kind`` has, or the mapping that ``kind`` is.

        What no key can take (a list in a list, a mapping for a text) comes back
        empty: validation will say what was expected, and a document that holds
        itself is never followed.
        """
        if isinstance(node, yaml.ScalarNode):
            return self._reader.scalar(node, place)
        if isinstance(node, yaml.SequenceNode):
            item_kind = next(iter(typing.get_args(kind)), None)
            return [
                []
                if isinstance(item, yaml.SequenceNode)
                else self._value(item, (*place, index), item_kind)
                for index, item in enumerate(self._reader.sequence(node, place))
            ]
        model = _model_of(kind)
        if isinstance(node, yaml.MappingNode) and model is not None:
            return self._mapping(node, place, model)
        return {}

    def _plugin_folders(self, base: Path) -> list[Path]:
        folders = self._raw.get("plugin_dirs") or []
        listed = folders if isinstance(folders, list) else [folders]
        return [base / str(folder) for folder in listed if folder]

    def _check_root(self, settings: Settings) -> None:
        """Not one folder for clients and for what no client may see: nothing would be served."""
        place = named_root(settings)
        if place is not None:
            message = "is also the folder of web_root, so nothing in it would be served"
            self._reader.problem(place, f"{message}; use separate folders")

    def _explain(self, error: ValidationError) -> None:
        """Pydantic's errors in our words, but for places that have a problem already."""
        troubled = {place for place, _ in self._reader.problems}
        for found in error.errors(include_url=False):
            place = located(self._raw, found["loc"])
            if place not in troubled:
                self._reader.problem(place, self._worded(found["type"], place, found["msg"]))

    def _worded(self, kind: str, place: Place, message: str) -> str:
        if kind == "missing":
            return self._missing(place)
        if kind == "extra_forbidden":
            return unknown_key_of_roles(place)
        if kind == "tuple_type" and place == ("amihosts",):
            return _SERVERS
        return worded(kind, message)

    def _missing(self, place: Place) -> str:
        key = str(place[-1])
        if place in self._reader.lines:
            return f"has no value{_QUOTING}"
        message = "is missing"
        if key == "secret":
            message += "; give secret or secret_file"
        around = place[:-1]
        slip = nearest(key, self._unknown.get(around, ()))
        if slip is not None:
            message += f"; is it {shown(slip)} in line {self._reader.line((*around, slip))}?"
        return message

    def _warnings(self, found: Iterable[tuple[Place, str]]) -> list[str]:
        told = {self._told(place, message) for place, message in found}
        return [warning.told(self._path) for warning in sorted(told)]

    def _told(self, place: Place, message: str) -> Problem:
        return Problem(self._reader.line(place), key_path(place), self._server(place) + message)

    def _server(self, place: Place) -> str:
        """``server 'pbx1': `` for a place in a server that has a name."""
        hosts = self._raw.get("amihosts")
        if len(place) < 2 or place[0] != "amihosts" or not isinstance(hosts, list):
            return ""
        host = hosts[place[1]] if isinstance(place[1], int) else None
        name = host.get("name") if isinstance(host, dict) else None
        return f"server {shown(name)}: " if name and isinstance(name, str) else ""


def _model_of(kind: object) -> type[BaseModel] | None:
    """The model that ``kind`` is, or that it is if it is not None."""
    either = typing.get_args(kind) if isinstance(kind, types.UnionType) else ()
    for one in (kind, *either):
        if isinstance(one, type) and issubclass(one, BaseModel):
            return one
    return None


def _elsewhere(here: type[BaseModel]) -> dict[str, str]:
    """The keys of the other mappings of the file, each with where it belongs."""
    return {
        key: place
        for model, place in _PLACES.items()
        if model is not here
        for key in file_keys(model)
    }
