"""docs/protocol.schema.json and the tables of docs/protocol.md, made from the models.

``python -m amiws_gevent.v2.schema [FOLDER]`` writes both into a checkout (by default the current
directory); a test holds the files to the models.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue

from amiws_gevent.feeds.filters import ATTRIBUTES, BY_FIELD, HEADERS
from amiws_gevent.v2.codes import CODES
from amiws_gevent.v2.messages import FROM_SERVER, MESSAGES
from amiws_gevent.v2.requests import FROM_CLIENT, REQUESTS, Filters

SCHEMA_FILE = Path("docs/protocol.schema.json")
PAGE_FILE = Path("docs/protocol.md")

_DRAFT = "https://json-schema.org/draft/2020-12/schema"
_TABLE = re.compile(r"<!-- table: ([\w ]+) -->\n.*?<!-- end -->", re.DOTALL)


class _Plain(GenerateJsonSchema):
    """Without titles, which repeat names, and defaults, which stand for members left out."""

    def default_schema(self, schema: Any) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def json_schema() -> dict[str, Any]:
    """Any message; ``$defs`` has each by name, and `FromServer` and `FromClient`, which are any."""
    sides, schema = TypeAdapter.json_schemas(
        [("FromServer", "validation", FROM_SERVER), ("FromClient", "validation", FROM_CLIENT)],
        schema_generator=_Plain,
    )
    definitions = {name: {"oneOf": side["oneOf"]} for (name, _), side in sides.items()}
    definitions |= schema["$defs"]
    for definition in definitions.values():
        definition.pop("title", None)
    return {
        "$schema": _DRAFT,
        "title": "Messages of the WebSocket subprotocol amiws.v2",
        "oneOf": [{"$ref": f"#/$defs/{name}"} for name, _ in sides],
        "$defs": definitions,
    }


def schema_text() -> str:
    """The schema as the file has it."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


def with_tables(page: str) -> str:
    """``page`` with its marked tables as the code has them now."""
    made = tables()
    missing = made.keys() - set(_TABLE.findall(page))
    if missing:
        raise ValueError(f"the page has no place for the tables {sorted(missing)}")
    return _TABLE.sub(
        lambda found: f"<!-- table: {found[1]} -->\n{made[found[1]]}<!-- end -->", page
    )


def tables() -> dict[str, str]:
    """All tables of the page, by the name in their marks."""
    definitions = json_schema()["$defs"]
    models: dict[str, type[BaseModel]] = {**MESSAGES, **REQUESTS, "filters": Filters}
    made = {name: _members(definitions[model.__name__]) for name, model in models.items()}
    made["errors"] = _rows(
        ("code", "meaning", "HTTP"),
        [(f"`{code}`", info.meaning, str(info.status)) for code, info in CODES.items()],
    )
    made["attributes"] = _rows(
        ("kind", *BY_FIELD),
        [
            (f"`{kind}`", *(_fields(fields.get(dimension, ())) for dimension in BY_FIELD))
            for kind, fields in ATTRIBUTES.items()
        ],
    )
    made["event headers"] = _rows(
        ("filter", "headers"),
        [(f"`{dimension}`", _fields(HEADERS[dimension])) for dimension in BY_FIELD],
    )
    return made


def _fields(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _members(definition: dict[str, Any]) -> str:
    """The members of a message but ``op``, which each has."""
    required = definition.get("required", ())
    return _rows(
        ("member", "type", "meaning"),
        [
            (
                f"`{name}`",
                _type(given) + ("" if name in required else ", optional"),
                given["description"],
            )
            for name, given in definition["properties"].items()
            if name != "op"
        ],
    )


def _type(given: dict[str, Any]) -> str:
    """The type of a member in words; of a choice the words that differ."""
    if "anyOf" in given:
        return " or ".join(dict.fromkeys(_type(choice) for choice in given["anyOf"]))
    if "$ref" in given:
        return "object"
    if given["type"] == "array":
        return "list"
    return str(given["type"])


def _rows(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(map(_cell, line))} |\n" for line in lines)


def _cell(text: str) -> str:
    return text.replace("|", r"\|")


def main(arguments: Sequence[str]) -> None:
    folder = Path(arguments[0] if arguments else ".")
    (folder / SCHEMA_FILE).write_text(schema_text(), encoding="utf-8")
    page = folder / PAGE_FILE
    page.write_text(with_tables(page.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
