"""The settings of the audit trail."""

from __future__ import annotations

from pathlib import Path

import pytest

from amiws_gevent.config import Audit, ConfigError, load_settings

HOST = "amihosts:\n- {name: a, host: h, username: u, secret: s}\n"


def loaded(folder: Path, text: str) -> Audit | None:
    file = folder / "amiws.yaml"
    file.write_text(f"{text}\n{HOST}")
    file.chmod(0o600)
    return load_settings(file, base=folder).settings.audit


def problems(folder: Path, text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        loaded(folder, text)
    return str(caught.value)


def test_there_is_none_unless_it_is_asked_for(tmp_path: Path) -> None:
    assert loaded(tmp_path, "") is None
    assert loaded(tmp_path, "audit:") is None


def test_all_keys(tmp_path: Path) -> None:
    text = (
        "audit: {file: log/a.jsonl, key_file: keys/k, max_size: 1 MiB, max_age: 1 h, keep: 30 d, "
        "fsync: no, syslog: yes, on_failure: Allow}"
    )
    made = loaded(tmp_path, text)
    assert made == Audit(
        file=tmp_path / "log" / "a.jsonl",
        key_file=tmp_path / "keys" / "k",
        max_size=1 << 20,
        max_age=3600.0,
        keep=30 * 86400.0,
        fsync=False,
        syslog=True,
        on_failure="allow",
    )


def test_what_is_safe_is_the_default(tmp_path: Path) -> None:
    made = loaded(tmp_path, "audit: {file: log/a, key_file: keys/k}")
    assert made is not None
    assert (made.fsync, made.syslog, made.on_failure, made.keep) == (True, False, "refuse", None)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("audit: {file: a}", "audit.key_file: is missing"),
        ("audit: {key_file: a}", "audit.file: is missing"),
        ("audit: {file: a, key_file: k}", "audit.key_file: must not be in the folder of file"),
        ("audit: {file: x/a, key_file: x/../x/k}", "must not be in the folder of file"),
        ("audit: {file: x/a, key_file: k, on_failure: maybe}", "must be refuse or allow"),
        ("audit: yes", "audit: "),
        ("audit: [a]", "audit: "),
    ],
)
def test_mistakes_are_told_by_key(tmp_path: Path, text: str, told: str) -> None:
    assert told in problems(tmp_path, text)


def test_the_folder_counts_not_its_name(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "y").symlink_to("x")
    assert "must not be in the folder" in problems(tmp_path, "audit: {file: x/a, key_file: y/k}")


def test_unknown_keys_are_told(tmp_path: Path) -> None:
    file = tmp_path / "amiws.yaml"
    file.write_text(f"audit: {{file: x/a, key_file: k, rotate: 3}}\n{HOST}")
    assert any("audit.rotate" in slip for slip in load_settings(file, base=tmp_path).slips)
