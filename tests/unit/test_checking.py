"""``--check`` and ``--connect``."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest

from amiws_gevent import cli
from amiws_gevent.live.check import READ_NOTE
from amiws_gevent.runtime.signals import Signals
from tests.support import listing
from tests.support.ami_server import AmiServer
from tests.support.command_line import CONFIGURATION, Server
from tests.support.program import ami_host, configuration
from tests.support.redis_server import RedisServer

pytestmark = pytest.mark.usefixtures("command_line")


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

    @pytest.mark.parametrize(
        ("more", "words", "library", "said"),
        [
            ("workers: 2\n", [], True, "workers needs redis-server (7.0 or newer) or"),
            ("", ["--workers", "auto"], True, "apt install redis-server"),
            ("workers: 2\n", [], False, "install amiws-gevent[redis]"),
            ("redis: {url: 'redis://127.0.0.1:1'}\nworkers: 2\n", [], True, ""),
            ("", [], False, ""),
        ],
    )
    def test_workers_without_a_redis_to_start(
        self,
        file: Path,
        ami: AmiServer,
        capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
        more: str,
        words: list[str],
        library: bool,
        said: str,
    ) -> None:
        monkeypatch.setenv("PATH", "/none")
        if not library:
            for name in ("check", "connection", "wire"):
                monkeypatch.delitem(sys.modules, f"amiws_gevent.bus.{name}", raising=False)
            monkeypatch.setitem(sys.modules, "redis", None)
        ami.on_action = listing.Lists(listing.MAY)
        file.write_text(f"{configuration(ami_host(ami.port))}{more}")
        assert cli.main(["--check", *words, "-f", str(file)]) == 0, "the file itself is right"
        err = capsys.readouterr().err
        assert ("install" in err, said in err) == (bool(said), True)
        if "redis:" not in more:
            status = cli.main(["--check", "--connect", *words, "-f", str(file)])
            assert status == (69 if said else 0)
            assert said in capsys.readouterr().err

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
