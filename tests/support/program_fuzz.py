"""Fuzzes the actions of `policy_fuzz` through the program: three ways in, and servers that judge.

Each action goes as a text of JSON on the classic socket, on ``amiws.v2`` and to the HTTP API. What
arrives at the servers is judged by its bytes, whatever the program has answered.
"""

from __future__ import annotations

import http.client
import json
import re
import threading
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

from amiws_gevent.policy.actions import FORMS
from tests.support.ami_server import AmiServer, Connection, Packet, answer
from tests.support.asterisk_actions import Effect, effects
from tests.support.patience import WAIT
from tests.support.policy_fuzz import CALLER, USER, Pairs, action, text, within
from tests.support.program import Program, wait_until
from tests.support.role_site import RoleSite
from tests.support.ws_client import Client

_OWN = re.compile(
    rb"Action: (Challenge|Login|Ping|Logoff)(\n(ActionID|AuthType|Username|Secret|Key): [^\n]*)*"
)
"""What the program itself sends, without a live state: the Logoff at its end. Of a client's the
next login would tell."""
_NUMBER = re.compile("0|[1-9][0-9]{0,8}")
_SESSION = ["Logoff", "Login", "Challenge", "Events", "Filter", "WaitEvent", "Ping"]


class JudgingPbx:
    """A server that keeps nothing but what the role does not mean."""

    def __init__(self) -> None:
        self.arrived = 0
        """Actions of clients."""
        self.outside: list[tuple[Effect, bytes]] = []
        """What arrived that must not, with the bytes."""
        self.last_done = ""
        self._logins = 0
        self._lock = threading.Lock()
        self.server = AmiServer(on_action=self._on_action)

    def _on_action(self, connection: Connection, packet: Packet) -> bytes | None:
        self._judge(connection)
        if packet.get("Reason").startswith(DONE):
            self.last_done = packet.get("Reason")
        said = answer(packet, "Message: done")
        if packet.action.strip().casefold() == "status":
            own = f"ActionID: {packet.get('ActionID')}\r\n"
            said += f"Event: StatusComplete\r\n{own}EventList: Complete\r\n\r\n".encode()
        return said

    def _judge(self, connection: Connection) -> None:
        """Look at all that has come, cut as Asterisk cuts it: at each empty line."""
        data = re.sub(rb"\r?\n", b"\n", connection.forget())
        for one in filter(None, re.split(rb"\n\n+", data)):
            if not self._is_own(one):
                self.arrived += 1
                for effect in sorted(effects(one)):
                    if not within(effect):
                        self.outside.append((effect, one))

    def _is_own(self, data: bytes) -> bool:
        own = _OWN.fullmatch(data)
        self._logins += own is not None and own[1] == b"Login"
        return own is not None and self._logins <= 1

    def finish(self) -> None:
        """Judge what came behind the last action; the program must have ended."""
        self.server.stop()
        for connection in self.server.connections:
            self._judge(connection)


DONE = "done "


class _Socket(Client):
    """Counts what it is answered, and keeps none of it."""

    answers = 0

    def _keep(self, message: dict[str, Any]) -> None:
        self.answers += message.get("op") in ("reply", "error")

    def wait_answers(self, count: int) -> None:
        """Until so many have come since it was opened; of several servers each counts."""
        wait_until(lambda: self.answers >= count, "the replies")


