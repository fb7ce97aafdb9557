"""The PBXs of --demo: they run, their hosts are settings, a port that is missing leaves nothing."""

from __future__ import annotations

import gevent
import pytest
from gevent import socket as gsocket

from amiws_gevent.config import AmiHost
from amiws_gevent.simulator import demo
from amiws_gevent.simulator.pbx.server import SimulatedPbx


def test_each_host_is_a_pbx_that_takes_its_login() -> None:
    pbxs = demo.start()
    try:
        hosts = [AmiHost.model_validate(host) for host in pbxs.hosts]
        assert [(host.id, host.name) for host in hosts] == [
            (1, "pbx-berlin (Asterisk 13)"),
            (2, "pbx-lisbon (Asterisk 22)"),
        ]
        for host, version in zip(pbxs.hosts, (b"2.10.6", b"11.0.0"), strict=True):
            with gsocket.create_connection((host["host"], host["port"]), timeout=60) as client:
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
            gsocket.create_connection((host.host, host.port), timeout=60)
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
        demo.start()
    gevent.sleep(0)
    with pytest.raises(OSError):  # noqa: PT011 - which one depends on the system
        gsocket.create_connection(("127.0.0.1", started[0].port), timeout=60)
