"""The server of forks: what it starts is the program, and ends as such."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from amiws_gevent import __version__
from tests.support.forkserver import Forked, fork_server
from tests.support.patience import WAIT
from tests.support.program import Program, ami_host, configuration

pytestmark = pytest.mark.slow


def started(folder: Path, words: Sequence[str]) -> tuple[Forked, Path]:
    path = folder / "log"
    with path.open("wb") as log:
        return fork_server().start(words, log), path


def test_it_says_what_it_would_say_and_has_its_status(tmp_path: Path) -> None:
    process, log = started(tmp_path, ["--version"])
    assert process.wait(WAIT) == 0
    assert log.read_text() == f"amiws-gevent {__version__}\n"
    process, log = started(tmp_path, ["--none"])
    assert process.wait(WAIT) == process.poll() == process.returncode == 2
    assert "unrecognized arguments: --none" in log.read_text()
    process.terminate()  # as nothing: it has ended


def test_it_has_the_environment_of_now(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "amiws.yaml"
    file.write_text("amihosts: [{name: pbx, host: '${PBX_HOST}', username: a, secret: b}]\n")
    monkeypatch.setenv("PBX_HOST", "pbx.example")
    process, log = started(tmp_path, ["--check", "-f", str(file)])
    assert process.wait(WAIT) == 0, log.read_text()
    monkeypatch.delenv("PBX_HOST")
    process, log = started(tmp_path, ["--check", "-f", str(file)])
    assert process.wait(WAIT) == 78
    assert "PBX_HOST" in log.read_text()


def test_signals_reach_it(tmp_path: Path) -> None:
    with Program(tmp_path, configuration(ami_host(1))) as program:
        assert isinstance(program.process, Forked)
        assert program.process.poll() is None
        with pytest.raises(subprocess.TimeoutExpired):
            program.process.wait(0.001)
        program.process.terminate()
        assert program.process.wait(WAIT) == 0
    with Program(tmp_path, configuration(ami_host(1))) as program:
        program.process.kill()
        assert program.process.wait() == -signal.SIGKILL


def opened(process: Forked) -> dict[str, str]:
    """What its descriptors are, by number."""
    folder = Path(f"/proc/{process.pid}/fd")
    return {path.name: str(path.readlink()) for path in folder.iterdir()}


def test_it_is_a_process_that_has_nothing_of_others(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    with (
        Program(tmp_path, configuration(ami_host(1))) as one,
        Program(tmp_path / "other", configuration(ami_host(1))) as other,
    ):
        assert isinstance(one.process, Forked)
        assert isinstance(other.process, Forked)
        ours, theirs = opened(one.process), opened(other.process)
    assert [ours[number] for number in "012"] == ["/dev/null", *2 * [str(one.log_file)]]
    assert not {name for name in {*ours.values()} & {*theirs.values()} if "socket:" in name}
