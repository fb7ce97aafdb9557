"""The pages for authors of plugins, and the boxes of these and other pages, which tests run."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from tests.support.program import ROOT

DOCS = ROOT / "docs"
GUIDE = DOCS / "plugins.md"
HOOKS = DOCS / "hooks.md"
REPLAY = DOCS / "replay.md"
SHIPPED = {page.stem: page for page in sorted((DOCS / "plugins").glob("*.md"))}
PAGES = (GUIDE, HOOKS, REPLAY, *SHIPPED.values())

_BOX = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_NAME = re.compile(r"# ([\w./-]+)\n")

ONE_HOST = "amihosts:\n- name: pbx1\n  host: 127.0.0.1\n  username: amiws\n  secret: s3cret\n"


class Box(NamedTuple):
    """A fenced block: its page, what it is in, its text, the heading above it.

    ``name`` is the file that its first line names; empty for what is shown only.
    """

    page: Path
    language: str
    name: str
    text: str
    heading: str
    line: int


def boxes(*pages: Path) -> list[Box]:
    """All of the pages, in order; without any named, of those for authors of plugins."""
    return [box for page in pages or PAGES for box in _boxes(page)]


def _boxes(file: Path) -> list[Box]:
    page = file.read_text(encoding="utf-8")
    found = []
    for box in _BOX.finditer(page):
        language, text = box.groups()
        name = _NAME.match(text)
        # A comment in a box looks like a heading, and is one in no box before this.
        above = _BOX.sub("", page[: box.start()])
        heading = re.findall(r"^#+ (.+)$", above, re.MULTILINE)[-1]
        line = page.count("\n", 0, box.start()) + 1
        found.append(Box(file, language, name[1] if name else "", text, heading, line))
    return found


def write_plugins(folder: Path) -> None:
    """Put all Python files of the pages into ``folder``."""
    for box in boxes():
        if box.language == "python":
            (folder / box.name).write_text(box.text, encoding="utf-8")


def with_host(configuration: str) -> str:
    """A box of YAML as a whole configuration."""
    return configuration if "amihosts:" in configuration else configuration + ONE_HOST
