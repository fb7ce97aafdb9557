"""A start from the command line, with the server behind it replaced."""

from __future__ import annotations

import gc
import os
import signal
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import gevent
import pytest

from amiws_gevent import cli
from amiws_gevent.config import LoadResult, Source
from amiws_gevent.errors import ListenError
from amiws_gevent.runtime import log
from amiws_gevent.runtime.signals import Signals
from tests.support.command_line import CONFIGURATION, Server
from tests.support.greenlets import until

pytestmark = pytest.mark.usefixtures("command_line")


class TestRun:
    def test_process_on_the_command_line_goes_before_the_file(
        self, file: Path, servers: list[Server]
    ) -> None:
        text = file.read_text() + "process: collector\nredis: {url: 'redis://127.0.0.1'}\n"
        file.write_text(text)
        assert cli.main(["-f", str(file)]) == 0
        assert cli.main(["-f", str(file), "--process", "edge"]) == 0
        assert [one.settings.process for one in servers] == ["collector", "edge"]
        assert servers[1].load is not None
        assert servers[1].load().settings.process == "edge"

    @pytest.mark.parametrize(
        ("text", "words", "number"),
        [("workers: 3\n", [], 3), ("workers: 3\n", ["--workers", "auto"], "auto"), ("", [], None)],
    )
    def test_workers_are_of_the_supervisor(
        self,
        file: Path,
        servers: list[Server],
        monkeypatch: pytest.MonkeyPatch,
        text: str,
        words: list[str],
        number: object,
    ) -> None:
        made: list[Supervisor] = []

        class Supervisor(Server):
            def __init__(self, result: LoadResult, source: Source, **options: Any) -> None:
                super().__init__(result.settings, load=source.load, log=options["log"])
                made.append(self)

        module = ModuleType("amiws_gevent.workers.supervisor")
        module.Supervisor = Supervisor  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "amiws_gevent.workers.supervisor", module)
        file.write_text(text + file.read_text())
        assert cli.main(["-f", str(file), *words]) == 0
        assert [one.settings.workers for one in servers] == [number]
        assert len(made) == (number is not None)
        assert servers[0].load is not None
        assert servers[0].load().settings.workers == number

    @pytest.mark.parametrize("word", ["0", "x", "129", "-1", "1.5"])
    def test_workers_that_are_no_number(
        self, word: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with pytest.raises(SystemExit) as caught:
            cli.main([f"--workers={word}"])
        assert caught.value.code == 2
        assert "--workers: must be auto or a number from 1 to 128" in capsys.readouterr().err

    def test_the_configuration_is_what_runs(self, file: Path, servers: list[Server]) -> None:
        assert cli.main(["-f", str(file)]) == 0
        (server,) = servers
        assert [host.name for host in server.settings.amihosts] == ["pbx"]
        assert server.log is not None

    def test_what_is_there_to_stay_is_not_looked_through_for_garbage(
        self, file: Path, servers: list[Server]
    ) -> None:
        frozen = []
        Server.deed = lambda server: frozen.append(gc.get_freeze_count()) or 0
        cli.main(["-f", str(file)])
        assert frozen[0] > 10_000

    def test_what_the_start_goes_without_is_on_again(
        self, file: Path, servers: list[Server]
    ) -> None:
        enabled = []
        Server.deed = lambda server: enabled.append(gc.isenabled()) or 0
        gc.disable()
        try:
            cli.main(["-f", str(file)])
        finally:
            gc.enable()
        assert enabled == [True]

    def test_a_wrong_configuration_starts_nothing(
        self, file: Path, servers: list[Server], capsys: pytest.CaptureFixture[str]
    ) -> None:
        file.write_text("ws_port: x\n")
        assert cli.main(["-f", str(file)]) == 78
        assert servers == []
        assert f"{file}:1: ws_port" in capsys.readouterr().err

    def test_a_reload_reads_the_same_file_from_another_folder(
        self, file: Path, servers: list[Server], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(file.parent)
        (file.parent / "pages").mkdir()
        file.write_text(f"web_root: pages\n{CONFIGURATION}")

        def reload(server: Server) -> int:
            monkeypatch.chdir("/")
            assert server.load is not None
            assert server.load().settings == server.settings
            return 0

        Server.deed = reload
        assert cli.main(["-f", file.name]) == 0
        assert servers[0].settings.web_root == file.parent / "pages"

    def test_the_status_is_the_servers(self, file: Path, servers: list[Server]) -> None:
        Server.deed = lambda server: 3
        assert cli.main(["-f", str(file)]) == 3

    def test_what_cannot_start_has_a_status_of_its_own(
        self, file: Path, servers: list[Server], capfd: pytest.CaptureFixture[str]
    ) -> None:
        def refuse(server: Server) -> int:
            raise ListenError("port 8000 is in use")

        Server.deed = refuse
        assert cli.main(["-f", str(file)]) == 71
        assert capfd.readouterr().err.count("port 8000 is in use") == 1

    def test_the_journal_gets_nothing_twice(
        self,
        file: Path,
        servers: list[Server],
        monkeypatch: pytest.MonkeyPatch,
        capfd: pytest.CaptureFixture[str],
    ) -> None:
        status = os.fstat(cli.STDERR)
        monkeypatch.setenv("JOURNAL_STREAM", f"{status.st_dev}:{status.st_ino}")
        monkeypatch.setattr(log, "syslog_listens", lambda: True)
        assert cli.main(["-f", str(file)]) == 0
        assert capfd.readouterr().err == ""
        monkeypatch.setattr(log, "syslog_listens", lambda: False)
        assert cli.main(["-f", str(file)]) == 0
        assert "starts" in capfd.readouterr().err, "without syslog it gets nothing otherwise"
        monkeypatch.delenv("JOURNAL_STREAM")
        assert cli.main(["-f", str(file)]) == 0
        assert "starts" in capfd.readouterr().err

    def test_a_fault_is_told_with_its_place(
        self, file: Path, servers: list[Server], capfd: pytest.CaptureFixture[str]
    ) -> None:
        def stumble(server: Server) -> int:
            raise ValueError("seven")

        Server.deed = stumble
        assert cli.main(["-f", str(file)]) == 70
        said = capfd.readouterr().err
        assert "ValueError" in said
        assert "seven" in said
        assert "stumble" in said

    def test_a_greenlet_that_died_changes_the_status(
        self, file: Path, servers: list[Server], capfd: pytest.CaptureFixture[str]
    ) -> None:
        def lose_a_part(server: Server) -> int:
            gevent.spawn(int, "seven").join()
            return 0

        Server.deed = lose_a_part
        assert cli.main(["-f", str(file)]) == 70
        assert "seven" in capfd.readouterr().err

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_an_end_asked_for_while_starting(
        self, file: Path, servers: list[Server], number: signal.Signals
    ) -> None:
        def interrupt(server: Server) -> None:
            assert pid_file.exists()
            signal.raise_signal(number)
            raise AssertionError("went on")

        Server.opening = interrupt
        pid_file = file.parent / "amiws.pid"
        assert cli.main(["-f", str(file), "-p", str(pid_file)]) == 0
        assert not pid_file.exists()
        assert servers[0].told == ["stop"]

    def test_a_reload_asked_for_while_starting_comes_once_it_runs(
        self, file: Path, servers: list[Server]
    ) -> None:
        def wait_for_it(server: Server) -> int:
            until(lambda: server.told)
            return 0

        Server.opening = lambda server: signal.raise_signal(signal.SIGHUP)
        Server.deed = wait_for_it
        assert cli.main(["-f", str(file)]) == 0
        assert servers[0].told == ["reload"]

    def test_signals_that_come_at_the_end_are_too_late(
        self, file: Path, servers: list[Server]
    ) -> None:
        signals = Signals()
        signals.take()
        pid_file = file.parent / "amiws.pid"
        assert cli.main(["-f", str(file), "-p", str(pid_file)], signals=signals) == 0
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGHUP)
        assert servers[0].told == []

    def test_in_the_foreground_a_pid_file_only_when_asked_for(
        self, file: Path, servers: list[Server], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        default = file.parent / "default.pid"
        monkeypatch.setattr(cli, "PID_FILE", default)
        pid_file = file.parent / "amiws.pid"
        seen = []

        def look(server: Server) -> int:
            seen.append((pid_file.exists(), default.exists()))
            return 0

        Server.deed = look
        assert cli.main(["-f", str(file), "-p", str(pid_file)]) == 0
        assert cli.main(["-f", str(file)]) == 0
        assert seen == [(True, False), (False, False)]
        assert not pid_file.exists()

    def test_a_locked_pid_file(
        self, file: Path, servers: list[Server], capsys: pytest.CaptureFixture[str]
    ) -> None:
        pid_file = file.parent / "amiws.pid"
        words = ["-f", str(file), "-p", str(pid_file)]
        inner: list[int] = []

        def again(server: Server) -> int:
            Server.deed = lambda server: 0
            inner.append(cli.main(words))
            return 0

        Server.deed = again
        assert cli.main(words) == 0
        assert inner == [73]
        assert "already running" in capsys.readouterr().err
        assert len(servers) == 1


class Child:
    """The daemon's side, without a fork: notes what was said before the start was told."""

    def __init__(self, capfd: pytest.CaptureFixture[str]) -> None:
        self._capfd = capfd
        self.said: str | None = None

    def started(self) -> None:
        self.said = self._capfd.readouterr().err


class TestDaemon:
    @pytest.mark.parametrize("listens", [True, False])
    def test_a_log_that_goes_nowhere_is_told_while_somebody_reads(
        self,
        file: Path,
        servers: list[Server],
        monkeypatch: pytest.MonkeyPatch,
        capfd: pytest.CaptureFixture[str],
        listens: bool,
    ) -> None:
        child = Child(capfd)
        monkeypatch.setattr(cli, "daemonise", lambda wdir, signals: child)
        monkeypatch.setattr(log, "syslog_listens", lambda: listens)
        assert cli.main(["-d", "-f", str(file), "-p", str(file.parent / "amiws.pid")]) == 0
        told = (
            "amiws-gevent: warning: no syslog daemon listens at /dev/log; the log is lost "
            "until one does\n"
        )
        assert child.said == ("" if listens else told)
