"""The whole program in the test's own process, its files, and what its plugins have noted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gevent
import pytest

from amiws_gevent.config import LoadResult, load_settings
from amiws_gevent.server import Server
from tests.support import plugins as plugin_files
from tests.support.greenlets import until
from tests.support.patience import WAIT

# Writes down what happens, in a list that the test has put into builtins.
NOTING = """
from amiws_gevent.plugins.api import PluginSettings

class Settings(PluginSettings):
    tag: str = "-"
    fails: bool = False

class Plugin:
    ended = False

    def amiws_settings(self):
        return Settings

    def amiws_startup(self, context):
        self.tag = context.settings.tag
        HAPPENED.append(f"{self.tag} starts")
        if context.settings.fails:
            raise OSError("no")

    def amiws_shutdown(self):
        self.ended = True
        HAPPENED.append(f"{self.tag} ends")

    def amiws_filter_message(self, message):
        if self.ended:
            HAPPENED.append("asked after its end")
        return False if message.name == "Drop" else None

    def amiws_log_message(self, message):
        if message.name:
            HAPPENED.append(message.name)

    def amiws_server_changed(self, server, state, reason):
        HAPPENED.append((server.name, state))
"""


class Whole:
    """A server in this process, its files, and what its plugins have noted."""

    def __init__(self, folder: Path, happened: list[Any]) -> None:
        self.folder = folder
        self.happened = happened
        self.file = folder / "amiws.yaml"
        self.server: Server | None = None
        self._running: gevent.Greenlet[..., int] | None = None

    def plugin(self, source: str = NOTING, name: str = "mine.py") -> None:
        plugin_files.write(self.folder, source, name)

    def configure(self, plugins: str = "", hosts: str = "", more: str = "") -> None:
        hosts = hosts or host(1, "absent")
        # it would ask the scripted servers
        live = "" if "live_state:" in more else "live_state: no\n"
        listed = f"plugins:\n{plugins}" if plugins else ""
        self.file.write_text(
            f"ws_host: 127.0.0.1\nws_port: 0\n{more}\n{listed}\namihosts:\n{hosts}{live}"
        )
        self.file.chmod(0o600)

    def load(self) -> LoadResult:
        return load_settings(self.file, base=self.folder)

    def start(self) -> Server:
        self.server = Server(self.load().settings, load=self.load)
        self.server.start()
        self._running = gevent.spawn(self.server.run)
        gevent.sleep(0)
        return self.server

    def reload(self) -> None:
        """SIGHUP, and wait until it is done."""
        server = self.server
        assert server is not None
        before = server._reload._greenlet
        server.request_reload()
        until(lambda: server._reload._greenlet is not before)
        assert server._reload._greenlet is not None
        server._reload._greenlet.join(WAIT)

    def stop(self) -> int | None:
        """SIGTERM; the exit status."""
        if self.server is None or self._running is None:
            return None
        self.server.request_stop()
        running, self._running = self._running, None
        return running.get(timeout=WAIT)


def host(port: int, name: str = "pbx", more: str = "") -> str:
    account = "username: amiws, secret: s3cret"
    return f"- {{name: {name}, host: 127.0.0.1, port: {port}, {account}{more}}}\n"


@contextmanager
def housed(folder: Path) -> Iterator[Whole]:
    """A program with nothing in it yet; stopped at the end."""
    happened: list[Any] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("builtins.HAPPENED", happened, raising=False)
        made = Whole(folder, happened)
        yield made
        made.stop()
