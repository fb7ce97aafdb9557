"""Debian in a folder: made once by debootstrap, copied for each test, entered by chroot.

All that is mounted is in namespaces that end with their processes. A root has a network of its own,
with nothing but a loopback, for all but what asks for packages.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.patience import WAIT
from tests.support.program import ROOT

PLACE = ROOT / ".make" / "deb"
"""Outlives a run of the tests: what is here comes from Debian's mirror and the package index."""

LONG = 30 * WAIT
"""Seconds for what fetches and builds packages, on a machine that does ten other things."""

PBX = "192.0.2.10"
"""The address of the PBX in docs/install.md; each root has it on its loopback."""

# Enter a root: $1 is the folder, the others are a command. PID 1 is this shell's, so that what a
# maintainer script does to PID 1 does not get out.
_ENTER = """
set -e
root=$1
shift
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
exec chroot "$root" "$@"
"""


def mirror() -> str:
    """Where this machine gets Debian's packages from."""
    done = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(SITE) $(REPO_URI)", "Created-By: Packages"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    places = [line.split()[1] for line in done.stdout.splitlines()]
    return next(place for place in places if re.search(r"/debian/?$", place))


def _copy(source: Path, target: Path) -> None:
    subprocess.run(["cp", "-a", "--reflink=auto", source, target], check=True)


def bare(release: str, variant: str = "-") -> Path:
    """A root as debootstrap makes it (``minbase``: the smallest), to be copied and not changed."""
    root = PLACE / f"bare-{release}{variant.rstrip('-')}"
    if not root.exists():
        PLACE.mkdir(parents=True, exist_ok=True)
        half = root.with_suffix(".half")
        shutil.rmtree(half, ignore_errors=True)
        # What debootstrap mounts into the root is gone with its namespace.
        subprocess.run(
            ["unshare", "--mount", "debootstrap", f"--variant={variant}", release, half, mirror()],
            stdout=subprocess.DEVNULL, timeout=LONG, check=True,
        )  # fmt: skip
        half.rename(root)
    return root


class Root:
    """A copy of ``source`` in ``path``. As a context manager it has a network until the end."""

    def __init__(self, source: Path, path: Path) -> None:
        if path.exists():  # of a run that was ended
            shutil.rmtree(path)
        _copy(source, path)
        self.path = path

    def __enter__(self) -> Self:
        setup = f"ip link set lo up && ip address add {PBX}/32 dev lo && echo up && exec cat"
        self._holder = subprocess.Popen(
            ["unshare", "--net", "sh", "-c", setup],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self._holder.stdout is not None
        assert self._holder.stdout.readline() == "up\n"
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._holder.communicate(timeout=WAIT)

    def in_network(self, words: Sequence[str | Path]) -> list[str | Path]:
        """The command that runs ``words`` of this machine in the network of the root."""
        return ["nsenter", f"--net=/proc/{self._holder.pid}/ns/net", "--", *words]

    def command(self, *words: str | Path, online: bool = False) -> list[str | Path]:
        """The command that runs ``words`` in the root."""
        enter: list[str | Path] = [
            "unshare", "--mount", "--pid", "--fork", "--kill-child",
            "sh", "-c", _ENTER, "sh", self.path, *words,
        ]  # fmt: skip
        return enter if online else self.in_network(enter)

    def run(
        self,
        *words: str | Path,
        online: bool = False,
        status: int = 0,
        environ: Mapping[str, str] | None = None,
    ) -> str:
        """What a command in the root prints. Fails the test if it ends with another status."""
        done = subprocess.run(
            self.command(*words, online=online),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env={**ENVIRON, **(environ or {})}, timeout=LONG, check=False,
        )  # fmt: skip
        assert done.returncode == status, f"{shlex.join(map(str, words))}\n{done.stdout}"
        return done.stdout

    def shell(self, line: str, *, online: bool = False, status: int = 0) -> str:
        """The same for a line of bash, typed by root."""
        return self.run("bash", "-c", line, online=online, status=status)

    def resolve_names(self) -> None:
        """Names of other machines, as on this machine."""
        for name in ("etc/resolv.conf", "etc/hosts"):
            shutil.copy(Path("/", name), self.path / name)

    def go_online(self) -> None:
        """Have names resolved, and apt know what its mirror has."""
        self.resolve_names()
        self.run("apt-get", "update", "-qq", online=True)

    def files(self) -> dict[str, str]:
        """Each path of the root, and what is kept of it: a link's target, a file's owner."""
        found = {}
        for folder, folders, names in os.walk(self.path):
            for name in [*folders, *names]:
                path = Path(folder, name)
                status = path.lstat()
                found[str(path.relative_to(self.path))] = f"{status.st_mode:o} {status.st_uid}"
        return found


ENVIRON = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LANG": "C.UTF-8",
    "DEBIAN_FRONTEND": "noninteractive",
}
"""Of a root's login shell; nobody answers questions there."""
