"""Messages of feeds as WebSocket text frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from amiws_gevent.views import Encoding
from amiws_gevent.web.frames import text_frames


@dataclass(frozen=True)
class TextFrames:
    """Of `feeds`' formats the one for ``amiws.v2``; a value, so clients with it share the bytes."""

    frames: Encoding = text_frames

    def encode(self, texts: Sequence[bytes], position: str | None, /) -> bytes:
        """A frame for each of ``texts``; the last of them has ``position`` as a member already."""
        return self.frames(texts)
