"""Leaving the terminal and the pid file, with real processes."""

from __future__ import annotations

import fcntl
import os
import pwd
import re
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gevent
import pytest

from amiws_gevent.errors import PidFileError
from amiws_gevent.runtime.daemon import PidFile, _outcome, drop_pid_file
from amiws_gevent.runtime.signals import Signals
from tests.support.leaks import open_descriptors
from tests.support.patience import WAIT
from tests.support.program import ROOT, wait_until

# A program that becomes a daemon and then does what its second word says.
DAEMON = """
from gevent import monkey; monkey.patch_all()
import os, signal, sys, time
from pathlib import Path
from amiws_gevent.runtime.daemon import Child, daemonise
from amiws_gevent.runtime.signals import Signals
from amiws_gevent.errors import StartError

signals = Signals()
signals.take()
try:
    side = daemonise(Path(sys.argv[1]), signals)
except StartError as error:
    sys.exit(f"told: {error}")
if isinstance(side, int):
    sys.exit(side)
deed = sys.argv[2]
if deed == "serve":
    side.started()
    print("into the void", flush=True)
    Path("facts").write_text(f"{os.getpid()} {os.getsid(0)} {os.getcwd()}")
    Path("facts").rename("daemon")
    time.sleep(60)  # gevent's: needs an event loop that lives after the fork
elif deed == "fail":
    sys.exit("told: the port is in use")
elif deed == "leave":
    sys.exit(0)
elif deed == "die":
    os.kill(os.getpid(), signal.SIGKILL)
elif deed == "hang":
    Path("daemon").write_text(str(os.getpid()))
    with signals.may_end():
        time.sleep(600)
"""

HOLDER = """
import sys
from pathlib import Path
from amiws_gevent.runtime.daemon import PidFile, drop_pid_file

with PidFile(Path(sys.argv[1])):
    print(flush=True)
    input()
"""


