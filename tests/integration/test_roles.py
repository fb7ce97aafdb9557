"""Roles with the real program: the five of the annotated sample, by each way in."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import requests
from websockets.exceptions import InvalidStatus

from tests.support.ami_server import AmiServer
from tests.support.patience import WAIT
from tests.support.program import Program, configuration, wait_until
from tests.support.program import ami_host as host
from tests.support.role_site import RoleSite, sample_roles, users
from tests.support.sse import EventSource
from tests.support.v2_client import V2Client
from tests.support.ws_client import Client, is_error

USERS = {
    "ada": "{roles: [administrator]}",
    "sue": "{roles: [supervisor]}",
    "otto": "{roles: [operator], interface: PJSIP/210, extension: 210}",
    "bob": "{roles: [agent], interface: PJSIP/204, extension: 204, queues: [support]}",
    "carl": "{roles: [agent], interface: PJSIP/205, extension: 205, queues: [sales]}",
    "wall": "{roles: [wallboard]}",
    "one": "{roles: [first]}",
    "rita": "{roles: [auditor]}",
}
NOBODY = "nina"  # logs in, and has no role
WHOLE = ("ada", "otto")  # who see all
MORE = "  first: {see: {servers: pbx1}, do: [{action: Ping}]}\n"

Action = Mapping[str, str | list[str]]


def originate(**headers: str | list[str]) -> Action:
    known = {"Channel": "PJSIP/204", "Context": "internal", "Exten": "201", "Priority": "1"}
    return {"Action": "Originate"} | known | headers


PAUSE = {"Action": "QueuePause", "Queue": "support", "Interface": "PJSIP/204", "Paused": "true"}
REDIRECT = {"Action": "Redirect", "Channel": "PJSIP/9-1", "Context": "internal", "Exten": "201"}
REDIRECT |= {"Priority": "1"}
ADD = {"Action": "QueueAdd", "Queue": "support", "Interface": "PJSIP/201"}
COMMAND = {"Action": "Command", "Command": "core show channels"}
SPY = {"Application": "ChanSpy", "Data": "PJSIP/205"}

ALLOWED: list[tuple[str, Action]] = [
    ("ada", COMMAND),
    ("ada", {"Action": "Originate", "Channel": "Local/1@any", **SPY}),
    ("sue", ADD),
    ("sue", {"Action": "QueuePause", "Queue": "sales", "Interface": "PJSIP/9", "Paused": "1"}),
    ("otto", originate(Channel="PJSIP/210")),
    ("otto", REDIRECT),
    ("otto", {"Action": "Hangup", "Channel": "PJSIP/9-00000001"}),
    ("bob", PAUSE),
    ("bob", {**PAUSE, "Reason": "lunch"}),
    ("bob", originate()),
    ("bob", originate(Exten="0170123456")),
    ("bob", {"Action": "Hangup", "Channel": "PJSIP/204-0000001f"}),
    ("carl", {**PAUSE, "Queue": "sales", "Interface": "PJSIP/205"}),
]

REFUSED: list[tuple[str, Action, str]] = [
    ("sue", originate(), "do not allow Originate"),
    ("sue", {**ADD, "Interface": "Local/1@outside"}, "QueueAdd for Interface Local/1@outside"),
    ("sue", {**ADD, "Queue": "board"}, "QueueAdd for Queue board"),
    ("sue", COMMAND, "do not allow Command"),
    ("otto", originate(), "Originate for Channel PJSIP/204"),
    ("otto", {**REDIRECT, "Context": "outside"}, "Redirect for Context outside"),
    ("otto", {**REDIRECT, "ExtraContext": "internal"}, "Redirect for ExtraContext internal"),
    ("otto", {"Action": "Hangup", "Channel": "/.*/"}, "Hangup for Channel"),
    ("otto", COMMAND, "do not allow Command"),
    ("bob", {**PAUSE, "Interface": "PJSIP/205"}, "QueuePause for Interface PJSIP/205"),
    ("bob", {**PAUSE, "Queue": "sales"}, "QueuePause for Queue sales"),
    ("bob", {k: v for k, v in PAUSE.items() if k != "Queue"}, "QueuePause without Queue"),
    ("bob", originate(Channel="Local/201@outside"), "Originate for Channel Local/201@outside"),
    ("bob", originate(Channel="Local/201"), "Originate for Channel"),
    ("bob", originate(Channel="PJSIP/204&Local/1@outside"), "Originate for Channel"),
    ("bob", originate(Channel=["PJSIP/204", "Local/1@outside"]), "with Channel given twice"),
    ("bob", originate(Context="outside"), "Originate for Context outside"),
    ("bob", originate(Exten="00445512345"), "Originate for Exten"),
    (
        "bob",
        {"Action": "oRiGiNaTe", "channel": "PJSIP/204", "APPLICATION": "ChanSpy"},
        "this Application",
    ),
    ("bob", originate(**SPY), "Originate for this Application"),
    ("bob", originate(Variable="__TRANSFER_CONTEXT=outside"), "Originate for this Variable"),
    ("bob", originate(PreDialGoSub="outside,1,1"), "Originate for this PreDialGoSub"),
    ("bob", originate(CallerID="911"), "Originate for this CallerID"),
    ("bob", {"Action": "Hangup", "Channel": "PJSIP/205-00000001"}, "Hangup for Channel PJSIP/205"),
    ("bob", COMMAND, "do not allow Command"),
    ("bob", {"Action": "UpdateConfig", "SrcFilename": "x"}, "do not allow UpdateConfig"),
    ("bob", {"Action": "MixMonitor", "Channel": "PJSIP/204-1"}, "do not allow MixMonitor"),
    ("carl", PAUSE, "QueuePause for"),
    ("wall", {"Action": "Ping"}, "do not allow Ping"),
    ("wall", {"Action": "QueueStatus", "Queue": "support"}, "do not allow QueueStatus"),
    (NOBODY, {"Action": "Ping"}, "you have no role that allows"),
]


class Site(RoleSite):
    """A program with two servers, the sample roles, and a user for each."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, [*USERS, NOBODY], [AmiServer(), AmiServer()])
        self.audit_file = folder / "log" / "audit.jsonl"
        self.audit_file.parent.mkdir()

    def text(self, more: str = "", **changed: str) -> str:
        audit = f"audit: {{file: {self.audit_file}, key_file: {self.folder}/audit.key, fsync: no}}"
        roles = (more or sample_roles() + MORE) + users(USERS | changed)
        return self.configuration(f"{audit}\n{roles}")

    def came(self) -> list[list[tuple[str, str]]]:
        """What clients have had sent to the servers, without ActionIDs, Async and logins."""
        ours = ("login", "challenge", "ping", "logoff", "filter", "coresettings")
        return [
            [pair for pair in packet if pair[0].lower() not in ("actionid", "async")]
            for server in self.servers
            for packet in server.actions
            if packet.action.lower() not in ours
        ]

    def records(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.audit_file.read_text().splitlines()]


