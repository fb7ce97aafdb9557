"""The reference page: the OpenAPI document as HTML, without scripts and without another host."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from amiws_gevent.api.problems import CODES

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem;
  padding: 0 1rem; color-scheme: light dark; }
code, pre { font: 14px/1.4 ui-monospace, monospace; }
pre { border: 1px solid #8886; border-radius: 4px; overflow-x: auto; padding: .6rem; }
table { border-collapse: collapse; margin: .5rem 0; width: 100%; }
th, td { border-bottom: 1px solid #8884; padding: .3rem .6rem .3rem 0; text-align: left;
  vertical-align: top; }
section { border-top: 1px solid #8886; margin-top: 2rem; }
"""

_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()

POLICY = (
    f"default-src 'none'; style-src 'sha256-{_HASH}'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
"""Of the page: nothing is loaded or run but its own style."""


def page(document: Mapping[str, Any]) -> str:
    """The whole page."""
    info = document["info"]
    operations = [
        (method, path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    contents = "".join(
        f'<li><a href="#{_text(operation["operationId"])}">'
        f"<code>{method.upper()} {_text(path)}</code></a> {_text(operation['summary'])}</li>"
        for method, path, operation in operations
    )
    sections = "".join(_operation(*one) for one in operations)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{_text(info['title'])} API</title><style>{_STYLE}</style></head><body>"
        f"<h1>{_text(info['title'])} {_text(info['version'])}: HTTP API</h1>"
        f"<p>{_words(info['description'])}</p>"
        '<p>For programs: <a href="openapi.json">openapi.json</a>.</p>'
        f"<ul>{contents}</ul>{sections}{_forms(document['components']['schemas'])}{_codes()}"
        "</body></html>\n"
    )


def _operation(method: str, path: str, operation: Mapping[str, Any]) -> str:
    told = f"<strong>{_text(operation['summary'])}.</strong> {_words(operation['description'])}"
    parts = [
        f'<section id="{_text(operation["operationId"])}">',
        f"<h2><code>{method.upper()} {_text(path)}</code></h2><p>{told}</p>",
    ]
    if operation.get("parameters"):
        rows = (
            (_code(one["name"]), one["in"], _type(one["schema"]), _words(one["description"]))
            for one in operation["parameters"]
        )
        parts.append(_table(("parameter", "in", "type", "meaning"), rows))
    for media, content in operation.get("requestBody", {}).get("content", {}).items():
        parts.append(f"<p>Body: {_code(media)}, {_type(content['schema'])}. Example:</p>")
        parts.append(f"<pre>{_text(json.dumps(content['example'], indent=2))}</pre>")
    answers = (
        (
            status,
            ", ".join(
                f"{_code(media)} {_type(content['schema'])}"
                for media, content in answer.get("content", {}).items()
            ),
            _words(answer["description"]),
        )
        for status, answer in operation["responses"].items()
    )
    parts.append(_table(("answer", "form", "meaning"), answers))
    return "".join(parts) + "</section>"


def _forms(schemas: Mapping[str, Any]) -> str:
    """All schemas with their members."""
    parts = []
    for name, schema in schemas.items():
        required = schema.get("required", ())
        rows = (
            (
                _code(member),
                _type(given) + ("" if member in required else ", optional"),
                _words(given.get("description", "")),
            )
            for member, given in schema.get("properties", {}).items()
        )
        parts.append(
            f'<section id="form-{_text(name)}"><h2>{_code(name)}</h2>'
            f"<p>{_words(schema.get('description', ''))}</p>"
            f"{_table(('member', 'type', 'meaning'), rows)}</section>"
        )
    return "".join(parts)


def _codes() -> str:
    """Each code has an anchor, to which ``type`` of a problem document leads."""
    rows = "".join(
        f'<tr id="{_text(code)}"><td>{_code(code)}</td><td>{info.status}</td>'
        f"<td>{_words(info.meaning)}</td></tr>"
        for code, info in CODES.items()
    )
    head = "<tr><th>code</th><th>status</th><th>meaning</th></tr>"
    return f'<section id="codes"><h2>Codes of problems</h2><table>{head}{rows}</table></section>'


def _type(schema: Mapping[str, Any]) -> str:
    """A schema in a word or two."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f'<a href="#form-{_text(name)}">{_code(name)}</a>'
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(_type(one) for one in schema["anyOf"]))
    if "enum" in schema:
        return "one of " + ", ".join(_code(str(one)) for one in schema["enum"])
    if "const" in schema:
        return _code(json.dumps(schema["const"]))
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    return _text(str(schema.get("type", "anything")))


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table of cells that are HTML."""
    made = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    if not made:
        return ""
    return f"<table><tr>{''.join(f'<th>{word}</th>' for word in head)}</tr>{made}</table>"


def _words(text: str) -> str:
    """Text with its code in backticks, as HTML; links of Markdown become their words."""
    plain = re.sub(r"\[([^\]]+)\]\([^)]*\)", r"\1", text)
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", _text(plain))


def _code(text: str) -> str:
    return f"<code>{_text(text)}</code>"


def _text(text: str) -> str:
    return html.escape(text)
