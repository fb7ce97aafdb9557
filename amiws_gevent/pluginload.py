"""Finds plugins, imports them and checks them, before anything runs.

A plugin is named in the configuration by the path of a Python file, by the
name of an installed entry point of the group ``amiws_gevent``, or by the name
of a file in one of ``plugin_dirs``. A file is imported under a name of its
own, never put on ``sys.path`` or into ``sys.modules``, so that a reload can
load it afresh and two files of the same name do not meet.
"""

from __future__ import annotations

import difflib
import hashlib
import importlib.metadata
import importlib.util
import inspect
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import pluggy
from pydantic import BaseModel

from amiws_gevent import hookspecs
from amiws_gevent.errors import StartError
from amiws_gevent.pluginapi import PluginSettings

ENTRY_POINT_GROUP = "amiws_gevent"
PREFIX = "amiws_"


class PluginError(StartError):
    """A plugin that cannot be used; the message names it, its file and the line."""

    exit_status = 78


@dataclass(frozen=True)
class PluginCode:
    """An imported plugin: ``plugin`` is its module, or the instance of its class ``Plugin``.

    Equal if loaded from the same file with the same content. ``settings_model``
    is what ``amiws_settings`` gave. ``required``: what it declares itself.
    """

    name: str
    origin: str
    digest: str
    plugin: object = field(compare=False, repr=False)
    settings_model: type[BaseModel] = field(compare=False, repr=False)
    required: bool

    @property
    def hooks(self) -> list[str]:
        """Names of the hooks that it implements, sorted."""
        return sorted(name for name in dir(self.plugin) if name.startswith(PREFIX))


class HookManager(pluggy.PluginManager):
    """Takes every function with our prefix as a hook: authors need no marker."""

    def __init__(self) -> None:
        super().__init__(hookspecs.PROJECT)
        self.add_hookspecs(hookspecs)

    def parse_hookimpl_opts(self, plugin: object, name: str) -> Any:
        """Options of one attribute, as pluggy wants them; None: no hook."""
        if not name.startswith(PREFIX) or not callable(getattr(plugin, name, None)):
            return None
        marked = super().parse_hookimpl_opts(plugin, name)
        return marked if marked is not None else {}


def load_plugin(name: str, directories: Sequence[Path], base: Path | None = None) -> PluginCode:
    """Import what the configuration calls ``name`` and hold it to the specifications.

    Relative paths count from ``base``, by default the current directory.
    Raises PluginError.
    """
    origin, module, digest = _import(name, [base or Path.cwd(), *directories])
    factory = getattr(module, "Plugin", None)
    try:
        plugin = factory() if inspect.isclass(factory) else module
    except Exception as error:
        raise PluginError(f"plugin {name}: Plugin(): {describe(error, origin)}") from error
    _check(name, origin, plugin)
    model = _settings_model(name, origin, plugin)
    return PluginCode(
        name, origin, digest, plugin, model, required=bool(getattr(plugin, "REQUIRED", False))
    )


def describe(error: BaseException, origin: str) -> str:
    """``FILE:LINE: Type: text``, with the innermost line inside the plugin's own file."""
    if isinstance(error, SyntaxError) and error.filename == origin:
        return f"{origin}:{error.lineno}: SyntaxError: {error.msg}"
    lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == origin]
    where = f"{origin}:{lines[-1]}" if lines else origin
    return f"{where}: {type(error).__name__}: {error}"


def _settings_model(name: str, origin: str, plugin: object) -> type[BaseModel]:
    declare = getattr(plugin, "amiws_settings", None)
    if declare is None:
        return PluginSettings
    try:
        model = declare()
    except Exception as error:
        raise PluginError(f"plugin {name}: amiws_settings: {describe(error, origin)}") from error
    if not (inspect.isclass(model) and issubclass(model, BaseModel)):
        where = f"{origin}:{_line_of(declare)}"
        raise PluginError(f"plugin {name}: {where}: amiws_settings must return a pydantic model")
    return model


def _import(name: str, directories: Sequence[Path]) -> tuple[str, ModuleType, str]:
    path = _path_of(name, directories)
    if path is not None:
        return str(path), *_import_file(name, path)
    for entry in importlib.metadata.entry_points(group=ENTRY_POINT_GROUP, name=name):
        try:
            module = entry.load()
        except Exception as error:
            spec = importlib.util.find_spec(entry.module)
            origin = (spec.origin if spec else None) or entry.module
            raise PluginError(f"plugin {name}: {describe(error, origin)}") from error
        return str(inspect.getsourcefile(module) or entry.value), module, entry.value
    raise PluginError(_not_found(name, directories))


def _path_of(name: str, directories: Sequence[Path]) -> Path | None:
    if _is_path(name):
        candidates = [directory / name for directory in directories]
    else:
        candidates = [directory / f"{name}.py" for directory in directories[1:]]
    return next((path.resolve() for path in candidates if path.is_file()), None)


def _import_file(name: str, path: Path) -> tuple[ModuleType, str]:
    try:
        source = path.read_bytes()
        digest = hashlib.sha256(source).hexdigest()
        module = ModuleType(f"amiws_plugin_{path.stem}")
        module.__file__ = str(path)
        exec(compile(source, str(path), "exec"), module.__dict__)  # noqa: S102 - what a plugin is
    except Exception as error:
        raise PluginError(f"plugin {name}: {describe(error, str(path))}") from error
    return module, digest


def _not_found(name: str, directories: Sequence[Path]) -> str:
    if _is_path(name):
        looked = ", ".join(map(str, directories))
        return f"plugin {name}: no such file (looked in {looked})"
    known = {entry.name for entry in importlib.metadata.entry_points(group=ENTRY_POINT_GROUP)}
    known |= {path.stem for directory in directories[1:] for path in directory.glob("*.py")}
    near = difflib.get_close_matches(name, known, 1)
    hint = f"; did you mean {near[0]}?" if near else f" (there are: {', '.join(sorted(known))})"
    return f"plugin {name}: not installed and not in plugin_dirs{hint}"


def _is_path(name: str) -> bool:
    return "/" in name or name.endswith(".py")


def _check(name: str, origin: str, plugin: object) -> None:
    """Misspelt hooks and wrong parameters, each with the line of its definition."""
    known = [hook for hook in dir(hookspecs) if hook.startswith(PREFIX)]
    for hook in dir(plugin):
        function = getattr(plugin, hook)
        if not hook.startswith(PREFIX) or not callable(function):
            continue
        where = f"{origin}:{_line_of(function)}"
        if hook not in known:
            near = difflib.get_close_matches(hook, known, 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise PluginError(f"plugin {name}: {where}: there is no hook {hook}{hint}")
        options = HookManager().parse_hookimpl_opts(plugin, hook) or {}
        if options.get("wrapper") or options.get("hookwrapper"):
            raise PluginError(f"plugin {name}: {where}: {hook}: wrappers are not supported")
    try:
        HookManager().register(plugin, name)
    except pluggy.PluginValidationError as error:
        raise PluginError(f"plugin {name}: {origin}: {_last_line(error)}") from error


def _line_of(function: Any) -> int:
    return inspect.unwrap(function).__code__.co_firstlineno if hasattr(function, "__code__") else 1


def _last_line(error: BaseException) -> str:
    return " ".join(str(error).split())