def pairs(action: Action) -> list[tuple[str, str]]:
    return [
        (name, text)
        for name, value in action.items()
        for text in ([value] if isinstance(value, str) else value)
    ]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    with made.servers[0], made.servers[1], Program(tmp_path, made.text()) as program:
        made.start(program)
        yield made


def refused_upgrade(site: Site, user: str) -> str:
    """The body of the 403."""
    with pytest.raises(InvalidStatus) as caught:
        site.classic(user)
    assert caught.value.response.status_code == 403
    return (caught.value.response.body or b"").decode()


# What may be done


def test_by_the_api_each_role_does_what_it_may_and_nothing_else(site: Site) -> None:
    wrong = []
    for user, action, told in REFUSED:
        response = site.post(user, server=1, action=action)
        assert response.status_code == 403, (user, action, response.text)
        assert response.json()["code"] == "not_allowed"
        if told not in response.json()["detail"]:
            wrong.append((user, action, response.json()["detail"]))
    assert wrong == []
    assert site.came() == []
    for user, action in ALLOWED:
        response = site.post(user, server=1, action=action)
        assert response.status_code == 200, (user, action, response.text)
        assert response.json()["replies"][0]["outcome"] == "answered"
    assert site.came() == [pairs(action) for _, action in ALLOWED]


