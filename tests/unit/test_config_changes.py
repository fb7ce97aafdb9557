"""What of a configuration has changed, by key."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from amiws_gevent.config import Settings, changed_keys

ONE = {"name": "one", "host": "h", "username": "u", "secret": "s", "id": 1}
TWO = {**ONE, "name": "two", "id": 2}


def settings(*hosts: Any, **more: Any) -> Settings:
    return Settings.model_validate({"amihosts": hosts or (ONE,), **more})


def test_nothing() -> None:
    assert changed_keys(settings(), settings(path=Path("/etc/x"))) == []


def test_keys_and_their_places_and_no_values() -> None:
    other = settings(
        {**ONE, "secret": "hunter2"},
        ws_port=81,
        limits={"connections": 5, "idle_time": 7},
        allowed_origins=["https://a.example"],
    )
    assert changed_keys(settings(), other) == [
        "ws_port",
        "allowed_origins",
        "limits.connections",
        "limits.idle_time",
        "amihosts[one].secret",
    ]


def test_what_comes_and_goes() -> None:
    assert changed_keys(settings(), settings(ONE, TWO)) == ["amihosts[+two]"]
    assert changed_keys(settings(ONE, TWO), settings(TWO)) == ["amihosts[-one]"]
    assert changed_keys(settings(ONE, TWO), settings(TWO, ONE)) == ["amihosts"]
    token = {"name": "wall", "hash": "sha256:" + "0" * 64}
    assert changed_keys(settings(), settings(api_tokens=[token])) == ["api_tokens[+wall]"]


def test_an_audit(tmp_path: Path) -> None:
    audit = {"file": tmp_path / "x" / "a", "key_file": tmp_path / "y" / "k"}
    on = settings(audit=audit)
    assert changed_keys(settings(), on) == ["audit"]
    assert changed_keys(on, settings(audit={**audit, "fsync": False})) == ["audit.fsync"]
