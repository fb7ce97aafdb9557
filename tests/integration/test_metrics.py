"""What monitoring sees of the real program, and that looking costs nobody anything."""

from __future__ import annotations

import hashlib
import signal
import socket
from pathlib import Path

import requests
from requests.auth import HTTPDigestAuth

from tests.support.ami_server import AmiServer
from tests.support.forkserver import run_program
from tests.support.metrics import Scrape, get, wait_for_metrics
from tests.support.patience import WAIT
from tests.support.ports import free_port
from tests.support.program import NO_PINGS, Program, ami_host, configuration, wait_until
from tests.support.v2_client import EventsClient
from tests.support.ws_client import Client, is_error, raw_client

PBX = {"server": "pbx", "server_id": "1"}
LISTEN = "metrics_listen: 127.0.0.1:0\n"


def event(number: int, more: bytes = b"") -> bytes:
    return b"Event: Test\r\nPrivilege: call,all\r\nNumber: %d\r\n" % number + more + b"\r\n"


def metrics_port(program: Program) -> int:
    """The port of ``metrics_listen``, as the log says it last."""
    (*_, line) = [line for line in program.log.splitlines() if "metrics at http://" in line]
    return int(line.partition("/metrics,")[0].rpartition(":")[2])


def numbers(client: Client) -> list[int]:
    return [int(m["data"]["Number"]) for m in list(client.messages) if "Number" in m["data"]]


def test_events_deliveries_and_clients_are_counted(tmp_path: Path) -> None:
    with (
        AmiServer() as server,
        Program(tmp_path, configuration(ami_host(server.port))) as program,
        Client(program.port) as one,
        Client(program.port) as two,
        EventsClient(program.port) as three,
    ):
        clients = (one, two, three)
        server.wait_login()
        before = wait_for_metrics(
            program.port,
            lambda scrape: (
                scrape.sum("amiws_clients") == 3
                and scrape.value("amiws_server_connected", **PBX) == 1
            ),
            "three pages and a server",
        )
        server.send(b"".join(event(number) for number in range(100)))
        wait_until(lambda: all(len(numbers(client)) == 100 for client in clients), "all events")
        after = Scrape(program.port)

        def more(name: str, **labels: str) -> float:
            return after.value(name, **labels) - before.value(name, **labels)

        assert more("amiws_messages_received_total", **PBX, type="event") == 100
        assert more("amiws_messages_published_total") == 100
        assert more("amiws_deliveries_total") == 300
        assert 300 * 5 < more("amiws_delivered_bytes_total") < 300 * 100, "they are compressed"
        assert after.value("amiws_clients_compressed") == 3
        assert after.value("amiws_messages_received_total", **PBX, type="prompt") == 1
        assert after.value("amiws_clients", view="classic") == 2
        assert after.value("amiws_clients", view="v2") == 1
        assert after.value("amiws_clients_opened_total", view="classic") == 2
        assert after.value("amiws_connections") == 4, "three pages, and who asks"
        assert after.value("amiws_client_pending_bytes") == 0
        assert 0 < after.value("amiws_reader_pause_seconds") < 5
        assert after.value("amiws_loop_turns_total") > before.value("amiws_loop_turns_total")
        assert after.value("amiws_loop_busy_seconds_total") < 60
        assert after.value("process_open_fds") >= 7
        three.close()
        closed = wait_for_metrics(
            program.port, lambda scrape: scrape.value("amiws_clients", view="v2") == 0, "one less"
        )
        assert closed.sum("amiws_clients_closed_total", code="1000") == 1
        assert closed.sum("amiws_clients_closed_total") == 1


def test_actions_and_what_was_odd_on_the_wire_are_counted(tmp_path: Path) -> None:
    with (
        AmiServer() as server,
        Program(tmp_path, configuration(ami_host(server.port))) as program,
        Client(program.port) as client,
    ):
        server.wait_login()
        # Not by the login's answer: the client may have come too late for it.
        wait_for_metrics(
            program.port, lambda s: s.value("amiws_server_connected", **PBX), "connected"
        )
        client.send({"Action": "CoreStatus"})
        client.ask("nonsense", is_error)
        server.wait_for("CoreStatus")
        server.send(b"Event: Test\r\nno colon here\r\nNumber: 1\r\n\r\n")
        wait_until(lambda: numbers(client), "the event")
        scrape = Scrape(program.port)
        assert scrape.value("amiws_actions_sent_total") == 1
        assert scrape.value("amiws_actions_refused_total") == 1
        assert scrape.value("amiws_server_faults_total", **PBX, fault="lines_without_colon") == 1


