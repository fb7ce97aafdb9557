"""The command line in this process, with the server behind it replaced."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from amiws_gevent.config import LoadResult, Settings
from amiws_gevent.plugins.roster import Roster
from amiws_gevent.runtime.log import LogControl

CONFIGURATION = """\
ws_host: 127.0.0.1
amihosts:
  - name: pbx
    host: 127.0.0.1
    username: admin
    secret: ${AMI_SECRET}
"""


HOST = {"name": "pbx", "host": "127.0.0.1", "username": "u", "secret": "s"}


class Server:
    """Takes what the real one takes, and does what a test tells it to."""

    made: list[Server]
    opening: Callable[[Server], None]
    deed: Callable[[Server], int]

    def __init__(
        self,
        settings: Settings,
        *,
        load: Callable[[], LoadResult] | None = None,
        log: LogControl | None = None,
        private_files: Sequence[Path] = (),
    ) -> None:
        self.settings = settings
        self.load = load
        self.plugins = Roster()
        self.log = log
        self.private_files = private_files
        self.started = False
        has_pages = settings.process != "collector"
        self.url = f"http://{settings.ws_host}:{settings.ws_port}/" if has_pages else None
        self.told: list[str] = []
        self.made.append(self)

    def start(self) -> None:
        type(self).opening(self)
        self.started = True

    def run(self) -> int:
        assert self.started
        return type(self).deed(self)

    def stop(self) -> None:
        self.told.append("stop")

    def request_stop(self) -> None:
        self.told.append("end")

    def request_reload(self) -> None:
        self.told.append("reload")
