"""The link as a whole against the scripted server; its parts have tests of their own."""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gevent
import pytest

from amiws_gevent.ami import Kind
from amiws_gevent.link import Link, LinkState, Timings
from amiws_gevent.link import session as session_module
from amiws_gevent.link.dial import Dialler
from amiws_gevent.link.resolve import Resolver
from amiws_gevent.runtime.backoff import Backoff
from tests.support.ami_server import FULLY_BOOTED, AmiServer, Connection, Packet, answer
from tests.support.certificates import make_certificate
from tests.support.greenlets import until
from tests.support.leaks import live_greenlets, open_descriptors
from tests.support.links import ACCEPTED, SLOW, Watched, event, lines
from tests.support.patience import WAIT


def record_delays(backoff: Backoff) -> list[float]:
    """A list that each of its delays is added to; they are as long as chance allows."""
    delays = []
    original = backoff.next

    def recorded() -> float:
        delays.append(original())
        return delays[-1]

    backoff._random = lambda: 1.0
    backoff.next = recorded  # type: ignore[method-assign]
    return delays


class TestLogin:
    @pytest.mark.parametrize("pieces", [1, 7])
    def test_the_banner_comes_first_then_the_answer(self, server: AmiServer, pieces: int) -> None:
        server.banner_pieces = pieces
        server.replay = FULLY_BOOTED
        with Watched(server.port) as watched:
            until(lambda: len(watched.messages) == 3)
        assert watched.seen() == ["PROMPT", "Success", "FullyBooted"]
        assert watched.messages[0].headers == (
            ("Product", "Asterisk Call Manager"),
            ("Version", "11.0.0"),
        )
        assert [state for state, _ in watched.states] == [
            LinkState.CONNECTING,
            LinkState.LOGGING_IN,
            LinkState.CONNECTED,
            LinkState.STOPPED,
        ]

    def test_nothing_that_shares_a_read_with_the_banner_or_the_answer_is_lost(
        self, server: AmiServer
    ) -> None:
        server.greeting = event(1)
        server.before_answer = event(2)
        server.replay = event(3) + event(4)
        with Watched(server.port) as watched:
            until(lambda: len(watched.messages) == 6)
        assert watched.seen() == ["PROMPT", "Test", "Test", "Success", "Test", "Test"]
        assert [m.get("Number") for m in watched.messages if m.name] == ["1", "2", "3", "4"]
        assert watched.batches[0] >= 4

    def test_connected_is_told_before_the_first_messages(self, server: AmiServer) -> None:
        connected_at_messages = []
        watched = Watched(server.port)
        watched.link._on_messages = lambda link, _: connected_at_messages.append(link.connected)
        with watched:
            until(lambda: connected_at_messages)
        assert connected_at_messages[0] is True

    def test_an_answer_with_a_foreign_action_id_is_the_answer(self, server: AmiServer) -> None:
        server.login_answer = b"Response: Success\r\nActionID: of another\r\n\r\n"
        with Watched(server.port) as watched:
            watched.until_state(LinkState.CONNECTED)

    def test_a_server_without_banner(self, server: AmiServer) -> None:
        server.banner = None
        server.greeting = event(1)
        with Watched(server.port) as watched:
            until(lambda: len(watched.messages) == 2)
            assert watched.link.reason == "no banner"
        assert watched.seen() == ["Test", "Success"]

    def test_md5_keeps_the_secret_off_the_wire(self, server: AmiServer) -> None:
        with Watched(server.port, login="md5") as watched:
            until(lambda: len(watched.messages) == 2)
            assert watched.seen() == ["PROMPT", "Success"]
            assert watched.messages[1].get("Challenge") is None
        assert b"s3cret" not in server.received
        assert [packet.action for packet in server.actions] == ["Challenge", "Login", "Logoff"]

    def test_tls(self, server: AmiServer, tmp_path: Path) -> None:
        certificate = make_certificate(tmp_path, "127.0.0.1")
        server.tls = certificate.server()
        server.replay = b"".join(map(event, range(20_000)))
        with Watched(server.port, ssl_ca=certificate.ca) as watched:
            until(lambda: len(watched.messages) == 20_002)
        numbers = [message.get("Number") for message in watched.messages[2:]]
        assert numbers == [str(number) for number in range(20_000)]

    @pytest.mark.slow
    def test_a_server_that_never_greets_is_given_up(self, server: AmiServer) -> None:
        server.banner = None
        with Watched(server.port, SLOW, connect_timeout=1.0) as watched:
            reason = watched.until_state(LinkState.WAITING)
        assert reason == "no banner within 1 s (is it a TLS port? see ssl)"
        assert b"s3cret" not in server.received

    @pytest.mark.slow
    def test_a_server_that_never_answers_is_given_up(self, server: AmiServer) -> None:
        server.login = "ignore"
        with Watched(server.port, SLOW, connect_timeout=1.5) as watched:
            reason = watched.until_state(LinkState.WAITING)
        assert reason == "no answer to the login within 1.5 s"
        assert watched.messages == []

    def test_a_server_that_closes_instead_of_an_answer(self, server: AmiServer) -> None:
        server.login = "close"
        with Watched(server.port, SLOW) as watched:
            reason = watched.until_state(LinkState.WAITING)
        assert reason == "closed by the server before the answer to the login"

    @pytest.mark.parametrize(
        "flood",
        [event(0) * 11_000, b"Event: " + b"x" * 1_000_000 + b"\r\n\r\n"],
        ids=["messages", "bytes"],
    )
    def test_what_comes_before_the_answer_is_held_within_bounds(
        self, server: AmiServer, flood: bytes
    ) -> None:
        server.login = "ignore"
        server.before_answer = flood * 12
        with Watched(server.port, SLOW) as watched:
            reason = watched.until_state(LinkState.WAITING)
        assert re.fullmatch(
            r"\d+ bytes and \d+ messages came before the answer to the login", reason
        )
        assert watched.messages == []
        held = int(reason.split()[0]), int(reason.split()[3])
        assert held[0] <= session_module.HELD_BYTES + 256 * 1024
        assert held[1] <= session_module.HELD_MESSAGES + 256 * 1024 / len(event(0))


