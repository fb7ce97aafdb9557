"""The program with a live state that waits for the answer to a list for few seconds."""

from __future__ import annotations

from amiws_gevent.__main__ import main as program
from amiws_gevent.live.state import LiveState
from amiws_gevent.live.synchroniser import Pace

ANSWER_TIME = 2.0  # seconds


def main() -> int:
    """Be that program; its exit status."""
    defaults = LiveState.__init__.__kwdefaults__
    assert defaults is not None
    assert "pace" in defaults
    defaults["pace"] = Pace(answer=ANSWER_TIME)
    return program()
