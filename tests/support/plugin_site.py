"""The real program with a folder of plugins, and what clients get from it."""

from __future__ import annotations

import subprocess
import textwrap
from pathlib import Path
from typing import Any

from tests.support.ami_server import AmiServer
from tests.support.forkserver import run_program
from tests.support.program import Program, ami_host, configuration
from tests.support.ws_client import Client

QUIET = """
# Drops what a wallboard does not show.
NOISE = {"VarSet", "RTCPSent"}


def amiws_filter_message(message, server):
    if message.name in NOISE:
        return False
    return None
"""

# Puts a line into the file NOTES of the plugin's folder.
NOTE = """
from pathlib import Path

def note(*what):
    with (Path(__file__).parent / "NOTES").open("a") as file:
        file.write(" ".join(map(str, what)) + "\\n")
"""


class Site:
    """A folder with plugins and a configuration of one scripted server."""

    def __init__(self, folder: Path, ami: AmiServer) -> None:
        self.folder = folder
        self.ami = ami
        self.plugins = folder / "plugins"
        self.plugins.mkdir()

    def plugin(self, name: str, source: str) -> Path:
        """Drop a plugin into the folder; what is in NOTE is there."""
        path = self.plugins / f"{name}.py"
        path.write_text(textwrap.dedent(source).lstrip("\n"))
        return path

    def configuration(self, plugins: str, more: str = "") -> str:
        """``plugins`` are lines of YAML, one for each; or names with spaces between them."""
        if not plugins.lstrip().startswith("-"):
            plugins = "".join(f"- {name}\n" for name in plugins.split())
        head = f"plugin_dirs: {self.plugins}\nplugins:\n{plugins}{more}"
        return configuration(ami_host(self.ami.port), more=head)

    def program(self, plugins: str, more: str = "", *words: str, **options: Any) -> Program:
        return Program(self.folder, self.configuration(plugins, more), *words, **options)

    def run(self, plugins: str, *words: str) -> subprocess.CompletedProcess[str]:
        """The program that does not start, or only checks."""
        file = self.folder / "amiws.yaml"
        file.write_text(self.configuration(plugins))
        return run_program("-f", file, *words)

    @property
    def notes(self) -> list[str]:
        path = self.plugins / "NOTES"
        return path.read_text().splitlines() if path.exists() else []

    def send(self, *names: str) -> None:
        """Events of these names, in one go."""
        self.ami.send(b"".join(f"Event: {name}\r\n\r\n".encode() for name in names))


def events(client: Client) -> list[str]:
    return [message["data"]["Event"] for message in client.messages if message["type"] == 3]


def with_notes(source: str) -> str:
    return NOTE + textwrap.dedent(source)
