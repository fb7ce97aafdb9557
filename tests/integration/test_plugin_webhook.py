"""The webhook in the real program: signed batches, and clients that notice no receiver."""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from pathlib import Path
from typing import Any

import pytest

from tests.support.ami_server import AmiServer
from tests.support.certificates import make_certificate
from tests.support.forkserver import run_program
from tests.support.http_receiver import Receiver, Request, answer, hang, then_hang
from tests.support.patience import WAIT
from tests.support.program import Program, ami_host, configuration, wait_until
from tests.support.ws_client import Client

KEY = b"0f1e2d3c4b5a"


def event(name: str, number: int = 0, more: str = "") -> bytes:
    return f"Event: {name}\r\nPrivilege: call,all\r\nNumber: {number}\r\n{more}\r\n".encode()


def webhook(url: str, *lines: str) -> str:
    """The part of the configuration; ``lines`` are further settings."""
    settings = "".join(f"    {line}\n" for line in (f"url: {url}", "batch_delay: 20 ms", *lines))
    return f"plugins:\n- webhook:\n{settings}"


def genuine(request: Request, key: bytes = KEY) -> bool:
    """As a receiver would check it."""
    stamp = request.get("X-Amiws-Timestamp")
    expected = hmac.new(key, stamp.encode() + b"." + request.body, hashlib.sha256).hexdigest()
    standard = f"{request.get('webhook-id')}.{request.get('webhook-timestamp')}.".encode()
    signed = base64.b64encode(hmac.digest(key, standard + request.body, "sha256")).decode()
    return (
        request.get("X-Amiws-Signature") == f"sha256={expected}"
        and request.get("webhook-signature") == f"v1,{signed}"
        and abs(request.time - int(stamp)) < WAIT
    )


def numbers(messages: list[Any], name: str) -> list[int]:
    return [int(m["data"]["Number"]) for m in messages if m["data"].get("Event") == name]


def key_file(folder: Path, key: bytes = KEY) -> Path:
    file = folder / "webhook.key"
    file.write_bytes(key + b"\n")
    file.chmod(0o600)
    return file


def test_events_arrive_signed_and_as_clients_get_them(tmp_path: Path) -> None:
    with Receiver() as receiver, AmiServer() as server:
        plugin = webhook(
            f"{receiver.url}/hook/t0ken", f"secret_file: {key_file(tmp_path)}", 'events: [A, "B*"]'
        )
        with Program(tmp_path, configuration(ami_host(server.port), more=plugin)) as program:
            server.wait_login()
            with Client(program.port) as client:
                for number in range(300):
                    server.send(event("A", number, "Ch\xe4nnel: \xfc\r\nX: 1\r\nX: 2\r\n"))
                    server.send(event("Noise", number))
                    server.send(event("Bridge", number))
                server.send(event("End"))
                client.wait_for_event("End")
                wait_until(lambda: len(receiver.messages()) == 600, "all events")
                chosen = [m for m in client.messages if m["data"].get("Event") in ("A", "Bridge")]
                assert receiver.messages() == chosen
            assert all(genuine(request) for request in receiver.requests)
            assert all(request.json["lost"] == 0 for request in receiver.requests)
            assert len({request.get("X-Amiws-Delivery") for request in receiver.requests}) == len(
                receiver.requests
            )
            assert receiver.connections == 1
            assert "t0ken" not in program.log
            assert KEY.decode() not in program.log


def test_clients_notice_nothing_of_a_receiver_that_hangs(tmp_path: Path) -> None:
    with Receiver(default=hang) as receiver, AmiServer() as server:
        plugin = webhook(receiver.url, "timeout: 6", "retry_delay: 10 ms", "retry_delay_max: 10 ms")
        with Program(tmp_path, configuration(ami_host(server.port), more=plugin)) as program:
            server.wait_login()
            with Client(program.port) as client:
                server.send(event("First"))
                receiver.wait_for(1)
                longest = 0.0
                for number in range(200):
                    sent = time.monotonic()
                    server.send(event(f"Lone{number}", number))
                    client.wait_for_event(f"Lone{number}")
                    longest = max(longest, time.monotonic() - sent)
                assert longest < 4  # far below the timeout, as machines are shared
                server.send(b"".join(event("Burst", number) for number in range(5000)))
                wait_until(lambda: len(numbers(client.messages, "Burst")) == 5000, "the burst")
                receiver.default = answer(200)
                program.wait_for_log("will be retried: no answer within 6 s")
                wait_until(lambda: numbers(receiver.messages(), "Burst")[-1:] == [4999], "delivery")
            first, second = receiver.requests[:2]
            assert first.get("X-Amiws-Delivery") == second.get("X-Amiws-Delivery")
            assert first.body == second.body
            burst = numbers(receiver.messages(), "Burst")
            assert burst == list(range(5000))


def test_a_dead_receiver_is_left_alone_and_told(tmp_path: Path) -> None:
    with Receiver() as receiver, AmiServer() as server:
        receiver.refuse()
        plugin = webhook(
            receiver.url,
            "retry_delay: 10 ms",
            "circuit_failures: 3",
            "circuit_cooldown: 500 ms",
            "circuit_cooldown_max: 500 ms",
            "batch_messages: 10",
            "queue_messages: 50",
        )
        with Program(tmp_path, configuration(ami_host(server.port), more=plugin)) as program:
            server.wait_login()
            server.send(b"".join(event("Early", number) for number in range(1000)))
            program.wait_for_log(
                f"{receiver.url}: keeps failing, nothing is sent for 0.5 s: "
                "cannot connect: Connection refused"
            )
            program.wait_for_log("the queue is full")
            receiver.restart()
            program.wait_for_log(": works again")
            program.wait_for_log("dropped while the queue was full")
            wait_until(lambda: numbers(receiver.messages(), "Early")[-1:] == [999], "the last")
            lost = sum(request.json["lost"] for request in receiver.requests)
            assert lost + len(receiver.messages()) == 1000
            assert program.log.count("the queue is full") == 1


