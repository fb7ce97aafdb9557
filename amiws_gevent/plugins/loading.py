"""Finds plugins, imports them and checks them against the specifications.

The configuration names a plugin by the path of a Python file, by the name of a
file in one of ``plugin_dirs`` (without ``.py``), or by the name of an installed
entry point of the group ``amiws_gevent``; they are looked for in this order.

A file is executed afresh each time it is loaded, as a module of its own that
``import`` does not find: so a reload sees what was changed in it, two files of
the same name do not clash, and a plugin that is listed twice runs twice. It
cannot import files beside it: what it imports has to be installed. An installed plugin is a
module like any other, imported once; to change its code takes a restart.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import inspect
import logging
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import gevent
from pydantic import BaseModel

from amiws_gevent.errors import StartError
from amiws_gevent.plugins.api import PluginSettings
from amiws_gevent.plugins.hookcheck import PREFIX, HookMistake, closest, find_hooks, place_of

ENTRY_POINT_GROUP = "amiws_gevent"
OWN_SETTINGS = ("required", "hook_timeout")
"""Keys that every plugin has in the configuration; its own settings cannot be named so."""

LONGEST_TEXT = 400  # characters of what an error says; it is one line of the log
IMPORT_TIME = 30.0  # seconds after which an import that waits is cut off


class PluginError(StartError):
    """A plugin that cannot be used; the message names it, its file and the line."""

    exit_status = 78


class ImportTimeout(BaseException):
    """Raised in an import that waits too long; no plugin's ``except Exception`` catches it."""


_FAILURES = (Exception, SystemExit, ImportTimeout)
"""What an import may raise."""


@dataclass(frozen=True)
class PluginCode:
    """An imported plugin: ``plugin`` is its module, or the instance of its class ``Plugin``.

    Equal if loaded from the same file with the same content. ``hooks`` take all
    arguments of their specification by position. ``settings_model`` is what
    ``amiws_settings`` gave. ``required``: what it declares itself.
    """

    name: str
    origin: str
    digest: str
    required: bool
    plugin: object = field(compare=False, repr=False)
    hooks: Mapping[str, Callable[..., Any]] = field(compare=False, repr=False)
    settings_model: type[BaseModel] = field(compare=False, repr=False)


def load_plugin(name: str, directories: Sequence[Path], base: Path | None = None) -> PluginCode:
    """Import what the configuration calls ``name`` and hold it to the specifications.

    Relative paths count from ``base``, by default the current directory.
    Raises PluginError, in a reload also for an import that waits too long: no other reload
    would come after it. A start that waits is seen, and a daemon forks after it: no timer yet.
    """
    if gevent.getcurrent().parent is None:  # the main greenlet
        return _loaded(name, directories, base or Path.cwd())
    with gevent.Timeout(IMPORT_TIME, ImportTimeout(f"still waits after {IMPORT_TIME:g} s")):
        return _loaded(name, directories, base or Path.cwd())


def _loaded(name: str, directories: Sequence[Path], base: Path) -> PluginCode:
    origin, module, digest = _import(name, directories, base)
    try:
        plugin = _plugin_of(module)
        hooks = find_hooks(plugin)
        required = _is_required(plugin, module)
        model = _settings_model(hooks)
    except HookMistake as mistake:
        where = mistake.place or origin
        raise PluginError(f"plugin {name}: {where}: {mistake}") from mistake
    except _FAILURES as error:
        raise PluginError(f"plugin {name}: {describe(error, origin)}") from error
    return PluginCode(name, origin, digest, required, plugin, hooks, model)


def describe(error: BaseException, origin: str) -> str:
    """One line: ``FILE:LINE: Type: text``, with the innermost line inside the plugin's own file.

    Whatever the error does when it is asked for its text.
    """
    kind = type(error).__name__
    if isinstance(error, SyntaxError) and error.filename == origin:
        line = f":{error.lineno}" if error.lineno else ""
        return f"{origin}{line}: {kind}: {error.msg}"
    lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == origin]
    where = f"{origin}:{lines[-1]}" if lines else origin
    try:
        text = " ".join(str(error).split())
    except Exception:  # noqa: BLE001 - it is the plugin's own class
        text = "(no text: its __str__ raises)"
    if len(text) > LONGEST_TEXT:
        text = text[: LONGEST_TEXT - 1] + "…"
    return f"{where}: {kind}: {text}" if text else f"{where}: {kind}"


# What it holds


def _plugin_of(module: object) -> object:
    """The instance of the class ``Plugin``, or the module itself."""
    factory = module if inspect.isclass(module) else getattr(module, "Plugin", None)
    if not inspect.isclass(factory):
        return module
    if isinstance(module, ModuleType):
        for name, value in vars(module).items():
            if name.startswith(PREFIX) and inspect.isfunction(value):
                raise HookMistake(
                    f"{name} is outside the class Plugin; make it a method", place_of(value)
                )
    return factory()