def test_a_stalled_client_is_seen_before_and_after_it_is_closed(tmp_path: Path) -> None:
    limits = f"limits:\n  client_buffer: 1 MiB\n{NO_PINGS}"
    flood = b"".join(event(number, b"Filler: " + b"x" * 900 + b"\r\n") for number in range(100))
    with (
        AmiServer() as server,
        Program(tmp_path, configuration(ami_host(server.port), more=limits)) as program,
        Client(program.port) as client,
        raw_client(program.port) as stalled,
    ):
        server.wait_login()
        stalled.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        waited = 0.0
        for number in range(1, 101):
            server.send(flood)
            wait_until(lambda n=number: len(numbers(client)) == 100 * n, "the other client's")
            scrape = Scrape(program.port)
            waiting = scrape.value("amiws_client_pending_bytes_max")
            assert waiting <= 1 << 20
            assert scrape.value("amiws_client_pending_bytes") >= waiting
            waited = max(waited, waiting)
            if waiting < waited:  # given up
                break
        assert waited > 1 << 19
        closed = wait_for_metrics(
            program.port, lambda scrape: scrape.sum("amiws_clients_closed_total"), "closed"
        )
        assert closed.value("amiws_clients_closed_total", code="1013", reason="slow") == 1
        assert closed.sum("amiws_clients_closed_total") == 1
        assert closed.value("amiws_clients", view="classic") == 1


def test_a_server_that_is_killed_and_comes_back(tmp_path: Path) -> None:
    with (
        AmiServer() as server,
        Program(tmp_path, configuration(ami_host(server.port))) as program,
    ):
        server.wait_login()
        wait_until(lambda: get(program.port, "/readyz").status == 200, "ready")
        server.kill()
        wait_until(lambda: get(program.port, "/readyz").status == 503, "no longer ready")
        (told,) = get(program.port, "/readyz").json["servers"]
        assert told["name"] == "pbx"
        assert told["connected"] is False
        assert told["reason"]
        assert get(program.port, "/healthz").status == 200
        down = wait_for_metrics(
            program.port,
            lambda scrape: scrape.value("amiws_server_failed_attempts_total", **PBX) >= 1,
            "an attempt that failed",
        )
        assert down.value("amiws_server_connected", **PBX) == 0
        assert down.value("amiws_server_reconnects_total", **PBX) == 0
        assert down.value("amiws_server_state", **PBX, state="connected") == 0
        server.restart()
        server.wait_login()
        up = wait_for_metrics(
            program.port,
            lambda scrape: scrape.value("amiws_server_connected", **PBX) == 1,
            "connected again",
        )
        assert up.value("amiws_server_reconnects_total", **PBX) == 1
        assert up.value("amiws_server_state", **PBX, state="connected") == 1
        answer = get(program.port, "/readyz")
        assert answer.status == 200
        assert answer.json["servers"][0]["state"] == "connected"


def test_one_of_two_servers_is_enough_to_be_ready(tmp_path: Path) -> None:
    hosts = (ami_host(free_port(), "away"),)
    with (
        AmiServer() as server,
        Program(tmp_path, configuration(*hosts, ami_host(server.port))) as program,
    ):
        server.wait_login()
        wait_until(lambda: get(program.port, "/readyz").status == 200, "ready")
        told = {s["name"]: s["connected"] for s in get(program.port, "/readyz").json["servers"]}
        assert told == {"away": False, "pbx": True}


def test_asking_all_the_time_disturbs_no_message(tmp_path: Path) -> None:
    with (
        AmiServer() as server,
        Program(tmp_path, configuration(ami_host(server.port))) as program,
        Client(program.port) as client,
    ):
        server.wait_login()
        for number in range(0, 2000, 20):
            server.send(b"".join(event(n) for n in range(number, number + 20)))
            Scrape(program.port)
        wait_until(lambda: len(numbers(client)) >= 2000, "all events")
        assert numbers(client) == list(range(2000))


