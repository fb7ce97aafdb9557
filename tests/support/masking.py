"""The plugin that masks, made from settings as YAML, and what it makes of a message."""

from __future__ import annotations

import logging
import textwrap
from typing import Any

import yaml
from amiws_plugins.mask import Plugin

from amiws_gevent.ami import Message
from amiws_gevent.plugins import PluginContext, ServerInfo
from amiws_gevent.testing import event

PBX1 = ServerInfo(1, "pbx1", False)
KEY = "key: 0123456789abcdef"


def plugin(settings: str) -> Plugin:
    """The plugin with settings as YAML, whose scalars are text as in the program."""
    made = Plugin()
    given = yaml.load(textwrap.dedent(settings), yaml.BaseLoader)
    model = made.amiws_settings().model_validate(given)
    made.amiws_startup(PluginContext("mask", model, logging.getLogger("test"), spawn))
    return made


def spawn(*_arguments: object) -> Any:
    raise AssertionError("nothing to spawn")


def masked(made: Plugin, message: Message, server: ServerInfo = PBX1) -> Message:
    """What clients get."""
    before = message.headers
    result = made.amiws_transform_message(message, server)
    assert message.headers == before, "messages are shared"
    if result is None:
        return message
    assert result != message, "None is for what stays"
    assert result.kind is message.kind
    return result


def one(made: Plugin | str, name: str, value: str, event_name: str = "X") -> str | None:
    """One header of an event, as the plugin leaves it."""
    made = plugin(made) if isinstance(made, str) else made
    result = masked(made, event(event_name, (name, value)))
    assert len(result.headers) <= 2
    return result.get(name)


BOTH = plugin("{callers: last4, dialled: last4}")
REDACTED = plugin("{callers: redact, dialled: redact}")
