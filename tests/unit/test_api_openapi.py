"""The OpenAPI document: whole, and of what the program checks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest

from amiws_gevent.api.models import ActionBody
from amiws_gevent.api.openapi import document, parameters_of
from amiws_gevent.api.operations import OPERATIONS, PREFIX
from amiws_gevent.api.problems import CODES
from amiws_gevent.feeds.filters import ATTRIBUTES
from amiws_gevent.web.problem import problem_bytes

DOCUMENT = document()


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if "$ref" in value:
            yield value["$ref"]
        for part in value.values():
            yield from references(part)
    elif isinstance(value, list):
        for part in value:
            yield from references(part)


def form(name: str, value: object) -> None:
    schema = {"$ref": f"#/components/schemas/{name}", "components": DOCUMENT["components"]}
    jsonschema.Draft202012Validator(schema).validate(value)


def test_each_operation_is_there_once() -> None:
    found = [
        (method.upper(), path, operation["operationId"])
        for path, methods in DOCUMENT["paths"].items()
        for method, operation in methods.items()
    ]
    assert found == [(one.method, PREFIX + one.path, one.id) for one in OPERATIONS]


def test_it_is_json_without_an_address() -> None:
    text = json.dumps(DOCUMENT)
    assert "127.0.0.1" not in text
    assert "localhost" not in text
    assert DOCUMENT["servers"] == [{"url": "/"}]


def test_references_lead_to_schemas() -> None:
    found = set(references(DOCUMENT))
    assert len(found) >= 4
    schemas = DOCUMENT["components"]["schemas"]
    assert {name.rpartition("/")[2] for name in found} <= set(schemas)
    for schema in schemas.values():
        jsonschema.Draft202012Validator.check_schema(schema)


def test_problems_are_told_with_each_operation() -> None:
    for methods in DOCUMENT["paths"].values():
        for operation in methods.values():
            assert {"401", "403", "429", "500"} <= set(operation["responses"])
    actions = DOCUMENT["paths"]["/api/v1/actions"]["post"]["responses"]
    assert {"400", "404", "408", "413", "415", "422"} <= set(actions)


@pytest.mark.parametrize("code", CODES)
def test_problem_documents_have_their_form(code: str) -> None:
    form("ProblemDocument", json.loads(problem_bytes(CODES[code].status, "x", code)))


def test_the_example_of_an_action_is_one() -> None:
    body = DOCUMENT["paths"]["/api/v1/actions"]["post"]["requestBody"]["content"]
    example = body["application/json"]["example"]
    form("ActionBody", example)
    ActionBody.model_validate(example)


def test_the_forms_of_answers() -> None:
    form("EntityList", {"position": "p", "items": [], "next": None})
    entity = {"server": 1, "kind": "channel", "id": "1.1", "uniqueid": "1.1", "state": "up"}
    form("EntityList", {"position": "p", "items": [entity], "next": "n"})
    with pytest.raises(jsonschema.ValidationError):
        form("EntityList", {"position": "p", "items": [{"server": 1}], "next": None})
    with pytest.raises(jsonschema.ValidationError):
        form("Replies", {"replies": []})


def test_parameters_are_told() -> None:
    (entities,) = [one for one in OPERATIONS if one.id == "entities"]
    found = {one["name"]: one for one in parameters_of(entities)}
    assert found["kind"]["schema"]["enum"] == list(ATTRIBUTES)
    assert found["limit"]["schema"] == {
        "type": "integer",
        "minimum": 1,
        "maximum": 10_000,
        "default": 1000,
    }
    assert found["server"]["schema"]["items"]["type"] == "integer"
    assert "default" not in found["server"]["schema"]
    assert all(one["description"] for one in found.values())
