"""A Dockerfile, carried out without a container engine: its stages are debootstrap roots.

The image ``debian:RELEASE-slim`` is Debian's smallest root. RUN runs there, COPY copies, and a
container is its last stage with what a hardened engine leaves it: see `Container`.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.deb import index
from tests.deb.packages import copy_checkout
from tests.deb.roots import ENVIRON, PLACE, Root, bare
from tests.support.patience import WAIT
from tests.support.program import wait_until

# What an engine gives a container with a read-only root, no capabilities and no new privileges:
# $1 is the root, $2 the user, $3 a folder that may be written to; the others are the command.
_CONTAIN = """
set -e
root=$1 user=$2 volume=$3
shift 3
mount --bind "$root" "$root"
mount -o remount,bind,ro "$root"
mount --bind "$root/$volume" "$root/$volume"
mount -o remount,bind,rw "$root/$volume"
mount -t proc proc "$root/proc"
mount -t tmpfs -o mode=0755 tmpfs "$root/dev"
for name in null zero full random urandom; do
    touch "$root/dev/$name"
    mount --bind "/dev/$name" "$root/dev/$name"
done
exec chroot "$root" setpriv --reuid "${user%:*}" --regid "${user#*:}" --clear-groups \
    --bounding-set=-all --inh-caps=-all --no-new-privs "$@"
"""


@dataclass
class Image:
    """What the last stage of a Dockerfile has beside its files."""

    root: Root
    user: str = ""
    entrypoint: list[str] = field(default_factory=list)
    command: list[str] = field(default_factory=list)
    health: list[str] = field(default_factory=list)
    ports: list[int] = field(default_factory=list)
    stop_signal: str = "SIGTERM"


def instructions(path: Path) -> list[tuple[str, str]]:
    """The instructions of a Dockerfile, each with all behind it."""
    text = re.sub(r"\\\n", " ", path.read_text(encoding="utf-8"))
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(line.split()[0], line.split(maxsplit=1)[1]) for line in lines]


def build(dockerfile: Path) -> Image:
    """Carry it out. Fails on an instruction that is not known here."""
    stages: dict[str, Root] = {}
    for word, rest in instructions(dockerfile):
        if word == "FROM":
            found = re.fullmatch(r"debian:(\w+)-slim(?: AS (\w+))?", rest)
            assert found is not None, rest
            name = found[2] or "last"
            stages[name] = Root(bare(found[1], "minbase"), PLACE / f"image-{name}")
            image = Image(stages[name])
        elif word == "COPY":
            _copy(rest.split(), stages, image.root)
        elif word == "RUN":
            _run(rest.split(), image.root)
        else:
            _note(word, rest, image)
    for root in stages.values():
        if root is not image.root:
            shutil.rmtree(root.path)
    return image


def _note(word: str, rest: str, image: Image) -> None:
    if word == "USER":
        image.user = rest
    elif word == "ENTRYPOINT":
        image.entrypoint = json.loads(rest)
    elif word == "CMD":
        image.command = json.loads(rest)
    elif word == "HEALTHCHECK":
        image.health = json.loads(rest.partition("CMD ")[2])
    elif word == "EXPOSE":
        image.ports = [int(port) for port in rest.split()]
    else:
        assert word == "STOPSIGNAL", word
        image.stop_signal = rest


def _copy(words: list[str], stages: dict[str, Root], root: Root) -> None:
    target = root.path / words[-1].lstrip("/")
    target.mkdir(parents=True, exist_ok=True)
    if words[0].startswith("--from="):
        source = stages[words[0].removeprefix("--from=")].path / words[1].lstrip("/")
        subprocess.run(["cp", "-a", f"{source}/.", target], check=True)
    else:
        assert words[:-1] == ["."], words
        copy_checkout(target)


def _run(words: list[str], root: Root) -> None:
    assert len(words) == 1, f"a step is one script, so that it runs here as there: {words}"
    root.resolve_names()
    with index.passed_to(root) as environ:
        root.run(*words, online=True, environ=environ)


class Container:
    """One container of ``image`` with ``options`` and ``volume``, until the block ends.

    The root is read-only but for the volume; its user has no capability, nor can it get one; there
    is no syslog. ``log`` is what it writes to standard output.
    """

    def __init__(self, image: Image, volume: str, *options: str) -> None:
        self._image = image
        self._volume = volume
        self._words = [*image.entrypoint, *(options or image.command)]
        self.log_file = image.root.path.with_suffix(".log")

    def _command(self, words: list[str]) -> list[str | Path]:
        return self._image.root.in_network(
            ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", _CONTAIN, "sh",
             self._image.root.path, self._image.user, self._volume, *words]
        )  # fmt: skip

    def __enter__(self) -> Self:
        with self.log_file.open("wb") as log:
            self._process = subprocess.Popen(
                self._command(self._words),
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.DEVNULL, env=ENVIRON,
            )  # fmt: skip
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None:
            print(self.log)
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    @property
    def log(self) -> str:
        return self.log_file.read_text()

    def is_healthy(self) -> bool:
        """What the health check says now."""
        done = subprocess.run(
            self._command(self._image.health), capture_output=True, env=ENVIRON, check=False
        )
        return done.returncode == 0

    def wait_until_healthy(self) -> None:
        wait_until(lambda: self.is_healthy() or self._process.poll() is not None, "healthy")
        assert self._process.poll() is None, self.log

    @property
    def pid(self) -> int:
        """Its PID 1, as this machine counts."""
        own = self._process.pid
        return int(Path(f"/proc/{own}/task/{own}/children").read_text())

    def stop(self) -> int:
        """Send its PID 1 the signal that an engine sends; with which status it ends."""
        subprocess.run(["kill", "-s", self._image.stop_signal, str(self.pid)], check=True)
        return self.wait()

    def wait(self) -> int:
        """With which status it ends."""
        return self._process.wait(WAIT)
