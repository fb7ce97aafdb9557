"""The HTTP API of the real program, with scripted servers behind it."""

from __future__ import annotations

import hashlib
import itertools
import json
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from requests.auth import HTTPDigestAuth

from amiws_gevent.api.operations import OPERATIONS, PREFIX
from amiws_gevent.web.tokens import hash_of, make_token
from tests.support.ami_server import AmiServer, Connection, Packet, answer
from tests.support.certificates import make_certificate
from tests.support.patience import WAIT
from tests.support.program import Program, ami_host, wait_until
from tests.support.program import configuration as plain_configuration
from tests.support.sse import EventSource

TOKEN, OTHER = make_token(), make_token()
AUTHORIZED = {"Authorization": f"Bearer {TOKEN}"}
REALM = "asterisk"
FOREIGN = "https://evil.example"


def configuration(*hosts: str, more: str = "") -> str:
    return plain_configuration(*hosts, more=f"live_state: yes\n{more}")


def tokens(**named: str) -> str:
    lines = [f"- {{name: {name}, hash: '{hash_of(token)}'}}\n" for name, token in named.items()]
    return "api_tokens:\n" + "".join(lines)


def htdigest(**passwords: str) -> str:
    return "".join(
        f"{user}:{REALM}:{hashlib.md5(f'{user}:{REALM}:{password}'.encode()).hexdigest()}\n"
        for user, password in passwords.items()
    )


def hangup(number: int) -> bytes:
    return b"Event: Hangup\r\nUniqueid: 1.%d\r\nChannel: SIP/1-%d\r\n\r\n" % (number, number)


def new_channel(number: int) -> bytes:
    return (
        b"Event: Newchannel\r\nChannel: SIP/1-%d\r\nChannelState: 6\r\nChannelStateDesc: Up\r\n"
        b"Uniqueid: 1.%d\r\nLinkedid: 1.%d\r\n\r\n" % (number, number, number)
    )


def numbers(source: EventSource, count: int) -> list[str]:
    """The Uniqueids of so many events."""
    return [source.until("event").data["message"]["data"]["Uniqueid"] for _ in range(count)]


def url(program: Program, path: str) -> str:
    return f"http://127.0.0.1:{program.port}{PREFIX}{path}"


@pytest.fixture
def program(tmp_path: Path, ami: AmiServer) -> Iterator[Program]:
    with Program(tmp_path, configuration(ami_host(ami.port))) as program:
        ami.wait_login()
        program.wait_for_log("connected to")
        yield program


def sent(ami: AmiServer, action: str) -> int:
    """How many actions of a name the server got."""
    return sum(packet.action == action for packet in ami.actions)


# Streams


def test_curl_listens_to_events(program: Program, ami: AmiServer) -> None:
    command = ["curl", "-sN", url(program, "/events?event=Hangup")]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as curl:
        assert curl.stdout is not None
        lines = iter(curl.stdout.readline, b"")
        assert b"event: subscribed\n" in itertools.islice(lines, 4)
        ami.send(new_channel(1) + hangup(1))
        told = next(line for line in lines if line.startswith(b"data:") and b"Hangup" in line)
        assert json.loads(told.removeprefix(b"data: "))["message"]["data"]["Uniqueid"] == "1.1"
        program.process.terminate()
        assert program.process.wait(WAIT) == 0
        assert curl.wait(WAIT) == 0, "the answer ends as HTTP has it"


def test_who_comes_back_gets_what_was_missed_once(program: Program, ami: AmiServer) -> None:
    target = f"{PREFIX}/events?event=Hangup"
    with EventSource(program.port, target) as source:
        assert source.until("subscribed").data["resumed"] is False
        ami.send(hangup(1))
        assert numbers(source, 1) == ["1.1"]
        position = source.last_id
    assert position
    with EventSource(program.port, target) as witness:
        witness.until("subscribed")
        ami.send(b"".join(map(hangup, range(2, 8))))
        numbers(witness, 6)
    with EventSource(program.port, target, {"Last-Event-ID": position}) as source:
        assert source.until("subscribed").data["resumed"] is True
        assert numbers(source, 6) == [f"1.{n}" for n in range(2, 8)]
        ami.send(hangup(8))
        assert numbers(source, 1) == ["1.8"]


