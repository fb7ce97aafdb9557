"""What pages that were made for amiws do otherwise here, for ``--check``: by file and line.

Scripts are looked at as text, without their comments. A line is told only where what it says leads
to something else than with amiws, or to nothing at all; what cannot be known from the text (the
address of a variable, say) is not told. The work is bounded, however large web_root is.
"""

from __future__ import annotations

import os
import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from amiws_gevent.config import Settings
from amiws_gevent.web.dashboard import is_dashboard
from amiws_gevent.web.problem import MONITORING_PATHS, is_api

MOST_ENTRIES = 20_000
"""Files and folders of web_root that are seen."""

MOST_PAGES = 2_000
MOST_BYTES = 32 << 20
"""Files of these that are read, and what is read of them: less than a minute at the very most."""

LARGEST_PAGE = 1 << 20
"""Bytes; a larger one is no page that somebody has written."""

MOST_FINDINGS = 50
"""That are told."""

API = "/api/v1/"
"""Below it there are no files."""

PAGES = frozenset({".htm", ".html", ".shtml", ".xhtml"})
SCRIPTS = frozenset({".js", ".mjs"})
MINIFIED = ".min.js"
"""Libraries of others."""

NEAR = 300
"""Characters around an address in which wss: shows that it was thought of."""

_SCRIPT = re.compile(r"<script\b[^<>]*>(.*?)(?:</script|\Z)", re.IGNORECASE | re.DOTALL)
_HTML_COMMENT = re.compile(r"<!--(?:.*?-->|.*\Z)", re.DOTALL)
# Strings are passed over, so that // in them begins no comment. What does not end goes to the end.
_TOKEN = re.compile(
    r""" "(?:\\.|[^"\\\n])*" | '(?:\\.|[^'\\\n])*' | `(?:\\.|[^`\\])*(?:`|\Z)
       | (?P<comment> //[^\n]* | /\*(?:.*?\*/|.*\Z) )""",
    re.DOTALL | re.VERBOSE,
)
_NO_LINE_END = re.compile(r"[^\n]")

_ADDRESS = re.compile(
    r"""["'`](?P<scheme>wss?)://
        (?:(?P<host>[A-Za-z0-9_.-]+|\[[0-9A-Fa-f:.]+\])(?::(?P<port>[0-9]{1,5}))?(?=[/?"'`])
           |(?=["'`]|\$\{))""",
    re.VERBOSE,
)
_HANDLER = re.compile(
    r"""(?:\bonmessage\s*+=|["']message["']\s*+,)\s*+(?:async\s*+)?(?:function\b\s*+\w*+\s*+)?
        \(?\s*+(\w++)\s*+(?:\)|=>)""",
    re.VERBOSE,
)
_SEARCH = re.compile(
    r"""\b(?P<name>\w++)\.data\.
        (?:indexOf|includes|match|search|startsWith|split|substring|substr|slice)\(
       |\.test\(\s*+(?P<tested>\w++)\.data\s*+\)""",
    re.VERBOSE,
)
_ACTION = re.compile(
    r"""\bAction["']?\s*:\s*["'](Login|Logoff|Challenge|Events|Filter|WaitEvent)["']""",
    re.IGNORECASE,
)
_REPEATED = re.compile(
    r"""(?:\.|\[["'])(ChanVariable|Variable)(?:["']\])?\."""
    r"""(?:indexOf|includes|match|search|startsWith|split|substring|substr|replace|trim)\("""
)
_DEFAULT_PORTS = {"ws": 80, "wss": 443}


class Finding(NamedTuple):
    """``line`` is 0 for the file as a whole."""

    path: Path
    line: int
    text: str

    def told(self) -> str:
        """As compilers write it."""
        return f"{self.path}:{self.line}: {self.text}" if self.line else f"{self.path}: {self.text}"


class _Found(NamedTuple):
    at: int
    text: str


def page_notes(settings: Settings) -> list[str]:
    """What is to be told of the pages of web_root; nothing of those that come with the program."""
    if is_dashboard(settings.web_root):
        return []
    looked = _Look(settings)
    told = [finding.told() for finding in islice(looked.findings(), MOST_FINDINGS + 1)]
    if len(told) > MOST_FINDINGS:
        told[MOST_FINDINGS:] = ["there is more like it in web_root; mend these first"]
    if looked.is_cut:
        told.append(
            f"{settings.web_root}: only its first {looked.entries} files and folders were looked at"
        )
    return told