def _is_required(plugin: object, module: object) -> bool:
    required = getattr(plugin, "REQUIRED", getattr(module, "REQUIRED", False))
    if not isinstance(required, bool):
        raise HookMistake("REQUIRED must be True or False")
    return required


def _settings_model(hooks: Mapping[str, Callable[..., Any]]) -> type[BaseModel]:
    declare = hooks.get("amiws_settings")
    if declare is None:
        return PluginSettings
    model = declare()
    if not (inspect.isclass(model) and issubclass(model, BaseModel)):
        raise HookMistake(
            "amiws_settings must return a class derived from PluginSettings", place_of(declare)
        )
    for name in OWN_SETTINGS:
        if name in model.model_fields:
            raise HookMistake(
                f"a setting cannot be named {name}: every plugin has one of that name",
                place_of(declare),
            )
    return model


# Where it is, and its import


def _import(name: str, directories: Sequence[Path], base: Path) -> tuple[str, object, str]:
    """Origin (the file), module (or what an entry point names), and digest of the content."""
    path = _path_of(name, directories, base)
    if path is not None:
        return str(path), *_import_file(name, path)
    for entry in importlib.metadata.entry_points(group=ENTRY_POINT_GROUP, name=name):
        try:
            with _logging_kept():
                found = entry.load()
        except _FAILURES as error:
            raise PluginError(
                f"plugin {name}: {describe(error, _file_of(entry.module))}"
            ) from error
        return _file_of(entry.module), found, entry.value
    raise PluginError(_not_found(name, directories, base))


def _path_of(name: str, directories: Sequence[Path], base: Path) -> Path | None:
    if _is_path(name):
        candidates = [folder / name for folder in (base, *directories)]
    else:
        candidates = [folder / f"{name}.py" for folder in directories]
    for path in candidates:
        with suppress(OSError):  # a folder that may not be looked into, a name that is too long
            if path.is_file():
                return path.resolve()
    return None


def _import_file(name: str, path: Path) -> tuple[ModuleType, str]:
    origin = str(path)
    # Under its name in sys.modules, as pydantic and dataclasses look there for the
    # names that annotations use; in a package that is not there, so that nothing
    # is imported relative to it.
    unique = hashlib.sha256(origin.encode("utf-8", "surrogateescape")).hexdigest()[:8]
    module = ModuleType(f"amiws_plugins.files.{path.stem}_{unique}")
    module.__file__ = origin
    module.__package__ = ""
    before = sys.modules.get(module.__name__)
    sys.modules[module.__name__] = module
    try:
        source = path.read_bytes()
        code = compile(source, origin, "exec", dont_inherit=True)
        with _logging_kept():
            exec(code, module.__dict__)  # noqa: S102 - what a plugin is
    except _FAILURES as error:
        if before is None:
            del sys.modules[module.__name__]
        else:
            sys.modules[module.__name__] = before
        hint = _hint(error, path)
        raise PluginError(f"plugin {name}: {describe(error, origin)}{hint}") from error
    return module, hashlib.sha256(source).hexdigest()


@contextmanager
def _logging_kept() -> Iterator[None]:
    """Undo an import's changes to the root logger: handlers of ``logging.basicConfig()`` block."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)


def _hint(error: BaseException, path: Path) -> str:
    """What to do about an import of a file that lies beside the plugin."""
    if not isinstance(error, ImportError):
        return ""
    wanted = (error.name or "").partition(".")[0]
    beside = wanted and (
        (path.parent / f"{wanted}.py").is_file() or (path.parent / wanted).is_dir()
    )
    if beside or "relative import" in str(error):
        return "; a plugin cannot import files beside its own: install them (pip), or use one file"
    return ""


def _file_of(module: str) -> str:
    """The file of an installed module, or its name if there is none to be found."""
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError):
        spec = None
    return (spec.origin if spec else None) or module


def _not_found(name: str, directories: Sequence[Path], base: Path) -> str:
    if _is_path(name):
        looked = ", ".join(map(str, (base, *directories)))
        return f"plugin {name}: no such file (looked in {looked})"
    known = {entry.name for entry in importlib.metadata.entry_points(group=ENTRY_POINT_GROUP)}
    for folder in directories:
        with suppress(OSError):
            known |= {path.stem for path in folder.glob("*.py")}
    near = closest(name, known)
    hint = f"; did you mean {near}?" if near else f" (there are: {', '.join(sorted(known))})"
    return f"plugin {name}: not in plugin_dirs and not installed{hint}"


def _is_path(name: str) -> bool:
    return "/" in name or name.endswith(".py")