def test_behind_the_login_of_the_clients(tmp_path: Path) -> None:
    users = tmp_path / "users.htdigest"
    ha1 = hashlib.md5(b"alice:pbx:secret").hexdigest()
    users.write_text(f"alice:pbx:{ha1}\n")
    more = f"auth_domain: pbx\nauth_file: {users}\n"
    with (
        AmiServer() as server,
        Program(tmp_path, configuration(ami_host(server.port), more=more)) as program,
    ):
        for path in ("/metrics", "/healthz", "/readyz"):
            assert get(program.port, path).status == 401
            url = f"http://127.0.0.1:{program.port}{path}"
            answer = requests.get(url, auth=HTTPDigestAuth("alice", "secret"), timeout=WAIT)
            assert answer.status_code in (200, 503)
            assert "amiws_" in answer.text or path != "/metrics"


def test_an_address_of_their_own_asks_nobody_to_log_in(tmp_path: Path) -> None:
    users = tmp_path / "users.htdigest"
    users.write_text(f"alice:pbx:{hashlib.md5(b'alice:pbx:secret').hexdigest()}\n")
    more = f"auth_domain: pbx\nauth_file: {users}\n{LISTEN}"
    with (
        AmiServer() as server,
        Program(tmp_path, configuration(ami_host(server.port), more=more)) as program,
    ):
        server.wait_login()
        port = metrics_port(program)
        assert port != program.port
        wait_for_metrics(port, lambda s: s.value("amiws_server_connected", **PBX), "connected")
        assert get(port, "/healthz").body == b"ok\n"
        assert get(port, "/readyz").status == 200
        assert get(port, "/").status == 404, "there are no clients"
        auth = HTTPDigestAuth("alice", "secret")
        for path in ("/metrics", "/healthz", "/readyz"):
            url = f"http://127.0.0.1:{program.port}{path}"
            assert requests.get(url, timeout=WAIT).status_code == 401
            assert requests.get(url, auth=auth, timeout=WAIT).status_code == 404
        assert "metrics_listen asks" not in program.log


def test_all_interfaces_are_warned_of(tmp_path: Path) -> None:
    more = "metrics_listen: ':0'\n"
    with (
        AmiServer() as server,
        Program(tmp_path, configuration(ami_host(server.port), more=more)) as program,
    ):
        assert get(metrics_port(program), "/healthz").status == 200
        program.wait_for_log("metrics_listen asks for no login")


def test_a_reload_moves_them_without_touching_clients(tmp_path: Path) -> None:
    with AmiServer() as server:
        host = ami_host(server.port)
        with (
            Program(tmp_path, configuration(host)) as program,
            Client(program.port) as client,
        ):
            server.wait_login()
            first, second = free_port(), free_port()

            def reload(more: str, times: int) -> None:
                program.reload(configuration(host, more=more))
                program.wait_for_log("configuration applied", times)

            assert get(program.port, "/healthz").status == 200
            reload(f"metrics_listen: 127.0.0.1:{first}\n", 1)
            assert get(first, "/healthz").status == 200
            assert get(program.port, "/healthz").status == 404
            reload(f"metrics_listen: 127.0.0.1:{second}\n", 2)
            assert get(second, "/metrics").status == 200
            wait_until(lambda: not _listens(first), "nobody at the first any more")
            reload(f"metrics_listen: :{second}\n", 3)
            assert get(second, "/metrics").status == 200
            reload("", 4)
            assert get(program.port, "/metrics").status == 200
            wait_until(lambda: not _listens(second), "nobody at the second any more")
            server.send(event(1))
            wait_until(lambda: numbers(client) == [1], "the client goes on")
            assert Scrape(program.port).value("amiws_clients_opened_total", view="classic") == 1


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=WAIT).close()
    except ConnectionRefusedError:
        return False
    return True


