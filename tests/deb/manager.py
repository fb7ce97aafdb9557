"""What of systemd a root needs: ``systemctl`` in it starts, reloads and stops the one service.

No second systemd is booted. ``systemctl`` of the root is replaced by a script that asks through a
pipe, and is answered by a thread of the test, which runs the unit as `as_unit` does and listens at
its NOTIFY_SOCKET.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.deb import units
from tests.deb.roots import Root
from tests.support.patience import WAIT
from tests.support.program import ROOT

SERVICE = "amiws-gevent.service"

ENDED = "ENDED"

# What looks at files alone, such as enable, is for the real one.
_SYSTEMCTL = """#!/bin/bash
case " $* " in
    *" start "* | *" stop "* | *" restart "* | *" reload "* | *" try-restart "* | \
    *" is-active "* | *" try-reload-or-restart "* | *" daemon-reload "*)
        exec 9>/run/manager/lock
        flock 9
        echo "$*" >/run/manager/asked
        read -r status text </run/manager/answered
        [ -z "$text" ] || echo "$text" >&2
        exit "$status"
        ;;
    *" daemon-reexec "*) ;;
    *) exec /usr/bin/systemctl.real --root=/ "$@" ;;
esac
"""

_FAILED = (
    "1 Job for amiws-gevent.service failed because the control process exited with error code."
)


class Manager:
    """The manager of one root, until the block ends."""

    def __init__(self, root: Root) -> None:
        self._root = root
        self._run = root.path / "run" / "manager"
        self._news = threading.Condition()
        self.log_file = self._run / "journal"
        self.process: subprocess.Popen[bytes] | None = None
        self.told: list[str] = []
        """What the service said to NOTIFY_SOCKET since its start, and that it has ended."""
        self.ended: list[int] = []
        """With which status each start of it has ended."""

    def __enter__(self) -> Self:
        self._run.mkdir()
        for name in ("asked", "answered"):
            os.mkfifo(self._run / name)
        # By this deb-systemd-invoke and maintainer scripts know systemd.
        (self._root.path / "run/systemd/system").mkdir(parents=True)
        real = self._root.path / "usr/bin/systemctl"
        shutil.move(real, real.with_suffix(".real"))
        real.write_text(_SYSTEMCTL)
        real.chmod(0o755)
        self._notified = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._notified.bind(str(self._run / "notify"))
        (self._run / "notify").chmod(0o666)
        self._run.chmod(0o755)
        self._threads = [
            threading.Thread(target=self._serve, daemon=True),
            threading.Thread(target=self._listen, daemon=True),
        ]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None and self.log_file.exists():
            print(self.log)
        if self.process is not None:
            self.process.kill()
            self.process.wait()
        (self._run / "asked").write_text("end\n")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.sendto(b"end", str(self._run / "notify"))
        for thread in self._threads:
            thread.join(WAIT)
        self._notified.close()
        real = self._root.path / "usr/bin/systemctl"
        shutil.move(real.with_suffix(".real"), real)
        shutil.rmtree(self._root.path / "run/systemd/system")
        shutil.rmtree(self._run)

    @property
    def log(self) -> str:
        """All that the service wrote to its standard error, which systemd has in its journal."""
        return self.log_file.read_text()

    @property
    def service(self) -> subprocess.Popen[bytes]:
        """The process of the service that was started last."""
        assert self.process is not None
        return self.process

    @property
    def unit(self) -> units.Unit:
        return units.read(self.unit_path(SERVICE))

    def unit_path(self, name: str) -> Path:
        return self._root.path / "usr/lib/systemd/system" / name

    def _serve(self) -> None:
        while True:
            words = (self._run / "asked").read_text().split()
            if words == ["end"]:
                return
            try:
                answer = self._do(words)
            except Exception as error:  # noqa: BLE001 - told to whoever asked
                answer = f"1 {type(error).__name__}: {error}".replace("\n", " ")
            (self._run / "answered").write_text(answer + "\n")

    def _do(self, words: list[str]) -> str:
        verb = next(word for word in words if not word.startswith("-"))
        if verb == "daemon-reload":
            return "0"
        named = words[words.index(verb) + 1 :]
        if not {SERVICE, SERVICE.removesuffix(".service")} & set(named):
            return "0" if verb != "is-active" else "3"  # no other unit is run here
        active = self.process is not None and self.process.poll() is None
        if verb == "is-active":
            return "0" if active else "3"
        if verb.startswith("try-") and not active:
            return "0"
        if verb in ("stop", "restart", "try-restart") and active:
            self._stop()
        if verb in ("start", "restart", "try-restart"):
            return self._start()
        if verb in ("reload", "try-reload-or-restart"):
            return self._reload()
        return "0"

    def _listen(self) -> None:
        while (said := self._notified.recv(4096)) != b"end":
            self._note(*said.decode().splitlines())

    def _note(self, *lines: str) -> None:
        with self._news:
            self.told += lines
            self._news.notify_all()

    def _hears(self, wanted: str, since: int = 0) -> bool:
        """Wait until the service says ``wanted`` anew; False if it ends before that."""
        with self._news:
            heard = {wanted, ENDED}
            came = self._news.wait_for(lambda: heard.intersection(self.told[since:]), WAIT)
            assert came, f"the service did not say {wanted}"
            return wanted in self.told[since:]

    def _start(self) -> str:
        self.told = []
        with self.log_file.open("ab") as log:
            process = subprocess.Popen(
                self._root.in_network(
                    ["unshare", "--mount", "--", sys.executable, "-m", "tests.deb.as_unit",
                     self._root.path, self.unit_path(SERVICE)]
                ),
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=ROOT,
                env={"PATH": os.environ["PATH"], "NOTIFY_SOCKET": "/run/manager/notify"},
            )  # fmt: skip
        self.process = process

        its_own = self.unit.get("RuntimeDirectory", [])

        def watch() -> None:
            status = process.wait()
            for name in its_own:
                shutil.rmtree(self._root.path / "run" / name, ignore_errors=True)
            self.ended.append(status)
            self._note(ENDED)

        threading.Thread(target=watch, daemon=True).start()
        return "0" if self._hears("READY=1") else _FAILED

    def _stop(self) -> None:
        self.service.send_signal(signal.SIGTERM)
        self._hears(ENDED)

    def _reload(self) -> str:
        since = len(self.told)
        words = units.command(self.unit, "ExecReload", MAINPID=str(self.service.pid))
        subprocess.run(words, check=True)
        self._hears("READY=1", since)
        return "0"
