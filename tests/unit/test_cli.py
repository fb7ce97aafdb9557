"""The command line, with the server behind it replaced."""

from __future__ import annotations

import errno
import gc
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import gevent
import pytest
import yaml
from gevent import socket as gsocket

from amiws_gevent import __version__, cli
from amiws_gevent.config import LoadResult, Settings, Source
from amiws_gevent.errors import ListenError
from amiws_gevent.live.check import READ_NOTE
from amiws_gevent.plugins.roster import Roster
from amiws_gevent.runtime import log
from amiws_gevent.runtime.log import LogControl
from amiws_gevent.runtime.signals import Signals
from amiws_gevent.simulator import demo
from amiws_gevent.simulator.pbx.server import SimulatedPbx
from amiws_gevent.web.tokens import hash_of
from tests.support import listing
from tests.support.ami_server import AmiServer
from tests.support.audit import a_file
from tests.support.garbage import set_aside
from tests.support.greenlets import until
from tests.support.patience import WAIT
from tests.support.program import ami_host, configuration
from tests.support.redis_server import RedisServer

CONFIGURATION = """\
ws_host: 127.0.0.1
amihosts:
  - name: pbx
    host: 127.0.0.1
    username: admin
    secret: ${AMI_SECRET}
"""


HOST = {"name": "pbx", "host": "127.0.0.1", "username": "u", "secret": "s"}


class Server:
    """Takes what the real one takes, and does what a test tells it to."""

    made: list[Server]
    opening: Callable[[Server], None]
    deed: Callable[[Server], int]

    def __init__(
        self,
        settings: Settings,
        *,
        load: Callable[[], LoadResult] | None = None,
        log: LogControl | None = None,
        private_files: Sequence[Path] = (),
    ) -> None:
        self.settings = settings
        self.load = load
        self.plugins = Roster()
        self.log = log
        self.private_files = private_files
        self.started = False
        has_pages = settings.process != "collector"
        self.url = f"http://{settings.ws_host}:{settings.ws_port}/" if has_pages else None
        self.told: list[str] = []
        self.made.append(self)

    def start(self) -> None:
        type(self).opening(self)
        self.started = True

    def run(self) -> int:
        assert self.started
        return type(self).deed(self)

    def stop(self) -> None:
        self.told.append("stop")

    def request_stop(self) -> None:
        self.told.append("end")

    def request_reload(self) -> None:
        self.told.append("reload")


