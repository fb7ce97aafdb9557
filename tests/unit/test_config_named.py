"""What a configuration names."""

from __future__ import annotations

from pathlib import Path

import pytest

from amiws_gevent.config import Settings, named_paths
from tests.support.certificates import make_certificate
from tests.support.config import ONE_HOST, load, problems

PLUGIN = """\
from dataclasses import dataclass
from pydantic import BaseModel
from amiws_gevent.plugins.api import AnyPath, PluginSettings

@dataclass
class Target:
    kind: str
    where: str

class Part(BaseModel):
    file: AnyPath

class Settings(PluginSettings):
    one: AnyPath | None = None
    many: tuple[AnyPath, ...] = ()
    parts: dict[str, Part] = {}
    text: str = ""
    target: Target = Target("local", "/run/log.sock")

def amiws_settings():
    return Settings
"""


def test_every_path_of_every_setting(tmp_path: Path) -> None:
    make_certificate(tmp_path, "localhost")
    for name in ("pages", "code", "journal", "plug"):
        (tmp_path / name).mkdir()
    for name in ("users", "secret"):
        (tmp_path / name).write_text("alice:example.com:abc\n")
    (tmp_path / "plug" / "mine.py").write_text(PLUGIN)
    text = f"""\
web_root: {tmp_path}/pages
auth_domain: example.com
auth_file: {tmp_path}/users
ssl_cert: {tmp_path}/cert.pem
ssl_key: {tmp_path}/key.pem
plugin_dirs: {tmp_path}/code
plugins:
- {tmp_path}/plug/mine.py:
    one: {tmp_path}/1
    many: [{tmp_path}/2, {tmp_path}/3]
    parts: {{a: {{file: {tmp_path}/4}}}}
    text: {tmp_path}/5
- journal:
    folder: {tmp_path}/journal
{ONE_HOST.replace("secret: s3cr3t", f"secret_file: {tmp_path}/secret")}\
    ssl_ca: {tmp_path}/cert.pem
"""
    found = named_paths(load(tmp_path, text).settings)
    names = "amiws.yaml users secret cert.pem key.pem code plug plug/mine.py journal 1 2 3 4 5"
    assert {tmp_path / name for name in names.split()} <= set(found)
    assert Path("/run/log.sock") in found
    assert tmp_path / "pages" not in found
    assert len(found) == len(set(found))


def test_the_file_beside_state_file_is_named_too(tmp_path: Path) -> None:
    settings = load(tmp_path, f"state_file: {tmp_path}/state.json\n{ONE_HOST}").settings
    assert settings.logouts_file == tmp_path / "state.json.logouts"
    assert settings.logouts_file in named_paths(settings)


def test_two_edges_that_share_a_state_file_keep_logouts_apart(tmp_path: Path) -> None:
    text = f"state_file: {tmp_path}/state.json\nredis: {{url: 'unix:///r'}}\nprocess: edge\n"
    one, other = (
        load(tmp_path, f"{text}ws_port: {port}\n{ONE_HOST}").settings.logouts_file
        for port in (8001, 8002)
    )
    assert (one, other) == tuple(tmp_path / f"state.json.{n}.logouts" for n in (8001, 8002))


def test_no_path_is_named_by_settings_without_any() -> None:
    host = {"name": "a", "host": "h", "username": "u", "secret": "s"}
    assert named_paths(Settings.model_validate({"web_root": "/srv", "amihosts": [host]})) == []


@pytest.mark.parametrize(
    ("more", "place"),
    [
        ("plugin_dirs: .\n", "plugin_dirs[0]"),
        ("plugins:\n- journal:\n    folder: .\n", "plugins[0].journal.folder"),
        ("plugins:\n- journal:\n    folder: ../link\n", "plugins[0].journal.folder"),
    ],
)
def test_the_folder_of_the_clients_cannot_be_another_too(
    tmp_path: Path, more: str, place: str
) -> None:
    folder = tmp_path / "pages"
    folder.mkdir()
    (tmp_path / "link").symlink_to("pages")
    (problem,) = problems(folder, f"web_root: .\n{more}{ONE_HOST}")
    assert f": {place}: is also the folder of web_root, so nothing in it would be served" in problem


def test_a_plugin_may_say_in_a_text_where_the_clients_are(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(PLUGIN)
    (tmp_path / "pages").mkdir()
    text = f"web_root: pages\nplugins:\n- ./mine.py: {{text: {tmp_path}/pages}}\n{ONE_HOST}"
    assert load(tmp_path, text).warnings == []
