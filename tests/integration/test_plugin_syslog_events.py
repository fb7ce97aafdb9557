"""`syslog_events` in the real program, against a real rsyslogd."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.ami_server import AmiServer
from tests.support.certificates import make_certificate
from tests.support.patience import WAIT
from tests.support.program import Program, ami_host, configuration, wait_until
from tests.support.rsyslog import Rsyslog
from tests.support.ws_client import Client

KINDS = ["local", "udp", "tcp", "tls"]
WITHOUT_LOSS = ["local", "tcp", "tls"]

NUMBERED = """\
    defaults: no
    rules:
    - events: Numbered
      template: "{Number}"
      limit: none
"""


@pytest.fixture
def rsyslog(tmp_path: Path) -> Iterator[Rsyslog]:
    with Rsyslog(tmp_path / "rsyslog") as daemon:
        yield daemon


def event(name: str, **headers: str) -> bytes:
    lines = [f"Event: {name}", "Privilege: system,all", *(f"{k}: {v}" for k, v in headers.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def numbered(numbers: range) -> bytes:
    return b"".join(event("Numbered", Number=str(n)) for n in numbers)


def with_plugin(port: int, to: str, more: str = "", ca: Path | None = None) -> str:
    """A configuration with one server and the plugin; ``more`` is further settings of it."""
    plugin = f"plugins:\n- syslog_events:\n    to: {to}\n"
    if to.startswith("tls:"):
        plugin += f"    ssl_ca: {ca}\n"
    return configuration(ami_host(port, "pbx1"), more=plugin + more)


def for_kind(rsyslog: Rsyslog, kind: str, port: int, more: str = "") -> str:
    return with_plugin(port, rsyslog.target(kind), more, rsyslog.certificate.ca)


def messages(rsyslog: Rsyslog, msgid: str = "Numbered") -> list[str]:
    return [line["msg"] for line in rsyslog.lines if line["msgid"] == msgid]


def numbers_of(rsyslog: Rsyslog) -> list[int]:
    return [int(message) for message in messages(rsyslog)]


def wait_numbers(rsyslog: Rsyslog, wanted: range) -> None:
    """Until the last of these is there; each of them once, in order, is for the caller to see."""
    last = f'"msg":"{wanted[-1]}"'.encode()
    wait_until(lambda: last in rsyslog.written, f"line {wanted[-1]}")


def numbered_at(page: Client) -> int:
    return sum(m["data"].get("Event") == "Numbered" for m in list(page.messages))


def wait_client(page: Client, count: int) -> None:
    wait_until(lambda: numbered_at(page) >= count, f"{count} messages at the client")


def find(rsyslog: Rsyslog, what: str, **fields: str) -> dict[str, Any]:
    """The first line with these fields; waits for it."""

    def found() -> list[dict[str, Any]]:
        wanted = fields.items()
        return [
            line for line in rsyslog.lines if all(line[name] == value for name, value in wanted)
        ]

    wait_until(found, what)
    return found()[0]


@pytest.mark.parametrize("kind", KINDS)
def test_lines_arrive_and_are_parsed_as_rfc_5424(
    tmp_path: Path, rsyslog: Rsyslog, kind: str
) -> None:
    hostile = 'PJSIP/a"]\\ [x y="z"] <1>1 - é'
    with (
        AmiServer() as server,
        Program(tmp_path, for_kind(rsyslog, kind, server.port)) as program,
    ):
        server.wait_login()
        server.send(event("PeerStatus", Peer=hostile, PeerStatus="Unreachable"))
        line = find(rsyslog, "the peer's line", msgid="PeerStatus")
        assert line["version"] == "1"
        assert line["pri"] == str(16 * 8 + 4)
        assert line["app_name"] == "amiws-gevent"
        assert line["procid"] == str(program.process.pid)
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}(Z|\+00:00)", line["timestamp"])
        assert line["parameters"]["amiws@32473"] == {
            "server": "pbx1",
            "server_id": "1",
            "rule": "peer_unreachable",
        }
        assert line["parameters"]["ami@32473"] == {"Peer": hostile, "PeerStatus": "Unreachable"}
        assert line["msg"] == f"\ufeff{hostile} is Unreachable on pbx1"


def test_what_is_useful_out_of_the_box(tmp_path: Path, rsyslog: Rsyslog) -> None:
    with (
        AmiServer() as server,
        Program(tmp_path, for_kind(rsyslog, "tcp", server.port)) as program,
    ):
        server.wait_login()
        find(rsyslog, "connected", msg="AMI connection to pbx1 connected")
        uri = "sip:101@192.0.2.7:5060"
        server.send(
            event("FullyBooted", Status="Fully Booted")
            + event("VarSet", Variable="x", Value="y")
            + event("SuccessfulAuth", Severity="Informational", Service="AMI")
            + event("ContactStatus", URI=uri, ContactStatus="Unreachable", AOR="101")
            + event("Registry", Username="me", Domain="trunk", Status="Rejected", Cause="403")
            + event(
                "InvalidPassword",
                Severity="Error",
                Service="PJSIP",
                AccountID="101",
                RemoteAddress="IPV4/UDP/203.0.113.5/5060",
                ReceivedHash="0123456789abcdef",
            )
            + event("Shutdown", Shutdown="Cleanly", Restart="False")
        )
        find(rsyslog, "shutdown", msgid="Shutdown", pri="133")
        server.kill()
        lost = find(rsyslog, "lost", msgid="AMIConnection", pri="131")
        assert lost["msg"].startswith("AMI connection to pbx1 disconnected: ")
        server.restart()
        server.wait_login()
        wait_until(lambda: len(messages(rsyslog, "AMIConnection")) == 3, "connected again")
        told = {line["msgid"]: line for line in rsyslog.lines}
        assert "VarSet" not in told
        assert "SuccessfulAuth" not in told
        assert told["ContactStatus"]["msg"] == f"Contact {uri} of 101 is Unreachable on pbx1"
        assert told["Registry"]["msg"] == "Registration of me at trunk Rejected on pbx1: 403"
        assert told["Registry"]["pri"] == "131"
        assert told["InvalidPassword"]["pri"] == "132"
        assert "0123456789abcdef" not in told["InvalidPassword"]["raw"]
        sequence = [int(line["parameters"]["meta"]["sequenceId"]) for line in rsyslog.lines]
        assert sequence == list(range(1, len(sequence) + 1))
        program.wait_for_log("lines are being sent")


@pytest.mark.parametrize("kind", WITHOUT_LOSS)
def test_stopped_and_started_again_each_line_comes_once(
    tmp_path: Path, rsyslog: Rsyslog, kind: str
) -> None:
    with (
        AmiServer() as server,
        Program(tmp_path, for_kind(rsyslog, kind, server.port, NUMBERED)) as program,
        Client(program.port) as page,
    ):
        server.wait_login()
        server.send(numbered(range(300)))
        wait_numbers(rsyslog, range(300))
        rsyslog.stop()
        server.send(numbered(range(300, 600)))
        wait_client(page, 600)
        rsyslog.start()
        server.send(numbered(range(600, 900)))
        wait_numbers(rsyslog, range(900))
        assert numbers_of(rsyslog) == list(range(900))
        assert not messages(rsyslog, "Lost")


def test_udp_loses_only_the_line_that_found_nobody(tmp_path: Path, rsyslog: Rsyslog) -> None:
    with (
        AmiServer() as server,
        Program(tmp_path, for_kind(rsyslog, "udp", server.port, NUMBERED)) as program,
        Client(program.port) as page,
    ):
        server.wait_login()
        server.send(numbered(range(100)))
        wait_numbers(rsyslog, range(100))
        rsyslog.stop()
        server.send(numbered(range(100, 200)))
        wait_client(page, 200)
        program.wait_for_log("Connection refused")
        rsyslog.start()
        wait_numbers(rsyslog, range(200))
        assert numbers_of(rsyslog) == [*range(100), *range(101, 200)]
        lost = find(rsyslog, "the line about the loss", msgid="Lost")
        assert lost["parameters"]["amiws@32473"] == {"dropped": "0", "uncertain": "1"}


class Stream:
    """Numbered events all the time, from a thread, a few hundred a second."""

    def __init__(self, server: AmiServer) -> None:
        self.sent = 0
        self._server = server
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        while not self._end.wait(0.02):
            self._server.send(numbered(range(self.sent, self.sent + 10)))
            self.sent += 10

    def __enter__(self) -> Stream:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join(WAIT)

    def wait_more(self, count: int) -> None:
        wanted = self.sent + count
        wait_until(lambda: self.sent >= wanted, f"{count} more events")


@pytest.mark.parametrize("end", [Rsyslog.stop, Rsyslog.kill])
@pytest.mark.parametrize("kind", KINDS)
def test_ended_in_the_middle_of_a_stream(
    tmp_path: Path, rsyslog: Rsyslog, kind: str, end: Callable[[Rsyslog], None]
) -> None:
    """No line comes twice, and clients get every message meanwhile."""
    with (
        AmiServer() as server,
        Program(tmp_path, for_kind(rsyslog, kind, server.port, NUMBERED)) as program,
        Client(program.port) as page,
    ):
        server.wait_login()
        under_way = 0
        with Stream(server) as stream:
            for _ in range(2):
                stream.wait_more(150)
                written = numbers_of(rsyslog)
                end(rsyslog)
                under_way += stream.sent - (written[-1] if written else 0)
                stream.wait_more(150)
                rsyslog.start()
            stream.wait_more(100)
        wait_client(page, stream.sent)
        wait_numbers(rsyslog, range(stream.sent))
        arrived = numbers_of(rsyslog)
        assert arrived == sorted(set(arrived))
        if kind != "udp":  # rsyslog that stops has its port for a while, and reads nothing
            # The lines of the time in between are there; some more may be lost at each end.
            assert len(arrived) > stream.sent - under_way - 40
        assert numbered_at(page) == stream.sent


@pytest.mark.parametrize("kind", WITHOUT_LOSS)
def test_a_receiver_that_hangs_holds_up_nobody(tmp_path: Path, rsyslog: Rsyslog, kind: str) -> None:
    with (
        AmiServer() as server,
        Program(tmp_path, for_kind(rsyslog, kind, server.port, NUMBERED)) as program,
        Client(program.port) as page,
    ):
        server.wait_login()
        server.send(numbered(range(10)))
        wait_numbers(rsyslog, range(10))
        rsyslog.freeze()
        server.send(numbered(range(10, 6000)))
        wait_client(page, 6000)
        rsyslog.thaw()
        wait_numbers(rsyslog, range(6000))
        assert numbers_of(rsyslog) == list(range(6000))


def test_what_is_past_the_bounds_is_dropped_counted_and_told(
    tmp_path: Path, rsyslog: Rsyslog
) -> None:
    more = NUMBERED + "    queue_lines: 50\n"
    with (
        AmiServer() as server,
        Program(tmp_path, for_kind(rsyslog, "tcp", server.port, more)) as program,
        Client(program.port) as page,
    ):
        server.wait_login()
        server.send(numbered(range(10)))
        wait_numbers(rsyslog, range(10))
        rsyslog.stop()
        program.wait_for_log("connection lost")
        server.send(numbered(range(10, 500)))
        wait_client(page, 500)
        rsyslog.start()
        wait_numbers(rsyslog, range(500))
        assert numbers_of(rsyslog) == [*range(10), *range(450, 500)]
        assert [line["msgid"] for line in rsyslog.lines[10:12]] == ["Lost", "Numbered"]
        lost = find(rsyslog, "the line about the loss", msgid="Lost")
        assert lost["parameters"]["amiws@32473"] == {"dropped": "440", "uncertain": "0"}
        assert lost["pri"] == str(16 * 8 + 4)


def suppressed(line: dict[str, Any]) -> int:
    counted = int(line["parameters"]["amiws@32473"]["suppressed"])
    assert line["msg"] == f"{counted} lines suppressed: rule rule1 has a limit of 20/s"
    return counted


def test_a_flood_ends_at_the_limit_with_a_count(tmp_path: Path, rsyslog: Rsyslog) -> None:
    more = NUMBERED.replace("limit: none", "limit: 20/s")
    with (
        AmiServer() as server,
        Program(tmp_path, for_kind(rsyslog, "udp", server.port, more)) as program,
        Client(program.port) as page,
    ):
        server.wait_login()
        server.send(numbered(range(520)))
        wait_client(page, 520)
        told: list[int] = []

        def all_told() -> bool:
            told[:] = [suppressed(line) for line in rsyslog.lines if line["msgid"] == "Suppressed"]
            return len(numbers_of(rsyslog)) + sum(told) == 520

        wait_until(all_told, "what did not arrive is told")
        # 20, or more where a busy machine makes the flood meet several of the seconds.
        assert 20 <= len(numbers_of(rsyslog)) <= 200


@pytest.mark.parametrize("kind", ["tcp", "tls"])
def test_line_feeds_as_framing(tmp_path: Path, rsyslog: Rsyslog, kind: str) -> None:
    more = NUMBERED + "    framing: lf\n"
    with (
        AmiServer() as server,
        Program(tmp_path, for_kind(rsyslog, kind, server.port, more)),
    ):
        server.wait_login()
        server.send(event("Numbered", Number="0\x0b\x85<13>1 forged") + numbered(range(1, 3)))
        wait_until(lambda: len(rsyslog.lines) == 3, "three lines")
        assert messages(rsyslog) == ["0\\x0b\\x85<13>1 forged", "1", "2"]


def test_a_receiver_with_another_certificate_gets_nothing(tmp_path: Path, rsyslog: Rsyslog) -> None:
    stranger = make_certificate(tmp_path / "stranger", "localhost")
    to = rsyslog.target("tls")
    with (
        AmiServer() as server,
        Program(tmp_path, with_plugin(server.port, to, NUMBERED, stranger.ca)) as program,
        Client(program.port) as page,
    ):
        server.wait_login()
        server.send(numbered(range(3)))
        wait_client(page, 3)  # the receiver may be refused before they come
        program.wait_for_log("its certificate is not accepted")
        pin = f"    ssl_fingerprint: {rsyslog.certificate.fingerprint}\n"
        program.reload(with_plugin(server.port, to, NUMBERED + pin, stranger.ca))
        program.wait_for_log("configuration applied")
        server.send(numbered(range(3, 6)))
        wait_numbers(rsyslog, range(3, 6))
        assert numbers_of(rsyslog) == [3, 4, 5]
        program.wait_for_log("stopped with 3 lines not sent")


def test_a_receiver_that_wants_our_certificate(tmp_path: Path) -> None:
    """Without one no line is given to it: in TLS 1.3 it refuses after the handshake."""
    client = make_certificate(tmp_path / "client", "gateway")
    with (
        Rsyslog(tmp_path / "rsyslog", client_ca=client.ca) as rsyslog,
        AmiServer() as server,
        Program(tmp_path, for_kind(rsyslog, "tls", server.port, NUMBERED)) as program,
        Client(program.port) as page,
    ):
        server.wait_login()
        server.send(numbered(range(3)))
        wait_client(page, 3)  # the receiver refuses us before they come
        program.wait_for_log("lines are kept")
        more = f"    ssl_cert: {client.cert}\n    ssl_key: {client.key}\n"
        program.reload(for_kind(rsyslog, "tls", server.port, NUMBERED + more))
        program.wait_for_log("configuration applied")
        program.wait_for_log("stopped with 3 lines not sent")
        server.send(numbered(range(3, 6)))
        wait_numbers(rsyslog, range(3, 6))
        assert numbers_of(rsyslog) == [3, 4, 5]


@pytest.mark.parametrize("kind", KINDS)
def test_the_end_of_the_program_sends_what_waits(
    tmp_path: Path, rsyslog: Rsyslog, kind: str
) -> None:
    with AmiServer() as server:
        with (
            Program(tmp_path, for_kind(rsyslog, kind, server.port, NUMBERED)) as program,
            Client(program.port) as page,
        ):
            server.wait_login()
            program.wait_for_log("lines are being sent")
            server.send(numbered(range(200)))
            wait_client(page, 200)
            program.process.terminate()
            program.process.wait(WAIT)
        wait_numbers(rsyslog, range(200))
        assert numbers_of(rsyslog) == list(range(200))


@pytest.mark.parametrize("kind", ["tcp", "tls"])
def test_a_reload_connects_anew_and_loses_nothing(
    tmp_path: Path, rsyslog: Rsyslog, kind: str
) -> None:
    with (
        AmiServer() as server,
        Program(tmp_path, for_kind(rsyslog, kind, server.port, NUMBERED)) as program,
    ):
        server.wait_login()
        with Stream(server) as stream:
            for count in range(1, 3):
                stream.wait_more(50)
                program.reload()
                program.wait_for_log("lines are being sent", count + 1)
        wait_numbers(rsyslog, range(stream.sent))
        assert numbers_of(rsyslog) == list(range(stream.sent))
        assert "connection lost" not in program.log


def test_wrong_settings_are_refused_with_their_line(tmp_path: Path) -> None:
    text = with_plugin(1, "udp://logs.example.com", "    rules:\n    - events: A\n      limit: 3\n")
    with pytest.raises(AssertionError) as caught, Program(tmp_path, text):
        pass
    assert "limit: must be a number of lines in a time, such as 20/min" in str(caught.value)
    line = 1 + text[: text.index("limit: 3")].count("\n")
    assert f"amiws.yaml:{line}:" in str(caught.value)
