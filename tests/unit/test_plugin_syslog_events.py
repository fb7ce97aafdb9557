"""The plugin itself: from a hook to a line on the daemon's socket."""

from __future__ import annotations

import logging
import os
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gevent
import pytest
from amiws_plugins.syslog_events import Plugin, make_transport
from amiws_plugins.syslog_events.rfc5424 import LARGEST_SEQUENCE
from amiws_plugins.syslog_events.settings import Settings
from amiws_plugins.syslog_events.transports import Datagrams, Stream
from gevent import socket as gsocket

from amiws_gevent.ami import Kind, Message
from amiws_gevent.plugins import PluginContext, ServerInfo
from tests.support.clock import Clock
from tests.support.greenlets import until
from tests.support.patience import WAIT

SERVER = ServerInfo(3, "pbx1", False)
WHEN = 1763835140.973  # 2025-11-22T18:12:20.973Z


class Daemon:
    """A socket as syslog daemons have it, and the plugin that sends to it."""

    def __init__(self, folder: Path) -> None:
        self.path = str(folder / "log")
        self.socket = gsocket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.socket.settimeout(WAIT)
        self.clock = Clock()
        self.plugin = Plugin(clock=self.clock, now=lambda: WHEN)
        self.greenlets: list[gevent.Greenlet[..., Any]] = []

    def start(self, **given: Any) -> Plugin:
        given = {"to": self.path, "hostname": "gw", **given}
        settings = self.plugin.amiws_settings().model_validate(given)
        log = logging.getLogger("test.syslog_events")
        self.plugin.amiws_startup(PluginContext("syslog_events", settings, log, self.spawn))
        return self.plugin

    def spawn(self, *function: Any) -> gevent.Greenlet[..., Any]:
        self.greenlets.append(gevent.spawn(*function))
        return self.greenlets[-1]

    def feed(self, name: str, **headers: str) -> None:
        message = Message(Kind.EVENT, {"Event": name, "Privilege": "call,all", **headers})
        self.plugin.amiws_log_message(message, SERVER, b"{}")

    def line(self) -> str:
        return self.socket.recv(65536).decode()  # type: ignore[no-any-return]

    def silent(self) -> bool:
        self.socket.setblocking(False)
        try:
            self.socket.recv(65536)
        except BlockingIOError:
            return True
        finally:
            self.socket.settimeout(WAIT)
        return False


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    made = Daemon(tmp_path)
    yield made
    gevent.killall(made.greenlets)
    made.socket.close()


def test_a_line_of_an_event(daemon: Daemon) -> None:
    daemon.start()
    daemon.feed("VarSet", Variable="x")
    daemon.feed("PeerStatus", Peer="SIP/1", PeerStatus="Unreachable", Foo="bar")
    assert daemon.line() == (
        f"<132>1 2025-11-22T18:12:20.973Z gw amiws-gevent {os.getpid()} PeerStatus "
        '[meta sequenceId="1"][amiws@32473 server="pbx1" server_id="3" rule="peer_unreachable"]'
        '[ami@32473 Peer="SIP/1" PeerStatus="Unreachable"] SIP/1 is Unreachable on pbx1'
    )
    assert daemon.silent()


def test_settings_of_the_line(daemon: Daemon) -> None:
    rule = {"events": "A", "severity": "emerg", "template": "é"}
    daemon.start(
        defaults="no", rules=rule, facility="kern", app_name="pbx", enterprise="9.8", bom="no"
    )
    daemon.feed("A", X="1")
    line = daemon.line()
    assert line.startswith("<0>1 ")
    assert f" gw pbx {os.getpid()} A " in line
    assert line.endswith('rule="rule1"][ami@9.8 X="1"] é')


def test_without_a_hostname_it_is_the_machines(daemon: Daemon) -> None:
    daemon.start(hostname="")
    daemon.feed("FullyBooted")
    assert f"Z {socket.gethostname()} amiws-gevent " in daemon.line()


def test_only_events_are_looked_at(daemon: Daemon) -> None:
    daemon.start(rules={"events": "*"})
    for kind in (Kind.RESPONSE, Kind.PROMPT, Kind.UNKNOWN, Kind.COMMAND, Kind.QUEUE, Kind.ACTION):
        message = Message(kind, {"Event": "Hangup", "Response": "Success"})
        daemon.plugin.amiws_log_message(message, SERVER, b"{}")
    daemon.plugin.amiws_log_message(Message(Kind.UNKNOWN, []), SERVER, b"{}")
    daemon.plugin.amiws_log_message(
        Message(Kind.EVENT, [("Response", "x"), ("event", "Last")]), SERVER, b"{}"
    )
    assert " Last [meta " in daemon.line()


def test_connections_to_servers(daemon: Daemon) -> None:
    daemon.start()
    daemon.plugin.amiws_server_changed(SERVER, "connected", "connected to 192.0.2.1")
    daemon.plugin.amiws_server_changed(SERVER, "disconnected", "connection lost:\nreset")
    daemon.plugin.amiws_server_changed(SERVER, "refused", "wrong secret")
    up, lost, refused = daemon.line(), daemon.line(), daemon.line()
    assert up.startswith("<133>1 ")
    assert up.endswith(" AMI connection to pbx1 connected")
    assert lost.startswith("<131>1 ")
    assert ' AMIConnection [meta sequenceId="2"]' in lost
    assert lost.endswith(" AMI connection to pbx1 disconnected: connection lost:\\nreset")
    assert refused.startswith("<131>1 ")
    assert '[ami@32473 State="refused" Reason="wrong secret"]' in refused