def test_by_amiws_v2(site: Site) -> None:
    sent = []
    for name in (*USERS, NOBODY):
        with site.v2(name) as client:
            for user, action, told in REFUSED:
                if user == name:
                    answer = client.request("action", server=1, action=action)
                    assert (answer["op"], answer["code"]) == ("error", "not_allowed")
                    assert told in answer["message"], (user, action)
            for user, action in ALLOWED:
                if user == name:
                    assert client.request("action", server=1, action=action)["op"] == "reply"
                    sent.append(pairs(action))
    assert sent
    assert site.came() == sent


def test_by_the_classic_socket(site: Site) -> None:
    numbers = itertools.count(1)
    sent = []
    for name in WHOLE:
        with site.classic(name) as client:
            for user, action, told in REFUSED:
                if user == name:
                    number = str(next(numbers))
                    asked = {**action, "ActionID": number, "AMIServerID": 1}
                    client.send(asked)
                    said = client.wait_for(
                        lambda one, number=number: one["data"].get("ActionID") == number, "a no"
                    )
                    assert is_error(said)
                    assert told in said["data"]["Message"]
            for user, action in ALLOWED:
                if user == name:
                    number = str(next(numbers))
                    client.send({**action, "ActionID": number, "AMIServerID": 1})
                    client.wait_for(
                        lambda one, number=number: one["data"].get("ActionID") == number, "a yes"
                    )
                    sent.append(pairs(action))
    assert site.came() == sent


def test_two_users_of_one_role_at_once(site: Site) -> None:
    for user, allowed in (("bob", True), ("carl", False), ("bob", True)):
        assert site.post(user, server=1, action=PAUSE).ok is allowed
    assert len(site.came()) == 2


def test_an_idempotency_key_is_of_the_rights_it_was_used_with(site: Site) -> None:
    asked = {"server": 1, "action": PAUSE, "idempotency_key": "k"}
    assert site.post("bob", **asked).status_code == 200
    assert site.post("bob", **asked).status_code == 200
    assert len(site.came()) == 1
    site.program.reload(site.text(bob=USERS["bob"].replace("support", "support, sales")))
    site.program.wait_for_log("configuration applied")
    again = site.post("bob", **asked)
    assert (again.status_code, again.json()["code"]) == (422, "idempotency_conflict")
    assert len(site.came()) == 1


# Servers


def test_a_server_that_is_not_seen_is_none(site: Site) -> None:
    there = site.post("one", server=2, action={"Action": "Ping"})
    nowhere = site.post("one", server=7, action={"Action": "Ping"})
    assert there.status_code == nowhere.status_code == 404
    assert there.json()["detail"] == "server 2: no such server (there are: 1)"
    assert nowhere.json()["detail"] == "server 7: no such server (there are: 1)"
    everywhere = site.post("one", server="all", action={"Action": "Ping"})
    assert [reply["server"] for reply in everywhere.json()["replies"]] == [1]


def test_the_classic_socket_shows_the_servers_that_it_is_open_for(site: Site) -> None:
    def say(word: str) -> None:
        for number, server in enumerate(site.servers, 1):
            server.send(f"Event: UserEvent\r\nUserEvent: {word}{number}\r\n\r\n".encode())

    with site.classic("one") as part, site.classic("ada") as whole, site.classic("otto") as other:
        say("first")
        for client in (whole, other):
            for number in (1, 2):
                client.wait_for(
                    lambda one, n=number: one["data"].get("UserEvent") == f"first{n}", "an event"
                )
        site.servers[0].send(b"Event: UserEvent\r\nUserEvent: last\r\n\r\n")
        part.wait_for(lambda one: one["data"].get("UserEvent") == "last", "the last")
        assert {one["server_id"] for one in part.messages} == {1}
        said = part.ask({"Action": "Ping", "AMIServerID": 2, "ActionID": "x"}, is_error)
        assert said["data"]["Message"] == "AMIServerID 2: no such server (there are: 1)"
        assert said["data"]["ActionID"] == "x"
        # What others are answered by another server is not for this client.
        whole.ask(
            {"Action": "CoreStatus", "AMIServerID": 2, "ActionID": "y"},
            lambda one: one["data"].get("ActionID") == "y",
        )
        site.servers[0].send(b"Event: UserEvent\r\nUserEvent: end\r\n\r\n")
        part.wait_for(lambda one: one["data"].get("UserEvent") == "end", "the end")
        assert {one["server_id"] for one in part.messages} == {0, 1}  # 0: the error
        assert all(one["data"].get("ActionID") != "y" for one in part.messages)


