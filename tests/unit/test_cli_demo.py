"""``--demo``: simulated PBXs in place of the servers."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from gevent import socket as gsocket

from amiws_gevent import cli
from amiws_gevent.config import Settings
from amiws_gevent.errors import ListenError
from amiws_gevent.simulator import demo
from amiws_gevent.simulator.pbx.server import SimulatedPbx
from tests.support.command_line import CONFIGURATION, Server
from tests.support.patience import WAIT

pytestmark = pytest.mark.usefixtures("command_line")


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
