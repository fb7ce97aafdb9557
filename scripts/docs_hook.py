"""A hook of mkdocs: what the pages of docs/ link to outside docs/ becomes part of the site.

README.md is its first page. Pages (``CONTRIBUTING.md``) and files (``etc/amiws.yaml``) keep their
path from the top of the repository; those of docs/ have theirs from docs/. So the links that work
in the repository are written anew for the site, and nothing else is.
"""

from __future__ import annotations

import logging
import posixpath
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
DOCS = "docs/"
FIRST = "README.md"
LISTING = "/index.md"  # of a folder, which the site makes
WORKER = "scripts/iframe-worker.js"

LOG = logging.getLogger("mkdocs.hooks.docs")  # a warning fails the build

# What a browser loads by itself, from another host.
_FOREIGN = re.compile(
    r'<(?:script|link|img|iframe)\b[^>]*\b(?:src|href)="?((?:https?:)?//[^"\s>]+)'
)
_MARKER = re.compile(r"(?:- |\d+\. )")

# Code, which has no links, or a link: what stands between its brackets.
_CODE_OR_LINK = re.compile(r"^```.*?^ *```$|`[^`\n]*`(?!\])|(?<=\]\()([^)\s]+)(?=\))", re.M | re.S)


def rewritten(text: str, change: Callable[[str], str]) -> str:
    """The Markdown text with each link replaced by what ``change`` makes of it."""
    return _CODE_OR_LINK.sub(lambda found: change(found[1]) if found[1] else found[0], text)


def indented(text: str) -> str:
    """The Markdown text with what belongs to an item of a list as Python's Markdown wants it.

    By four spaces, where code hosts take the width of the item's marker; and with an empty line
    before the item that follows several paragraphs.
    """
    lines: list[str] = []
    more, in_code, long_item = "", False, False
    for line in text.splitlines():
        marker = _MARKER.match(line)
        if line.startswith("```"):
            in_code = not in_code
        elif marker and not in_code:
            lines += [""] if long_item and lines[-1] else []
            more, long_item = " " * (4 - len(marker[0])), False
        elif line.startswith("  ") and not in_code:
            long_item = long_item or not lines[-1]
            line = more + line
        elif line:
            long_item = False
        lines.append(line)
    return "\n".join(lines) + "\n"


def foreign(html: str) -> list[str]:
    """What a page loads from other hosts."""
    return _FOREIGN.findall(html)


def in_repository(uri: str) -> str:
    """The path from the top of the repository of a page of the site."""
    return DOCS + uri if (ROOT / DOCS / uri).is_file() else uri


def for_site(target: str, uri: str) -> str:
    """A link of the page ``uri`` as it is on the site; those to other hosts and anchors stay."""
    path, sign, anchor = target.partition("#")
    if not path or re.match(r"[a-z]+:", path):
        return target
    here = in_repository(uri)
    aim = posixpath.normpath(posixpath.join(posixpath.dirname(here), path)).removeprefix(DOCS)
    if aim != "." and (ROOT / aim).is_dir():
        aim += LISTING
    return posixpath.relpath(aim, posixpath.dirname(uri) or ".") + sign + anchor


def linked_files(uri: str) -> Iterator[str]:
    """What a page links to, as paths of the site; whether there is such a file is not looked at."""
    found: list[str] = []
    text = (ROOT / in_repository(uri)).read_text(encoding="utf-8")
    rewritten(text, lambda target: found.append(for_site(target, uri)) or target)
    for target in found:
        path = target.partition("#")[0]
        if path and ":" not in path:
            yield posixpath.normpath(posixpath.join(posixpath.dirname(uri), path))


def outside() -> list[str]:
    """All files outside docs/ that are reached from its pages and from README.md."""
    waiting = [FIRST, *(path.relative_to(ROOT / DOCS).as_posix() for path in _pages())]
    seen = set(waiting)
    while waiting:
        page = waiting.pop()
        if page.endswith(".md") and (ROOT / in_repository(page)).is_file():
            new = set(linked_files(page)) - seen
            seen |= new
            waiting += new
    for uri in [uri for uri in seen if uri.endswith(LISTING)]:
        folder = ROOT / uri.removesuffix(LISTING)
        seen |= {path.relative_to(ROOT).as_posix() for path in _in(folder)}
    return sorted(uri for uri in seen if in_repository(uri) == uri and _is_there(uri))


def _is_there(uri: str) -> bool:
    return uri.endswith(LISTING) or (ROOT / uri).is_file()


def listing(folder: Path) -> str:
    """A page that leads to each file of a folder."""
    lines = (f"- [{path.name}]({path.name})\n" for path in _in(folder))
    return f"# {folder.relative_to(ROOT).as_posix()}\n\n{''.join(lines)}"


def _in(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_file())


def _pages() -> list[Path]:
    return sorted((ROOT / DOCS).rglob("*.md"))


def on_files(files: Any, config: Any) -> Any:
    """Called by mkdocs when it has the files of docs/."""
    from mkdocs.structure.files import File  # tests of this module need no mkdocs

    files.append(File.generated(config, "assets/iframe-worker.js", abs_src_path=str(ROOT / WORKER)))
    for uri in outside():
        if uri.endswith(LISTING):
            page = listing(ROOT / uri.removesuffix(LISTING))
            files.append(File.generated(config, uri, content=page))
        else:
            files.append(File.generated(config, uri, abs_src_path=str(ROOT / uri)))
    return files


def on_config(config: Any) -> Any:
    """Called by mkdocs with its settings: anchors are made of headings as code hosts do."""
    from pymdownx.slugs import slugify

    config.mdx_configs["toc"]["slugify"] = slugify(case="lower")
    return config


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Called by mkdocs for the text of each page."""
    return indented(rewritten(markdown, lambda target: for_site(target, page.file.src_uri)))


def on_post_page(output: str, page: Any, **_: Any) -> str:
    """Called by mkdocs for the HTML of each page."""
    for address in foreign(output):
        LOG.warning("%s loads %s: have it in docs/", page.file.src_uri, address)
    return output
