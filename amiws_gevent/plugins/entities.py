"""Entities of the live state on their way to clients, and what plugins are told of them.

An entity is a dict as clients get it: ``server``, ``kind``, ``id``, and its fields. A hook is
given a copy, and what it returns is copied; so nothing of the state can be changed by a plugin.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from typing import Any

from amiws_gevent.plugins.api import Entity, ServerInfo
from amiws_gevent.plugins.chain import TRANSFORM, Chain, MessageHook, Steps

TRANSFORM_ENTITY = "amiws_transform_entity"

NAME = ("server", "kind", "id")
"""What names an entity; a plugin cannot change it."""

DEEPEST = 8
"""Levels of lists and dicts within a field; the program's own have three."""

_PLAIN = (str, int, float, bool, type(None))


def keeps_state_back(hooks: Container[str]) -> bool:
    """Whether a required plugin with these hooks hides what would be bare in the state."""
    return TRANSFORM in hooks and TRANSFORM_ENTITY not in hooks


def copied(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of the state, to be given away."""
    return {
        name: _copy(value) if type(value) in (list, dict) else value
        for name, value in fields.items()
    }


def _copy(value: Any) -> Any:
    if type(value) is list:
        return [_copy(one) for one in value]
    if type(value) is dict:
        return {name: _copy(one) for name, one in value.items()}
    return value


def plain(value: Any, depth: int = DEEPEST) -> Any:
    """A copy of what a plugin gave; raises TypeError for what is not plain data."""
    if type(value) in _PLAIN:
        return value
    if not depth:
        raise TypeError(f"has more than {DEEPEST} levels")
    if type(value) in (list, tuple):
        return [plain(one, depth - 1) for one in value]
    if type(value) is dict:
        if not all(type(name) is str for name in value):
            raise TypeError("has a name that is no text")
        return {name: plain(one, depth - 1) for name, one in value.items()}
    raise TypeError(f"has a {type(value).__name__}, which is no plain data")


def guarded(hook: MessageHook) -> MessageHook:
    """The hook, given a copy; a change of that which is not returned is a fault."""

    def call(entity: Entity, server: ServerInfo) -> object:
        given = copied(entity)
        answer = hook.function(given, server)
        if answer is None and given != entity:
            raise TypeError("changed the entity in place; it must return the changed one")
        return None if answer is None else _named(answer, entity)

    return hook._replace(function=call)


def _named(answer: object, entity: Entity) -> object:
    """What a hook has answered, under the name that the entity has."""
    if type(answer) is not dict:
        return answer
    fields = {name: value for name, value in plain(answer).items() if name not in NAME}
    return {**{name: entity[name] for name in NAME}, **fields}


class EntitySteps(Steps[Entity]):
    """Transforms of entities; filters there are none."""

    transform = TRANSFORM_ENTITY
    wanted = "a dict or None"

    def __init__(self, transforms: Sequence[MessageHook]) -> None:
        super().__init__((), [*map(guarded, transforms)])

    def replaced(self, answer: object) -> Entity | None:
        return answer if type(answer) is dict else None


class EntityChain(Chain[Entity]):
    """The chain of entities."""
