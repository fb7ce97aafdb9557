"""What a link passes on: its callbacks, their faults, what is dropped and a flood."""

from __future__ import annotations

import logging

import gevent
import pytest

from amiws_gevent.ami import Message
from amiws_gevent.config import Limits
from amiws_gevent.link import Link, LinkState
from tests.support.ami_server import AmiServer, Connection
from tests.support.greenlets import bytes_waiting, until
from tests.support.links import ACCEPTED, Watched, event, lines


def test_packets_that_are_dropped_are_told_of_once_a_minute(
    server: AmiServer, caplog: pytest.LogCaptureFixture
) -> None:
    with Watched(server.port, limits=Limits(ami_packet=500, ami_line=400)) as watched:
        server.wait_login()
        for number in range(3):
            server.send(b"Event: Long\r\nX: " + b"x" * 500 + b"\r\n\r\n" + event(number))
            until(lambda n=number: len(watched.messages) == n + 3)
        watched.later = 61
        server.send(b"Event: Long\r\nX: " + b"x" * 500 + b"\r\n\r\n" + event(3))
        until(lambda: len(watched.messages) == 6)
    told = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    why = (
        "packets dropped: larger than limits.ami_packet or limits.ami_line, or events with more "
        "than 1000 headers"
    )
    assert told == [
        f"pbx (127.0.0.1:{server.port}): {why} (1 so far)",
        f"pbx (127.0.0.1:{server.port}): {why} (4 so far) (2 more like it were not logged)",
    ]


class TestCallbacks:
    def test_what_they_raise_is_logged_once_a_minute_and_costs_no_message(
        self, server: AmiServer, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.ERROR)
        watched = Watched(server.port)
        taken = []

        def bad(_: Link, messages: list[Message]) -> None:
            taken.extend(messages)
            raise OSError("client trouble")

        def worse(*_: object) -> None:
            raise RuntimeError("state trouble")

        watched.link._on_messages = bad
        watched.link._on_state = worse
        with watched:
            server.wait_login()
            for number in range(3):
                server.send(event(number))
                until(lambda n=number: len(taken) == n + 3)
            assert watched.link.connected
        assert len(server.connections) == 1
        assert sorted(caplog.messages) == [
            f"pbx (127.0.0.1:{server.port}): internal error while {what}"
            for what in ("processing messages", "reporting the state")
        ]
        assert all(record.exc_info for record in caplog.records)

    def test_logins_and_failed_attempts_are_counted(self, server: AmiServer) -> None:
        server.login = "close"
        with Watched(server.port) as watched:
            watched.until_setback(2)
            server.login = "refuse"
            watched.until_state(LinkState.REFUSED)
            server.login = "check"
            watched.until_state(LinkState.CONNECTED)
            link = watched.link
            assert link.failed_attempts == len(watched.setbacks) >= 3
            assert link.logins == 1
            failed = link.failed_attempts
            server.logins[0].close()
            until(lambda: link.logins == 2)
            assert link.failed_attempts == failed, "a connection that is lost had been made"

    def test_what_is_odd_on_the_wire_is_counted_and_logged_at_debug(
        self, server: AmiServer, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        server.replay = b"Event: Test\r\nno colon here\r\n\r\n"
        with Watched(server.port) as watched:
            until(lambda: len(watched.messages) == 3)
            assert watched.link.faults()["lines_without_colon"] == 1
            server.logins[0].close()
            until(lambda: len(watched.messages) == 6)
            assert watched.link.faults()["lines_without_colon"] == 2
        odd = [line for line in lines(caplog, logging.DEBUG) if "no colon here" in line]
        assert len(odd) == 2
        assert "s3cret" not in caplog.text

    def test_the_settings_of_the_server_reach_the_parser(self, server: AmiServer) -> None:
        server.replay = b"Event: Test\r\nName: K\xf6ln\r\n\r\n" + (
            b"Event: Long\r\nX: " + b"x" * 2000 + b"\r\n\r\n" + event(1)
        )
        limits = Limits(ami_line=1000)
        with Watched(server.port, limits=limits, ami_encoding="latin-1") as watched:
            until(lambda: len(watched.messages) == 4)
        assert watched.messages[2].get("Name") == "Köln"
        assert watched.seen()[3] == "Test"


def test_one_servers_flood_leaves_the_others_their_turns(server: AmiServer) -> None:
    def flood(connection: Connection) -> None:
        connection.send(b"Asterisk Call Manager/11.0.0\r\n")
        connection.read_packet()
        connection.send(ACCEPTED)
        burst = b"".join(map(event, range(5000)))
        while not connection.ended:
            connection.send(burst)

    quiet = Watched(server.port)
    batches: list[int] = []  # of the noisy server, since the quiet one has something to read

    def take(*_: object) -> None:
        session = quiet.link._session
        waits = session is not None and bytes_waiting(session._wire._sock) > 0
        batches.append(batches[-1] + 1 if batches and waits else int(waits))

    with AmiServer(flood, sleep=gevent.sleep) as flooding:
        noisy = Watched(flooding.port)
        noisy.link._on_messages = take
        with noisy, quiet:
            quiet.until_state(LinkState.CONNECTED)
            until(lambda: len(batches) > 20)
            for number in range(20):
                server.send(event(number))
                until(lambda n=number: len(quiet.messages) == n + 3)
            assert noisy.link.connected
            flooding.kill()  # or its sender would wait for a reader that is gone
    assert max(batches) <= 2