def test_without_state_events_go_on_and_state_is_refused(tmp_path: Path, ami: AmiServer) -> None:
    text = plain_configuration(ami_host(ami.port), more="live_state: no")
    with Program(tmp_path, text) as program:
        ami.wait_login()
        program.wait_for_log("connected to")
        test_who_comes_back_gets_what_was_missed_once(program, ami)
        for path in ("/state/channel", "/state", "/state?kind=server&kind=call"):
            refused = requests.get(url(program, path), timeout=WAIT)
            assert (refused.status_code, refused.json()["code"]) == (409, "state_off"), path
        (server,) = requests.get(url(program, "/servers"), timeout=WAIT).json()["items"]
        assert server["sync"] == "off"
        with EventSource(program.port, f"{PREFIX}/state?kind=server") as source:
            (told,) = source.until("snapshot").data["items"]
            assert told == server


def test_the_state_and_each_change(program: Program, ami: AmiServer) -> None:
    with EventSource(program.port, f"{PREFIX}/state?kind=channel") as source:
        assert source.until("snapshot").data["items"] == []
        ami.send(new_channel(1))
        (entity,) = source.until("state").data["set"]
        assert (entity["server"], entity["kind"], entity["id"]) == (1, "channel", "1.1")
        assert entity["uniqueid"] == "1.1"
        ami.send(hangup(1))
        while not (gone := source.until("state").data["unset"]):
            pass
        assert gone[0]["id"] == "1.1"


def test_a_restart_is_a_gap_and_a_snapshot(tmp_path: Path, ami: AmiServer) -> None:
    target = f"{PREFIX}/state?kind=channel"
    text = configuration(ami_host(ami.port))
    with Program(tmp_path, text) as program, EventSource(program.port, target) as source:
        source.until("snapshot")
        position = source.last_id
    assert position
    with Program(tmp_path, text) as program:
        with EventSource(program.port, target, {"Last-Event-ID": position}) as source:
            kinds = []
            while kinds[-1:] != ["snapshot"]:
                event = source.next()
                assert event is not None
                kinds.append(event.type)
            assert kinds == ["subscribed", "gap", "snapshot"]
        events = f"{PREFIX}/events"
        with EventSource(program.port, events, {"Last-Event-ID": "nonsense"}) as source:
            assert source.until("gap").data["stream"] == "events"


def test_a_list_and_a_stream_meet(program: Program, ami: AmiServer) -> None:
    """The position of a list is one at which a stream can go on."""
    with EventSource(program.port, f"{PREFIX}/state?kind=channel") as witness:
        ami.send(new_channel(1))
        witness.until("state")
        listed = requests.get(url(program, "/state/channel"), timeout=WAIT).json()
        assert [one["id"] for one in listed["items"]] == ["1.1"]
        ami.send(new_channel(2))
        witness.until("state")
    headers = {"Last-Event-ID": listed["position"]}
    with EventSource(program.port, f"{PREFIX}/state?kind=channel", headers) as source:
        assert source.until("subscribed").data["resumed"] is True
        told = source.next()
        assert told is not None
        assert told.type == "state"
        assert [one["id"] for one in told.data["set"]] == ["1.2"]


def test_streams_by_tls(tmp_path: Path, ami: AmiServer) -> None:
    make_certificate(tmp_path, "localhost")
    more = f"ssl_cert: {tmp_path}/cert.pem\nssl_key: {tmp_path}/key.pem"
    with Program(tmp_path, configuration(ami_host(ami.port), more=more)) as program:
        ami.wait_login()
        command = ["curl", "-skN", f"https://127.0.0.1:{program.port}{PREFIX}/events"]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as curl:
            assert curl.stdout is not None
            lines = iter(curl.stdout.readline, b"")
            assert b"event: subscribed\n" in itertools.islice(lines, 4)
            ami.send(hangup(1))
            assert any(b"Hangup" in line for line in lines)
            curl.kill()


def test_streams_count_as_connections(tmp_path: Path, ami: AmiServer) -> None:
    more = "limits: {connections: 2}"
    with Program(tmp_path, configuration(ami_host(ami.port), more=more)) as program:
        target = f"{PREFIX}/events"
        with EventSource(program.port, target) as one, EventSource(program.port, target) as two:
            assert (one.status, two.status) == (200, 200)
            with EventSource(program.port, target) as three:
                assert three.status == 503


# Logins


