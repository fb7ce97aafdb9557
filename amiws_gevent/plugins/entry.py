"""One plugin of the configuration: its code, and its settings as the plugin's model has them."""

from __future__ import annotations

from dataclasses import dataclass, field

from pydantic import BaseModel

from amiws_gevent.plugins.loading import PluginCode


@dataclass(frozen=True)
class PluginEntry:
    """One plugin, imported, with validated settings.

    Equal if a reload would run the same code with the same settings; ``given`` is
    what the file has of them, as one text, since their order may matter.
    """

    code: PluginCode
    given: str = field(repr=False)
    settings: BaseModel = field(compare=False)
    required: bool
    hook_timeout: float
