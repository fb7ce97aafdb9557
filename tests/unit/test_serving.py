"""How a server is run; tests/unit/test_cli.py has the rest, by the command line."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from amiws_gevent import serving
from amiws_gevent.plugins.roster import Roster
from amiws_gevent.runtime.watchdog import Place


def test_who_keeps_the_program_from_its_end_is_told_and_the_pid_file_goes(tmp_path: Path) -> None:
    said = []

    class Control:
        def tell_now(self, logger: logging.Logger, level: int, text: str) -> None:
            said.append((level, text))

    pid_file = tmp_path / "amiws.pid"
    pid_file.write_text(f"{os.getpid()}\n")
    serving._tell_stall(Roster(), Control(), pid_file, [Place("/a.py", 3, "f")])  # type: ignore[arg-type]
    assert said == [(logging.CRITICAL, "does not stop, still in /a.py:3; ended by force")]
    assert not pid_file.exists()
