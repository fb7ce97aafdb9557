"""The PBXs of --demo: they run, their hosts are settings, a port that is missing leaves nothing."""

from __future__ import annotations

from pathlib import Path

import gevent
import pytest
from gevent import socket as gsocket

from amiws_gevent.config import AmiHost
from amiws_gevent.simulator import demo
from amiws_gevent.simulator.pbx.repertoire import only
from amiws_gevent.simulator.pbx.scenarios import SCENARIOS
from amiws_gevent.simulator.pbx.server import SimulatedPbx
from amiws_gevent.simulator.pbx.simulation import Simulation
from amiws_gevent.simulator.pbx.style import STYLE_22
from tests.support.patience import WAIT
from tests.support.simulator import name_of


def test_each_host_is_a_pbx_that_takes_its_login() -> None:
    pbxs = demo.start(demo.Wishes())
    try:
        hosts = [AmiHost.model_validate(host) for host in pbxs.hosts]
        assert [(host.id, host.name) for host in hosts] == [
            (1, "pbx-berlin (Asterisk 13)"),
            (2, "pbx-lisbon (Asterisk 22)"),
            (3, "pbx-lyon (Asterisk 11)"),
        ]
        for host, version in zip(pbxs.hosts, (b"2.10.6", b"11.0.0", b"1.3"), strict=True):
            with gsocket.create_connection((host["host"], host["port"]), timeout=WAIT) as client:
                login = f"Username: {host['username']}\r\nSecret: {host['secret']}\r\n\r\n"
                client.sendall(b"Action: Login\r\n" + login.encode())
                received = b""
                while b"Authentication accepted" not in received:
                    data = client.recv(65536)
                    assert data, received
                    received += data
                assert received.startswith(b"Asterisk Call Manager/" + version)
    finally:
        pbxs.stop()
    for host in hosts:
        with pytest.raises(OSError):  # noqa: PT011 - which one depends on the system
            gsocket.create_connection((host.host, host.port), timeout=WAIT)
    pbxs.stop()


def test_without_a_port_for_one_none_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[SimulatedPbx] = []
    start = SimulatedPbx.start

    def start_but_one(pbx: SimulatedPbx) -> None:
        if started:
            raise OSError("no port")
        start(pbx)
        started.append(pbx)

    monkeypatch.setattr(SimulatedPbx, "start", start_but_one)
    with pytest.raises(OSError, match="no port"):
        demo.start(demo.Wishes())
    gevent.sleep(0)
    with pytest.raises(OSError):  # noqa: PT011 - which one depends on the system
        gsocket.create_connection(("127.0.0.1", started[0].port), timeout=WAIT)


def test_the_same_seed_plays_the_same_scenarios() -> None:
    def first_scenarios(seed: int) -> list[str]:
        programme = demo.Wishes(seed=seed).programme()
        made = Simulation(STYLE_22, started=0.0, seed=seed, rate=1.0, programme=programme)
        return [name_of(packet) for packet in made.advance(120.0)]

    assert first_scenarios(3) == first_scenarios(3)
    assert first_scenarios(3) != first_scenarios(4)


def test_each_pbx_plays_what_is_asked_for_at_the_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(demo, "SimulatedPbx", lambda **words: asked.append(words) or StubPbx())
    demo.start(demo.Wishes(seed=9, rate=6, scenarios=("hold", "blonde")))
    for words in asked:
        assert (words["seed"], words["rate"]) == (9, 0.1)
        assert words["programme"] == only(("hold", "blonde"))
    assert [words["style"] for words in asked] == ["13", "22", "11"]


class StubPbx:
    name = "stub"
    port = 5038

    def start(self) -> None:
        """Nothing to start."""


def test_a_scenario_that_there_is_not_is_refused() -> None:
    with pytest.raises(ValueError, match="'holt'"):
        demo.Wishes(scenarios=("hold", "holt"))


def test_each_scenario_is_listed_with_its_story() -> None:
    lines = list(demo.listed())
    assert len(lines) == len(SCENARIOS)
    for line, scenario in zip(lines, SCENARIOS.values(), strict=True):
        assert line.split(maxsplit=1) == [scenario.name, scenario.told]


def test_the_documentation_has_each_scenario_with_its_story() -> None:
    page = (Path(__file__).parents[2] / "docs" / "demo.md").read_text(encoding="utf-8")
    rows = [f"| `{scenario.name}` | {scenario.told} |" for scenario in SCENARIOS.values()]
    assert "\n".join(rows) in page