def test_a_reload_ends_streams_of_tokens_that_are_gone(tmp_path: Path, ami: AmiServer) -> None:
    def text(**named: str) -> str:
        return configuration(ami_host(ami.port), more=tokens(**named))

    target = f"{PREFIX}/events"
    other = {"Authorization": f"Bearer {OTHER}"}
    with Program(tmp_path, text(crm=TOKEN, board=OTHER)) as program:
        ami.wait_login()
        with (
            EventSource(program.port, target, AUTHORIZED) as gone,
            EventSource(program.port, target, other) as kept,
            EventSource(program.port, target) as nobody,
        ):
            assert (gone.status, kept.status, nobody.status) == (200, 200, 401)
            kept.until("subscribed")
            program.reload(text(board=OTHER))
            program.wait_for_log("configuration applied")
            assert gone.ends()
            program.wait_for_log("ends: its login or token is not valid any more")
            ami.send(hangup(1))
            assert kept.until("event").data["message"]["data"]["Event"] == "Hangup"
            with EventSource(program.port, target, AUTHORIZED) as again:
                assert again.status == 401
        assert TOKEN not in program.log


def test_a_user_whose_password_has_changed_is_ended_too(tmp_path: Path, ami: AmiServer) -> None:
    users = tmp_path / "users.htdigest"
    users.write_text(htdigest(alice="one"))
    more = f"auth_domain: {REALM}\nauth_file: {users}"
    with Program(tmp_path, configuration(ami_host(ami.port), more=more)) as program:
        session = requests.Session()
        asked = session.get(
            url(program, "/servers"), auth=HTTPDigestAuth("alice", "one"), timeout=WAIT
        )
        assert asked.status_code == 200
        cookie = "; ".join(f"{name}={value}" for name, value in session.cookies.items())
        with EventSource(program.port, f"{PREFIX}/events", {"Cookie": cookie}) as source:
            assert source.status == 200
            users.write_text(htdigest(alice="two"))
            program.reload()
            assert source.ends()


def test_wrong_tokens_are_logged_and_throttled(tmp_path: Path, ami: AmiServer) -> None:
    more = tokens(crm=TOKEN) + "limits: {failed_logins: 2}\n"
    with Program(tmp_path, configuration(ami_host(ami.port), more=more)) as program:
        wrong = {"Authorization": f"Bearer {OTHER}"}
        statuses = {
            requests.get(url(program, "/servers"), headers=wrong, timeout=WAIT).status_code
            for _ in range(8)
        }
        assert statuses == {401, 429}
        program.wait_for_log('login refused: address=127.0.0.1 user="token": no such token')
        right = requests.get(url(program, "/servers"), headers=AUTHORIZED, timeout=WAIT)
        assert right.status_code == 200
        assert OTHER not in program.log


# Actions


def queue_status(connection: Connection, packet: Packet) -> bytes | None:
    if packet.action == "Silence":
        return None
    if packet.action != "QueueStatus":
        return answer(packet, "Message: done")
    own = f"ActionID: {packet.get('ActionID')}"
    items = [f"Event: QueueParams\r\nQueue: q{n}\r\n{own}\r\n\r\n" for n in range(3)]
    end = f"Event: QueueStatusComplete\r\nEventList: Complete\r\nListItems: 3\r\n{own}\r\n\r\n"
    head = answer(packet, "EventList: start", "Message: Queue status will follow")
    return head + "".join([*items, end]).encode()


def test_an_action_gets_the_whole_list_of_each_server(tmp_path: Path) -> None:
    with AmiServer(on_action=queue_status) as one, AmiServer(on_action=queue_status) as two:
        text = configuration(ami_host(one.port, "one"), ami_host(two.port, "two"))
        with Program(tmp_path, text) as program:
            one.wait_login()
            two.wait_login()
            program.wait_for_log("connected to", 2)
            body = {"server": "all", "action": {"Action": "QueueStatus", "ActionID": "mine"}}
            asked = requests.post(url(program, "/actions"), json=body, timeout=WAIT)
            assert asked.status_code == 200
            replies = asked.json()["replies"]
            assert [reply["server"] for reply in replies] == [1, 2]
            for reply in replies:
                assert (reply["outcome"], reply["complete"]) == ("answered", True)
                assert [item["Queue"] for item in reply["items"]] == ["q0", "q1", "q2"]
                assert reply["response"]["ActionID"] == "mine"


