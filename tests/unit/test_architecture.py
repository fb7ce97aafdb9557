"""The package keeps its shape: the rules of docs/architecture.md, checked in the source.

Imports are read, not run, so that one inside a function counts as well. A test names all
files that break its rule.
"""

from __future__ import annotations

import ast
import functools
import importlib.util
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

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
OF_GREENLETS = ("pipeline", "hub", "link", "dispatch", "web", "api", "reload", "server")

LOOK_UPS = ("logging.getLogger", "get_original", "pluggy.HookspecMarker")

MAX_FUNCTION_LINES = 60  # a screen

FILES = sorted(PACKAGE.rglob("*.py"))


def modules() -> list[str]:
    """The modules in the order of the architecture's table; each may import those before it."""
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    table = text.partition("\n| module |")[2].partition("\n\n")[0]
    names = [row.split("|")[1] for row in table.splitlines()[2:]]
    return [module for name in names for module in re.findall(r"`(\w+)/?`", name)]


MODULES = modules()


@functools.cache
def name_of(path: Path) -> str:
    """The dotted name of a file of the package."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def module_of(name: str) -> str:
    """The module of a dotted name; empty for the package itself, which has the version."""
    return name.removeprefix("amiws_gevent").lstrip(".").partition(".")[0]


@functools.cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), path)


def imports_of(path: Path) -> Iterator[str]:
    """The dotted names that a file imports; ``from a import b`` is ``a.b``."""
    package = name_of(path) if path.name == "__init__.py" else name_of(path).rpartition(".")[0]
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            source = "." * node.level + (node.module or "")
            source = importlib.util.resolve_name(source, package)
            yield from (f"{source}.{alias.name}" for alias in node.names)


def top_imports_of(path: Path) -> set[str]:
    """The first words of what a file imports."""
    return {name.partition(".")[0] for name in imports_of(path)}


@functools.cache
def own_imports_of(path: Path) -> frozenset[str]:
    """The files of the package that a file imports, by dotted name."""
    names = {name_of(file) for file in FILES}
    found = set()
    for imported in imports_of(path):
        while imported and imported not in names:
            imported = imported.rpartition(".")[0]
        if imported.startswith("amiws_gevent"):
            found.add(imported)
    return frozenset(found)


def in_modules(*modules: str) -> list[Path]:
    found = [path for path in FILES if module_of(name_of(path)) in modules]
    assert found, modules
    return found


def breaking(
    rule: Callable[[Path], Iterable[str]], files: Iterable[Path] = FILES
) -> dict[str, list[str]]:
    """What ``rule`` finds wrong, by file."""
    found = {name_of(path): list(rule(path)) for path in files}
    return {name: faults for name, faults in found.items() if faults}


def test_the_architecture_names_every_module_once() -> None:
    assert len(set(MODULES)) == len(MODULES)
    assert {module_of(name_of(path)) for path in FILES} == {"", *MODULES}


def test_the_ways_through_the_code_exist() -> None:
    """``file.py`` and then ``name``: each name is in the last file that was named before it."""
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    ways = text.partition("\n## Four ways")[2].partition("\n## ")[0]
    checked = 0
    for step in re.split(r"\n\d+\. ", ways)[1:]:
        known: set[str] = set()
        for found in re.findall(r"`([\w./]+)`", step):
            if found.endswith(".py"):
                known = names_defined_in(PACKAGE / found)
            elif known and (found[0].isupper() or found in known):
                assert found in known, f"{found}: {step}"
                checked += 1
    assert checked > 40


def names_defined_in(path: Path) -> set[str]:
    """Functions and classes of a file, methods as ``Class.method``."""
    names = set()
    for node in tree_of(path).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        if isinstance(node, ast.ClassDef):
            inner = [child for child in node.body if isinstance(child, ast.FunctionDef)]
            names.update(f"{node.name}.{child.name}" for child in inner)
    return names


def test_imports_point_up_in_the_table() -> None:
    def rule(path: Path) -> Iterable[str]:
        module = module_of(name_of(path))
        imported = {module_of(name) for name in own_imports_of(path)} - {"", module}
        allowed = set(MODULES[: MODULES.index(module)]) if module else set()
        return imported - allowed

    assert breaking(rule) == {}


def test_no_file_imports_itself_by_a_way_round() -> None:
    # `from package import name` in the package's own files names the package.
    edges = {
        name_of(path): {to for to in own_imports_of(path) if not name_of(path).startswith(f"{to}.")}
        for path in FILES
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


def test_the_protocol_knows_nothing_of_the_world() -> None:
    def rule(path: Path) -> Iterable[str]:
        allowed = set(sys.stdlib_module_names) | {"amiws_gevent"}
        if path.name == "jsonform.py":
            allowed.add("orjson")
        tops = top_imports_of(path)
        return (tops - allowed) | (tops & IMPURE)

    assert breaking(rule, in_modules("ami")) == {}


def test_the_hub_knows_no_sockets() -> None:
    found = breaking(lambda path: top_imports_of(path) & {"socket", "ssl"}, in_modules("hub"))
    assert found == {}


def test_the_simulator_is_the_command_lines_alone() -> None:
    """The program serves no PBX of its own; ``--demo`` gives it the addresses of some."""

    def rule(path: Path) -> Iterable[str]:
        return [name for name in own_imports_of(path) if module_of(name) == "simulator"]

    others = [path for path in FILES if module_of(name_of(path)) not in ("cli", "simulator")]
    assert breaking(rule, others) == {}


def test_the_client_stands_alone() -> None:
    """The program never needs it, nor it the program, but for errors and the back-off."""

    def rule(path: Path) -> Iterable[str]:
        return [name for name in own_imports_of(path) if module_of(name) == "client"]

    assert breaking(rule, [path for path in FILES if path not in in_modules("client")]) == {}
    needed = {name for path in in_modules("client") for name in own_imports_of(path)}
    allowed = {"amiws_gevent.errors", "amiws_gevent.runtime", "amiws_gevent.runtime.backoff"}
    assert {name for name in needed if module_of(name) != "client"} - allowed <= {"amiws_gevent"}


def test_what_is_compiled_is_the_base_of_nothing_else() -> None:
    """mypyc: a class that is not compiled cannot inherit from one that is (a tuple may)."""
    made = {
        node.name
        for path in in_modules("state")
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.ClassDef)
    }

    def rule(path: Path) -> Iterable[str]:
        from_state = {
            alias.asname or alias.name
            for node in ast.walk(tree_of(path))
            if isinstance(node, ast.ImportFrom) and module_of(node.module or "") == "state"
            for alias in node.names
        }
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.ClassDef):
                names = {name.id for name in node.bases if isinstance(name, ast.Name)}
                yield from names & from_state & made

    others = [path for path in FILES if path not in in_modules("state")]
    assert "Store" in made
    assert breaking(rule, others) == {}


def test_no_greenlet_waits_outside_of_gevent() -> None:
    def rule(path: Path) -> Iterable[str]:
        yield from top_imports_of(path) & BLOCKING
        if "time.sleep" in path.read_text(encoding="utf-8"):
            yield "time.sleep"

    assert breaking(rule, in_modules(*OF_GREENLETS)) == {}


def test_module_globals_are_constants() -> None:
    """Upper-case names and types; beside them what another library keeps under a name."""
    constant = re.compile(r"_{0,2}[A-Z][A-Za-z0-9_]*|__[a-z_]+__")

    def rule(path: Path) -> Iterable[str]:
        for statement in tree_of(path).body:
            if isinstance(statement, ast.Assign):
                targets: list[ast.expr] = statement.targets
            elif isinstance(statement, ast.AnnAssign | ast.AugAssign):
                targets = [statement.target]
            else:
                continue
            value = statement.value
            if isinstance(value, ast.Call) and ast.unparse(value.func) in LOOK_UPS:
                continue
            names = [name.id for target in targets for name in names_in(target)]
            yield from (name for name in names if not constant.fullmatch(name))

    assert breaking(rule) == {}


def names_in(target: ast.expr) -> list[ast.Name]:
    return [node for node in ast.walk(target) if isinstance(node, ast.Name)]


def test_nothing_changes_a_module_global() -> None:
    def rule(path: Path) -> Iterable[str]:
        nodes = [node for node in ast.walk(tree_of(path)) if isinstance(node, ast.Global)]
        return [name for node in nodes for name in node.names]

    assert breaking(rule) == {}


def test_functions_fit_a_screen() -> None:
    def rule(path: Path) -> Iterable[str]:
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.FunctionDef):
                assert node.end_lineno is not None
                if node.end_lineno - node.lineno >= MAX_FUNCTION_LINES:
                    yield node.name

    assert breaking(rule) == {}


def test_a_file_says_what_it_is() -> None:
    assert [name_of(path) for path in FILES if not ast.get_docstring(tree_of(path))] == []


def test_nothing_is_left_for_later() -> None:
    mark = re.compile(r"\b(?:TODO|FIXME|XXX)\b")
    assert breaking(lambda path: mark.findall(path.read_text(encoding="utf-8"))) == {}


def test_each_file_has_its_test_file() -> None:
    def rule(path: Path) -> Iterable[str]:
        words = [word.strip("_") for word in name_of(path).split(".")[1:]]
        names = {f"test_{'_'.join(words)}.py"}
        if [file.name for file in FILES].count(path.name) == 1:
            names.add(f"test_{words[-1]}.py")
        if not any((UNIT_TESTS / name).is_file() for name in names):
            yield from names

    assert breaking(rule, [path for path in FILES if path.name != "__init__.py"]) == {}