@pytest.mark.parametrize("user", ["sue", "bob", "wall", NOBODY])
def test_the_classic_socket_is_closed_to_who_sees_a_part(site: Site, user: str) -> None:
    assert "amiws.v2" in refused_upgrade(site, user)
    site.program.wait_for_log("refused with 403")


# What is seen


def test_lists_have_what_is_seen_and_metrics_are_for_who_sees_all(site: Site) -> None:
    for user in (*USERS, NOBODY):
        whole = user in WHOLE
        for path in ("/api/v1/servers", "/api/v1/state/server"):
            response = site.get(user, path)
            servers = [one["id"] for one in response.json()["items"]]
            seen = {"one": ["1"], NOBODY: [], "rita": []}.get(user, ["1", "2"])
            assert servers == seen, user
        assert site.get(user, "/metrics").status_code == (200 if whole else 403)
        assert ("servers" in site.get(user, "/readyz").json()) is whole


def test_the_audit_is_for_whose_role_says_so_and_for_administrators(site: Site) -> None:
    for user in (*USERS, NOBODY):
        may = user in ("ada", "rita")
        answer = site.get(user, "/api/v1/audit")
        assert answer.status_code == (200 if may else 403), user
        assert site.get(user, "/api/v1/me").json()["audit"] is may
        with site.v2(user) as client:
            hello = client.wait_for(lambda one: one["op"] == "hello", "hello")
            assert hello["may"]["rights"]["audit"] is may
            assert "audit" in hello["features"]
        if not may:
            assert answer.json()["code"] == "not_allowed"
            assert "items" not in answer.json()
    tried = [user for user in (*USERS, NOBODY) if user not in ("ada", "rita")]

    def refused() -> list[dict[str, Any]]:
        found = site.get("rita", "/api/v1/audit?what=read").json()["items"]
        return [one for one in found if not one["allowed"]]

    wait_until(lambda: len(refused()) == len(tried), "who has tried is in the audit")
    assert {one["user"] for one in refused()} == set(tried)


def test_an_auditor_does_nothing(site: Site) -> None:
    assert "amiws.v2" in refused_upgrade(site, "rita")
    for action in (PAUSE, COMMAND, {"Action": "Ping"}):
        answer = site.post("rita", server=1, action=action)
        assert (answer.status_code, answer.json()["code"]) == (403, "not_allowed")
    assert site.came() == []
    assert site.get("rita", "/metrics").status_code == 403


def test_a_reload_takes_the_audit_from_a_role(site: Site) -> None:
    assert site.get("rita", "/api/v1/audit").status_code == 200
    with site.v2("rita") as client:
        site.program.reload(site.text(rita="{roles: [wallboard]}"))
        assert client.wait_closed() == 4403
    assert site.get("rita", "/api/v1/audit").status_code == 403


def test_the_audit_knows_roles(site: Site) -> None:
    site.post("bob", server=1, action=PAUSE)
    site.post("bob", server=1, action=COMMAND)

    def last() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = site.get("ada", "/api/v1/audit?what=action&user=bob").json()[
            "items"
        ]
        return found

    wait_until(lambda: len(last()) == 2, "both records")
    items = last()
    assert [(one["action"], one["allowed"], one["roles"]) for one in items] == [
        ("Command", False, ["agent"]),
        ("QueuePause", True, ["agent"]),
    ]
    assert items[0]["code"] == "not_allowed"
    assert "your roles (agent) do not allow Command" in items[0]["reason"]
    wait_until(lambda: any(one["what"] == "reply" for one in site.records()), "the reply")