def originate(connection: Connection, packet: Packet) -> bytes | None:
    if packet.action != "Originate":
        return answer(packet)
    headers = ["Response: Success", "Channel: SIP/1-1", "Uniqueid: 1.1", "Reason: 4"]
    lines = ["Event: OriginateResponse", f"ActionID: {packet.get('ActionID')}", *headers]
    result = "".join(f"{line}\r\n" for line in lines).encode() + b"\r\n"
    return answer(packet, "Message: Originate successfully queued") + new_channel(1) + result


def test_a_reply_to_originate_names_the_call_that_it_made(tmp_path: Path) -> None:
    with (
        AmiServer(on_action=originate) as ami,
        Program(tmp_path, configuration(ami_host(ami.port))) as program,
    ):
        ami.wait_login()
        program.wait_for_log("connected to")
        action = {"Action": "Originate", "Channel": "SIP/1", "Application": "Echo"}
        body = {"server": 1, "action": action, "wait": True}
        told = requests.post(url(program, "/actions"), json=body, timeout=WAIT).json()
        (reply,) = told["replies"]
        assert (reply["outcome"], reply["uniqueid"]) == ("answered", "1.1")
        calls = requests.get(url(program, "/state/call"), timeout=WAIT).json()["items"]
        assert [reply["call"]] == [call["id"] for call in calls]


def test_a_server_that_never_answers(tmp_path: Path) -> None:
    with (
        AmiServer(on_action=queue_status) as ami,
        Program(tmp_path, configuration(ami_host(ami.port))) as program,
    ):
        ami.wait_login()
        program.wait_for_log("connected to")
        body = {"server": 1, "action": {"Action": "Silence"}, "timeout": 0.2}
        asked = requests.post(url(program, "/actions"), json=body, timeout=WAIT)
        (reply,) = asked.json()["replies"]
        assert (reply["outcome"], reply["complete"]) == ("timeout", False)


def test_the_same_key_sends_nothing_twice(program: Program, ami: AmiServer) -> None:
    headers = {"Idempotency-Key": "k1"}
    body = {"server": 1, "action": {"Action": "Reload"}}
    answers = [
        requests.post(url(program, "/actions"), json=body, headers=headers, timeout=WAIT)
        for _ in range(3)
    ]
    assert {answer.text for answer in answers} == {answers[0].text}
    assert sent(ami, "Reload") == 1
    other = {"server": 1, "action": {"Action": "Other"}}
    refused = requests.post(url(program, "/actions"), json=other, headers=headers, timeout=WAIT)
    assert (refused.status_code, refused.json()["code"]) == (422, "idempotency_conflict")
    assert sent(ami, "Other") == 0


# Other web sites


def logins(program: Program) -> list[dict[str, Any]]:
    """Without a login, with cached Digest, and with the session cookie."""
    session = requests.Session()
    digest = HTTPDigestAuth("alice", "one")
    assert session.get(url(program, "/servers"), auth=digest, timeout=WAIT).status_code == 200
    return [{}, {"auth": digest}, {"cookies": session.cookies}]


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": FOREIGN, "Sec-Fetch-Site": "cross-site"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"},
        {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "navigate"},
    ],
)
def test_another_site_gets_nothing_and_does_nothing(
    tmp_path: Path, ami: AmiServer, headers: dict[str, str]
) -> None:
    users = tmp_path / "users.htdigest"
    users.write_text(htdigest(alice="one"))
    more = f"auth_domain: {REALM}\nauth_file: {users}"
    with Program(tmp_path, configuration(ami_host(ami.port), more=more)) as program:
        ami.wait_login()
        methods = ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS")
        for login in logins(program):
            for operation, method in itertools.product(OPERATIONS, methods):
                asked = requests.request(
                    method,
                    url(program, operation.path.replace("{kind}", "channel")),
                    headers=headers,
                    data='{"server": 1, "action": {"Action": "Originate"}}',
                    timeout=WAIT,
                    **login,
                )
                assert asked.status_code == 403, (operation.id, method, login)
                assert "Access-Control-Allow-Origin" not in asked.headers
                if method != "HEAD":
                    assert asked.json()["code"] == "forbidden"
        assert sent(ami, "Originate") == 0


