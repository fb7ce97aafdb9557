"""The subprotocol amiws.v2 in tests: what is wrong with a message."""

from __future__ import annotations

import functools
from typing import Any

from jsonschema import Draft202012Validator

from amiws_gevent.v2.messages import MESSAGES
from amiws_gevent.v2.requests import REQUESTS
from amiws_gevent.v2.schema import json_schema


@functools.cache
def _validator(definition: str) -> Draft202012Validator:
    schema = json_schema()
    return Draft202012Validator({"$ref": f"#/$defs/{definition}", "$defs": schema["$defs"]})


def faults(message: dict[str, Any]) -> list[str]:
    """What the specification says against a message; also members that it does not name."""
    model = {**MESSAGES, **REQUESTS}.get(message.get("op", ""))
    if model is None:
        return [f"unknown op: {message!r:.200}"]
    found = [error.message for error in _validator(model.__name__).iter_errors(message)]
    unknown = message.keys() - model.model_fields.keys()
    return found + [f"unknown member {name!r}" for name in sorted(unknown)]