@pytest.fixture(autouse=True)
def process(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Puts back what a program may change, and a test process must not."""
    monkeypatch.setenv("AMI_SECRET", "x")
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    handlers = {number: signal.getsignal(number) for number in numbers}
    controls: list[LogControl] = []
    configure = log.configure

    def noted(facility: int, level: int, *, foreground: bool) -> LogControl:
        controls.append(configure(facility, level, foreground=foreground, address="/none"))
        return controls[-1]

    monkeypatch.setattr(log, "configure", noted)
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)
    gevent.get_hub().__dict__.pop("handle_error", None)
    for control in controls:
        control.close()


@pytest.fixture
def servers(monkeypatch: pytest.MonkeyPatch) -> list[Server]:
    """The servers that the program makes."""
    module = ModuleType("amiws_gevent.processes")
    module.server_of = Server  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "amiws_gevent.processes", module)
    Server.made = []
    Server.opening = lambda server: None
    Server.deed = lambda server: 0
    return Server.made


@pytest.fixture(autouse=True, scope="module")
def garbage() -> Iterator[None]:
    """Programs that end leave it among what they have frozen."""
    yield
    set_aside()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "amiws.yaml"
    path.write_text(CONFIGURATION)
    path.chmod(0o600)
    return path


class TestOptions:
    def test_the_defaults_are_those_of_amiws(self) -> None:
        options = cli.parser().parse_args([])
        assert (Path("/etc/amiws.yaml"), Path("/tmp/amiws.pid")) == (cli.CONFIG_FILE, cli.PID_FILE)
        assert options.wdir == Path("/tmp")
        assert (options.daemon, options.check, options.demo) == (False, False, None)

    @pytest.mark.parametrize(
        "words",
        [
            ["-f", "/f", "-d", "-p", "/p", "-D", "/w"],
            ["-f/f", "-dp/p", "-D/w"],
            ["--file", "/f", "--daemon", "--pidfile", "/p", "--wdir", "/w"],
            ["--file=/f", "--daemon", "--pidfile=/p", "--wdir=/w"],
        ],
    )
    def test_each_spelling_that_getopt_takes(self, words: list[str]) -> None:
        options = cli.parser().parse_args(words)
        assert options.daemon
        assert [options.file, options.pidfile, options.wdir] == [
            Path(p) for p in ("/f", "/p", "/w")
        ]

    @pytest.mark.parametrize("words", [["-x"], ["--none"], ["-f"], ["extra"], ["-d", "extra"]])
    def test_wrong_words_end_with_a_message_and_status_2(
        self, words: list[str], capsys: pytest.CaptureFixture[str]
    ) -> None:
        with pytest.raises(SystemExit) as caught:
            cli.main(words)
        assert caught.value.code == 2
        said = capsys.readouterr()
        assert said.out == ""
        assert said.err.startswith("usage: amiws-gevent")
        assert "error:" in said.err

    @pytest.mark.parametrize("word", ["-h", "--help"])
    def test_help_names_every_option(self, word: str, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit) as caught:
            cli.main([word])
        assert caught.value.code == 0
        said = capsys.readouterr().out
        for option in ("-h", "-f", "-d", "-p", "-D", "--check", "--demo", "--version"):
            assert option in said

    def test_version(self, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit) as caught:
            cli.main(["--version"])
        assert caught.value.code == 0
        assert capsys.readouterr().out == f"amiws-gevent {__version__}\n"


class TestCheck:
    def test_a_good_file(self, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert cli.main(["--check", "-f", str(file)]) == 0
        said = capsys.readouterr()
        assert said.out == f"{file}: the configuration is valid (1 server)\n"
        assert said.err == ""

    def test_what_is_otherwise_than_with_amiws_is_noted(
        self, file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        root = tmp_path / "www"
        root.mkdir()
        (root / "panel.js").write_text('var socket = new WebSocket("ws://192.0.2.7:8000/");\n')
        file.write_text(CONFIGURATION.replace("ws_host: 127.0.0.1", f"web_root: {root}"))
        assert cli.main(["--check", "-f", str(file)]) == 0
        said = [line for line in capsys.readouterr().err.splitlines() if line[:5] == "note:"]
        assert len(said) == 2
        assert said[0].startswith(f"note: {file}:")
        assert said[1].startswith(f"note: {root}/panel.js:1: names the server")

    def test_warnings_are_told_and_harmless(
        self, file: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        file.write_text(CONFIGURATION.replace("ws_host: 127.0.0.1", "web_rot: /srv"))
        assert cli.main(["--check", "-f", str(file)]) == 0
        said = capsys.readouterr().err.splitlines()
        assert all(line.startswith(("warning: ", "note: ")) for line in said)
        assert f"{file}:1: web_rot" in said[0]
        assert len(said) == 3, "also the open port without a login, and what amiws does otherwise"

    def test_all_problems_are_told(self, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
        file.write_text("ws_port: 8a998\nlog_levle: 7\namihosts:\n  - name: pbx\n    port: 0\n")
        assert cli.main(["--check", "-f", str(file)]) == 78
        said = capsys.readouterr()
        assert said.out == ""
        for place in (":1: ws_port", ":2: log_levle", ":5: amihosts[0].port", "host", "secret"):
            assert place in said.err

    def test_strict_makes_errors_of_what_is_not_known(
        self, file: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        file.write_text(f"{CONFIGURATION}web_rot: /srv\n")
        file.chmod(0o644)
        assert cli.main(["--check", "--strict", "-f", str(file)]) == 78
        said = capsys.readouterr()
        assert said.out == ""
        assert said.err.startswith(f"{file}:7: web_rot: unknown key")

    def test_strict_leaves_other_warnings_alone(
        self, file: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        file.write_text(CONFIGURATION.replace("ws_host: 127.0.0.1\n", ""))
        assert cli.main(["--check", "--strict", "-f", str(file)]) == 0
        said = capsys.readouterr()
        assert said.err.startswith("warning: no login is asked for")
        assert "is valid (1 server)" in said.out

    def test_strict_alone_means_nothing(self, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit) as caught:
            cli.main(["--strict"])
        assert caught.value.code == 2
        assert "--strict needs --check" in capsys.readouterr().err

    def test_connect_alone_means_nothing(self, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit) as caught:
            cli.main(["--connect"])
        assert caught.value.code == 2
        assert "--connect needs --check" in capsys.readouterr().err

    @pytest.mark.parametrize(
        ("may", "login", "status", "said"),
        [
            (listing.MAY, "check", 0, "  CoreShowChannels: 0\n"),
            (("QueueStatus",), "check", 77, "write = reporting,call,agent,system\n"),
            (listing.MAY, "refuse", 69, "pbx: the login was refused"),
        ],
    )
    def test_connect_logs_in_and_says_what_is_missing(
        self,
        file: Path,
        ami: AmiServer,
        capsys: pytest.CaptureFixture[str],
        may: tuple[str, ...],
        login: str,
        status: int,
        said: str,
    ) -> None:
        ami.on_action, ami.login = listing.Lists(may), login
        file.write_text(configuration(ami_host(ami.port)))
        assert cli.main(["--check", "--connect", "-f", str(file)]) == status
        out = capsys.readouterr().out
        assert said in out
        assert out.endswith(f"{READ_NOTE}\n")

    @pytest.mark.slow
    def test_connect_looks_at_redis_and_at_what_a_second_collector_needs(
        self, file: Path, ami: AmiServer, capsys: pytest.CaptureFixture[str], tmp_path: Path
    ) -> None:
        ami.on_action, ami.multiple = listing.Lists(listing.MAY), False
        with RedisServer(tmp_path / "redis") as server:
            text = f"{configuration(ami_host(ami.port))}redis: {{url: '{server.url}'}}\n"
            file.write_text(text)
            assert cli.main(["--check", "--connect", "-f", str(file)]) == 77
            out = capsys.readouterr().out
            assert f"Redis at {server.url}: Redis " in out
            assert "    allowmultiplelogin = yes\n" in out
        before = len(ami.connections)
        edge = ["--check", "--connect", "--process", "edge", "-f", str(file)]
        assert cli.main(edge) == 69
        assert "Connection refused" in capsys.readouterr().out
        assert len(ami.connections) == before  # an edge has no connections to servers

    def test_a_file_with_errors_is_not_connected_with(self, file: Path, ami: AmiServer) -> None:
        file.write_text(f"{configuration(ami_host(ami.port))}log_level: x\n")
        assert cli.main(["--check", "--connect", "-f", str(file)]) == 78
        assert ami.connections == []

    def test_a_missing_file(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert cli.main(["--check", "-f", str(tmp_path / "none.yaml")]) == 78
        assert str(tmp_path / "none.yaml") in capsys.readouterr().err

    def test_one_that_is_interrupted_does_not_say_that_all_is_well(self, file: Path) -> None:
        signals = Signals()
        signals.take()
        signal.raise_signal(signal.SIGINT)
        assert cli.main(["--check", "-f", str(file)], signals=signals) == 130

    def test_nothing_is_started(self, file: Path, servers: list[Server], tmp_path: Path) -> None:
        pid_file = tmp_path / "amiws.pid"
        assert cli.main(["--check", "-d", "-p", str(pid_file), "-f", str(file)]) == 0
        assert servers == []
        assert not pid_file.exists()


class TestPlugins:
    PLUGIN = """\
from pydantic import SecretStr
from amiws_gevent.plugins.api import PluginSettings
import amiws_gevent.ami

class Settings(PluginSettings):
    number: int = 3
    key: SecretStr

class Plugin:
    REQUIRED = True

    def amiws_settings(self):
        return Settings

    def amiws_startup(self):
        raise AssertionError("started")

    def amiws_transform_message(self):
        pass
"""

    def test_what_is_loaded_from_where_with_which_hooks_and_settings(
        self, file: Path, servers: list[Server], capsys: pytest.CaptureFixture[str]
    ) -> None:
        plugin = file.parent / "mine.py"
        plugin.write_text(self.PLUGIN)
        file.write_text(
            f"plugins:\n- {plugin}: {{key: s3cret, hook_timeout: 1 s}}\n"
            f"- event_filter: {{deny: VarSet}}\n{CONFIGURATION}"
        )
        assert cli.main(["--plugins", "-f", str(file)]) == 0
        said = capsys.readouterr()
        assert said.err == ""
        lines = said.out.splitlines()
        assert lines[:5] == [
            f"{plugin} (required)",
            f"  from      {plugin}",
            "  hooks     amiws_settings, amiws_startup, amiws_transform_message",
            "  settings  Settings(number=3, key=SecretStr('**********'))",
            "  timeout   1 s",
        ]
        assert lines[5] == "event_filter"
        assert "amiws_filter_message" in lines[7]
        assert servers == []

    def test_none(self, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert cli.main(["--plugins", "-f", str(file)]) == 0
        assert capsys.readouterr().out == f"{file}: no plugins\n"

    @pytest.mark.parametrize("option", ["--plugins", "--check"])
    def test_a_wrong_one_is_told_with_name_file_and_line(
        self, file: Path, option: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        plugin = file.parent / "mine.py"
        plugin.write_text("X = 1\ndef amiws_filter_mesage():\n    pass\n")
        file.write_text(f"plugins:\n- {plugin}\n{CONFIGURATION}")
        assert cli.main([option, "-f", str(file)]) == 78
        said = capsys.readouterr()
        assert said.out == ""
        assert said.err == (
            f"{file}:2: plugins[0]: plugin {plugin}: {plugin}:2: there is no hook "
            "amiws_filter_mesage; did you mean amiws_filter_message?\n"
        )


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


def simulated(settings: Settings) -> bool:
    names = [host.name for host in settings.amihosts]
    return names == [
        "pbx-berlin (Asterisk 13)",
        "pbx-lisbon (Asterisk 22)",
        "pbx-lyon (Asterisk 11)",
    ]


class TestDemo:
    def test_it_needs_no_file_and_stays_on_this_machine(self, servers: list[Server]) -> None:
        assert cli.main(["--demo"]) == 0
        (server,) = servers
        assert simulated(server.settings)
        assert server.load is None
        assert (server.settings.ws_host, server.settings.ws_port) == ("127.0.0.1", 8000)

    def test_it_is_of_the_process_that_has_the_servers(
        self, file: Path, servers: list[Server], capsys: pytest.CaptureFixture[str]
    ) -> None:
        file.write_text(f"redis: {{url: 'redis://127.0.0.1'}}\n{CONFIGURATION}")
        words = ["--demo", "-f", str(file), "--process"]
        assert cli.main([*words, "collector"]) == 0
        assert simulated(servers[0].settings)
        assert "browser" not in capsys.readouterr().out
        assert cli.main([*words, "edge"]) == 2
        assert "an edge has no servers" in capsys.readouterr().err
        assert len(servers) == 1

    def test_a_file_that_is_named_is_used(self, file: Path, servers: list[Server]) -> None:
        file.write_text(f"ws_port: 8123\n{CONFIGURATION}")
        assert cli.main(["--demo", "-f", str(file)]) == 0
        (server,) = servers
        assert simulated(server.settings)
        assert server.load is not None
        assert server.settings.ws_port == 8123

    @pytest.mark.parametrize("words", [["--demo", "8123"], ["--demo=8123"]])
    def test_a_port(
        self, words: list[str], servers: list[Server], capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert cli.main(words) == 0
        assert servers[0].settings.ws_port == 8123
        assert (
            capsys.readouterr().out == "Open http://127.0.0.1:8123/ in a browser; Ctrl-C ends it.\n"
        )

    def test_the_address_is_told_once_it_listens(
        self, servers: list[Server], capsys: pytest.CaptureFixture[str]
    ) -> None:
        def refuse(server: Server) -> None:
            raise ListenError("port 8000 is in use")

        said_before = []

        def run(server: Server) -> int:
            said_before.append(capsys.readouterr().out)
            return 0

        Server.deed = run
        assert cli.main(["--demo"]) == 0
        assert said_before == ["Open http://127.0.0.1:8000/ in a browser; Ctrl-C ends it.\n"]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Server, "start", refuse)
            assert cli.main(["--demo"]) == 71
        assert capsys.readouterr().out == ""

    def test_without_it_nothing_is_printed(
        self, file: Path, servers: list[Server], capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert cli.main(["-f", str(file)]) == 0
        assert capsys.readouterr().out == ""

    def test_a_port_before_that_of_the_file_after_a_reload_too(
        self, file: Path, servers: list[Server]
    ) -> None:
        file.write_text(f"ws_port: 8123\n{CONFIGURATION}")
        assert cli.main(["--demo", "8124", "-f", str(file)]) == 0
        (server,) = servers
        assert server.load is not None
        assert server.settings.ws_port == server.load().settings.ws_port == 8124

    def test_a_file_needs_no_servers(
        self, file: Path, servers: list[Server], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        file.write_text("ws_port: 8123\n")
        assert cli.main(["--demo", "-f", str(file)]) == 0
        monkeypatch.delenv("AMI_SECRET")
        file.write_text(CONFIGURATION)
        assert cli.main(["--demo", "-f", str(file)]) == 0
        assert len(servers) == 2

    def test_the_servers_of_the_file_are_replaced_after_a_reload_too(
        self, file: Path, servers: list[Server]
    ) -> None:
        ports = []

        def reload(server: Server) -> int:
            assert server.load is not None
            file.write_text(f"ws_port: 8125\n{CONFIGURATION}")
            again = server.load().settings
            assert again.ws_port == 8125
            assert again.amihosts == server.settings.amihosts
            ports.extend(pbx.port for pbx in again.amihosts)
            for port in ports:
                gsocket.create_connection(("127.0.0.1", port), timeout=WAIT).close()
            return 0

        Server.deed = reload
        assert cli.main(["--demo", "-f", str(file)]) == 0
        assert len(ports) == 3
        for port in ports:
            with pytest.raises(ConnectionRefusedError):
                gsocket.create_connection(("127.0.0.1", port), timeout=WAIT)

    def test_without_a_port_for_a_simulated_server_it_does_not_start(
        self, servers: list[Server], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(pbx: SimulatedPbx) -> None:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

        monkeypatch.setattr(SimulatedPbx, "start", fail)
        assert cli.main(["--demo"]) == 71
        assert servers == []

    @pytest.mark.parametrize("port", ["x", "65536", "-1", "\u0661"])
    def test_what_is_no_port(self, port: str, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit) as caught:
            cli.main([f"--demo={port}"])
        assert caught.value.code == 2
        assert "must be a port from 0 to 65535" in capsys.readouterr().err

    def test_what_the_pbxs_play_can_be_chosen(
        self, servers: list[Server], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        wished: list[demo.Wishes] = []
        start = demo.start

        def note(wishes: demo.Wishes) -> demo.DemoPbxs:
            wished.append(wishes)
            return start(wishes)

        monkeypatch.setattr(demo, "start", note)
        words = ["--seed", "0", "--rate", "12.5", "--scenario", "hold,blonde"]
        assert cli.main(["--demo", *words]) == 0
        assert cli.main(["--demo"]) == 0
        chosen = demo.Wishes(seed=0, rate=12.5, scenarios=("hold", "blonde"))
        assert wished == [chosen, demo.Wishes()]

    def test_the_scenarios_are_listed(
        self, servers: list[Server], capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert cli.main(["--demo", "--scenarios"]) == 0
        assert capsys.readouterr().out.splitlines() == list(demo.listed())
        assert servers == []

    @pytest.mark.parametrize(
        ("words", "said"),
        [
            (["--demo", "--scenario", "holt"], "no scenario 'holt'; --demo --scenarios lists"),
            (["--demo", "--rate", "-1"], "must be calls a minute"),
            (["--demo", "--rate", "nan"], "must be calls a minute"),
            (["--demo", "--rate", "x"], "must be calls a minute"),
            (["--rate", "5"], "--rate needs --demo"),
            (["--seed", "0"], "--seed needs --demo"),
            (["--scenarios"], "--scenarios needs --demo"),
        ],
    )
    def test_wishes_that_cannot_be_met(
        self, words: list[str], said: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with pytest.raises(SystemExit) as caught:
            cli.main(words)
        assert caught.value.code == 2
        assert said in capsys.readouterr().err

    def test_check_and_plugins_have_no_file_to_name(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert cli.main(["--demo", "--check"]) == 0
        assert cli.main(["--demo", "--plugins"]) == 0
        assert capsys.readouterr().out == (
            "--demo: the configuration is valid (simulated servers)\n--demo: no plugins\n"
        )


class TestToken:
    def test_it_is_told_once_with_its_lines(
        self, capsys: pytest.CaptureFixture[str], servers: list[Server], tmp_path: Path
    ) -> None:
        assert cli.main(["--token", "crm", "-f", str(tmp_path / "none")]) == 0
        said = capsys.readouterr().out
        (token,) = [line.strip() for line in said.splitlines() if line.startswith("    amiws_")]
        lines = yaml.safe_load(said[said.index("api_tokens:") :])
        (made,) = Settings.model_validate({**lines, "amihosts": [HOST]}).api_tokens
        assert (made.name, made.hash) == ("crm", hash_of(token))
        assert said.count(token) == 1
        assert servers == []

    def test_each_is_another(self, capsys: pytest.CaptureFixture[str]) -> None:
        cli.main(["--token", "crm"])
        first = capsys.readouterr().out
        cli.main(["--token", "crm"])
        assert capsys.readouterr().out != first

    @pytest.mark.parametrize("name", ["", "a b", "a:b", "-x=", "x" * 65, "ä"])
    def test_what_is_no_name(self, name: str, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit) as caught:
            cli.main([f"--token={name}"])
        assert caught.value.code == 2
        said = capsys.readouterr()
        assert "--token: must" in said.err
        assert said.out == ""


class TestAudit:
    def test_keys_and_heads_alone_mean_nothing(self, capsys: pytest.CaptureFixture[str]) -> None:
        for option in ("--audit-key", "--audit-head"):
            with pytest.raises(SystemExit) as caught:
                cli.main([option, "x"])
            assert caught.value.code == 2
            assert f"{option} needs --audit-verify" in capsys.readouterr().err

    def test_without_an_audit_there_is_no_key(
        self, file: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with pytest.raises(SystemExit) as caught:
            cli.main(["-f", str(file), "--audit-verify", "x"])
        assert caught.value.code == 2
        assert "name its key with --audit-key" in capsys.readouterr().err

    def test_it_is_verified(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        key = tmp_path / "key"
        key.write_text("k" * 32)
        key.chmod(0o600)
        lines, head = a_file(None, 3)
        audit = tmp_path / "audit"
        audit.write_bytes(b"".join(lines))
        words = ["--audit-verify", str(audit), "--audit-key", str(key)]
        assert cli.main([*words, "--audit-head", str(head)]) == 0
        assert "4 records" in capsys.readouterr().out
        audit.write_bytes(b"".join([lines[0], *lines[2:]]))
        assert cli.main(words) == 65
        assert "WRONG" in capsys.readouterr().out
        assert cli.main([*words[:3], str(tmp_path / "none")]) == 73
        assert "No such file" in capsys.readouterr().err