# What one is told


def test_me(site: Site) -> None:
    told = site.get("bob", "/api/v1/me").json()
    assert (told["user"], told["kind"], told["roles"]) == ("bob", "digest", ["agent"])
    assert told["everything"] is False
    pause = next(rule for rule in told["do"] if rule["action"] == "QueuePause")
    assert pause["with"]["Interface"] == ["PJSIP/204"]
    nobody = site.get(NOBODY, "/api/v1/me").json()
    assert (nobody["roles"], nobody["see"], nobody["do"]) == ([], [], [])


def test_hello(site: Site) -> None:
    with site.v2("ada") as client:
        hello = client.wait_for(lambda one: one["op"] == "hello", "hello")
        assert hello["may"]["action"] is True
    with site.v2("otto") as client:
        hello = client.wait_for(lambda one: one["op"] == "hello", "hello")
        assert hello["may"]["action"] == ["Hangup", "Originate", "Park", "Redirect"]
        rules = {rule["action"]: rule["with"] for rule in hello["may"]["rights"]["do"]}
        assert rules["Originate"]["Channel"] == ["PJSIP/210"]


# Reload


def test_a_reload_changes_the_rights_of_open_clients(site: Site) -> None:
    stream = EventSource(site.program.port, "/api/v1/events", site.cookie("ada"))
    changed = site.text(ada=USERS["wall"], bob=USERS["ada"])
    with site.classic("ada") as classic, site.v2("ada") as v2, site.classic("otto") as other:
        site.program.reload(changed)
        assert classic.wait_closed() == v2.wait_closed() == 4403
        assert classic.close_reason == "its rights have changed"
        assert "amiws.v2" in refused_upgrade(site, "ada")
        assert site.post("ada", server=1, action=COMMAND).status_code == 403
        assert site.post("bob", server=1, action=COMMAND).status_code == 200
        other.send({"Action": "Hangup", "Channel": "PJSIP/9-1", "ActionID": "still"})
        other.wait_for(lambda one: one["data"].get("ActionID") == "still", "who is as before")
    assert stream.status == 200
    stream.until("gap")  # it shows what is seen now
    stream.close()


def test_who_may_do_the_same_and_sees_something_else_stays(site: Site) -> None:
    with site.v2("one") as client:
        name = client.subscribe("state", kind="server")
        assert {key[2] for key in client.collections[name]} == {"1"}
        more = sample_roles() + MORE.replace("servers: pbx1", "servers: [pbx1, pbx2]")
        more = more.replace("action: Ping", "action: Ping, servers: pbx1")
        site.program.reload(site.text(more))
        client.wait(lambda: len(client.collections[name]) == 2, "the other server")
        assert client.of("gap", name)[-1]["reason"] == "rights"
        assert client.close_code is None


def test_without_roles_everybody_may_do_everything(tmp_path: Path) -> None:
    with AmiServer() as ami, Program(tmp_path, configuration(host(ami.port))) as program:
        ami.wait_login()
        url = f"http://127.0.0.1:{program.port}/api/v1"
        told = requests.get(f"{url}/me", timeout=WAIT).json()
        assert told == {
            "user": None,
            "kind": "none",
            "address": "127.0.0.1",
            "everything": True,
        }
        with V2Client(program.port) as v2, Client(program.port) as classic:
            hello = v2.wait_for(lambda one: one["op"] == "hello", "hello")
            whole = {"everything": True}
            assert hello["may"] == {"subscribe": True, "action": True, "rights": whole}
            assert v2.request("action", server=1, action=COMMAND)["op"] == "reply"
            classic.ask({**COMMAND, "ActionID": "c"}, lambda o: o["data"].get("ActionID") == "c")