def test_the_end_of_the_program_sends_what_waits(tmp_path: Path) -> None:
    with Receiver() as receiver, AmiServer() as server:
        plugin = webhook(receiver.url).replace("20 ms", "1 h")
        with Program(tmp_path, configuration(ami_host(server.port), more=plugin)) as program:
            server.wait_login()
            with Client(program.port) as client:
                server.send(event("Last"))
                client.wait_for_event("Last")
        assert [m["data"]["Event"] for m in receiver.messages()] == ["Last"]


def test_the_end_does_not_wait_for_a_receiver_that_hangs(tmp_path: Path) -> None:
    with Receiver(default=hang) as receiver, AmiServer() as server:
        plugin = webhook(receiver.url)
        with Program(tmp_path, configuration(ami_host(server.port), more=plugin)) as program:
            server.wait_login()
            server.send(event("Last"))
            receiver.wait_for(1)
            program.process.terminate()
            assert program.process.wait(WAIT) == 0
        program.wait_for_log("stopped with messages not delivered: 1")


def test_over_tls_with_authorities_of_its_own(tmp_path: Path) -> None:
    made = make_certificate(tmp_path, "127.0.0.1")
    with Receiver(tls=made.server()) as receiver, AmiServer() as server:
        plugin = webhook(receiver.url, f"ssl_ca: {made.ca}")
        with Program(tmp_path, configuration(ami_host(server.port), more=plugin)):
            server.wait_login()
            server.send(event("Secure"))
            receiver.wait_for(1)
            assert [m["data"]["Event"] for m in receiver.messages()] == ["Secure"]


def test_a_certificate_of_strangers_is_told(tmp_path: Path) -> None:
    made = make_certificate(tmp_path, "127.0.0.1")
    with Receiver(tls=made.server()) as receiver, AmiServer() as server:
        plugin = webhook(receiver.url)
        with Program(tmp_path, configuration(ami_host(server.port), more=plugin)) as program:
            server.wait_login()
            server.send(event("Secret"))
            program.wait_for_log("its certificate is not accepted")
            assert not receiver.requests


def test_a_reload_reads_a_new_key(tmp_path: Path) -> None:
    file = key_file(tmp_path)
    with Receiver() as receiver, AmiServer() as server:
        plugin = webhook(receiver.url, f"secret_file: {file}")
        with Program(tmp_path, configuration(ami_host(server.port), more=plugin)) as program:
            server.wait_login()
            server.send(event("One"))
            receiver.wait_for(1)
            file.write_bytes(b"another key")
            program.reload()
            program.wait_for_log("configuration applied")
            server.send(event("Two"))
            receiver.wait_for(2)
        assert genuine(receiver.requests[0])
        assert genuine(receiver.requests[1], b"another key")


def test_two_receivers_mind_their_own_business(tmp_path: Path) -> None:
    with Receiver(default=hang) as dead, Receiver() as alive, AmiServer() as server:
        plugin = webhook(dead.url) + webhook(alive.url).removeprefix("plugins:\n")
        with Program(tmp_path, configuration(ami_host(server.port), more=plugin)):
            server.wait_login()
            for number in range(3):
                server.send(event("Test", number))
                wait_until(
                    lambda n=number: n in numbers(alive.messages(), "Test"),  # type: ignore[misc]
                    "delivery",
                )
            assert len(dead.requests) == 1


def test_an_answer_without_an_end_is_not_waited_for(tmp_path: Path) -> None:
    """The status came: the batch counts as delivered, and does not come twice."""
    slow = then_hang(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nab")
    with Receiver(slow) as receiver, AmiServer() as server:
        plugin = webhook(receiver.url)
        with Program(tmp_path, configuration(ami_host(server.port), more=plugin)):
            server.wait_login()
            server.send(event("Test", 1))
            receiver.wait_for(1)
            server.send(event("Test", 2))
            receiver.wait_for(2)
            assert numbers(receiver.messages(), "Test") == [1, 2]


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (["url: nowhere"], "plugins[0].webhook.url: must be a URL that begins with http"),
        (["url: http://h/", "batch_delay: x"], "webhook.batch_delay: must be a time"),
        (["batch_delay: 1"], "webhook.url: is missing"),
        (["url: http://h/", "secret_file: /nowhere"], "secret_file: /nowhere: No such file"),
        (["url: http://h/", "event: A"], "did you mean events?"),
    ],
)
def test_wrong_settings_are_found_by_check(tmp_path: Path, settings: list[str], told: str) -> None:
    file = tmp_path / "amiws.yaml"
    lines = "".join(f"    {line}\n" for line in settings)
    file.write_text(configuration(ami_host(5038), more=f"plugins:\n- webhook:\n{lines}"))
    checked = run_program("-f", file, "--check")
    assert checked.returncode == 78
    assert told in checked.stderr
    assert f"{file}:" in checked.stderr
