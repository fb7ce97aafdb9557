"""The JSON Schema for editors and the tables of two pages of docs/, made from the models.

``python -m amiws_gevent.config.schema [FOLDER]`` writes all into a checkout
(by default the current directory); a test holds the files to the models.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from amiws_gevent.checked import COMPUTED
from amiws_gevent.config.audit import Audit
from amiws_gevent.config.load import ANCHOR_PREFIX
from amiws_gevent.config.model import AmiHost, ApiToken, Limits, Settings, file_keys
from amiws_gevent.config.redis import Redis
from amiws_gevent.policy import Role, Rule, See, User

SCHEMA_FILE = Path("etc/amiws.schema.json")
TABLES_FILE = Path("docs/configuration.md")
ROLES_FILE = Path("docs/roles.md")

# Editors' YAML servers know this draft best. It ignores what stands beside a
# $ref, so the schema has none.
_DRAFT = "http://json-schema.org/draft-07/schema#"

_NOTHING = {"type": "null"}

_Tables = Mapping[str, type[BaseModel]]

_TABLES: _Tables = {
    "top level": Settings,
    "amihosts": AmiHost,
    "api_tokens": ApiToken,
    "audit": Audit,
    "redis": Redis,
    "limits": Limits,
}
_TABLES_OF_ROLES: _Tables = {"roles": Role, "see": See, "do": Rule, "users": User}
SECTIONS: _Tables = {**_TABLES, **_TABLES_OF_ROLES}
"""All mappings of the file, by the names that docs know them by."""

_PAGES: Mapping[Path, _Tables] = {TABLES_FILE: _TABLES, ROLES_FILE: _TABLES_OF_ROLES}
_TABLE_END = "<!-- end -->"


def json_schema() -> dict[str, Any]:
    """A schema that marks unknown keys, and takes what YAML makes of unquoted text."""
    made = Settings.model_json_schema()
    parts = made.pop("$defs")
    parts[AmiHost.__name__]["required"].remove("id")
    whole = _for_editors(made, parts)
    host = whole["properties"]["amihosts"]["items"]
    # Only now, so that a secret without a value stays a mistake.
    host["required"].remove("secret")
    host["oneOf"] = [{"required": ["secret"]}, {"required": ["secret_file"]}]
    return {
        "$schema": _DRAFT,
        "title": "amiws-gevent configuration",
        **whole,
        "patternProperties": {f"^{ANCHOR_PREFIX}": {"description": "Holds anchors; not read."}},
    }


def table(model: type[BaseModel]) -> str:
    """The keys of one mapping as rows of a Markdown table."""
    rows = ["| key | default | meaning |", "| --- | --- | --- |"]
    for key, default, meaning in keys(model):
        escaped = meaning.replace("|", r"\|")
        rows.append(f"| `{key}` | {default} | {escaped} |")
    return "\n".join(rows) + "\n"


def keys(model: type[BaseModel]) -> Iterator[tuple[str, str, str]]:
    """Each key of one mapping, its default and its meaning, in Markdown."""
    for name in file_keys(model):
        field = model.model_fields[name]
        yield field.alias or name, _default(model, name), field.description or ""


def with_tables(page: str, file: Path = TABLES_FILE) -> str:
    """The text of a page with its marked tables as the models have them now."""
    for name, model in _PAGES[file].items():
        start = f"<!-- keys: {name} -->\n"
        before, found, rest = page.partition(start)
        _, ended, after = rest.partition(_TABLE_END)
        if not (found and ended):
            raise ValueError(f"the page has no {start.strip()} with {_TABLE_END} after it")
        page = before + start + table(model) + _TABLE_END + after
    return page


def schema_text() -> str:
    """The schema as the file has it."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


def main(arguments: Sequence[str]) -> None:
    folder = Path(arguments[0] if arguments else ".")
    (folder / SCHEMA_FILE).write_text(schema_text(), encoding="utf-8")
    for file in _PAGES:
        page = folder / file
        page.write_text(with_tables(page.read_text(encoding="utf-8"), file), encoding="utf-8")


def _default(model: type[BaseModel], key: str) -> str:
    field = model.model_fields[key]
    if isinstance(field.json_schema_extra, dict) and COMPUTED in field.json_schema_extra:
        return str(field.json_schema_extra[COMPUTED])
    if field.is_required():
        return "required"
    if field.default is None:
        return "none"
    if isinstance(field.default, BaseModel):
        return "see below"
    if isinstance(field.default, bool):
        return "yes" if field.default else "no"
    return f"`{field.default}`" if field.default != "" else "empty"


def _for_editors(schema: Any, parts: dict[str, Any]) -> Any:
    """References resolved, titles dropped, optional keys allowed to have no value."""
    if isinstance(schema, list):
        return [_for_editors(item, parts) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        described = {key: value for key, value in schema.items() if key == "description"}
        return _for_editors(parts[name], parts) | described
    made = {
        key: _for_editors(value, parts)
        for key, value in schema.items()
        # A title is made of the key's name, which editors show anyway.
        if key != COMPUTED and not (key == "title" and isinstance(value, str))
    }
    if COMPUTED in schema:
        made.pop("default", None)
    if "properties" in made:
        required = made.get("required", ())
        made["properties"] = {
            key: value if key in required else _or_nothing(value)
            for key, value in made["properties"].items()
        }
    return made


def _or_nothing(schema: dict[str, Any]) -> dict[str, Any]:
    """``key:`` without a value is as no key at all; YAML makes it null."""
    told: dict[str, Any] = {key: schema[key] for key in ("description", "default") if key in schema}
    kind = {key: value for key, value in schema.items() if key not in told}
    if told.get("default", ...) in (None, {}):
        del told["default"]
    choices = kind.get("anyOf", [kind])
    return {**told, "anyOf": [*(kind for kind in choices if kind != _NOTHING), _NOTHING]}


if __name__ == "__main__":
    main(sys.argv[1:])