class FuzzSite(RoleSite):
    """A user with the role, who sees the first of two servers, so that all is for that one."""

    def __init__(self, folder: Path) -> None:
        self.pbxs = [JudgingPbx(), JudgingPbx()]
        super().__init__(folder, ["bob"], [pbx.server for pbx in self.pbxs])
        self.sent: Counter[str] = Counter()
        """By the way in."""
        self.arrived: Counter[str] = Counter()
        """Likewise, at both servers."""
        self._turns = 0

    def text(self) -> str:
        """The configuration."""
        roles = {"caller": {**CALLER, "see": {"servers": "pbx1"}}}
        given = json.dumps({"bob": USER})
        return self.configuration(
            f"roles: {json.dumps(roles)}\nusers: {given}\n", ", actions_at_work: 10000"
        )

    def start(self, program: Program) -> None:
        super().start(program)
        cookie = self.cookie("bob")
        self.classic_client = _Socket(program.port, additional_headers=cookie)
        self.v2_client = _Socket(program.port, "amiws.v2", additional_headers=cookie)
        self._headers = {**cookie, "Content-Type": "application/json"}
        self.http = http.client.HTTPConnection("127.0.0.1", program.port, timeout=WAIT)

    def close(self) -> None:
        """End the clients."""
        for client in (self.classic_client, self.v2_client):
            client.close()
            assert not client.faults
        self.http.close()

    @property
    def outside(self) -> list[tuple[Effect, bytes]]:
        """What arrived that must not. At the second server that is all."""
        first, second = self.pbxs
        return [*first.outside, *second.outside, *[(("server", "2"), b"")] * second.arrived]

    def turn(self, random: Random, count: int) -> None:
        """So many actions on each way; returns when all have been sent on, or refused."""
        actions = [fuzzed(random) for _ in range(count)]
        for way, number, write, send in (
            ("classic", count, as_classic, self._classic),
            ("v2", count, as_request, self._v2),
            ("http", count // 4, as_request, self._http),
        ):
            before = sum(pbx.arrived for pbx in self.pbxs)
            send([write(random, pairs) for pairs in actions[:number]])
            self.sent[way] += number
            self.arrived[way] += sum(pbx.arrived for pbx in self.pbxs) - before

    def _classic(self, texts: Sequence[str]) -> None:
        for one in texts:
            self.classic_client.send(one)
        self._turns += 1
        done = f"{DONE}{self._turns}"
        pause = {"Action": "QueuePause", "Queue": "support", "Interface": "PJSIP/204"}
        self.classic_client.send({**pause, "Reason": done})
        wait_until(lambda: self.pbxs[0].last_done == done, "all of the classic socket")

    def _v2(self, requests: Sequence[str]) -> None:
        client = self.v2_client
        for begin in range(0, len(requests), MOST_AT_ONCE):
            some = requests[begin : begin + MOST_AT_ONCE]
            wanted = client.answers + len(some)
            for number, one in enumerate(some):
                client.send(f'{{"op":"action","id":{number},{one[1:]}')
            client.wait_answers(wanted)

    def _http(self, requests: Sequence[str]) -> None:
        for one in requests:
            body = one.encode("utf-8", "surrogatepass")
            self.http.request("POST", "/api/v1/actions", body, self._headers)
            said = self.http.getresponse()
            said.read()
            assert said.status < 500, (said.status, one)


MOST_AT_ONCE = 30
"""Of one client of amiws.v2; it may have 32."""


def fuzzed(random: Random) -> Pairs:
    """An action of `policy_fuzz`, or any of the table, or one for the session."""
    which = random.random()
    if which < 0.8:
        return action(random)
    if which > 0.97:
        return [("Action", random.choice(_SESSION)), ("EventMask", "off"), ("ActionID", "x")]
    form = random.choice(list(FORMS.values()))
    headers = [(name, text(random)) for name, _ in form.headers.values() if random.random() < 0.7]
    return [("Action", form.name), *headers]


def as_classic(random: Random, pairs: Pairs) -> str:
    """A text for the classic socket, for all servers or one."""
    made = list(pairs)
    if random.random() < 0.3:
        name = random.choice(["AMIServerID", "amiserverid"])
        made.insert(random.randint(0, len(made)), (name, random.choice(["1", "2", "1", "-1"])))
    return _as_json(random, made)


def as_request(random: Random, pairs: Pairs) -> str:
    """An object with ``server`` and ``action``, as text."""
    server = random.choice(["1", "1", "1", '"all"', "[1]", "[1,1]", "[1,2]", "2", '"1"'])
    more = ',"wait":true,"timeout":0.05' if random.random() < 0.02 else ""
    return f'{{"server":{server},"action":{_as_json(random, pairs)}{more}}}'


def _as_json(random: Random, pairs: Pairs) -> str:
    """An object: of headers that repeat a list, or the member again."""
    members: list[tuple[str, list[str]]] = []
    for name, value in pairs:
        known = next((listed for other, listed in members if other == name), None)
        if known is not None and random.random() < 0.8:
            known.append(_value(random, value))
        else:
            members.append((name, [_value(random, value)]))
    texts = []
    for name, listed in members:
        several = len(listed) > 1 or random.random() < 0.1
        value = f"[{','.join(listed)}]" if several else listed[0]
        texts.append(f"{_string(random, name)}:{value}")
    return f"{{{','.join(texts)}}}"


def _value(random: Random, value: str) -> str:
    kind = random.random()
    if kind < 0.1 and _NUMBER.fullmatch(value):
        return value
    if kind < 0.12:
        return random.choice(["null", "true", "[]", '["Local/1@evil"]', '{"a":"b"}', "1e2"])
    return _string(random, value)


def _string(random: Random, value: str) -> str:
    """JSON of a text, now and then with letters as escapes or half of a pair behind it."""
    made = json.dumps(value, ensure_ascii=random.random() < 0.5)
    if random.random() < 0.1 and value.isalnum() and value.isascii():
        at = random.randrange(len(value))
        made = json.dumps(value[:at])[:-1] + f"\\u{ord(value[at]):04x}" + value[at + 1 :] + '"'
    elif random.random() < 0.01:
        made = made[:-1] + random.choice(["\\ud800", "\\u0000", "\\u2028", "\\u000a"]) + '"'
    return made
