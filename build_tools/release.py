"""Makes a release in dist/: sdist, wheel, Debian package, bill of materials, checksums.

``python -m build_tools.release`` from the top of a clone whose newest commit has a tag such as
``v1.0.0``. All is made from that commit alone, twice and in different places; it is a fault if both
are not the same bytes. With ``--check`` nothing is made.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from datetime import date
from pathlib import Path

from build_tools import sbom

ROOT = Path(__file__).resolve().parent.parent
SUMS = "SHA256SUMS"


class ReleaseError(Exception):
    """There is no release; the text says why."""


def problems(root: Path) -> list[str]:
    """Why the clone in ``root`` is nothing to release; empty if it is."""
    init = (root / "amiws_gevent" / "__init__.py").read_text(encoding="utf-8")
    version = named("__version__", init)
    found = []
    if changed := _git(root, "status", "--porcelain"):
        found.append(f"commit or remove what is not committed:\n{changed.rstrip()}")
    if not is_dated((root / "CHANGELOG.md").read_text(encoding="utf-8"), version):
        found.append(f'CHANGELOG.md has no section "## {version} - YYYY-MM-DD"')
    tags = _git(root, "tag", "--points-at", "HEAD").split()
    if f"v{version}" not in tags:
        have = ", ".join(tags) or "none"
        found.append(
            f"the version of amiws_gevent/__init__.py is {version}: the newest commit needs the "
            f"tag v{version}, and has {have}"
        )
    if not named("HOME_PAGE", (root / "setup.py").read_text(encoding="utf-8")):
        found.append("setup.py: say in HOME_PAGE where the repository can be read")
    return found


def is_dated(changelog: str, version: str) -> bool:
    """Whether a changelog has a section for the version with a day that there is."""
    found = re.search(rf"^## {re.escape(version)} - (\d{{4}}-\d\d-\d\d)$", changelog, re.MULTILINE)
    if found is None:
        return False
    try:
        date.fromisoformat(found[1])
    except ValueError:
        return False
    return True


def named(name: str, source: str) -> str:
    """The text that a line of Python gives a name. Raises ReleaseError if there is none."""
    found = re.search(rf'^{name} = "(.*)"$', source, re.MULTILINE)
    if found is None:
        raise ReleaseError(f'there is no line {name} = "..."')
    return found[1]


def differing(one: Path, other: Path) -> list[str]:
    """The names of files that are not the same, or not there, in two folders."""
    names = {path.name for folder in (one, other) for path in folder.iterdir()}
    return sorted(name for name in names if _content(one / name) != _content(other / name))


def sums(folder: Path) -> str:
    """The SHA-256 of each file in a folder, as ``sha256sum --check`` reads it."""
    files = sorted(path for path in folder.iterdir() if path.name != SUMS)
    return "".join(f"{hashlib.sha256(p.read_bytes()).hexdigest()}  {p.name}\n" for p in files)


def make(root: Path, out: Path) -> None:
    """Build what ``root`` has committed, twice, into the new folder ``out``.

    Raises ReleaseError if both are not the same.
    """
    commit, time = _git(root, "log", "-1", "--format=%H %ct").split()
    with tempfile.TemporaryDirectory() as folder:
        once, again = Path(folder, "once"), Path(folder, "again", "in", "another", "place")
        for place, umask in ((once, 0o022), (again, 0o077)):
            _export(root, commit, place / "source")
            _build(place, int(time), umask)
        if names := differing(once / "out", again / "out"):
            raise ReleaseError(f"built twice, these are not the same: {', '.join(names)}")
        shutil.rmtree(out, ignore_errors=True)
        shutil.copytree(once / "out", out)


def _export(root: Path, commit: str, folder: Path) -> None:
    """The files of a commit in a new folder."""
    folder.mkdir(parents=True)
    packed = folder.with_suffix(".tar")
    _git(root, "archive", f"--output={packed}", commit)
    with tarfile.open(packed) as archive:
        archive.extractall(folder, filter="data")


def _build(place: Path, time: int, umask: int) -> None:
    """Build from ``source`` in the folder ``place``; what is released comes into its ``out``."""
    source, out = place / "source", place / "out"
    out.mkdir()
    build = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), "."]
    _run(build, source, time, umask)
    if re.search(r"^deb:", (source / "Makefile").read_text(encoding="utf-8"), re.MULTILINE):
        _run(["make", "deb"], source, time, umask)
        for package in (source / "dist").glob("*.deb"):
            shutil.copy(package, out)
    (wheel,) = out.glob("*.whl")
    bill = sbom.bill(wheel, source / "package-lock.json", time)
    (out / f"{wheel.name.partition('-py')[0]}.cdx.json").write_text(bill, encoding="utf-8")
    (out / SUMS).write_text(sums(out), encoding="utf-8")


def _content(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None


def _git(root: Path, *words: str) -> str:
    done = subprocess.run(  # noqa: S603 - git, with words of this file
        ["git", *words],  # noqa: S607 - that of the path
        cwd=root, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise ReleaseError(f"git {words[0]} failed: {done.stderr.strip()}")
    return done.stdout


def _run(words: list[str], cwd: Path, time: int, umask: int) -> None:
    environ = {**os.environ, "SOURCE_DATE_EPOCH": str(time), "LC_ALL": "C.UTF-8", "TZ": "UTC"}
    done = subprocess.run(  # noqa: S603 - build tools, with words of this file
        words, cwd=cwd, env=environ, umask=umask, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
    )  # fmt: skip
    if done.returncode:
        raise ReleaseError(f"{' '.join(words)} failed:\n{done.stdout}")


def main() -> None:
    """Ends with status 1 and all reasons if there is no release."""
    parser = argparse.ArgumentParser(prog="release", description="Makes a release in dist/.")
    parser.add_argument("--check", action="store_true", help="only say what is in the way")
    only_check = parser.parse_args().check
    try:
        found = problems(ROOT)
        if found:
            raise ReleaseError("\n".join(found))
        if not only_check:
            out = ROOT / "dist"
            make(ROOT, out)
            print((out / SUMS).read_text(encoding="utf-8"), end="")
    except (ReleaseError, sbom.SbomError) as error:
        sys.exit(f"No release: {error}")


if __name__ == "__main__":
    main()
