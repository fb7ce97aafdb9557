"""Plugins: the types that their authors import, and the program's side of them.

Authors import from here; their guide is docs/plugins.md.

    api.py         the types that hooks get, and those of settings
    context.py     what a plugin gets at its start-up, and the bounds of all that it may do with it
    facilities.py  what the program gives for that
    kit.py         tools for plugins: back-off, log lines that are limited, an outbox, TLS
    hookspecs.py   the hooks
    hookcheck.py   functions against the specifications
    loading.py     finding and importing a plugin's code
    entry.py       one plugin with its validated settings
    manager.py     the running plugins, one method for each hook
    change.py      exchanges the running plugins for those of new settings
    chain.py       messages and entities through filters and transforms
    entities.py    entities of the live state, as hooks get and change them
    statenews.py   what one plugin is told of changes of the state
    logqueue.py    the queue and greenlet of one plugin's log hooks
    spent.py       how much of its time limit a call has used
    guard.py       faults and overruns: counted, and logged once a minute
"""

from amiws_gevent.ami import ClientAction, Kind, Message

from .api import (
    AnyPath,
    ClientInfo,
    Delay,
    Entity,
    Headers,
    PluginSettings,
    RequestInfo,
    Seconds,
    ServerInfo,
    SettingError,
    Size,
    StateChanges,
    shown,
)
from .context import Counter, PluginContext
from .facilities import Answer, AskError, State

__all__ = [
    "Answer",
    "AnyPath",
    "AskError",
    "ClientAction",
    "ClientInfo",
    "Counter",
    "Delay",
    "Entity",
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
    "State",
    "StateChanges",
    "shown",
]
