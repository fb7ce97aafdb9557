"""When a reload takes a plugin of new settings for the one that runs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from amiws_gevent.plugins.entry import PluginEntry
from tests.support import plugins


@pytest.fixture
def entry(tmp_path: Path) -> PluginEntry:
    return plugins.entry(
        tmp_path,
        """
        def amiws_filter_message(message):
            return True
        """,
    )


@pytest.mark.parametrize(
    "change", [{"given": "[1]"}, {"required": True}, {"hook_timeout": 0.01}], ids=str
)
def test_other_code_or_settings_are_another_plugin(
    entry: PluginEntry, change: dict[str, object]
) -> None:
    assert replace(entry, **change) != entry  # type: ignore[arg-type]


def test_the_same_text_is_the_same_plugin_whatever_its_model_made_of_it(entry: PluginEntry) -> None:
    assert replace(entry, settings=object()) == entry  # type: ignore[arg-type]


def test_what_the_file_gives_is_not_shown(entry: PluginEntry) -> None:
    """It may hold a secret."""
    assert "given" not in repr(entry)
