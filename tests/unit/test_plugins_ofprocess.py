"""Which plugins a collector or an edge has."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from amiws_gevent.plugins import hookspecs
from amiws_gevent.plugins.ofprocess import OF_CLIENTS, OF_SERVERS, entries_of

OF_ALL = {"amiws_settings", "amiws_startup", "amiws_shutdown", "amiws_reload"}


def entry(*hooks: str) -> Any:
    return SimpleNamespace(code=SimpleNamespace(hooks=dict.fromkeys(hooks)))


@pytest.mark.parametrize(
    ("hooks", "processes"),
    [
        (["amiws_log_message"], ["collector"]),
        (["amiws_transform_message", "amiws_startup"], ["collector"]),
        (["amiws_authorize_client"], ["edge"]),
        (["amiws_blueprints", "amiws_state_changed"], ["collector", "edge"]),
        (["amiws_startup"], ["collector"]),
    ],
)
def test_it_runs_where_its_hooks_are_called(hooks: list[str], processes: list[str]) -> None:
    one = entry(*hooks)
    assert [each for each in ("collector", "edge") if entries_of([one], each)] == processes
    assert entries_of([one], "both") == [one]


def test_each_hook_is_of_servers_or_of_clients() -> None:
    hooks = {name for name in vars(hookspecs) if name.startswith("amiws_")}
    assert hooks - OF_ALL == OF_CLIENTS | OF_SERVERS
    assert not OF_CLIENTS & OF_SERVERS
