"""The house keeps its shape: the rules of docs/architecture.md, checked in the source.

Imports are read, not run, so that one inside a function counts as well.
"""

from __future__ import annotations

import ast
import importlib.util
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
PACKAGE = ROOT / "amiws_gevent"
UNIT_TESTS = ROOT / "tests" / "unit"

# What the protocol must not know (sans I/O): the world, and when it is.
IMPURE = {
    "asyncio",
    "datetime",
    "io",
    "logging",
    "os",
    "pathlib",
    "random",
    "select",
    "selectors",
    "signal",
    "socket",
    "ssl",
    "subprocess",
    "threading",
    "time",
}

# What would stop all greenlets, or needs the monkey-patch in order not to.
BLOCKING = {"asyncio", "multiprocessing", "queue", "requests", "subprocess", "threading"}
GREENLET_ROOMS = ("pipeline", "hub", "link", "dispatch", "web", "server")

LOOK_UPS = ("logging.getLogger", "get_original", "pluggy.HookspecMarker")

MAX_MODULE_LINES = 500
MAX_FUNCTION_LINES = 60  # a screen

MODULES = sorted(PACKAGE.rglob("*.py"))


def rooms() -> list[str]:
    """The rooms in the order of the architecture's table; each may import those before it."""
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    table = text.partition("\n| room |")[2].partition("\n\n")[0]
    names = [row.split("|")[1] for row in table.splitlines()[2:]]
    return [room for name in names for room in re.findall(r"`(\w+)/?`", name)]


ROOMS = rooms()


def name_of(path: Path) -> str:
    """The dotted name of a module of the package."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def room_of(module: str) -> str:
    """The room of a dotted name; empty for the package itself, which has the version."""
    return module.removeprefix("amiws_gevent").lstrip(".").partition(".")[0]


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), path)


def imports_of(path: Path) -> Iterator[str]:
    """The dotted names that a module imports; ``from a import b`` is ``a.b``."""
    package = name_of(path) if path.name == "__init__.py" else name_of(path).rpartition(".")[0]
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            source = "." * node.level + (node.module or "")
            source = importlib.util.resolve_name(source, package)
            yield from (f"{source}.{alias.name}" for alias in node.names)


def top_imports_of(path: Path) -> set[str]:
    """The first words of what a module imports."""
    return {name.partition(".")[0] for name in imports_of(path)}


def own_imports_of(path: Path) -> set[str]:
    """The modules of the package that a module imports."""
    names = {name_of(module) for module in MODULES}
    found = set()
    for imported in imports_of(path):
        while imported and imported not in names:
            imported = imported.rpartition(".")[0]
        if imported.startswith("amiws_gevent"):
            found.add(imported)
    return found


def in_rooms(*rooms: str) -> list[Path]:
    return [path for path in MODULES if room_of(name_of(path)) in rooms]


per_module = pytest.mark.parametrize("path", MODULES, ids=name_of)


def test_the_architecture_names_every_room_once() -> None:
    assert len(set(ROOMS)) == len(ROOMS)
    assert {room_of(name_of(path)) for path in MODULES} == {"", *ROOMS}


@per_module
def test_imports_point_down(path: Path) -> None:
    room = room_of(name_of(path))
    imported = {room_of(name) for name in own_imports_of(path)} - {"", room}
    if not room:
        assert imported == set(), "the package itself imports nothing"
    else:
        below = set(ROOMS[ROOMS.index(room) :])
        assert not imported & below, f"{room} imports what stands beside or below it"


def test_no_module_imports_itself_by_a_way_round() -> None:
    graph = {name_of(path): own_imports_of(path) for path in MODULES}
    # `from package import name` in the package's own modules names the package.
    edges = {
        name: {to for to in imported if not name.startswith(f"{to}.")}
        for name, imported in graph.items()
    }
    done: set[str] = set()

    def visit(name: str, way: tuple[str, ...]) -> None:
        assert name not in way, " → ".join((*way, name))
        if name not in done:
            for imported in edges[name] - {name}:
                visit(imported, (*way, name))
            done.add(name)

    for name in edges:
        visit(name, ())


@pytest.mark.parametrize("path", in_rooms("ami"), ids=name_of)
def test_the_protocol_knows_nothing_of_the_world(path: Path) -> None:
    tops = top_imports_of(path)
    allowed = sys.stdlib_module_names | {"amiws_gevent"}
    if path.name == "jsonform.py":
        allowed |= {"orjson"}
    assert not tops & IMPURE
    assert tops <= allowed


@pytest.mark.parametrize("path", in_rooms("hub", "pipeline"), ids=name_of)
def test_the_hub_knows_no_sockets(path: Path) -> None:
    tops = top_imports_of(path)
    assert not tops & {"socket", "ssl"}


@pytest.mark.parametrize("path", in_rooms(*GREENLET_ROOMS), ids=name_of)
def test_no_greenlet_waits_outside_of_gevent(path: Path) -> None:
    assert not top_imports_of(path) & BLOCKING
    assert "time.sleep" not in path.read_text(encoding="utf-8")


@per_module
def test_module_globals_are_constants(path: Path) -> None:
    """Upper-case names and types; beside them what another library keeps under a name."""
    constant = re.compile(r"_{0,2}[A-Z][A-Za-z0-9_]*|__[a-z_]+__")
    for statement in tree_of(path).body:
        if isinstance(statement, ast.Assign):
            targets: list[ast.expr] = statement.targets
        elif isinstance(statement, ast.AnnAssign | ast.AugAssign):
            targets = [statement.target]
        else:
            continue
        if isinstance(statement.value, ast.Call) and ast.unparse(statement.value.func) in LOOK_UPS:
            continue
        for target in targets:
            for name in ast.walk(target):
                if isinstance(name, ast.Name):
                    assert constant.fullmatch(name.id), f"{path.name}: {name.id} is no constant"


@per_module
def test_nothing_changes_a_module_global(path: Path) -> None:
    assert not any(isinstance(node, ast.Global) for node in ast.walk(tree_of(path)))


@per_module
def test_a_module_is_not_too_long(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MAX_MODULE_LINES


@per_module
def test_functions_fit_a_screen(path: Path) -> None:
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.FunctionDef):
            assert node.end_lineno is not None
            assert node.end_lineno - node.lineno < MAX_FUNCTION_LINES, node.name


@per_module
def test_a_module_says_what_it_is(path: Path) -> None:
    assert ast.get_docstring(tree_of(path))


@per_module
def test_nothing_is_left_for_later(path: Path) -> None:
    assert not re.search(r"\b(TODO|FIXME|XXX)\b", path.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    "path", [path for path in MODULES if path.name != "__init__.py"], ids=name_of
)
def test_each_module_has_its_test_file(path: Path) -> None:
    words = [word.strip("_") for word in name_of(path).split(".")[1:]]
    names = {f"test_{'_'.join(words)}.py"}
    if [module.name for module in MODULES].count(path.name) == 1:
        names.add(f"test_{words[-1]}.py")
    assert any((UNIT_TESTS / name).is_file() for name in names), f"none of {sorted(names)}"
