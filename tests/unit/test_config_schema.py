"""What is made from the models: the schema for editors, the samples, and the page of keys."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from amiws_gevent import resources
from amiws_gevent.config import AmiHost, ApiToken, Audit, Limits, Settings, load_settings
from amiws_gevent.config import schema as made
from amiws_gevent.config.model import file_keys

ROOT = Path(__file__).parent.parent.parent
SHORT = ROOT / "etc" / "amiws.yaml"
ANNOTATED = ROOT / "etc" / "amiws-annotated.yaml"
PAGE = (ROOT / made.TABLES_FILE).read_text(encoding="utf-8")
ROLES = (ROOT / made.ROLES_FILE).read_text(encoding="utf-8")

HOST = {"name": "a", "host": "h", "username": "u", "secret": "s"}


def with_every_key(text: str) -> str:
    """The annotated sample with its keys behind a ``#`` taken in."""
    return re.sub(r"^( *)#(?=(?:- )?[a-z_]+:)", r"\1", text, flags=re.MULTILINE)


def faults(document: object) -> list[str]:
    """What an editor would mark: the key paths."""
    validator = jsonschema.Draft7Validator(made.json_schema())
    return [".".join(map(str, error.absolute_path)) for error in validator.iter_errors(document)]


def test_the_schema_file_is_the_model_s() -> None:
    assert (ROOT / made.SCHEMA_FILE).read_text(encoding="utf-8") == made.schema_text(), (
        "run python -m amiws_gevent.config.schema"
    )


def test_the_page_s_tables_are_the_model_s() -> None:
    assert made.with_tables(PAGE) == PAGE, "run python -m amiws_gevent.config.schema"
    assert made.with_tables(ROLES, made.ROLES_FILE) == ROLES


def test_the_page_has_a_row_for_every_key() -> None:
    for model in (Settings, AmiHost, ApiToken, Audit, Limits):
        rows = [f"| `{key}` | " for key in file_keys(model)]
        assert all(row in PAGE for row in rows)


def test_the_page_names_every_facility_and_level() -> None:
    for names in (made.json_schema()["properties"][key] for key in ("log_facility", "log_level")):
        (choices,) = [choice["enum"] for choice in names["anyOf"] if "enum" in choice]
        assert all(f"`{name}`" in PAGE for name in choices if not re.match("local[1-6]", name))


def test_a_page_without_its_marks_is_refused() -> None:
    with pytest.raises(ValueError, match="has no <!-- keys: limits -->"):
        made.with_tables(PAGE.replace("<!-- keys: limits -->", ""))
    with pytest.raises(ValueError, match="with <!-- end --> after it"):
        made.with_tables(PAGE.replace("<!-- end -->", ""))


def test_the_command_writes_both(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "docs").mkdir()
    for file, page in ((made.TABLES_FILE, PAGE), (made.ROLES_FILE, ROLES)):
        empty = re.sub(r"(<!-- keys: .*? -->\n).*?(<!-- end)", r"\1\2", page, flags=re.DOTALL)
        assert empty != page
        (tmp_path / file).write_text(empty, encoding="utf-8")
    made.main([str(tmp_path)])
    assert (tmp_path / made.TABLES_FILE).read_text(encoding="utf-8") == PAGE
    assert (tmp_path / made.ROLES_FILE).read_text(encoding="utf-8") == ROLES
    assert (tmp_path / made.SCHEMA_FILE).read_text(encoding="utf-8") == made.schema_text()


def test_the_schema_is_one() -> None:
    jsonschema.Draft7Validator.check_schema(made.json_schema())


def test_the_schema_has_every_key_with_its_meaning() -> None:
    properties = made.json_schema()["properties"]
    (limits, _) = properties["limits"]["anyOf"]
    places: list[tuple[Any, dict[str, Any]]] = [
        (Settings, properties),
        (AmiHost, properties["amihosts"]["items"]["properties"]),
        (Limits, limits["properties"]),
    ]
    for model, found in places:
        assert list(found) == file_keys(model)
        for key, described in found.items():
            assert described["description"] == model.model_fields[key].description


@pytest.mark.parametrize("path", [SHORT, ANNOTATED], ids=lambda path: path.name)
def test_the_samples(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resources, "dashboard_root", lambda: tmp_path)
    text = path.read_text(encoding="utf-8")
    first, _, named = text.partition("\n")[0].partition("$schema=")
    assert first == "# yaml-language-server: "
    assert (path.parent / named).resolve() == (ROOT / made.SCHEMA_FILE).resolve()
    assert faults(yaml.safe_load(text)) == []
    copy = tmp_path / path.name
    copy.write_text(text, encoding="utf-8")
    copy.chmod(0o600)
    assert load_settings(copy, environ={}, base=tmp_path).warnings == []


