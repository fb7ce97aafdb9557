"""Actions over a link: sent, asked for by the program itself, and left without an answer."""

from __future__ import annotations

import threading

import gevent
import pytest

from amiws_gevent.ami import ActionError
from amiws_gevent.config import Limits
from amiws_gevent.errors import ConnectionLost, NotConnected, SendBufferFull
from amiws_gevent.link import LinkState
from tests.support.ami_server import AmiServer, Connection, Packet, answer
from tests.support.greenlets import until
from tests.support.links import SLOW, Watched, event
from tests.support.patience import WAIT


def parked(connection: Connection, packet: Packet) -> bytes | None:
    """Answers ``ParkedCalls`` with two items, amid news of the same name; else nothing."""
    if packet.action != "ParkedCalls":
        return None
    own = f"ActionID: {packet.get('ActionID')}\r\n"
    item = f"Event: ParkedCall\r\n{own}\r\n"
    news = "Event: ParkedCall\r\nPrivilege: call,all\r\n\r\n"
    end = f"Event: ParkedCallsComplete\r\n{own}EventList: Complete\r\n\r\n"
    return answer(packet, "EventList: start") + f"{news}{item}{news}{item}{end}".encode()


class TestAsk:
    """Queries of the program's own."""

    def test_the_whole_answer_comes_to_who_asks_and_to_nobody_else(self, server: AmiServer) -> None:
        server.on_action = parked
        with Watched(server.port) as watched:
            watched.until_state(LinkState.CONNECTED)
            asking = [
                gevent.spawn(watched.link.ask, action, timeout=WAIT)
                for action in ({"Action": "ParkedCalls"}, [("Action", "ParkedCalls")])
            ]
            for one in asking:
                got = one.get()
                assert (got.complete, got.reason, got.refusal) == (True, "", "")
                assert [item.name for item in got.items] == ["ParkedCall"] * 2
                assert (got.end and got.end.name) == "ParkedCallsComplete"
            assert watched.link.under_way == 0
        assert watched.seen() == ["PROMPT", "Success", *["ParkedCall"] * 4]

    def test_only_who_asks_waits(self, server: AmiServer) -> None:
        server.on_action = lambda _connection, _packet: None
        with Watched(server.port) as watched:
            watched.until_state(LinkState.CONNECTED)
            asking = gevent.spawn(watched.link.ask, {"Action": "Silent"}, timeout=WAIT)
            server.wait_for("Silent")
            assert watched.link.under_way == 1
            server.send(event(1))
            until(lambda: "Test" in watched.seen())
            assert not asking.dead
            asking.kill()
            assert watched.link.under_way == 0

    def test_a_lost_connection_is_told_at_once(self, server: AmiServer) -> None:
        server.on_action = lambda _connection, _packet: None
        with Watched(server.port, SLOW) as watched:
            watched.until_state(LinkState.CONNECTED)
            asking = gevent.spawn(watched.link.ask, {"Action": "Silent"}, timeout=3600)
            server.wait_for("Silent")
            server.kill()
            with pytest.raises(ConnectionLost, match="the outcome of Silent is unknown"):
                asking.get(timeout=WAIT)
            with pytest.raises(NotConnected, match="not connected"):
                watched.link.ask({"Action": "Silent"}, timeout=3600)

    def test_a_stop_is_told_too(self, server: AmiServer) -> None:
        server.on_action = lambda connection, _packet: connection.hang()
        with Watched(server.port) as watched:
            watched.until_state(LinkState.CONNECTED)
            asking = gevent.spawn(watched.link.ask, {"Action": "Silent"}, timeout=3600)
            server.wait_for(lambda server: server.connections[0].hung)
            watched.link.stop(0.01)
            with pytest.raises(ConnectionLost, match=r"closed by amiws-gevent"):
                asking.get(timeout=WAIT)

    @pytest.mark.parametrize("killed", [True, False])
    def test_what_comes_after_it_was_given_up_comes_to_nobody(
        self, killed: bool, server: AmiServer
    ) -> None:
        given_up = threading.Event()

        def late(connection: Connection, packet: Packet) -> bytes | None:
            given_up.wait(WAIT)
            return parked(connection, packet) or answer(packet)

        server.on_action = late
        with Watched(server.port) as watched:
            watched.until_state(LinkState.CONNECTED)
            asking = gevent.spawn(
                watched.link.ask, {"Action": "ParkedCalls"}, timeout=WAIT if killed else 0.01
            )
            if killed:
                server.wait_for("ParkedCalls")
                asking.kill()
            else:
                assert asking.get().reason == "no whole answer within 0.01 s"
            given_up.set()
            assert watched.link.ask({"Action": "Last"}, timeout=WAIT).complete
        assert watched.seen() == ["PROMPT", "Success", *["ParkedCall"] * 2]

    def test_an_answer_over_its_bounds_is_cut_and_the_rest_comes_to_nobody(
        self, server: AmiServer
    ) -> None:
        server.on_action = parked
        with Watched(server.port) as watched:
            watched.until_state(LinkState.CONNECTED)
            got = watched.link.ask({"Action": "ParkedCalls"}, timeout=WAIT, max_messages=2)
            assert (len(got.items), got.complete) == (1, False)
            assert got.reason.startswith("the answer has more than 2 messages")
            until(lambda: len(watched.seen()) == 4)
            assert watched.link.ask({"Action": "ParkedCalls"}, timeout=WAIT).complete
        assert watched.seen() == ["PROMPT", "Success", *["ParkedCall"] * 4]

    @pytest.mark.parametrize("first", ["response", "event"])
    def test_what_became_of_an_originate_belongs_to_its_answer(
        self, first: str, server: AmiServer
    ) -> None:
        def originate(connection: Connection, packet: Packet) -> bytes:
            ident = packet.get("ActionID")
            told = f"Event: OriginateResponse\r\nPrivilege: call,all\r\nActionID: {ident}\r\n\r\n"
            parts = [answer(packet), told.encode()]
            return b"".join(parts if first == "response" else reversed(parts))

        server.on_action = originate
        with Watched(server.port) as watched:
            watched.until_state(LinkState.CONNECTED)
            action = {"Action": "Originate", "Async": "true"}
            got = watched.link.ask(action, timeout=WAIT, wait=True)
            assert (got.complete, got.items) == (True, ())
            assert (got.end and got.end.name) == "OriginateResponse"
            until(lambda: watched.seen()[-1] == "OriginateResponse")
            at_once = watched.link.ask(action, timeout=WAIT)
            assert (at_once.complete, at_once.end) == (True, None)

    def test_no_other_session_has_the_id_of_what_is_waited_for(self, server: AmiServer) -> None:
        """OriginateResponse goes to all sessions: also to other proxies and later connections."""
        with Watched(server.port) as watched, Watched(server.port) as other:
            for one in (watched, other):
                one.until_state(LinkState.CONNECTED)
                action = {"Action": "Originate", "Async": "true"}
                one.link.ask(action, timeout=0.01, wait=True)
            first, second = (packet.get("ActionID") for packet in server.actions[1::2])
            assert first != second
            assert max(len(first), len(second)) <= 60

    def test_its_action_ids_are_short_whatever_the_action_says(self, server: AmiServer) -> None:
        """Over 67 bytes Asterisk breaks the items of ConfbridgeList."""
        with Watched(server.port) as watched:
            watched.until_state(LinkState.CONNECTED)
            watched.link.ask({"Action": "A", "actionid": "x" * 100}, timeout=WAIT)
            sent = server.actions[-1]
            assert len(sent.get("ActionID")) <= 60
            assert [name.lower() for name, _ in sent].count("actionid") == 1

    def test_what_would_end_the_session_is_refused(self, server: AmiServer) -> None:
        with Watched(server.port) as watched:
            watched.until_state(LinkState.CONNECTED)
            for action in ({"Action": " Logoff"}, {"Action": "A", "X": "a\nb"}, {}):
                with pytest.raises(ActionError):
                    watched.link.ask(action, timeout=WAIT)
            assert [packet.action for packet in server.actions] == ["Login"]

    def test_a_full_buffer_is_told(self, server: AmiServer) -> None:
        with Watched(server.port, limits=Limits(ami_send_buffer=1000)) as watched:
            watched.until_state(LinkState.CONNECTED)
            with pytest.raises(SendBufferFull):
                watched.link.ask({"Action": "A", "X": "x" * 990}, timeout=WAIT)

    def test_from_the_links_own_greenlet_it_is_a_fault(
        self, server: AmiServer, caplog: pytest.LogCaptureFixture
    ) -> None:
        watched = Watched(server.port)
        watched.link._on_messages = lambda link, _: link.ask({"Action": "A"}, timeout=WAIT)
        with watched:
            until(lambda: "whose greenlet has to read" in caplog.text)


