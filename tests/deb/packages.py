"""The package: built in a root of its release, and an older one made of it."""

from __future__ import annotations

import hashlib
import io
import shutil
import subprocess
import tarfile
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.deb import index
from tests.deb.roots import PLACE, Root, bare
from tests.deb.transcripts import Step
from tests.support.program import ROOT

OLDER = "0.0.9"

_COPY = """
set -e
cd "$1"
{ git ls-files -z --cached --others --exclude-standard; find web_root/vendor -type f -print0; } |
    tar --create --null --files-from=- | tar --extract --no-same-permissions -C "$2"
"""


def copy_checkout(target: Path, mask: int = 0o022) -> None:
    """What a clone of somebody with this umask has, and the vendor folder, which would need npm."""
    subprocess.run(["sh", "-c", _COPY, "sh", ROOT, target], check=True, umask=mask)


class Workshop:
    """A root of ``release`` in which packages are built, until the block ends."""

    def __init__(self, release: str) -> None:
        self.root = Root(bare(release), PLACE / f"build-{release}")
        self._kept = PLACE / f"dist-{release}"

    def __enter__(self) -> Self:
        self.root.__enter__()
        self.root.go_online()
        shutil.rmtree(self._kept, ignore_errors=True)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.root.__exit__(kind, error, trace)
        shutil.rmtree(self.root.path)

    def build(
        self, steps: list[Step], folder: str = "/root/amiws-gevent", mask: int = 0o022
    ) -> Path:
        """The package of this checkout, as ``steps`` build it in ``folder`` with a umask."""
        source = self.root.path / folder.lstrip("/")
        source.mkdir(parents=True)
        copy_checkout(source, mask)
        with index.passed_to(self.root) as environ:
            for step in steps:
                printed = self.root.run(
                    "bash", "-c", f"umask {mask:o}\ncd {folder}\n{step.command}",
                    online=True, environ=environ,
                )  # fmt: skip
                assert step.fits(printed), f"{step.command}\n{printed}"
        (package,) = (source / "dist").glob("*.deb")
        kept = self._kept / source.name
        kept.mkdir(parents=True)
        shutil.copy(package, kept)
        return kept / package.name


def contents(package: Path) -> dict[str, str]:
    """Each path of a package, with all that is kept of it: owner, mode, time, and a hash."""
    found = {}
    unpacked = subprocess.run(
        ["dpkg-deb", "--fsys-tarfile", package], stdout=subprocess.PIPE, check=True
    )
    with tarfile.open(fileobj=io.BytesIO(unpacked.stdout)) as archive:
        for member in archive:
            file = archive.extractfile(member) if member.isfile() else None
            digest = hashlib.sha256(file.read()).hexdigest() if file else member.linkname
            found[member.name] = (
                f"{member.uname}:{member.gname} {member.mode:o} {member.mtime} {digest}"
            )
    return found


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
