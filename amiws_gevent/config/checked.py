"""What all models of the configuration have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

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

from amiws_gevent.config import rules

# Marks a default that follows from other keys, with the words that say how.
COMPUTED = "computed-default"


class Checked(BaseModel):
    """A model that tells what is wrong with its values, and between them, in one go.

    Pydantic's own ``after`` validators would run only on sound fields; the rules
    between keys work on what was given, beside the validation of each.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", validate_default=True, hide_input_in_errors=True
    )

    @classmethod
    def completed(cls, given: rules.Given, context: object) -> list[rules.Found]:
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


def written(default: str, description: str, **more: Any) -> Any:
    """A field whose default is written here as people write it in the file."""
    return Field(default, description=description, **more)


def _detail(found: Any) -> InitErrorDetails:
    """An error of pydantic's once more, with our validator's message if it was one."""
    cause = found.get("ctx", {}).get("error")
    kind = PydanticCustomError(found["type"], str(cause) if cause else found["msg"])
    return InitErrorDetails(type=kind, loc=found["loc"], input=None)
