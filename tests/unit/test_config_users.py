"""Where --passwd finds the file of the users: two keys, whatever the rest of the file is."""

from __future__ import annotations

from pathlib import Path

import pytest

from amiws_gevent.config import ConfigError, load_users_file


def load(tmp_path: Path, text: str, **environ: str) -> tuple[Path, str]:
    path = tmp_path / "amiws.yaml"
    path.write_text(text)
    made = load_users_file(path, environ=environ, base=tmp_path)
    return made.auth_file, made.auth_domain


def problems(tmp_path: Path, text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text)
    return str(caught.value).replace(str(tmp_path), "")


def test_the_rest_of_the_file_need_not_be_right(tmp_path: Path) -> None:
    text = "auth_domain: call centre\nauth_file: users\nws_port: none\nplugins: [nothing]\n"
    assert load(tmp_path, text) == (tmp_path / "users", "call centre")
    assert load(tmp_path, text.replace("users", "/etc/users"))[0] == Path("/etc/users")


def test_variables(tmp_path: Path) -> None:
    text = "auth_domain: a\nauth_file: ${WHERE}/users\nws_host: ${UNSET}\n"
    assert load(tmp_path, text, WHERE="/srv")[0] == Path("/srv/users")
    assert "/amiws.yaml:2: auth_file: the environment variable WHERE" in problems(tmp_path, text)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("amihosts: []\n", ["auth_domain: is missing", "auth_file: is missing; --passwd edits"]),
        ("auth_domain: a\nauth_file:\n", ["auth_file: is missing; --passwd edits"]),
        ("auth_domain: 'a:b'\nauth_file: x\n", ["/amiws.yaml:1: auth_domain: must not contain"]),
        ("auth_domain: a\nauth_file: [x]\n", ["/amiws.yaml:2: auth_file: must be a path"]),
        ("auth_domain: a\nauth_file: ''\n", ["auth_file: must be a path"]),
        ("- a\n", ["must have keys with values"]),
    ],
)
def test_what_is_wrong(tmp_path: Path, text: str, told: list[str]) -> None:
    found = problems(tmp_path, text)
    for each in told:
        assert each in found
    assert len(found.splitlines()) == len(told)
