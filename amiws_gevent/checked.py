"""The base of models whose mistakes are told all at once, each with its key."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, MutableMapping
from typing import Any, Generic, Self, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    ValidationError,
    ValidationInfo,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

COMPUTED = "computed-default"
"""Marks a default that follows from other keys, with the words that say how."""

Given = MutableMapping[str, Any]
"""What stands under the keys of a mapping, before anything is validated."""

Found = tuple[tuple[str | int, ...], str]
"""The keys and indexes that lead to a mistake, and what it is."""


Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value", bound=Hashable)


class Frozen(dict[Key, Value], Generic[Key, Value]):
    """A mapping that is hashed by its content; not to be changed once it is made."""

    def __hash__(self) -> int:  # type: ignore[override]  # dict says that it has none
        return hash(frozenset(self.items()))


class Checked(BaseModel):
    """A model that tells what is wrong with its values, and between them, in one go.

    Pydantic's own ``after`` validators would run only on sound fields; the rules
    between keys work on what was given, beside the validation of each.
    A model is built when it is first used: one that is a part of another is built with that alone.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        validate_default=True,
        hide_input_in_errors=True,
        defer_build=True,
    )

    @classmethod
    def completed(cls, given: Given, context: object) -> list[Found]:
        """Fill in what follows from other keys; return what contradicts itself."""
        return []

    @model_validator(mode="wrap")
    @classmethod
    def _check(
        cls, data: Any, handler: ModelWrapValidatorHandler[Self], info: ValidationInfo
    ) -> Self:
        if not isinstance(data, Mapping):
            return handler(data)
        given = {key: value for key, value in data.items() if value is not None}
        details = [
            InitErrorDetails(type=PydanticCustomError("rule", message), loc=place, input=None)
            for place, message in cls.completed(given, info.context)
        ]
        try:
            made = handler(given)
        except ValidationError as error:
            details += [_detail(found) for found in error.errors(include_url=False)]
        if details:
            raise ValidationError.from_exception_data(cls.__name__, details, hide_input=True)
        return made


def _detail(found: Any) -> InitErrorDetails:
    """An error of pydantic's once more, with our validator's message if it was one."""
    cause = found.get("ctx", {}).get("error")
    kind = PydanticCustomError(found["type"], str(cause) if cause else found["msg"])
    return InitErrorDetails(type=kind, loc=found["loc"], input=None)


def written(default: str, description: str, **more: Any) -> Any:
    """A field whose default is written here as people write it in the file."""
    return Field(default, description=description, **more)
