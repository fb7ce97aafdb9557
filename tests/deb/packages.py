"""The package: built in a root of its release, and an older one made of it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from tests.deb import index
from tests.deb.roots import PLACE, Root, bare
from tests.deb.transcripts import Step
from tests.support.program import ROOT

OLDER = "0.0.9"

_COPY = """
set -e
cd "$1"
{ git ls-files -z --cached --others --exclude-standard; find web_root/vendor -type f -print0; } |
    tar --create --null --files-from=- | tar --extract -C "$2"
"""


def copy_checkout(target: Path) -> None:
    """What a clone has, and the vendor folder, which would need npm."""
    subprocess.run(["sh", "-c", _COPY, "sh", ROOT, target], check=True)


def build(release: str, steps: list[Step]) -> Path:
    """The package of this checkout, as ``steps`` build it in a root of ``release``."""
    with Root(bare(release), PLACE / f"build-{release}") as root:
        root.go_online()
        source = root.path / "root" / "amiws-gevent"
        source.mkdir()
        copy_checkout(source)
        with index.passed_to(root) as environ:
            for step in steps:
                printed = root.run(
                    "bash", "-c", f"cd /root/amiws-gevent\n{step.command}",
                    online=True, environ=environ,
                )  # fmt: skip
                assert step.fits(printed), f"{step.command}\n{printed}"
        (package,) = (source / "dist").glob("*.deb")
        kept = PLACE / f"dist-{release}"
        shutil.rmtree(kept, ignore_errors=True)
        kept.mkdir()
        shutil.copy(package, kept)
    shutil.rmtree(root.path)
    return kept / package.name


def make_older(package: Path, folder: Path) -> Path:
    """A package like this one of an older version, with another configuration and a file more."""
    tree = folder / "older"
    subprocess.run(["dpkg-deb", "--raw-extract", package, tree], check=True)
    control = tree / "DEBIAN" / "control"
    lines = control.read_text().splitlines(keepends=True)
    version = next(line for line in lines if line.startswith("Version: "))
    older = f"Version: {OLDER}+{version.rpartition('+')[2]}"
    control.write_text("".join(older if line == version else line for line in lines))
    configuration = tree / "usr/share/amiws-gevent/amiws.yaml"
    configuration.write_text(
        "".join(
            line for line in configuration.read_text().splitlines(keepends=True)
            if not line.startswith("state_file")
        )
    )  # fmt: skip
    (tree / "usr/lib/amiws-gevent/bin/gone-in-the-next").write_text("")
    built = folder / package.name.replace(version.split()[1], older.split()[1])
    subprocess.run(
        ["dpkg-deb", "--build", "-Znone", tree, built], check=True, stdout=subprocess.DEVNULL
    )
    shutil.rmtree(tree)
    return built
