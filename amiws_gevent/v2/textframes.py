"""Messages of feeds as WebSocket text frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from amiws_gevent.feeds.encoding import with_position
from amiws_gevent.web.frames import text_frames


@dataclass(frozen=True)
class TextFrames:
    """Of `feeds`' formats the one for ``amiws.v2``; the position is a member of the last message.

    A value: clients with it share the bytes.
    """

    def encode(self, texts: Sequence[bytes], position: str | None) -> bytes:
        """One frame for each of ``texts``, which are JSON objects that are not empty.

        ``position`` is of the last text, and needs no escapes in JSON.
        """
        *others, last = texts
        return text_frames([*others, with_position(last, position)])


TEXT_FRAMES = TextFrames()