@contextmanager
def started(*words: str, stdin: int | None = None) -> Iterator[subprocess.Popen[str]]:
    """A Python process that is gone at the end, whatever happens."""
    process = subprocess.Popen(
        [sys.executable, "-c", *words],
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def run(wdir: Path, deed: str) -> tuple[int, str, str]:
    with started(DAEMON, str(wdir), deed) as process:
        out, err = process.communicate(timeout=WAIT)
    return process.returncode, out, err


def ended(pid: int) -> bool:
    """Whether a process is gone; a zombie, that nobody here waits for, counts as gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


class TestDaemonise:
    def test_the_parent_leaves_once_the_daemon_has_started(self, tmp_path: Path) -> None:
        # communicate() returning shows too that the daemon let go of both pipes.
        assert run(tmp_path, "serve") == (0, "", "")
        wait_until((tmp_path / "daemon").exists, "the daemon writes its facts")
        pid, session, folder = (tmp_path / "daemon").read_text().split()
        assert session == pid
        assert folder == str(tmp_path)
        os.kill(int(pid), signal.SIGKILL)

    def test_a_failed_start_is_told_where_it_was_asked_for(self, tmp_path: Path) -> None:
        assert run(tmp_path, "fail") == (1, "", "told: the port is in use\n")

    def test_an_end_without_a_start_is_a_failure(self, tmp_path: Path) -> None:
        told = "amiws-gevent: the daemon was told to end before it had started\n"
        assert run(tmp_path, "leave") == (1, "", told)

    def test_a_sudden_death_is_told(self, tmp_path: Path) -> None:
        status, _, err = run(tmp_path, "die")
        assert status == 128 + signal.SIGKILL
        assert err == "amiws-gevent: SIGKILL killed the daemon before it had started\n"

    def test_no_such_folder(self, tmp_path: Path) -> None:
        status, _, err = run(tmp_path / "none", "serve")
        assert status == 1
        assert err == (
            f"told: cannot change to the working directory {tmp_path}/none (-D): "
            "No such file or directory\n"
        )

    def test_an_interrupted_start_takes_the_daemon_along(self, tmp_path: Path) -> None:
        with started(DAEMON, str(tmp_path), "hang") as parent:
            wait_until((tmp_path / "daemon").exists, "the daemon has come up")
            wait_until(lambda: (tmp_path / "daemon").read_text(), "the daemon told its id")
            daemon = int((tmp_path / "daemon").read_text())
            parent.send_signal(signal.SIGINT)
            parent.communicate(timeout=WAIT)
        assert parent.returncode == 1
        assert ended(daemon)

    def test_a_signal_just_ahead_of_the_wait_is_not_missed(self) -> None:
        """It is noted, and interrupts no call of the system, since there is none yet."""
        with started("import time; time.sleep(600)") as daemon:
            reading, writing = os.pipe()
            signals = Signals()
            gevent.spawn(signals._on_end, signal.SIGINT, None)
            # The standing of the daemon's own is of no interest: it knows no Signals.
            assert _outcome(daemon.pid, reading, signals) == 128 + signal.SIGTERM
            os.close(writing)
            daemon.returncode = -signal.SIGTERM  # waited for already


class TestPidFile:
    def test_it_names_this_process_and_is_removed(self, tmp_path: Path) -> None:
        path = tmp_path / "amiws.pid"
        with PidFile(path):
            assert path.read_text() == f"{os.getpid()}\n"
            assert stat.S_IMODE(path.stat().st_mode) == 0o644
        assert not path.exists()

    def test_the_mode_does_not_hang_on_the_umask(self, tmp_path: Path) -> None:
        path = tmp_path / "amiws.pid"
        before = os.umask(0o077)
        try:
            with PidFile(path):
                assert stat.S_IMODE(path.stat().st_mode) == 0o644
        finally:
            os.umask(before)

    def test_a_second_one_is_refused_and_named_the_first(self, tmp_path: Path) -> None:
        path = tmp_path / "amiws.pid"
        with PidFile(path):
            with pytest.raises(PidFileError, match=f"process {os.getpid()}"), PidFile(path):
                pass
            assert path.read_text() == f"{os.getpid()}\n"

    def test_a_refused_one_leaves_no_descriptor_open(self, tmp_path: Path) -> None:
        path = tmp_path / "amiws.pid"
        with PidFile(path):
            before = open_descriptors()
            with pytest.raises(PidFileError), PidFile(path):
                pass
            assert open_descriptors() <= before

    def test_a_stale_file_is_taken_over(self, tmp_path: Path) -> None:
        path = tmp_path / "amiws.pid"
        path.write_text("999999999 and much more that has to go\n")
        with PidFile(path):
            assert path.read_text() == f"{os.getpid()}\n"

    def test_a_link_is_not_followed(self, tmp_path: Path) -> None:
        target = tmp_path / "passwd"
        target.write_text("root")
        path = tmp_path / "amiws.pid"
        path.symlink_to(target)
        with pytest.raises(PidFileError, match="symbolic link"), PidFile(path):
            pass
        assert target.read_text() == "root"

    def test_a_second_name_is_not_written_to(self, tmp_path: Path) -> None:
        target = tmp_path / "passwd"
        target.write_text("root")
        path = tmp_path / "amiws.pid"
        path.hardlink_to(target)
        with pytest.raises(PidFileError, match="has 2 hard links"), PidFile(path):
            pass
        assert target.read_text() == "root"

    def test_a_pipe_is_no_pid_file(self, tmp_path: Path) -> None:
        path = tmp_path / "amiws.pid"
        os.mkfifo(path)
        with pytest.raises(PidFileError, match="not a regular file"), PidFile(path):
            pass

    def test_another_users_file_is_not_written_to(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = tmp_path / "amiws.pid"
        path.write_text("1\n")
        owner = path.stat().st_uid
        monkeypatch.setattr(os, "geteuid", lambda: 123_456_789)
        told = (
            f"{pwd.getpwuid(owner).pw_name} (user id {owner}), not to user id 123456789. "
            f"Remove it, or name one in a folder that only this user can write to, "
            f"such as -p /run/{path.name}"
        )
        with pytest.raises(PidFileError, match=re.escape(told)), PidFile(path):
            pass
        assert path.read_text() == "1\n"

    def test_another_users_file_that_cannot_be_opened_is_told_like_that(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """As in /tmp, of root too (fs.protected_regular)."""
        path = tmp_path / "amiws.pid"
        path.write_text("1\n")
        monkeypatch.setattr(os, "geteuid", lambda: 123_456_789)

        def refuse(*_: object) -> int:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(os, "open", refuse)
        with pytest.raises(PidFileError, match="not to user id 123456789"), PidFile(path):
            pass

    def test_a_folder_that_may_not_be_written_to(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(*_: object) -> int:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(os, "open", refuse)
        with pytest.raises(PidFileError, match=r"\(-p\): Permission denied"):
            PidFile(tmp_path / "amiws.pid").__enter__()

    def test_who_can_only_read_it_cannot_hold_it(self, tmp_path: Path) -> None:
        """What a killed program left behind, say."""
        path = tmp_path / "amiws.pid"
        path.write_text("1\n")
        with path.open() as reader:
            fcntl.flock(reader, fcntl.LOCK_EX)
            with PidFile(path):
                assert path.read_text() == f"{os.getpid()}\n"

    def test_one_that_others_can_write_to_may_be_held_by_them(self, tmp_path: Path) -> None:
        path = tmp_path / "amiws.pid"
        with PidFile(path):
            path.chmod(0o666)
            with pytest.raises(PidFileError, match="another user locks the file"), PidFile(path):
                pass

    def test_no_such_folder(self, tmp_path: Path) -> None:
        path = tmp_path / "none" / "amiws.pid"
        with pytest.raises(PidFileError, match="No such file or directory"), PidFile(path):
            pass

    def test_somebody_elses_file_in_its_place_stays(self, tmp_path: Path) -> None:
        path = tmp_path / "amiws.pid"
        with PidFile(path):
            path.unlink()
            path.write_text("4711\n")
        assert path.read_text() == "4711\n"

    def test_a_file_that_is_gone_already_is_fine(self, tmp_path: Path) -> None:
        path = tmp_path / "amiws.pid"
        with PidFile(path):
            path.unlink()
        assert not path.exists()

    def test_a_folder_that_became_read_only_is_told(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        path = tmp_path / "amiws.pid"

        def refuse(self: Path) -> None:
            raise PermissionError(13, "Permission denied")

        with PidFile(path):
            monkeypatch.setattr(Path, "unlink", refuse)
        assert f"cannot remove the pid file {path}: Permission denied" in caplog.text

    def test_a_file_removed_between_open_and_lock_is_made_again(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = tmp_path / "amiws.pid"
        path.write_text("1\n")
        locks: list[int] = []
        control = fcntl.fcntl

        def remove_before_the_first(descriptor: int, *operation: Any) -> Any:
            if not locks:
                path.unlink()
            locks.append(descriptor)
            return control(descriptor, *operation)

        monkeypatch.setattr(fcntl, "fcntl", remove_before_the_first)
        with PidFile(path):
            assert len(locks) == 2
            assert path.read_text() == f"{os.getpid()}\n"

    def test_the_lock_ends_with_its_process(self, tmp_path: Path) -> None:
        path = tmp_path / "amiws.pid"
        with started(HOLDER, str(path), stdin=subprocess.PIPE) as holder:
            assert holder.stdout is not None
            holder.stdout.readline()
            with pytest.raises(PidFileError, match=f"process {holder.pid}"), PidFile(path):
                pass
        with PidFile(path):
            assert path.read_text() == f"{os.getpid()}\n"


@pytest.mark.parametrize(("text", "stays"), [("{own}\n", False), ("1\n", True), ("", True)])
def test_an_end_by_force_removes_the_pid_file_of_this_process(
    tmp_path: Path, text: str, stays: bool
) -> None:
    path = tmp_path / "amiws.pid"
    path.write_text(text.format(own=os.getpid()))
    drop_pid_file(path)
    assert path.exists() == stays
    drop_pid_file(tmp_path / "none")
