"""Actions of clients: what servers get, byte for byte, and what clients are told."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.support.ami_server import AmiServer
from tests.support.program import Program, ami_host, configuration, wait_until
from tests.support.ws_client import Client, is_error

END_MARK = b"Action: EndMark\r\n\r\n"


class Setup(NamedTuple):
    first: AmiServer
    second: AmiServer
    program: Program
    client: Client
    other: Client


@pytest.fixture(scope="module")
def setup(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Setup]:
    folder = tmp_path_factory.mktemp("actions")
    with AmiServer() as first, AmiServer() as second:
        hosts = configuration(ami_host(first.port, "one"), ami_host(second.port, "two", "id: 7"))
        with (
            Program(folder, hosts) as program,
            Client(program.port) as client,
            Client(program.port) as other,
        ):
            first.wait_login()
            second.wait_login()
            program.wait_for_log("connected to", 2)
            yield Setup(first, second, program, client, other)


def received_since(server: AmiServer, before: int, client: Client) -> bytes:
    """What one server got since ``before`` bytes, up to a mark that is sent behind it."""
    wait_until(lambda: server.received[before:].endswith(END_MARK), "the end mark")
    return bytes(server.received[before:]).removesuffix(END_MARK)


def bytes_for(setup: Setup, action: Any, server: str = "first") -> bytes:
    before = {name: len(getattr(setup, name).received) for name in ("first", "second")}
    setup.client.send(action)
    setup.client.send({"Action": "EndMark"})
    # The mark goes to both: that of the other may not come in the middle of what is next.
    got = {
        name: received_since(getattr(setup, name), before[name], setup.client) for name in before
    }
    return got[server]


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        ({"Action": "CoreStatus", "AMIServerID": 1}, b"Action: CoreStatus\r\n\r\n"),
        ({"Action": "CoreStatus", "amiserverid": "1"}, b"Action: CoreStatus\r\n\r\n"),
        (
            {"Action": "Originate", "Variable": ["a=1", "b=2"], "Async": True, "Timeout": 30000},
            (
                b"Action: Originate\r\nVariable: a=1\r\nVariable: b=2\r\nAsync: true\r\n"
                b"Timeout: 30000\r\n\r\n"
            ),
        ),
        (
            r'{"Action": "Setvar", "Value": "a \"quoted\" \u00e9\ud83d\ude00 \\ /", "X": null}',
            'Action: Setvar\r\nValue: a "quoted" é😀 \\ /\r\n\r\n'.encode(),
        ),
        (
            '{"Action": "A", "V": "1", "V": "2", "N": 1.50, "E": 1e3, "B": false}',
            b"Action: A\r\nV: 1\r\nV: 2\r\nN: 1.50\r\nE: 1e3\r\nB: false\r\n\r\n",
        ),
    ],
)
def test_bytes_that_reach_the_server(setup: Setup, action: Any, expected: bytes) -> None:
    assert bytes_for(setup, action) == expected


def test_an_action_without_a_server_id_goes_to_all(setup: Setup) -> None:
    before = len(setup.second.received)
    assert bytes_for(setup, {"Action": "Ping"}) == b"Action: Ping\r\n\r\n"
    assert received_since(setup.second, before, setup.client) == b"Action: Ping\r\n\r\n"


def test_an_action_for_one_server_reaches_no_other(setup: Setup) -> None:
    assert bytes_for(setup, {"Action": "Ping", "AMIServerID": 7}) == b""
    action = {"Action": "CoreStatus", "AMIServerID": 7}
    assert bytes_for(setup, action, "second") == b"Action: CoreStatus\r\n\r\n"


LONG = "x" * 1100

REFUSED = {
    "not JSON": ("hello", "JSON"),
    "an array": ('["Action"]', "object"),
    "a string": ('"Action: Ping"', "object"),
    "no Action": ('{"Command": "x"}', "Action"),
    "empty Action": ('{"Action": ""}', "Action"),
    "a nested object": ('{"Action": "A", "V": {"a": 1}}', "V"),
    "a list in a list": ('{"Action": "A", "V": [["a"]]}', "V"),
    "LF in a value": (r'{"Action": "A", "V": "x\nAction: Originate"}', "V"),
    "CR in a value": (r'{"Action": "A", "V": "x\rAction: Originate"}', "V"),
    "LF as \\u000a": (r'{"Action": "A", "V": "x\u000aAction: Originate"}', "V"),
    "LF in a list": (r'{"Action": "A", "V": ["ok", "x\n"]}', "V"),
    "LF in a name": (r'{"Action": "A", "V\nAction: Originate": "x"}', "name"),
    "LF in the Action": (r'{"Action": "Ping\n\nAction: Originate"}', "Action"),
    "LF in the ActionID": (r'{"Action": "A", "ActionID": "1\r\n\r\n"}', "ActionID"),
    "a NUL": (r'{"Action": "A", "V": "x\u0000"}', "V"),
    "a colon in a name": ('{"Action": "A", "V: x": "y"}', "name"),
    "an empty name": ('{"Action": "A", "": "y"}', "name"),
    "a lone surrogate": (r'{"Action": "A", "V": "\ud800"}', "V"),
    "a long line": (json.dumps({"Action": "A", "V": LONG}), "1024"),
    "many headers": (json.dumps({"Action": "A", "V": ["x"] * 128}), "128"),
    "an unknown server": ('{"Action": "A", "AMIServerID": 3}', "AMIServerID"),
    "a server that is text": ('{"Action": "A", "AMIServerID": "one"}', "AMIServerID"),
    "a server that is a list": ('{"Action": "A", "AMIServerID": [1]}', "AMIServerID"),
    "NaN": ('{"Action": "A", "V": NaN}', "JSON"),
    "deep nesting": ("[" * 100_000, ""),
    **{
        f"{name} is for the shared session": (json.dumps({"Action": spelled}), name)
        for name, spelled in [
            ("Login", "login"),
            ("Logoff", "LOGOFF"),
            ("Challenge", "Challenge"),
            ("Events", "Events"),
            ("Filter", " Filter"),
            ("WaitEvent", "WaitEvent"),
        ]
    },
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_refusal_comes_back_to_that_client_alone(setup: Setup, case: str) -> None:
    text, named = REFUSED[case]
    before = (len(setup.first.received), len(setup.second.received), len(setup.other.messages))
    answer = setup.client.ask(text, is_error)
    assert list(answer) == ["type", "server_id", "server_name", "ssl", "data"]
    assert named.casefold() in answer["data"]["Message"].casefold()
    assert "\n" not in answer["data"]["Message"]
    # Nothing of it reached a server or another client: what is sent next comes first.
    setup.client.send({"Action": "EndMark"})
    assert received_since(setup.first, before[0], setup.client) == b""
    assert received_since(setup.second, before[1], setup.client) == b""
    assert not [m for m in setup.other.messages[before[2] :] if is_error(m)]


def test_a_refusal_names_the_action_id(setup: Setup) -> None:
    answer = setup.client.ask('{"Action": "Logoff", "ActionID": "mine-1"}', is_error)
    assert answer["data"]["ActionID"] == "mine-1"


def test_answers_go_to_every_classic_client(setup: Setup) -> None:
    action = {"Action": "CoreStatus", "AMIServerID": 1, "ActionID": "classic-1"}

    def is_answer(message: dict[str, Any]) -> bool:
        return bool(message["data"].get("ActionID") == "classic-1")

    assert setup.client.ask(action, is_answer)["type"] == 4
    assert setup.other.wait_for(is_answer, "the answer")["data"]["Response"] == "Success"


def test_a_server_that_is_not_connected(tmp_path: Path) -> None:
    with AmiServer() as up, AmiServer() as down:
        down.refuse()
        hosts = configuration(ami_host(up.port, "up"), ami_host(down.port, "down"))
        with Program(tmp_path, hosts) as program, Client(program.port) as client:
            up.wait_login()
            program.wait_for_log("connected to")
            answer = client.ask({"Action": "Ping", "ActionID": "9"}, is_error)
            assert (answer["server_id"], answer["server_name"]) == (2, "down")
            assert "not connected" in answer["data"]["Message"]
            assert answer["data"]["ActionID"] == "9"
            up.wait_for(b"Action: Ping\r\nActionID: 9\r\n\r\n")
