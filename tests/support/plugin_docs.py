"""The boxes of docs/plugins.md and of other pages, which tests run."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from tests.support.program import ROOT

PAGE = ROOT / "docs" / "plugins.md"

_BOX = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_NAME = re.compile(r"# ([\w./-]+)\n")

ONE_HOST = "amihosts:\n- name: pbx1\n  host: 127.0.0.1\n  username: amiws\n  secret: s3cret\n"


class Box(NamedTuple):
    """A fenced block: what it is in, its text, the heading above it.

    ``name`` is the file that its first line names; empty for what is shown only.
    """

    language: str
    name: str
    text: str
    heading: str
    line: int


def boxes(file: Path = PAGE) -> list[Box]:
    """All of a page, in order."""
    page = file.read_text(encoding="utf-8")
    found = []
    for box in _BOX.finditer(page):
        language, text = box.groups()
        name = _NAME.match(text)
        # A comment in a box looks like a heading, and is one in no box before this.
        above = _BOX.sub("", page[: box.start()])
        heading = re.findall(r"^#+ (.+)$", above, re.MULTILINE)[-1]
        line = page.count("\n", 0, box.start()) + 1
        found.append(Box(language, name[1] if name else "", text, heading, line))
    return found


def write_plugins(folder: Path) -> None:
    """Put all Python files of the page into ``folder``."""
    for box in boxes():
        if box.language == "python":
            (folder / box.name).write_text(box.text, encoding="utf-8")


def with_host(configuration: str) -> str:
    """A box of YAML as a whole configuration."""
    return configuration if "amihosts:" in configuration else configuration + ONE_HOST
