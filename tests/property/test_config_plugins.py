"""Whatever stands under ``plugins:`` is taken or refused in words, never more."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from amiws_gevent.config import ConfigError, load_settings
from tests.support.config import ONE_HOST
from tests.support.plugins import write

PLUGIN = """
from amiws_gevent.plugins.api import PluginSettings

class Settings(PluginSettings):
    numbers: list[int] = []
    names: dict[str, str | list[str]] = {}

def amiws_settings():
    return Settings

def amiws_reload():
    pass
"""

NAMES = ["./mine.py", "mine", "numbers", "names", "required", "hook_timeout", "<<"]
WORDS = st.sampled_from([*NAMES, "5", "yes", "", "${X}"])
SCALARS = WORDS | st.none() | st.booleans() | st.integers() | st.text(max_size=5)
TREES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=12,
)
ENTRIES = st.lists(TREES | st.fixed_dictionaries({"./mine.py": TREES}), max_size=3)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    write(folder, PLUGIN)
    return folder


@given(plugins=ENTRIES | TREES)
def test_taken_or_refused(folder: Path, plugins: object) -> None:
    file = folder / "amiws.yaml"
    file.write_text(yaml.safe_dump({"plugins": plugins}, allow_unicode=True) + ONE_HOST)
    refused: ConfigError | None = None
    try:
        taken = load_settings(file, environ={}, base=folder).settings.plugins
    except ConfigError as error:
        refused = error
    if refused is None:
        assert isinstance(plugins, list) or not plugins
        assert all(entry.code.name == "./mine.py" for entry in taken)
    else:
        assert refused.problems
        assert all(problem.line for problem in refused.problems)
        assert len(str(refused).splitlines()) == len(refused.problems)
