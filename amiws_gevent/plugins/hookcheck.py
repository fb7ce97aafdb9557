"""Checks a plugin's functions against the hook specifications, and binds them for calls.

Mistakes are found when the plugin is loaded, with the line to change: a misspelt hook would
never be called, and one with a wrong parameter would fail on each message.
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import FunctionType
from typing import Any

import pluggy

from amiws_gevent.errors import AmiwsError
from amiws_gevent.plugins import hookspecs

PREFIX = "amiws_"

SLIP = 0.9  # how similar to a hook's name another name must be to count as a misspelling

# Options of pluggy's marker; the marker alone is allowed, and not needed.
_WITHOUT_EFFECT = ("tryfirst", "trylast", "hookwrapper", "wrapper", "specname", "optionalhook")


class HookMistake(AmiwsError):
    """What is wrong with a plugin; ``place`` is ``FILE:LINE``, or empty for all of it."""

    def __init__(self, message: str, place: str = "") -> None:
        super().__init__(message)
        self.place = place


def find_hooks(plugin: object) -> dict[str, Callable[..., Any]]:
    """The plugin's hooks by name, each taking all arguments of its specification by position.

    Raises HookMistake.
    """
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    known = [name for name in vars(hookspecs) if name.startswith(PREFIX)]
    _check_names(plugin, known, manager)
    hooks = {}
    for name in known:
        if name in dir(plugin):
            function = getattr(plugin, name)
            _check_kind(name, function, manager.parse_hookimpl_opts(plugin, name) or {})
            hooks[name] = _bound(name, function, getattr(manager.hook, name).spec.argnames)
    if not hooks:
        raise HookMistake("has no hook: no function name begins with amiws_")
    return hooks


def place_of(function: Any) -> str:
    """``FILE:LINE`` of a function's definition, of the one inside if it is decorated."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    return f"{code.co_filename}:{code.co_firstlineno}" if code is not None else ""


def closest(name: str, known: Iterable[str], cutoff: float = 0.6) -> str | None:
    """The known name that ``name`` is most like."""
    return next(iter(difflib.get_close_matches(name, list(known), 1, cutoff)), None)


def _check_names(plugin: object, known: Sequence[str], manager: pluggy.PluginManager) -> None:
    """Refuse what looks like a hook and is none.

    Looks at no property, which might compute, and asks no object for its class: a
    proxy such as ``flask.request`` would raise.
    """
    for name in dir(plugin):
        value = inspect.getattr_static(plugin, name, None)
        if type(value) in (staticmethod, classmethod):
            value = value.__func__
        if name in known:
            if not callable(getattr(plugin, name)):
                raise HookMistake(f"{name} is not a function")
        elif name.startswith(PREFIX) and callable(value):
            raise HookMistake(f"there is no hook {name}{_meant(name, known, 0.6)}", place_of(value))
        elif type(value) is FunctionType:
            meant = _meant(name, known, SLIP)
            if meant or manager.parse_hookimpl_opts(plugin, name):
                raise HookMistake(f"{name} is not a hook{meant}", place_of(value))


def _meant(name: str, known: Iterable[str], cutoff: float) -> str:
    near = closest(name, known, cutoff)
    return f"; did you mean {near}?" if near else ""


def _check_kind(name: str, function: Any, options: Mapping[str, Any]) -> None:
    place = place_of(function)
    without_effect = [option for option in _WITHOUT_EFFECT if options.get(option)]
    if without_effect:
        raise HookMistake(
            f"{name}: {without_effect[0]} has no effect; "
            "plugins are asked in the order of the configuration",
            place,
        )
    inner = inspect.unwrap(function)
    if inspect.iscoroutinefunction(inner) or inspect.isasyncgenfunction(inner):
        raise HookMistake(f"{name} must be a plain function: hooks are not async", place)
    if inspect.isgeneratorfunction(inner):
        raise HookMistake(f"{name} must return its answer, not yield it", place)


def _bound(name: str, function: Any, offered: Sequence[str]) -> Callable[..., Any]:
    place = place_of(function)
    if _lacks_self(function, offered):
        raise HookMistake(f"{name} needs self as its first parameter", place)
    parameters = list(inspect.signature(function).parameters.values())
    for parameter in parameters:
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise HookMistake(
                f"{name} must name its parameters (in a decorator, use functools.wraps)", place
            )
        if parameter.name not in offered and parameter.default is parameter.empty:
            there_are = ", ".join(offered) or "none"
            raise HookMistake(
                f"{name} has no parameter {parameter.name} (there are: {there_are})", place
            )
    return _by_position(function, parameters, offered)


def _lacks_self(function: Any, offered: Sequence[str]) -> bool:
    """Whether a method was written like a function: its instance would come as the message."""
    if not inspect.ismethod(function):
        return False
    first = next(iter(inspect.signature(function.__func__).parameters), None)
    return first is None or first in offered


def _by_position(
    function: Callable[..., Any], parameters: Sequence[inspect.Parameter], offered: Sequence[str]
) -> Callable[..., Any]:
    """``function`` for being called with all that is offered, whatever it takes of that."""
    names = [parameter.name for parameter in parameters if parameter.name in offered]
    plain = names == [p.name for p in parameters[: len(names)] if p.kind is not p.KEYWORD_ONLY]
    if plain and names == list(offered):
        return function
    if plain and names == list(offered[: len(names)]):
        count = len(names)
        return lambda *arguments: function(*arguments[:count])
    places = [(name, list(offered).index(name)) for name in names]
    return lambda *arguments: function(**{name: arguments[place] for name, place in places})