@pytest.mark.parametrize("start", ["/", "//", "/%2f", "http://127.0.0.1//"])
def test_no_spelling_of_a_path_leads_past_the_gate(
    tmp_path: Path, ami: AmiServer, start: str
) -> None:
    body = b'{"server": 1, "action": {"Action": "Originate"}}'
    head = f"POST {start}api/v1/actions HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
    more = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    with Program(tmp_path, configuration(ami_host(ami.port), more=tokens(crm=TOKEN))) as program:
        ami.wait_login()
        with socket.create_connection(("127.0.0.1", program.port), 60) as client:
            client.sendall(f"{head}{more}".encode() + body)
            answer = client.makefile("rb").read()
        assert answer.startswith(b"HTTP/1.1 401 ")
        assert b'"code":"unauthorized"' in answer
        assert sent(ami, "Originate") == 0


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", None])
def test_what_a_form_can_send_is_no_action(
    program: Program, ami: AmiServer, content_type: str | None
) -> None:
    """Even from a page of this server, or from a browser that tells of no site."""
    headers = {} if content_type is None else {"Content-Type": content_type}
    asked = requests.post(
        url(program, "/actions"),
        data='{"server": 1, "action": {"Action": "Originate"}}',
        headers=headers,
        timeout=WAIT,
    )
    assert (asked.status_code, asked.json()["code"]) == (415, "unsupported_media_type")
    assert sent(ami, "Originate") == 0


def test_a_site_that_is_listed_may_ask(tmp_path: Path, ami: AmiServer) -> None:
    more = "allowed_origins: [https://board.example]"
    with Program(tmp_path, configuration(ami_host(ami.port), more=more)) as program:
        question = {
            "Origin": "https://board.example",
            "Access-Control-Request-Method": "POST",
            "Sec-Fetch-Site": "cross-site",
        }
        may = requests.options(url(program, "/actions"), headers=question, timeout=WAIT)
        assert (may.status_code, may.content) == (204, b"")
        assert may.headers["Access-Control-Allow-Origin"] == "https://board.example"
        assert "Content-Type" in may.headers["Access-Control-Allow-Headers"]
        asked = requests.get(
            url(program, "/servers"),
            headers={"Origin": "https://board.example", "Sec-Fetch-Site": "cross-site"},
            timeout=WAIT,
        )
        assert asked.headers["Access-Control-Allow-Credentials"] == "true"
        assert asked.json()["items"][0]["name"] == "pbx"


def test_a_plugin_decides_by_path_and_user(tmp_path: Path, ami: AmiServer) -> None:
    (tmp_path / "rights.py").write_text(
        "def amiws_authorize_client(request, user):\n"
        "    if request.target.startswith('/api/v1/events'):\n"
        "        return 'no events for ' + str(user)\n"
        "def amiws_authorize_action(action, client):\n"
        "    return action.name == 'Ping' or f'{client.user} may not ({client.view})'\n"
    )
    more = tokens(crm=TOKEN) + f"plugins: [{tmp_path}/rights.py]\n"
    with Program(tmp_path, configuration(ami_host(ami.port), more=more)) as program:
        ami.wait_login()
        program.wait_for_log("connected to")
        refused = requests.get(url(program, "/events"), headers=AUTHORIZED, timeout=WAIT)
        assert (refused.status_code, refused.json()["detail"]) == (403, "no events for token:crm")
        for target in (
            "//api/v1/events",
            "/%61pi/v1/events",
            "/api/v1/event%73",
            "http://a/api/v1/events",
        ):
            head = f"GET {target} HTTP/1.0\r\nHost: a\r\nAuthorization: Bearer {TOKEN}\r\n\r\n"
            with socket.create_connection(("127.0.0.1", program.port), 60) as client:
                client.sendall(head.encode())
                assert client.makefile("rb").readline().startswith(b"HTTP/1.1 404 "), target
        body = {"server": 1, "action": {"Action": "Reload"}}
        refused = requests.post(
            url(program, "/actions"), json=body, headers=AUTHORIZED, timeout=WAIT
        )
        told = refused.json()
        assert (refused.status_code, told["code"]) == (403, "not_allowed")
        assert told["detail"] == "token:crm may not (http)"
        wait_until(lambda: sent(ami, "Reload") == 0, "nothing sent")
        servers = requests.get(url(program, "/servers"), headers=AUTHORIZED, timeout=WAIT)
        assert servers.status_code == 200