def test_the_annotated_sample_has_every_key() -> None:
    text = with_every_key(ANNOTATED.read_text(encoding="utf-8"))
    for model in (Settings, AmiHost, ApiToken, Audit, Limits):
        for key in file_keys(model):
            assert re.search(rf"^ *(- )?{key}:", text, flags=re.MULTILINE), key
    document = yaml.safe_load(text)
    # An operator takes one of secret and secret_file; the sample has room for both.
    (both,) = [host for host in document["amihosts"] if "secret_file" in host]
    del both["secret"]
    assert faults(document) == []


def test_the_annotated_sample_shows_the_defaults() -> None:
    document = yaml.safe_load(with_every_key(ANNOTATED.read_text(encoding="utf-8")))
    assert Limits(**document["limits"]) == Limits()
    shown = {key: document[key] for key in ("log_facility", "log_level", "ws_port", "web_root")}
    default = {key: Settings.model_fields[key].default for key in shown}
    assert shown == default


@pytest.mark.parametrize(
    "document",
    [
        {"amihosts": [{**HOST, "secret": 12345, "username": 7, "name": True, "host": "10.1"}]},
        {"amihosts": [{**HOST, "port": "5038", "id": 7, "ssl": "On", "login": "MD5"}]},
        {"amihosts": [{**HOST, "port": "${PORT}", "ssl": "${TLS}", "keepalive": "${K}"}]},
        {"amihosts": [{**HOST, "port": None, "ssl_cert": None, "id": None, "event_names": None}]},
        {"amihosts": [{**HOST, "event_names": ["A"], "ssl_verify": False}], "x-anchor": [1]},
        {"amihosts": [HOST], "log_level": "LOG_INFO", "log_facility": "local7", "ws_port": 0},
        {"amihosts": [HOST], "log_level": 7, "log_facility": 184, "allowed_origins": "*"},
        {"amihosts": [HOST], "limits": {"ami_line": "512k", "ami_packet": 5, "idle_time": "5 min"}},
        {"amihosts": [HOST], "allowed_hosts": []},
        {"amihosts": [HOST], "allowed_hosts": ["pbx.example.com", "*.example.com"]},
        {"amihosts": [HOST], "allowed_hosts": "pbx.example.com, .example.org"},
        {"amihosts": [HOST], "metrics_listen": "127.0.0.1:9090"},
        {"amihosts": [HOST], "metrics_listen": "[::1]:0"},
        {"amihosts": [HOST], "metrics_listen": ":9090"},
        {"amihosts": [HOST], "metrics_listen": "${METRICS}"},
        {"amihosts": [HOST], "limits": {"connections_per_address": None}, "slow_clients": "Drop"},
        {"amihosts": [HOST], "limits": None, "web_root": 2024, "session_lifetime": 0.5},
    ],
)
def test_what_editors_accept(document: object) -> None:
    assert faults(document) == []


@pytest.mark.parametrize(
    ("document", "where"),
    [
        ({}, ""),
        ({"amihosts": []}, "amihosts"),
        ({"amihosts": [HOST], "log_levl": 1}, ""),
        ({"amihosts": [{**HOST, "prot": 1}]}, "amihosts.0"),
        ({"amihosts": [{**HOST, "secret_file": "x"}]}, "amihosts.0"),
        ({"amihosts": [{key: HOST[key] for key in ("name", "host", "username")}]}, "amihosts.0"),
        ({"amihosts": [{**HOST, "port": 70000}]}, "amihosts.0.port"),
        ({"amihosts": [{**HOST, "secret": None}]}, "amihosts.0.secret"),
        ({"amihosts": [{**HOST, "secret": ["s"]}]}, "amihosts.0.secret"),
        ({"amihosts": [{**HOST, "login": "sha1"}]}, "amihosts.0.login"),
        ({"amihosts": [HOST], "allowed_hosts": [1]}, "allowed_hosts"),
        ({"amihosts": [HOST], "ws_port": "8a998"}, "ws_port"),
        ({"amihosts": [HOST], "metrics_listen": 9090}, "metrics_listen"),
        ({"amihosts": [HOST], "metrics_listen": "::1:9090"}, "metrics_listen"),
        ({"amihosts": [HOST], "log_level": 8}, "log_level"),
        ({"amihosts": [HOST], "log_facility": 41}, "log_facility"),
        ({"amihosts": [HOST], "auth_websocket": "maybe"}, "auth_websocket"),
        ({"amihosts": [HOST], "slow_clients": "wait"}, "slow_clients"),
        ({"amihosts": [HOST], "limits": {"ami_line": "5 parsecs"}}, "limits"),
        ({"amihosts": [HOST], "limits": {"idle_time": 0}}, "limits"),
        ({"amihosts": [HOST], "path": "x"}, ""),
    ],
)
def test_what_editors_mark(document: object, where: str) -> None:
    assert faults(document) == [where]


def test_the_schema_text_is_json_for_a_diff() -> None:
    text = made.schema_text()
    assert json.loads(text) == made.json_schema()
    assert text.endswith("}\n")
