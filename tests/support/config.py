"""Configuration files for tests, written and loaded in one go."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from amiws_gevent.config import ConfigError, LoadResult, load_settings

ONE_HOST = """\
amihosts:
  - name: pbx1
    host: 10.0.0.1
    username: amiws
    secret: s3cr3t
"""


def write(folder: Path, text: str | bytes, name: str = "amiws.yaml") -> Path:
    """A file that nobody else may read, so that no warning speaks of that."""
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    path.chmod(0o600)
    return path


def load(folder: Path, text: str | bytes, environ: Mapping[str, str] | None = None) -> LoadResult:
    """The result of a file with this text in ``folder``, which relative paths count from."""
    return load_settings(write(folder, text), environ=environ or {}, base=folder)


def problems(
    folder: Path, text: str | bytes, environ: Mapping[str, str] | None = None
) -> list[str]:
    """What is wrong with such a file, a ``LINE: KEY: message`` each."""
    with pytest.raises(ConfigError) as caught:
        load(folder, text, environ)
    prefix = str(folder / "amiws.yaml")
    lines = str(caught.value).splitlines()
    assert all(line.startswith(prefix) for line in lines)
    return [line.removeprefix(prefix).lstrip(":").strip() for line in lines]


def warnings(folder: Path, text: str, environ: Mapping[str, str] | None = None) -> list[str]:
    """What a sound file is warned of, a ``LINE: KEY: message`` each."""
    prefix = f"{folder / 'amiws.yaml'}:"
    return [warning.removeprefix(prefix) for warning in load(folder, text, environ).warnings]
