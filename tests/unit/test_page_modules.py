"""The modules of the dashboard import one way: docs/architecture.md has the table of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
APP = ROOT / "web_root" / "app"
IMPORT = re.compile(r"""(?:\bfrom|\bimport\s*\(|^import)\s*"(\.[^"]+)\"""", re.MULTILINE)
STATIC = re.compile(r'''(?:\bfrom|^import)\s*"(\.[^"]+)"''', re.MULTILINE)
COMMENT = re.compile(r"/\*\*.*?\*/", re.DOTALL)


def ranks() -> dict[str, int]:
    """The row of each module or folder."""
    text = (ROOT / "docs" / "architecture.md").read_text()
    table = text.partition("| modules of `web_root/app/` |")[2].partition("\n\n")[0]
    cells = (line.split("|")[1] for line in table.splitlines()[2:])
    return {name: row for row, cell in enumerate(cells) for name in re.findall(r"`([\w/]+)`", cell)}


def imports() -> Iterator[tuple[str, str]]:
    """Pairs of files, as paths within the folder of the application."""
    for path in sorted(APP.rglob("*.js")):
        for target in IMPORT.findall(COMMENT.sub("", path.read_text())):
            found = (path.parent / target).resolve()
            assert found.is_file(), (path, target)
            if APP in found.parents:
                yield path.relative_to(APP).as_posix(), found.relative_to(APP).as_posix()


def place(name: str) -> str:
    """The name in the table: of the folder, or of the module."""
    folder, slash, _ = name.partition("/")
    return folder + slash if slash else name.removesuffix(".js")


def test_modules_import_only_what_stands_above_them() -> None:
    rank = ranks()
    found = list(imports())
    assert len(found) > 100
    folders = {place(path.relative_to(APP).as_posix()) for path in APP.rglob("*.js")}
    assert folders == rank.keys()
    # `main` stands beside `app`, and begins the page with it.
    wrong = [
        (one, other)
        for one, other in found
        if place(one) != place(other)
        and rank[place(one)] <= rank[place(other)]
        and (one, other) != ("main.js", "app.js")
    ]
    assert wrong == []


def test_no_module_imports_itself_by_a_circle() -> None:
    graph: dict[str, set[str]] = {}
    for one, other in imports():
        graph.setdefault(one, set()).add(other)
    done: set[str] = set()

    def visit(name: str, way: tuple[str, ...]) -> None:
        assert name not in way, (*way, name)
        if name not in done:
            for target in graph.get(name, ()):
                visit(target, (*way, name))
            done.add(name)

    for name in list(graph):
        visit(name, ())


def static(path: Path, found: set[Path]) -> set[Path]:
    """A module and all that it imports in its first lines, of our own."""
    if path not in found:
        found.add(path)
        for target in STATIC.findall(COMMENT.sub("", path.read_text())):
            if (module := (path.parent / target).resolve()).is_relative_to(APP):
                static(module, found)
    return found


def test_the_page_asks_at_once_for_all_modules_of_the_first_calls() -> None:
    """Else the browser finds them one after the other."""
    page = APP.parent / "index.html"
    preloaded = re.findall(r'<link rel="modulepreload" href="([^"]+)">', page.read_text())
    assert len(preloaded) == len(set(preloaded))
    ours = {path for name in preloaded if (path := APP.parent / name).is_relative_to(APP)}
    first = static(APP / "calls/view.js", static(APP / "main.js", set()))
    assert ours == first - {APP / "main.js"}
    assert {"lib/amiws.js", "vendor/ui.js"} <= set(preloaded)
