"""A configuration that is given to another process."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from amiws_gevent.config import ConfigError, Source

TEXT = "ws_port: 8001\namihosts: [{name: a, host: h, username: u, secret: s3cret}]\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "amiws.yaml"
    made.write_text(TEXT)
    return made


def test_what_was_read_is_what_is_given(file: Path) -> None:
    source = Source(str(file), str(file.parent), replaced={"log_level": 7})
    first = source.load()
    assert (first.settings.ws_port, first.settings.log_level, first.text) == (8001, 7, TEXT)
    given = source.with_text(first.text).replacing(ws_port=8002)
    file.write_text("no: {")
    other = Source(**json.loads(json.dumps(given.as_data()))).load()
    assert other.settings == first.settings.model_copy(update={"ws_port": 8002})
    with pytest.raises(ConfigError):
        source.load()


def test_without_a_file() -> None:
    host = {"name": "a", "host": "h", "username": "u", "secret": "s"}
    result = Source(replaced={"amihosts": [host]}).load()
    assert [each.name for each in result.settings.amihosts] == ["a"]


def test_no_secret_is_shown(file: Path) -> None:
    source = Source(str(file))
    result = source.load()
    assert "s3cret" not in repr([result, source.with_text(result.text)])
