"""What is valid, and probably not meant."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from amiws_gevent.config import load_settings

HOST = "amihosts:\n- {name: a, host: h, username: u, secret: s}\n"
NO_USE = "redis: has no effect, as the program is one process; set workers, or process to collector"


def warned(folder: Path, text: str, **replaced: Any) -> list[str]:
    """Without the place of each."""
    file = folder / "amiws.yaml"
    file.write_text(f"{text}\n{HOST}")
    file.chmod(0o600)
    told = load_settings(file, base=folder, replaced=replaced).warnings
    return [line.removeprefix(f"{file}:1: ") for line in told]


def test_a_redis_that_nobody_uses(tmp_path: Path) -> None:
    (told,) = warned(tmp_path, "redis: {url: unix:///r}")
    assert told.startswith(NO_USE)


@pytest.mark.parametrize("replaced", [{"workers": 2}, {"process": "edge"}])
def test_a_redis_that_is_used(tmp_path: Path, replaced: dict[str, Any]) -> None:
    assert warned(tmp_path, "redis: {url: unix:///r}", **replaced) == []


def test_a_folder_of_the_audit_that_is_not_there(tmp_path: Path) -> None:
    text = "audit: {file: log/a.jsonl, key_file: keys/k}"
    assert warned(tmp_path, text) == [
        f"audit.{key}: there is no folder {tmp_path}/{folder}: make it, for the user that the "
        "program runs as"
        for key, folder in (("file", "log"), ("key_file", "keys"))
    ]
    (tmp_path / "log").mkdir()
    (tmp_path / "keys").mkdir()
    assert warned(tmp_path, text) == []


def test_a_folder_of_the_state_file_that_is_not_there(tmp_path: Path) -> None:
    """Else the log says so only when the file is written: a minute later, or at the end."""
    text = "state_file: state/figures"
    (told,) = warned(tmp_path, text)
    assert told.startswith(f"state_file: there is no folder {tmp_path}/state: make it")
    (tmp_path / "state").mkdir()
    assert warned(tmp_path, text) == []


def test_a_size_of_the_audit_without_a_unit(tmp_path: Path) -> None:
    text = "audit: {{file: a.jsonl, key_file: ../k, max_size: {}}}"
    (told,) = warned(tmp_path, text.format("64"))
    assert told.startswith("audit.max_size: is 64 bytes, so each file has a few records alone")
    assert warned(tmp_path, text.format("64 KiB")) == []