def test_a_port_in_use_refuses_the_reload_and_the_clients_stay_where_they_are(
    tmp_path: Path,
) -> None:
    with AmiServer() as server, socket.create_server(("127.0.0.1", 0)) as taken:
        busy = taken.getsockname()[1]
        host = ami_host(server.port)
        old = configuration(host, more=LISTEN)
        with Program(tmp_path, old) as program:
            server.wait_login()
            port, clients = metrics_port(program), program.port
            moved = old.replace("ws_port: 0", f"ws_port: {free_port()}")
            program.reload(moved.replace(LISTEN, f"metrics_listen: 127.0.0.1:{busy}\n"))
            program.wait_for_log("configuration not applied")
            program.wait_for_log(f"port {busy} of 127.0.0.1 is in use")
            program.wait_for_log("set another metrics_listen")
            assert get(port, "/healthz").status == 200
            assert get(clients, "/").status == 200
            # And the other way round: the clients cannot move, so the metrics do not.
            program.reload(
                old.replace("ws_port: 0", f"ws_port: {busy}").replace(
                    LISTEN, "metrics_listen: '[::1]:0'\n"
                )
            )
            program.wait_for_log("configuration not applied", 2)
            assert get(port, "/healthz").status == 200
            assert get(clients, "/").status == 200


def test_a_port_in_use_refuses_the_start(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        busy = taken.getsockname()[1]
        file = tmp_path / "amiws.yaml"
        file.write_text(configuration(ami_host(1), more=f"metrics_listen: 127.0.0.1:{busy}\n"))
        ended = run_program("-f", file)
    assert ended.returncode == 71
    assert f"port {busy} of 127.0.0.1 is in use" in ended.stderr


def test_while_it_stops_it_is_healthy_and_not_ready(tmp_path: Path) -> None:
    """A client that does not answer the Close frame holds the end up for as long as it may."""
    with (
        AmiServer() as server,
        Program(tmp_path, configuration(ami_host(server.port), more=LISTEN)) as program,
        raw_client(program.port),
    ):
        server.wait_login()
        port = metrics_port(program)
        wait_until(lambda: get(port, "/readyz").status == 200, "ready")
        program.process.send_signal(signal.SIGTERM)
        wait_until(lambda: get(port, "/readyz").status == 503, "not ready")
        assert get(port, "/readyz").json["listening"] is False
        assert get(port, "/healthz").status == 200
        assert program.process.wait(WAIT) == 0


PLUGIN = """
def amiws_filter_message(message):
    if message.get("Number") == "1":
        raise ValueError("not this one")
    return False if message.get("Number") == "2" else None

def amiws_log_message(message):
    pass
"""


def test_what_a_plugin_does_is_counted(tmp_path: Path) -> None:
    (tmp_path / "odd.py").write_text(PLUGIN)
    more = f"plugin_dirs: {tmp_path}\nplugins: [odd]\n"
    with (
        AmiServer() as server,
        Program(tmp_path, configuration(ami_host(server.port), more=more)) as program,
        Client(program.port) as client,
    ):
        server.wait_login()
        server.send(b"".join(event(number) for number in range(4)))
        wait_until(lambda: numbers(client) == [0, 1, 3], "what the plugin lets through")
        scrape = Scrape(program.port)
        (name,) = {
            dict(labels)["plugin"]
            for sample, labels in scrape.samples
            if sample == "amiws_plugin_suspended"
        }
        assert name.startswith("odd")
        faults = "amiws_plugin_faults_total"
        assert scrape.value(faults, plugin=name, hook="amiws_filter_message") == 1
        assert scrape.value(faults, plugin=name, hook="amiws_log_message") == 0
        assert scrape.value("amiws_plugin_dropped_messages_total", plugin=name) == 1
        assert scrape.value("amiws_plugin_dropped_calls_total", plugin=name) == 0
        assert scrape.value("amiws_plugin_suspended", plugin=name) == 0
        assert scrape.value("amiws_plugin_seconds_total", plugin=name, hooks="messages") > 0
        received = scrape.value("amiws_messages_received_total", **PBX, type="event")
        prompt_and_login = 2
        assert scrape.value("amiws_messages_published_total") == received - 1 + prompt_and_login
