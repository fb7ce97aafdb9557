"""The filter and the mask in the real program: what clients get, what a file may say."""

from __future__ import annotations

import gzip
import re
from pathlib import Path
from typing import Any

import pytest

from tests.support.ami_server import AmiServer
from tests.support.forkserver import run_program
from tests.support.program import NO_PINGS, ROOT, Program, ami_host, configuration
from tests.support.v2_client import EventsClient
from tests.support.ws_client import Client, raw_client

BUSY = ROOT / "tests" / "captures" / "asterisk-22.11-busy.raw.gz"
KEY = "0123456789abcdef"


def event(name: str, *headers: str) -> bytes:
    lines = [f"Event: {name}", "Privilege: call,all", *headers]
    return "".join(f"{line}\r\n" for line in (*lines, "")).encode()


def with_plugins(server: AmiServer, plugins: str) -> str:
    return configuration(ami_host(server.port), more=f"plugins:\n{plugins}")


def names(client: Client) -> list[str]:
    """Of all events that the client got so far."""
    return [message["data"]["Event"] for message in client.messages if message["type"] == 3]


def test_one_line_ends_a_flood_and_a_reload_changes_it(tmp_path: Path) -> None:
    deny = '- event_filter:\n    deny: [VarSet, "RTCP*"]\n'
    allow = "- event_filter:\n    allow: [Hangup, End]\n"
    flood = event("VarSet") + event("RTCPSent") + event("Hangup") + event("Newexten")
    with AmiServer() as server, Program(tmp_path, with_plugins(server, deny)) as program:
        server.wait_login()
        with Client(program.port) as client, EventsClient(program.port) as other:
            server.send(flood + event("End"))
            client.wait_for_event("End")
            assert names(client) == ["Hangup", "Newexten", "End"]
            program.reload(with_plugins(server, allow))
            program.wait_for_log("configuration applied")
            server.send(flood + event("End"))
            client.ask(
                {"Action": "Ping", "ActionID": "p"}, lambda m: m["data"].get("Ping") == "Pong"
            )
            assert names(client) == ["Hangup", "Newexten", "End", "Hangup", "End"]
            other.wait_for(lambda _message: names(other).count("End") == 2, "both ends")
            assert names(other) == names(client)


def test_no_caller_of_a_busy_hour_reaches_a_client(tmp_path: Path) -> None:
    capture = gzip.decompress(BUSY.read_bytes())
    found = re.findall(rb"(?:CallerID|ConnectedLine)Num: (\d{6,})\r\n", capture)
    callers = set(found)
    assert len(callers) > 1000
    plugins = f"- mask:\n    callers: last4\n    dialled: last4\nlimits:\n{NO_PINGS}"
    with AmiServer() as server, Program(tmp_path, with_plugins(server, plugins)) as program:
        server.wait_login()
        with raw_client(program.port) as client:
            server.send(capture + event("End"))
            data = bytearray()
            while b'"Event":"End"' not in data[-65536:]:
                chunk = client.recv(65536)
                assert chunk, "closed"
                data += chunk
    assert data.count(b'{"type":3,') >= 40_503 + 1
    assert data.count(b'"CallerIDNum":"*') > 20_000
    assert b"Caller " not in data
    for digits in set(re.findall(rb"\d{6,}", data)):
        for start in range(len(digits)):
            assert callers.isdisjoint(digits[start:end] for end in range(start + 6, start + 16))


def test_a_new_key_is_read_on_reload_and_a_lost_one_refuses_it(tmp_path: Path) -> None:
    key_file = tmp_path / "mask.key"
    key_file.write_text(KEY)
    plugins = f"- mask:\n    callers: hash\n    key_file: {key_file}\n"
    with AmiServer() as server, Program(tmp_path, with_plugins(server, plugins)) as program:
        server.wait_login()
        with Client(program.port) as client:

            def hashed(name: str) -> Any:
                server.send(event(name, "CallerIDNum: 15145550199"))
                return client.wait_for_event(name)["CallerIDNum"]

            first = hashed("A")
            assert re.fullmatch("#[a-p]{12}", first)
            key_file.write_text(KEY[::-1])
            program.reload()
            program.wait_for_log("configuration applied")
            second = hashed("B")
            assert second != first
            key_file.unlink()
            program.reload()
            program.wait_for_log("No such file or directory")
            assert hashed("C") == second
        assert KEY not in program.log
        assert KEY[::-1] not in program.log


def test_the_mask_comes_before_plugins_that_log(tmp_path: Path) -> None:
    (tmp_path / "spy.py").write_text(
        "import logging\n"
        "def amiws_log_message(message, json):\n"
        "    logging.getLogger('amiws_gevent.spy').warning('seen %s', json.decode())\n"
    )
    plugins = f"- {tmp_path}/spy.py\n- mask:\n    callers: last4\n    variables: PIN\n"
    with AmiServer() as server, Program(tmp_path, with_plugins(server, plugins)) as program:
        server.wait_login()
        server.send(event("VarSet", "CallerIDNum: 15145550199", "Variable: PIN", "Value: 4711"))
        program.wait_for_log('"Variable":"PIN","Value":"***"')
        program.wait_for_log('"CallerIDNum":"*******0199"')
        assert "4711" not in program.log


@pytest.mark.parametrize(
    ("plugin", "said"),
    [
        ("event_filter:\n    denny: VarSet", "denny: is not a setting of the plugin event_filter"),
        ("event_filter", "drops nothing: give deny, allow or rules"),
        (
            'event_filter:\n    rules:\n    - deny: "*"\n      headers: {A: {regex: "(a+)+"}}',
            "a repeat inside a repeat",
        ),
        ("mask:\n    callers: hash", "key_file: is missing: hash needs it"),
        ("mask:\n    rules:\n    - headers: ActionID", "ActionID cannot be masked"),
        ("mask:\n    callers: hash\n    key: s3cr3t", "key: must have at least 16 characters"),
    ],
)
def test_check_tells_wrong_settings(plugin: str, said: str, tmp_path: Path) -> None:
    file = tmp_path / "amiws.yaml"
    file.write_text(configuration(ami_host(5038), more=f"plugins:\n- {plugin}\n"))
    result = run_program("--check", "-f", file)
    assert result.returncode == 78
    assert said in result.stderr + result.stdout
    assert re.search(r"amiws\.yaml:\d+: plugins\[0\]", result.stderr + result.stdout)
    assert "s3cr3t" not in result.stderr + result.stdout
