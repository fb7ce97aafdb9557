"""The OpenAPI 3.1 document, from the table of operations and the models."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue, models_json_schema

from amiws_gevent import __version__
from amiws_gevent.actions.request import MOST_KEY
from amiws_gevent.api.models import FILTERS, ProblemDocument
from amiws_gevent.api.operations import (
    EVENT_STREAM,
    JSON,
    KEY_HEADER,
    OPERATIONS,
    PREFIX,
    Operation,
)
from amiws_gevent.api.problems import CODES
from amiws_gevent.feeds.filters import ATTRIBUTES
from amiws_gevent.web.problem import PROBLEM_TYPE

_OF_ALL = (
    "bad_request",
    "unauthorized",
    "forbidden",
    "uri_too_long",
    "too_many_logins",
    "headers_too_large",
    "internal",
    "unavailable",
    "http_version",
)
_REFERENCES = "#/components/schemas/{model}"

_DESCRIPTION = """\
State of Asterisk servers, their events, and actions for them. The messages are those of the
WebSocket subprotocol `amiws.v2`. Pages of other web sites get nothing unless `allowed_origins`
has them. Programs use a token: `amiws-gevent --token NAME` makes one."""

_SECURITY = {
    "token": {
        "type": "http",
        "scheme": "bearer",
        "description": "A token of `api_tokens`, for programs.",
    },
    "login": {
        "type": "http",
        "scheme": "digest",
        "description": "A user of `auth_file`, for pages.",
    },
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": "amiws_session_PORT",
        "description": "What a login on a page has set; `PORT` is that of this server.",
    },
}


class _Plain(GenerateJsonSchema):
    """Without titles, which repeat names."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def document(prefix: str = "") -> dict[str, Any]:
    """The document; it has no address in it, so that it holds for any.

    ``prefix`` is the path below which a proxy has us, such as ``/pbx``.
    """
    paths: dict[str, dict[str, Any]] = defaultdict(dict)
    for operation in OPERATIONS:
        paths[PREFIX + operation.path][operation.method.lower()] = _operation(operation)
    return {
        "openapi": "3.1.0",
        "info": {"title": "amiws-gevent", "version": __version__, "description": _DESCRIPTION},
        "servers": [{"url": prefix or "/"}],
        "security": [{"token": []}, {"login": []}, {"session": []}, {}],
        "paths": dict(paths),
        "components": {"schemas": _schemas(), "securitySchemes": _SECURITY},
    }


def parameters_of(operation: Operation) -> Iterator[dict[str, Any]]:
    """The parameters of an operation, as OpenAPI has them."""
    if "{kind}" in operation.path:
        schema = {"type": "string", "enum": list(ATTRIBUTES)}
        yield {"name": "kind", "in": "path", "required": True, "schema": schema} | {
            "description": "The kind of the entities."
        }
    if operation.query is not None:
        described = operation.query.model_json_schema(schema_generator=_Plain)["properties"]
        for name, schema in described.items():
            given = {key: value for key, value in schema.items() if key != "description"}
            parameter = {"name": name, "in": "query", "schema": given}
            if name in FILTERS:
                given.pop("default", None)
            yield parameter | {"description": schema["description"]}
    for name, description in operation.headers.items():
        header: dict[str, Any] = {"type": "string"}
        if name == KEY_HEADER:
            header |= {"minLength": 1, "maxLength": MOST_KEY}
        yield {"name": name, "in": "header", "schema": header, "description": description}


def _operation(operation: Operation) -> dict[str, Any]:
    made: dict[str, Any] = {
        "operationId": operation.id,
        "summary": operation.summary,
        "description": operation.description,
    }
    parameters = list(parameters_of(operation))
    if parameters:
        made["parameters"] = parameters
    if operation.body is not None:
        content = {"schema": _reference(operation.body), "example": operation.example}
        made["requestBody"] = {"required": True, "content": {JSON: content}}
    return made | {"responses": _responses(operation)}


def _responses(operation: Operation) -> dict[str, Any]:
    schema: JsonSchemaValue = {"type": "string"}
    if operation.answer is not None:
        schema = _reference(operation.answer)
    elif operation.media == JSON:
        schema = {"type": "object"}
    done: dict[str, Any] = {
        "description": "A stream that does not end."
        if operation.media == EVENT_STREAM
        else "Done.",
        "content": {operation.media: {"schema": schema}},
    }
    responses = {"200": done}
    if operation.etag:
        done["headers"] = {"ETag": {"schema": {"type": "string"}}}
        responses["304"] = {"description": "As the client has it."}
    return responses | dict(_problems((*operation.codes, *_OF_ALL)))


def _problems(codes: Iterable[str]) -> Iterator[tuple[str, Any]]:
    """The answers that are problem documents, by status."""
    by_status: dict[int, list[str]] = defaultdict(list)
    for code in dict.fromkeys(codes):
        by_status[CODES[code].status].append(code)
    for status, of_status in sorted(by_status.items()):
        listed = " ".join(f"`{code}`: {CODES[code].meaning}" for code in of_status)
        content = {PROBLEM_TYPE: {"schema": _reference(ProblemDocument)}}
        yield str(status), {"description": listed, "content": content}


def _schemas() -> dict[str, Any]:
    models: dict[type[BaseModel], None] = {ProblemDocument: None}
    for operation in OPERATIONS:
        models |= {one: None for one in (operation.body, operation.answer) if one is not None}
    _, schema = models_json_schema(
        [(model, "validation") for model in models],
        ref_template=_REFERENCES,
        schema_generator=_Plain,
    )
    schemas: dict[str, Any] = schema["$defs"]
    for described in schemas.values():
        described.pop("title", None)
    return schemas


def _reference(model: type[BaseModel]) -> JsonSchemaValue:
    return {"$ref": _REFERENCES.format(model=model.__name__)}