class TestSend:
    def test_actions_arrive_whole_and_in_order(self, server: AmiServer) -> None:
        with Watched(server.port) as watched:
            watched.until_state(LinkState.CONNECTED)
            for number in range(500):
                watched.link.send(b"Action: N%d\r\n\r\n" % number)
            server.wait_for("N499")
        assert [packet.action for packet in server.actions[1:501]] == [
            f"N{number}" for number in range(500)
        ]

    def test_without_a_connection_the_error_says_why(self, server: AmiServer) -> None:
        watched = Watched(server.port, SLOW)
        with pytest.raises(NotConnected, match=r"^server pbx is not connected \(stopped\)$"):
            watched.link.send(b"x")
        server.refuse()
        with watched:
            watched.until_state(LinkState.WAITING)
            with pytest.raises(
                NotConnected, match=r"\(waiting for the next attempt: .*Connection refused\)$"
            ):
                watched.link.send(b"x")

    def test_while_logging_in_and_when_refused_nothing_is_sent(self, server: AmiServer) -> None:
        server.login = "ignore"
        with Watched(server.port, SLOW) as watched:
            server.wait_for("Login")
            with pytest.raises(NotConnected, match="logging in"):
                watched.link.send(b"Action: Early\r\n\r\n")
        server.login = "refuse"
        with Watched(server.port, SLOW) as watched:
            watched.until_state(LinkState.REFUSED)
            with pytest.raises(NotConnected, match="login refused: 'Authentication failed'"):
                watched.link.send(b"Action: Early\r\n\r\n")
        assert "Early" not in [packet.action for packet in server.actions]

    @pytest.mark.slow
    def test_a_server_that_reads_nothing_fills_a_bounded_buffer(self, server: AmiServer) -> None:
        server.then = "hang"
        action = b"Action: Test\r\nVariable: " + b"x" * 900 + b"\r\n\r\n"
        limits = Limits(ami_send_buffer=100_000)
        with Watched(server.port, limits=limits) as watched:
            watched.until_state(LinkState.CONNECTED)
            while watched.link.pending_bytes + len(action) <= 100_000:
                watched.link.send(action)
            with pytest.raises(SendBufferFull):
                watched.link.send(action)
            assert watched.link.pending_bytes <= 100_000
            assert watched.link.connected
        assert watched.link.pending_bytes == 0

    def test_sending_on_a_connection_that_just_broke(self, server: AmiServer) -> None:
        with Watched(server.port, SLOW) as watched:
            watched.until_state(LinkState.CONNECTED)
            session = watched.link._session
            assert session is not None
            session._wire.shutdown()  # whose end the reader has not yet seen
            with pytest.raises(NotConnected, match=r"not connected \(Broken pipe\)"):
                watched.link.send(b"Action: Late\r\n\r\n")
            watched.until_state(LinkState.WAITING)
