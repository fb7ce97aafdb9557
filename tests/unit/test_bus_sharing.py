"""What users of what edges share need: no library, and no clock of their own."""

from __future__ import annotations

from pathlib import Path

from amiws_gevent.bus import sharing
from tests.unit.test_architecture import imports_of


def test_the_interface_needs_no_library() -> None:
    path = sharing.__file__
    assert path is not None
    found = {name.partition(".")[0] for name in imports_of(Path(path))}
    assert found == {"__future__", "collections", "typing", "amiws_gevent"}


def test_who_is_full_is_told() -> None:
    assert sharing.Full("user").whose == "user"