def test_connections_for_rules_of_ones_own(daemon: Daemon) -> None:
    rule = {"events": "amiconnection", "headers": {"State": "connected"}, "log": "no"}
    daemon.start(rules=rule)
    daemon.plugin.amiws_server_changed(SERVER, "connected", "")
    daemon.plugin.amiws_server_changed(SERVER, "refused", "")
    assert daemon.line().endswith(" refused: -")


def test_an_event_that_a_server_calls_like_ours_is_none(daemon: Daemon) -> None:
    daemon.start()
    daemon.feed("AMIConnection", State="disconnected", Reason="forged")
    daemon.feed("Shutdown")
    assert " Shutdown [meta " in daemon.line()


def test_a_flood_is_counted_and_told_when_the_time_is_over(daemon: Daemon) -> None:
    rules = [
        {"events": "A", "limit": "2/min", "name": "flood", "facility": "auth", "severity": "debug"},
        {"events": "B", "limit": "1/s"},
    ]
    daemon.start(rules=rules)
    for _ in range(7):
        daemon.feed("A")
    daemon.feed("B")
    assert [daemon.line().split()[5] for _ in range(3)] == ["A", "A", "B"]
    assert daemon.silent()
    sleeping = daemon.greenlets[1:]
    assert len(sleeping) == 1  # one greenlet, however many lines there are
    daemon.clock.now += 60.0
    daemon.feed("A")
    assert daemon.line().split()[5] == "A"
    daemon.plugin._tell_suppressed(daemon.plugin._book.rules[0])
    assert re.fullmatch(
        r"<36>1 \S+ gw amiws-gevent \d+ Suppressed "
        r'\[meta sequenceId="5"\]\[amiws@32473 rule="flood" suppressed="5"\] '
        r"5 lines suppressed: rule flood has a limit of 2/min",
        daemon.line(),
    )


def test_the_summary_comes_by_itself(daemon: Daemon) -> None:
    daemon.start(rules={"events": "A", "limit": "1/s"})
    daemon.clock.now = 5.0
    daemon.feed("A")
    daemon.clock.now = 5.98  # 20 ms are left of the second
    daemon.feed("A")
    daemon.feed("A")
    daemon.line()
    assert "2 lines suppressed: rule rule1 has a limit of 1/s" in daemon.line()


def test_the_end_tells_what_was_suppressed_and_sends_what_waits(daemon: Daemon) -> None:
    plugin = daemon.start(rules={"events": "A", "limit": "1/day"})
    for _ in range(3):
        daemon.feed("A")
    until(lambda: plugin._sender is not None and plugin._sender.connected)
    plugin.amiws_shutdown()
    assert daemon.line().split()[5] == "A"
    assert "2 lines suppressed" in daemon.line()
    assert daemon.silent()


def test_a_reload_connects_anew(daemon: Daemon) -> None:
    plugin = daemon.start()
    daemon.feed("FullyBooted")
    daemon.line()
    daemon.socket.close()  # gone, and another one there: the path is the same
    Path(daemon.path).unlink()
    daemon.socket = gsocket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    daemon.socket.bind(daemon.path)
    daemon.socket.settimeout(WAIT)
    plugin.amiws_reload()
    gevent.sleep(0.01)
    daemon.feed("Shutdown")
    assert " Shutdown " in daemon.line()


def test_shutdown_after_a_start_that_was_refused() -> None:
    Plugin().amiws_shutdown()


def test_losses_are_a_line_too(daemon: Daemon) -> None:
    plugin = daemon.start(facility="local3")
    assert plugin._loss_line(7, 2).decode().split("Lost ")[1] == (
        '[meta sequenceId="1"][amiws@32473 dropped="7" uncertain="2"] '
        "7 lines were dropped while the receiver was away, 2 more may be lost on the way"
    )
    assert plugin._loss_line(0, 1).startswith(b"<156>1 ")


def test_the_number_of_a_line_begins_again_at_its_bound(daemon: Daemon) -> None:
    plugin = daemon.start()
    plugin._sequence = LARGEST_SEQUENCE - 1
    for _ in range(2):
        daemon.feed("FullyBooted")
    assert '[meta sequenceId="2147483647"]' in daemon.line()
    assert '[meta sequenceId="1"]' in daemon.line()


def test_a_long_event_stays_within_the_limit(daemon: Daemon) -> None:
    daemon.start(rules={"events": "A"})
    daemon.feed("A", Short="1", Long="é" * 100_000, Other="x" * 600)
    line = daemon.line()
    assert len(line.encode()) <= 2048
    assert f'[ami@32473 Short="1" Other="{"x" * 600}"]' in line
    assert line.endswith(f"event=A server=pbx1 Short=1 Other={'x' * 600} ...")


def test_a_certificate_that_is_not_checked_is_told(
    daemon: Daemon, caplog: pytest.LogCaptureFixture
) -> None:
    daemon.start(to="tls://127.0.0.1:1", ssl_verify="no")
    assert "its certificate is not checked (ssl_verify: no)" in caplog.text
    caplog.clear()
    daemon.start(to="tls://127.0.0.1:1", ssl_verify="no", ssl_fingerprint="ab" * 32)
    assert "not checked" not in caplog.text


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ({}, Datagrams),
        ({"to": "udp://x"}, Datagrams),
        ({"to": "tcp://x"}, Stream),
        ({"to": "tls://x", "framing": "lf"}, Stream),
    ],
)
def test_each_target_has_its_transport(given: dict[str, str], kind: type) -> None:
    assert isinstance(make_transport(Settings.model_validate(given)), kind)
