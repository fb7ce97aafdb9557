"""Which plugins a collector or an edge has: those with a hook that it calls.

A collector has what servers say, an edge has clients. A plugin with hooks of both runs in both,
each calling its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from amiws_gevent.plugins.entry import PluginEntry

OF_CLIENTS = frozenset(
    {
        "amiws_authorize_action",
        "amiws_authorize_client",
        "amiws_blueprints",
        "amiws_client_connected",
        "amiws_client_disconnected",
    }
)
OF_SERVERS = frozenset(
    {
        "amiws_filter_message",
        "amiws_log_message",
        "amiws_server_changed",
        "amiws_state_changed",
        "amiws_transform_entity",
        "amiws_transform_message",
    }
)

_HOOKS: Mapping[str, frozenset[str]] = {"collector": OF_SERVERS, "edge": OF_CLIENTS}


def entries_of(entries: Sequence[PluginEntry], process: str) -> Sequence[PluginEntry]:
    """Those that run in a process of that kind.

    One with neither hooks of servers nor of clients works by itself, beside the servers.
    """
    own = _HOOKS.get(process)
    if own is None:
        return entries
    return [entry for entry in entries if _runs(frozenset(entry.code.hooks), own, process)]


def _runs(hooks: frozenset[str], own: frozenset[str], process: str) -> bool:
    if hooks & own:
        return True
    return process == "collector" and not hooks & OF_CLIENTS