class TestRefusal:
    def test_it_is_told_once_loudly_without_the_secret(
        self, server: AmiServer, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        server.login = "refuse"
        with Watched(server.port) as watched:
            watched.until_setback(4)
        (line,) = lines(caplog, logging.ERROR)
        assert line.startswith(
            f"pbx (127.0.0.1:{server.port}): the server refused the login of user 'amiws': "
            "'Authentication failed'; check username and secret"
        )
        assert "s3cret" not in caplog.text
        assert not lines(caplog, logging.WARNING)

    def test_the_answer_reaches_clients_and_the_banner_does_not(self, server: AmiServer) -> None:
        server.login = "refuse"
        server.before_answer = event(1)
        with Watched(server.port, SLOW) as watched:
            watched.until_state(LinkState.REFUSED)
        (message,) = watched.messages
        assert message.kind is Kind.RESPONSE
        assert message.get("Message") == "Authentication failed"

    def test_it_is_tried_ever_more_slowly(self, server: AmiServer) -> None:
        server.login = "refuse"
        watched = Watched(server.port, Timings(refused_shortest=0.005, refused_longest=10))
        delays = record_delays(watched.link._retry_refused)
        with watched:
            watched.until_setback(5)
        assert delays == sorted(delays)
        assert delays[4] > 8 * delays[0]

    def test_it_recovers_and_a_later_refusal_is_told_again(
        self, server: AmiServer, caplog: pytest.LogCaptureFixture
    ) -> None:
        server.login = "refuse"
        watched = Watched(server.port)
        delays = record_delays(watched.link._retry_refused)
        with watched:
            watched.until_setback(3)
            server.login = "check"
            watched.until_state(LinkState.CONNECTED)
            before = len(delays)
            server.login = "refuse"
            server.logins[0].close()
            watched.until_setback(len(watched.setbacks) + 2)
        assert len(lines(caplog, logging.ERROR)) == 2
        assert delays[before] == delays[0]

    def test_a_wrong_secret_by_md5(self, server: AmiServer) -> None:
        with Watched(server.port, SLOW, login="md5", secret="wrong") as watched:
            assert watched.until_state(LinkState.REFUSED) == "'Authentication failed'"

    def test_a_server_without_challenges_says_what_to_set(
        self, server: AmiServer, caplog: pytest.LogCaptureFixture
    ) -> None:
        server.challenge = False
        with Watched(server.port, SLOW, login="md5") as watched:
            watched.until_state(LinkState.REFUSED)
        assert "offers no login by MD5" in lines(caplog, logging.ERROR)[0]
        assert "set login: plain" in lines(caplog, logging.ERROR)[0]


class TestKeepAlive:
    @pytest.mark.slow
    def test_silence_is_broken_by_pings_whose_answers_no_client_sees(
        self, server: AmiServer
    ) -> None:
        with Watched(server.port, keepalive=0.3) as watched:
            server.wait_for(lambda server: len(server.actions) > 5)
            assert watched.link.connected
            assert watched.setbacks == []
        assert watched.seen() == ["PROMPT", "Success"]
        pings = [packet for packet in server.actions if packet.action == "Ping"]
        ids = [packet.get("ActionID") for packet in pings]
        assert all(action_id.startswith("amiws-gevent-") for action_id in ids)
        assert len(set(ids)) == len(ids)

    def test_an_originate_that_is_not_answered_costs_no_connection(self, server: AmiServer) -> None:
        """A server as Asterisk is: it reads nothing until the phone is picked up."""
        picked_up = threading.Event()

        def ring(connection: Connection, packet: Packet) -> bytes:
            picked_up.wait(WAIT)
            return answer(packet, "Message: Originate successfully queued")

        server.on_action = ring
        with Watched(server.port, keepalive=0.1) as watched:
            watched.until_state(LinkState.CONNECTED)
            watched.link.send(b"Action: Originate\r\n\r\n", holding=3600.0)
            gevent.sleep(0.5)  # without it, 0.2 s are enough to be given up
            assert watched.setbacks == []
            picked_up.set()
            server.wait_for(lambda server: server.actions[-1].action == "Ping")
            until(lambda: watched.seen()[2:] == ["Success"])

    def test_a_server_that_hangs_is_left_and_reached_again(
        self, server: AmiServer, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO)
        server.then = "hang"
        with Watched(server.port, keepalive=0.1) as watched:
            reason = watched.until_setback()
            server.then = None
            watched.until_state(LinkState.CONNECTED)
        assert reason.startswith("no answer to Ping: the server sent nothing for ")
        assert any("connection lost: no answer to Ping" in line for line in caplog.messages)

    @pytest.mark.slow
    def test_events_alone_keep_a_connection_and_late_pongs_are_swallowed(
        self, server: AmiServer
    ) -> None:
        server.pong = False
        with Watched(server.port, keepalive=1.0) as watched:
            connection = server.wait_login()
            for number in range(3):  # nothing but one event after each Ping
                server.wait_for(lambda _, n=number: len(connection.packets) == n + 2)
                connection.send(event(number))
            pings = [packet for packet in server.actions if packet.action == "Ping"]
            foreign = Packet([("Action", "Ping"), ("ActionID", "a client's")])
            connection.send(b"".join(answer(ping, "Ping: Pong") for ping in [*pings, foreign]))
            until(lambda: len(watched.messages) == 6)
            assert watched.setbacks == []
        assert watched.seen() == ["PROMPT", "Success", *["Test"] * 3, "Success"]
        assert watched.messages[-1].get("ActionID") == "a client's"

    @pytest.mark.slow
    def test_traffic_needs_no_ping(self, server: AmiServer) -> None:
        with Watched(server.port, keepalive=2.0):
            server.wait_login()
            end = time.monotonic() + 2.5
            while time.monotonic() < end:
                server.send(event(0))
                gevent.sleep(0.02)
        assert [packet.action for packet in server.actions] == ["Login", "Logoff"]


class TestLoss:
    @pytest.mark.parametrize(
        ("end", "reason"),
        [
            (Connection.close, "closed by the server"),
            (Connection.reset, "reset by the server"),
        ],
    )
    def test_the_end_is_told_with_its_reason_and_the_link_comes_back(
        self,
        server: AmiServer,
        caplog: pytest.LogCaptureFixture,
        end: Callable[[Connection], None],
        reason: str,
    ) -> None:
        caplog.set_level(logging.INFO)
        with Watched(server.port) as watched:
            connection = server.wait_login()
            watched.until_state(LinkState.CONNECTED)
            end(connection)
            assert watched.until_setback() == reason
            watched.until_state(LinkState.CONNECTED)
            until(lambda: len(watched.messages) == 4)
        assert watched.seen() == ["PROMPT", "Success"] * 2
        assert (LinkState.CONNECTING, reason) in watched.states
        name = re.escape(f"pbx (127.0.0.1:{server.port}): ")
        texts = lines(caplog, logging.INFO)
        assert re.fullmatch(
            name + rf"connected to 127\.0\.0\.1:{server.port} as user amiws: "
            r"Asterisk Call Manager/11\.0\.0",
            texts[0],
        )
        assert re.fullmatch(
            name + f"connection lost: {reason}; next attempt in \\d\\.\\d s", texts[1]
        )
        assert re.fullmatch(name + r"connected to .*, after \d+ s", texts[2])
        assert texts[3:] == [f"pbx (127.0.0.1:{server.port}): connection closed"]

    def test_half_a_packet_is_dropped_and_counted(self, server: AmiServer) -> None:
        server.replay = event(1) + b"Event: Hal"
        server.then = "close"
        with Watched(server.port, SLOW) as watched:
            watched.until_state(LinkState.WAITING)
            assert watched.link.faults()["packets_cut"] == 1
        assert watched.seen() == ["PROMPT", "Success", "Test"]

    def test_a_server_that_shuts_down_is_told_from_one_that_died(self, server: AmiServer) -> None:
        server.replay = b"Event: Shutdown\r\nShutdown: Cleanly\r\nRestart: False\r\n\r\n"
        server.then = "close"
        with Watched(server.port, SLOW) as watched:
            assert watched.until_state(LinkState.WAITING) == "the server shut down"
        assert watched.seen()[-1] == "Shutdown"

    def test_killed_and_restarted_on_the_same_port(
        self, server: AmiServer, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        refused = f"127.0.0.1:{server.port}: Connection refused"

        def failures(level: int) -> int:
            return sum(f"not connected: {refused}" in line for line in lines(caplog, level))

        with Watched(server.port) as watched:
            watched.until_state(LinkState.CONNECTED)
            server.kill()
            until(lambda: lines(caplog, logging.WARNING) and failures(logging.DEBUG) >= 2)
            server.restart()
            watched.until_state(LinkState.CONNECTED)
        (warning,) = lines(caplog, logging.WARNING)
        assert re.search(rf"still not connected after \d+ s and \d+ attempts: {refused}", warning)
        assert failures(logging.INFO) == 1

    def test_delays_grow_and_a_stable_connection_resets_them(self, server: AmiServer) -> None:
        timings = Timings(retry_shortest=0.001, retry_longest=1.0, stable=1000)
        watched = Watched(server.port, timings)
        delays = record_delays(watched.link._retry)
        server.login = "close"
        with watched:
            watched.until_setback(5)
            server.login = "check"
            server.then = "close"  # logged in, but not for long
            watched.until_setback(7)
            server.then = None
            watched.until_state(LinkState.CONNECTED)
            watched.later = timings.stable
            server.logins[0].close()
            watched.until_setback(len(watched.setbacks) + 1)
        assert delays[:7] == [0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128]
        assert delays[-1] == 0.002

    def test_a_name_that_cannot_be_found_and_one_that_hangs_stall_nobody(
        self, server: AmiServer
    ) -> None:
        release = threading.Event()

        def hang(*_: object, **__: object) -> list[Any]:
            release.wait(WAIT)
            return []

        hanging = Watched(server.port, SLOW, host="pbx.example", connect_timeout=0.3)
        hanging.link._dialler = Dialler(hanging.host, time.monotonic, Resolver(hang))
        try:
            with hanging, Watched(server.port, host="localhost") as watched:
                watched.until_state(LinkState.CONNECTED)
                reason = hanging.until_state(LinkState.WAITING)
                assert reason == "looking up pbx.example takes too long"
        finally:
            release.set()

    def test_a_fault_of_the_links_own_is_logged_and_survived(
        self, server: AmiServer, caplog: pytest.LogCaptureFixture
    ) -> None:
        faults = iter([ValueError("odd"), ValueError("odd"), None])
        watched = Watched(server.port)
        dial = watched.link._dialler.dial

        def sometimes(deadline: float) -> Any:
            if fault := next(faults):
                raise fault
            return dial(deadline)

        watched.link._dialler.dial = sometimes
        with watched:
            watched.until_state(LinkState.CONNECTED)
        assert watched.setbacks == ["internal error: ValueError"] * 2
        assert lines(caplog, logging.ERROR) == [
            f"pbx (127.0.0.1:{server.port}): internal error while serving the connection"
        ]


class TestTls:
    def test_unverified_tls_warns_once_with_the_line_to_paste(
        self, server: AmiServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        certificate = make_certificate(tmp_path, "other.example")
        server.tls = certificate.server()
        with Watched(server.port, ssl=True, ssl_verify=False) as watched:
            watched.until_state(LinkState.CONNECTED)
            server.wait_login().close()
            server.wait_connections(2)
            server.wait_login()
        (warning,) = lines(caplog, logging.WARNING)
        assert f'ssl_fingerprint: "{certificate.fingerprint}"' in warning

    def test_a_pinned_certificate_warns_of_nothing(
        self, server: AmiServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        certificate = make_certificate(tmp_path, "other.example")
        server.tls = certificate.server()
        with Watched(server.port, ssl_fingerprint=certificate.fingerprint) as watched:
            watched.until_state(LinkState.CONNECTED)
        assert lines(caplog, logging.WARNING) == []

    def test_a_refused_certificate_says_once_what_to_set_and_no_login_is_sent(
        self, server: AmiServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        certificate = make_certificate(tmp_path, "127.0.0.1")
        server.tls = certificate.server()
        patient = Timings(retry_shortest=0.01, retry_longest=0.02)
        with Watched(server.port, patient, ssl=True) as watched:
            reason = watched.until_setback(3)
        assert reason.startswith("the server's certificate is not accepted: ")
        (warning,) = lines(caplog, logging.WARNING)
        assert f'set ssl_fingerprint: "{certificate.fingerprint}"' in warning
        assert server.received == b""

    @pytest.mark.slow
    def test_a_tls_port_met_without_tls_hints_at_it(
        self, server: AmiServer, tmp_path: Path
    ) -> None:
        server.tls = make_certificate(tmp_path, "127.0.0.1").server()
        with Watched(server.port, SLOW, connect_timeout=1.0) as watched:
            assert "is it a TLS port" in watched.until_state(LinkState.WAITING)


class TestStop:
    def test_it_logs_off_and_no_client_sees_the_answer(self, server: AmiServer) -> None:
        with Watched(server.port) as watched:
            watched.until_state(LinkState.CONNECTED)
        assert server.actions[-1].action == "Logoff"
        assert watched.seen() == ["PROMPT", "Success"]
        assert watched.link.state is LinkState.STOPPED
        assert not watched.link.connected
        until(lambda: server.connections[0].ended)

    def test_a_server_that_answers_but_does_not_close_is_not_waited_for(
        self, server: AmiServer
    ) -> None:
        def polite(connection: Connection) -> None:
            connection.server.login_answer = ACCEPTED
            connection.send(b"Asterisk Call Manager/2.10.6\r\n")
            while packet := connection.read_packet():
                goodbye = packet.action == "Logoff"
                connection.send(answer(packet, response="Goodbye" if goodbye else "Success"))

        server.script = polite
        watched = Watched(server.port)
        watched.link.start()
        watched.until_state(LinkState.CONNECTED)
        begin = time.monotonic()
        watched.link.stop(timeout=600)
        assert time.monotonic() - begin < WAIT
        assert watched.seen() == ["PROMPT", "Success"]

    def test_events_up_to_the_goodbye_are_passed_on(self, server: AmiServer) -> None:
        server.on_action = lambda *_: None
        original = Connection._HANDLERS["logoff"]

        def busy(connection: Connection, packet: Packet) -> None:
            connection.send(event(7))
            original(connection, packet)

        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(Connection._HANDLERS, "logoff", busy)
            with Watched(server.port) as watched:
                watched.until_state(LinkState.CONNECTED)
        assert watched.seen() == ["PROMPT", "Success", "Test"]

    def test_a_server_that_hangs_delays_it_by_the_timeout_only(self, server: AmiServer) -> None:
        server.then = "hang"
        watched = Watched(server.port)
        watched.link.start()
        watched.until_state(LinkState.CONNECTED)
        begin = time.monotonic()
        watched.link.stop(timeout=0.2)
        assert 0.15 < time.monotonic() - begin < WAIT
        assert watched.link.state is LinkState.STOPPED

    @pytest.mark.parametrize("state", [LinkState.WAITING, LinkState.LOGGING_IN, LinkState.REFUSED])
    def test_in_any_state_at_once(self, server: AmiServer, state: LinkState) -> None:
        if state is LinkState.WAITING:
            server.refuse()
        server.login = "ignore" if state is LinkState.LOGGING_IN else "refuse"
        watched = Watched(server.port, SLOW)
        watched.link.start()
        watched.until_state(state)
        begin = time.monotonic()
        watched.link.stop(timeout=600)
        assert time.monotonic() - begin < WAIT
        assert watched.link.state is LinkState.STOPPED

    def test_while_it_looks_a_name_up(self, server: AmiServer) -> None:
        release = threading.Event()

        def hang(*_: object, **__: object) -> list[Any]:
            release.wait(WAIT)
            return []

        watched = Watched(server.port, host="pbx.example")
        watched.link._dialler = Dialler(watched.host, time.monotonic, Resolver(hang))
        try:
            with watched:
                watched.until_state(LinkState.CONNECTING)
                gevent.sleep(0)
            assert watched.link.state is LinkState.STOPPED
        finally:
            release.set()

    def test_twice_and_before_the_start(self, server: AmiServer) -> None:
        watched = Watched(server.port)
        watched.link.stop()
        watched.link.start()
        watched.link.start()
        watched.link.stop()
        watched.link.stop()
        assert [state for state, _ in watched.states] == [LinkState.STOPPED]
        assert server.connections == []

    def test_by_two_at_once(self, server: AmiServer) -> None:
        with Watched(server.port) as watched:
            watched.until_state(LinkState.CONNECTED)
            gevent.joinall([gevent.spawn(watched.link.stop) for _ in range(2)], raise_error=True)
        assert [state for state, _ in watched.states].count(LinkState.STOPPED) == 1
        assert [packet.action for packet in server.actions] == ["Login", "Logoff"]

    def test_it_can_be_started_again(self, server: AmiServer) -> None:
        watched = Watched(server.port)
        for number in (1, 2):
            with watched:
                watched.until_state(LinkState.CONNECTED)
            assert len(server.connections) == number
        assert watched.seen() == ["PROMPT", "Success"] * 2

    def test_from_its_own_callback(self, server: AmiServer) -> None:
        watched = Watched(server.port)
        watched.link._on_messages = lambda link, _: link.stop()
        watched.link.start()
        until(lambda: (LinkState.STOPPED, "") in watched.states)
        assert (LinkState.CONNECTED, "Asterisk Call Manager/11.0.0") in watched.states
        assert server.actions[-1].action == "Logoff"

    def test_from_its_own_callback_without_a_connection(self, server: AmiServer) -> None:
        server.refuse()
        watched = Watched(server.port, SLOW)
        told = watched.link._on_state
        assert told is not None

        def stop_at_once(link: Link, state: LinkState, reason: str) -> None:
            told(link, state, reason)
            link.stop()

        watched.link._on_state = stop_at_once
        watched.link.start()
        watched.until_state(LinkState.STOPPED)
        until(lambda: (LinkState.STOPPED, "") in watched.states)
        assert len(watched.setbacks) == 1

    def test_nothing_is_left_behind(self, server: AmiServer) -> None:
        greenlets, descriptors = live_greenlets(), open_descriptors()
        for then in (None, "close", "hang"):
            server.then = then
            watched = Watched(server.port, keepalive=0.05)
            watched.link.start()
            server.wait_connections(len(server.connections) + 1)
            until(lambda watched=watched: watched.messages)
            watched.link.stop(timeout=0.1)
        until(lambda: all(connection.ended for connection in server.connections) or then == "hang")
        server.stop()
        until(lambda: open_descriptors() <= descriptors)
        until(lambda: live_greenlets() <= greenlets)
