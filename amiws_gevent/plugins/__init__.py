"""Plugins: what their authors import, and what the program does with them.

What authors import is named here; the guide is docs/plugins.md.

    api.py         the types that hooks get, and those of settings
    kit.py         tools for plugins: back-off, log lines that are limited, an outbox, TLS
    hookspecs.py   the hooks
    hookcheck.py   functions against the specifications
    loading.py     finding and importing a plugin's code
    entry.py       one plugin with its validated settings
    manager.py     the running plugins, one method for each hook
    change.py      from the running plugins to those of new settings
    chain.py       messages through filters and transforms
    logqueue.py    the queue and greenlet of one plugin's log hooks
    spent.py       what a call has computed and waited
    guard.py       faults and overruns: counted, named, told once a minute
"""

from amiws_gevent.ami import ClientAction, Kind, Message

from .api import (
    AnyPath,
    ClientInfo,
    Delay,
    Headers,
    PluginContext,
    PluginSettings,
    RequestInfo,
    Seconds,
    ServerInfo,
    SettingError,
    Size,
    shown,
)

__all__ = [
    "AnyPath",
    "ClientAction",
    "ClientInfo",
    "Delay",
    "Headers",
    "Kind",
    "Message",
    "PluginContext",
    "PluginSettings",
    "RequestInfo",
    "Seconds",
    "ServerInfo",
    "SettingError",
    "Size",
    "shown",
]
