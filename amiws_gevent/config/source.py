"""Where a configuration comes from: a file and what goes before it, or what was said alone.

A source can be given to another process. The configuration goes there as text, since plugins and
checked secrets are objects of a process. So all read the same text, whatever the file has
meanwhile; the files that it names are read by each.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from amiws_gevent.config.load import LoadResult, load_settings
from amiws_gevent.config.model import Settings


@dataclass(frozen=True, repr=False)
class Source:
    """Where a configuration comes from. ``replaced`` goes before the text; see `load_settings`."""

    path: str = ""
    """Empty: there is no file, and ``replaced`` is all."""
    base: str = "/"
    text: str | None = None
    """What the file has; None: it is read."""
    replaced: Mapping[str, Any] = field(default_factory=dict)

    def load(self) -> LoadResult:
        """The settings. Raises ConfigError."""
        if not self.path:
            return LoadResult(Settings.model_validate(self.replaced), [], [])
        return load_settings(
            Path(self.path), base=Path(self.base), replaced=self.replaced, text=self.text
        )

    def with_text(self, text: str) -> Source:
        """The same, with what the file had when it was read."""
        return replace(self, text=text)

    def replacing(self, **values: Any) -> Source:
        """The same with further keys replaced."""
        return replace(self, replaced={**self.replaced, **values})

    def as_data(self) -> dict[str, Any]:
        """Plain data, for the channel."""
        return asdict(self)