class _Look:
    """One look at a web_root; ``is_cut``: it has more than was looked at."""

    def __init__(self, settings: Settings) -> None:
        self.entries = 0
        self.is_cut = False
        self._pages = 0
        self._bytes = 0
        self._settings = settings
        self._root = settings.web_root

    def findings(self) -> Iterator[Finding]:
        root = Path(os.path.realpath(self._root))
        for path in self._files(root):
            shown = self._root / path.relative_to(root)
            yield from self._of_path(path, root, shown)
            for line, text in self._of_text(path):
                yield Finding(shown, line, text)
            if self.is_cut:
                return

    def _files(self, root: Path) -> Iterator[Path]:
        """Those that are not hidden, and folders that are links, which are not followed."""
        for folder, folders, files in os.walk(root):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            links = [name for name in folders if Path(folder, name).is_symlink()]
            for name in sorted([*files, *links]):
                self.entries += 1
                if self.entries > MOST_ENTRIES:
                    self.is_cut = True
                    return
                if not name.startswith("."):
                    yield Path(folder, name)
            self.entries += len(folders)

    def _of_path(self, path: Path, root: Path, shown: Path) -> Iterator[Finding]:
        """What is not served at all."""
        url = f"/{path.relative_to(root).as_posix()}"
        if url.startswith(API):
            yield Finding(shown, 0, f"is not served: what begins with {API} is the program's own")
        elif is_api(url):
            yield Finding(
                shown, 0, "is refused to pages of other web sites, as all that begins with /api/"
            )
        elif url in MONITORING_PATHS and self._settings.metrics_listen is None:
            yield Finding(shown, 0, f"is not served: {url} is the program's own; rename it")
        if path.is_symlink() and not Path(os.path.realpath(path)).is_relative_to(root):
            yield Finding(
                shown, 0, "is not served: it is a link out of web_root; copy what it leads to"
            )

    def _of_text(self, path: Path) -> Iterator[tuple[int, str]]:
        kind = path.suffix.lower()
        if kind not in PAGES | SCRIPTS or path.name.lower().endswith(MINIFIED):
            return
        if self._pages >= MOST_PAGES or self._bytes > MOST_BYTES:
            self.is_cut = True
            return
        text = _read(path)
        if text is None:
            return
        self._pages += 1
        self._bytes += len(text)
        code = _code_of_page(text) if kind in PAGES else _without_comments(text)
        starts = [0, *(match.end() for match in re.finditer("\n", code))]
        found = [one for rule in _RULES for one in rule(code, self._settings)]
        for at, said in sorted(set(found)):
            yield bisect_right(starts, at), said


def _read(path: Path) -> str | None:
    """The text of a file; None if it is too large, or none that is served."""
    try:
        if not path.is_file() or path.stat().st_size > LARGEST_PAGE:
            return None
        with path.open("rb") as file:
            return file.read(LARGEST_PAGE).decode(errors="replace")
    except OSError:
        return None


def _code_of_page(text: str) -> str:
    """The scripts of an HTML page at their places, all else blank."""
    text = _HTML_COMMENT.sub(_blanks, text)
    pieces: list[str] = []
    end = 0
    for script in _SCRIPT.finditer(text):
        pieces += [_blank(text[end : script.start(1)]), _without_comments(script[1])]
        end = script.end(1)
    return "".join(pieces)


def _without_comments(code: str) -> str:
    return _TOKEN.sub(lambda token: _blanks(token) if token["comment"] else token[0], code)


def _blanks(match: re.Match[str]) -> str:
    return _blank(match[0])


def _blank(text: str) -> str:
    return _NO_LINE_END.sub(" ", text)


Rule = Callable[[str, Settings], Iterator[_Found]]
"""From the code of a file to what is found in it."""


def _addresses(code: str, settings: Settings) -> Iterator[_Found]:
    for found in _ADDRESS.finditer(code):
        scheme, host, at = found["scheme"], found["host"], found.start()
        if scheme == "ws" and settings.ssl_cert is not None:
            if not _thinks_of_tls(code[max(0, at - NEAR) : at + NEAR], settings):
                yield _Found(
                    at,
                    "opens ws:// from a page that comes by https (ssl_cert), which browsers "
                    "refuse; use wss://, or new WebSocket(location.origin.replace(/^http/, "
                    '"ws") + "/ws")',
                )
        elif host is not None and _is_ours(found, settings) and not settings.allowed_origins:
            page = f"{'https' if scheme == 'wss' else 'http'}://{host}:{settings.ws_port}"
            yield _Found(
                at,
                f"names the server: the WebSocket is refused if the page was opened by any other "
                f"name or address than {page}/; use location.host, or list the page's origin in "
                "allowed_origins",
            )


def _thinks_of_tls(near: str, settings: Settings) -> bool:
    """Whether there is a wss: around an address, but for that of another program's port."""

    def of_us(found: re.Match[str]) -> str:
        return "" if found["port"] and not _is_ours(found, settings) else found[0]

    return "wss:" in _ADDRESS.sub(of_us, near)


def _is_ours(found: re.Match[str], settings: Settings) -> bool:
    """Whether an address has the port of this program: others are other programs'."""
    port = int(found["port"]) if found["port"] else _DEFAULT_PORTS[found["scheme"]]
    return port == settings.ws_port


def _searches(code: str, settings: Settings) -> Iterator[_Found]:
    messages = {handler[1] for handler in _HANDLER.finditer(code)}
    for found in _SEARCH.finditer(code):
        if (found["name"] or found["tested"]) in messages:
            yield _Found(
                found.start(),
                "searches the text of a message, whose blanks and escapes are not those of amiws; "
                "use JSON.parse",
            )


def _rule(pattern: re.Pattern[str], text: str) -> Rule:
    """What a pattern finds; ``{}`` in the text stands for its first group."""

    def rule(code: str, settings: Settings) -> Iterator[_Found]:
        for found in pattern.finditer(code):
            yield _Found(found.start(), text.format(found[1]))

    return rule


_RULES: Iterable[Rule] = (
    _addresses,
    _searches,
    _rule(
        _ACTION,
        "sends the action {}, which is refused: it would end or change the session that all "
        "clients share",
    ),
    _rule(
        _REPEATED,
        "takes {} for a text: if the header comes more than once it is a list here, and the last "
        "one with amiws",
    ),
)
