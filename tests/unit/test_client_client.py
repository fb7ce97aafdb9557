"""The client as a script uses it, against a server that says what the test has it say."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from amiws_gevent.client import Change, Client, ClientError, Event, Gap, Reply, Subscription
from amiws_gevent.runtime.backoff import Backoff
from tests.support.certificates import make_certificate
from tests.support.patience import WAIT
from tests.support.program import ROOT, wait_until
from tests.support.v2_server import Data, V2Connection, V2Server
from tests.support.web_root import response


@pytest.fixture
def server() -> Iterator[V2Server]:
    with V2Server() as server:
        yield server


@pytest.fixture
def client(server: V2Server) -> Iterator[Client]:
    """One that is connected; the server has said hello."""
    with opened(server) as client:
        yield client


def opened(server: V2Server, **options: Any) -> Client:
    """A client whose server says hello as soon as it comes."""
    number = len(server.connections)
    threading.Thread(target=lambda: server.client(number).hello(*SERVERS), daemon=True).start()
    return Client(server.url, backoff=Backoff(0.01, 0.02), **options)


SERVERS = [{"server": 0, "kind": "server", "id": str(n), "sync": "live"} for n in (1, 2, 3)]
PING = {"Action": "Ping"}


def call(key: str, **fields: Any) -> Data:
    return {"server": 1, "kind": "call", "id": key, **fields}


def state(*changed: Data, unset: list[Data] | None = None, position: str = "") -> Data:
    message = {"op": "state", "subscription": "s-1", "set": list(changed), "unset": unset or []}
    return message | ({"position": position} if position else {})


def event(position: str = "") -> Data:
    message = {"type": 3, "server_id": 1, "data": {"Event": "Hangup"}}
    return {"op": "event", "subscription": "s-1", "message": message, "position": position}


def reply(request: Data, server: int, replies: int = 1) -> Data:
    message = {"op": "reply", "id": request["id"], "server": server, "replies": replies}
    body = {"response": {}, "items": [], "end": None, "complete": True, "reason": ""}
    return message | {"outcome": "answered"} | body


class Doing:
    """A call in a thread of its own; ``result`` waits for what it gives or raises."""

    def __init__(self, function: Callable[[], Any]) -> None:
        self._found: list[Any] = []
        self._thread = threading.Thread(target=self._run, args=[function], daemon=True)
        self._thread.start()

    def _run(self, function: Callable[[], Any]) -> None:
        try:
            self._found.append(function())
        except ClientError as error:
            self._found.append(error)

    def result(self) -> Any:
        wait_until(lambda: self._found, "the call")
        self._thread.join()
        return self._found[0]


def begin(server: V2Server, client: Client, *items: Data, number: int = 0) -> Subscription:
    """A subscription to calls that has its snapshot."""
    subscription = client.subscribe(kind="call")
    server.client(number).subscribed()
    server.client(number).snapshot(*items)
    subscription.wait(WAIT)
    return subscription


def test_state_is_kept(server: V2Server, client: Client) -> None:
    subscription = begin(server, client, call("1", state="ringing"))
    server.client().send(
        {"op": "of-a-later-version"},
        {"op": "state", "subscription": "s-9", "set": [call("9")], "unset": []},
        state(call("1", state="up")),
        event(),
        state(unset=[call("1")]),
    )
    wait_until(lambda: subscription.items == {}, "gone")
    client.close()
    told = list(subscription)
    assert [(one.before, one.now) for one in told if isinstance(one, Change)] == [
        (None, call("1", state="ringing")),
        (call("1", state="ringing"), call("1", state="up")),
        (call("1", state="up"), None),
    ]
    assert len([one for one in told if isinstance(one, Event)]) == 1


def test_resumes_by_itself(server: V2Server, client: Client) -> None:
    subscription = begin(server, client, call("1"))
    server.client().send(state(call("2"), position="p-2"))
    server.client().send({"op": "position", "time": 1, "positions": {"s-1": "p-3", "s-9": "p-9"}})
    wait_until(lambda: len(subscription.items) == 2, "both")
    wait_until(lambda: subscription.request().get("position") == "p-3", "the position")
    server.client().cut()
    wait_until(lambda: not client.connected, "lost")
    server.client(1).hello()
    request = server.client(1).subscribed("s-2", op="resume", resumed=True)
    assert (request["position"], request["filters"]) == ("p-3", {"kind": "call"})
    server.client(1).send(state(unset=[call("1")]) | {"subscription": "s-2"})
    wait_until(lambda: len(subscription.items) == 1, "what was missed")
    assert client.connected


def test_resumes_where_it_began_if_nothing_came(server: V2Server, client: Client) -> None:
    client.subscribe(["events"])
    server.client().subscribed(position="p-0")
    wait_until(lambda: client._subscriptions[0].loaded, "subscribed")
    server.client().cut()
    wait_until(lambda: not client.connected, "lost")
    server.client(1).hello()
    assert server.client(1).subscribed(op="resume", resumed=True)["position"] == "p-0"


def test_gaps_are_told(server: V2Server, client: Client) -> None:
    subscription = client.subscribe(["events"], event=["Hangup"])
    server.client().subscribed()
    gap = {"op": "gap", "subscription": "s-1", "stream": "events", "reason": "slow", "lost": 7}
    server.client().send(event(), gap)
    assert isinstance(subscription.take(60), Event)
    assert subscription.take(60) == Gap("events", "slow", 7)
    server.client().cut()
    server.client(1).hello()
    server.client(1).subscribed()
    assert subscription.take(60) == Gap("events", "connection")


def test_an_action(server: V2Server, client: Client) -> None:
    doing = Doing(lambda: client.action(1, PING, timeout=50, wait=True, idempotency_key="k"))
    request = server.client().take("action")
    more = {"timeout": 50, "wait": True, "idempotency_key": "k"}
    assert request == {"op": "action", "server": 1, "action": PING, "id": request["id"], **more}
    server.client().send(reply({"id": 99}, 1), reply(request, 1))
    assert doing.result() == [Reply(1, "answered", {}, [], None, True)]


def test_several_at_once(server: V2Server, client: Client) -> None:
    """Each thread gets its own replies, in whatever order they come."""
    doings = [Doing(lambda n=n: client.action([n, n + 1], PING)) for n in range(8)]
    requests = [server.client().take("action") for _ in doings]
    for step in (0, 1):
        for request in reversed(requests):
            server.client().send(reply(request, request["server"][step], 2))
    for n, doing in enumerate(doings):
        assert [one.server for one in doing.result()] == [n, n + 1]


def test_a_lost_connection_leaves_the_outcome_unknown(server: V2Server, client: Client) -> None:
    doing = Doing(lambda: client.action("all", PING))
    request = server.client().take("action")
    server.client().send(reply(request, 2, 3))
    server.client().cut()
    found = {one.server: one.outcome for one in doing.result()}
    assert found | {2: "any"} == {1: "unknown", 2: "any", 3: "unknown"}


def test_an_action_that_is_not_sent(server: V2Server, client: Client) -> None:
    doing = Doing(lambda: client.action(9, PING))
    request = server.client().take("action")
    problem = {"op": "error", "id": request["id"], "code": "unknown_server", "message": "no"}
    server.client().send({"op": "error", "code": "bad_json", "message": "?"}, problem)
    assert doing.result().code == "unknown_server"
    server.client().cut()
    wait_until(lambda: not client.connected, "lost")
    with pytest.raises(ClientError, match="nothing was sent"):
        client.action(1, PING)


def test_a_subscription_that_is_refused(server: V2Server, client: Client) -> None:
    subscription = client.subscribe(queue="sales")
    problem = {"op": "error", "code": "too_many_subscriptions", "message": "enough"}
    request = server.client().take("subscribe")
    server.client().send(problem | {"id": request["id"], "retry_after": 0.01})
    server.client().send({"op": "pong", "id": 1, "time": 1})
    request = server.client().take("subscribe")
    server.client().send(problem | {"id": request["id"], "code": "bad_filter"})
    with pytest.raises(ClientError, match="enough"):
        subscription.wait(WAIT)


def test_equal_views_are_refused(server: V2Server, client: Client) -> None:
    client.subscribe(["state"], server=[1, 2], event="Hangup", queue=None)
    with pytest.raises(ValueError, match="the same streams and filters"):
        client.subscribe(["state"], event=["hangup"], server=(2, 1, 1))
    with pytest.raises(ValueError, match="the same streams and filters"):
        client.subscribe("state", event="Hangup", server=[1, 2])  # a value, as of the filters
    client.subscribe(["state", "events"], server=[1, 2], event="Hangup")


def test_closing_a_subscription(server: V2Server, client: Client) -> None:
    subscription = begin(server, client)
    subscription.close()
    assert server.client().take("unsubscribe")["subscription"] == "s-1"
    early = client.subscribe(kind="call")
    early.close()
    server.client().subscribed("s-2")
    assert server.client().take("unsubscribe")["subscription"] == "s-2"
    early.close()
    server.client().cut()
    server.client(1).hello()
    client.wait_connected(60)
    assert server.client(1).requests == []


def test_closing_the_client_ends_all(server: V2Server, client: Client) -> None:
    subscription = begin(server, client)
    doing = Doing(lambda: list(subscription))
    asked = Doing(lambda: client.action(1, PING))
    server.client().take("action")
    client.close()
    assert doing.result() == []
    assert [one.outcome for one in asked.result()] == ["unknown"]
    with pytest.raises(ClientError, match="not connected"):
        client.action(1, PING)
    with pytest.raises(ClientError, match="closed"):
        client.wait_connected(0)


def test_a_program_that_does_not_take_loses_nothing_but_what_waits(server: V2Server) -> None:
    """Actions are answered, and state is kept, however much waits in a subscription."""
    with opened(server, queue=10) as client:
        subscription = begin(server, client)
        server.client().send(*(state(call("1", n=n)) for n in range(500)))
        doing = Doing(lambda: client.action(1, PING))
        server.client().send(reply(server.client().take("action"), 1))
        assert len(doing.result()) == 1
        assert subscription.get(1, "call", "1") == call("1", n=499)
        told = subscription.take(0)
        assert isinstance(told, Gap)
        assert told.reason == "this program"


def test_a_refused_login_is_raised_at_once(server: V2Server) -> None:
    server.refusals = [response(401, b"This WebSocket is refused.", "text/plain")]
    refused = pytest.raises(ClientError, match="401: This WebSocket is refused")
    with refused as caught, Client(server.url):
        pass
    assert caught.value.code == "refused"


def test_no_server_is_raised_in_time() -> None:
    with V2Server() as server:
        url = server.url
    backoff = Backoff(0.01, 0.02)
    with pytest.raises(ClientError) as caught, Client(url, connect_timeout=0.1, backoff=backoff):
        pass
    assert caught.value.code == "no_answer"


def test_an_authority_of_ones_own(tmp_path: Path) -> None:
    certificate = make_certificate(tmp_path, "127.0.0.1")
    tls = certificate.server()
    with V2Server(tls=tls) as server, opened(server, ca_file=certificate.ca) as client:
        assert client.hello["protocol"] == 2


SCRIPT = """
from gevent import monkey; monkey.patch_all()
import gevent, sys
from amiws_gevent.client import Client
turns = []
def turn():
    while True:
        turns.append(1)
        gevent.sleep(0.001)
gevent.spawn(turn)
with Client(sys.argv[1]) as client:
    subscription = client.subscribe(["state"])
    for told in subscription:
        print(told.now["id"], flush=True)
        if told.now["id"] == "2":
            break
    print(client.action(1, {"Action": "Ping"})[0].outcome, len(turns) > 3)
"""


@pytest.mark.slow
def test_under_gevent(server: V2Server) -> None:
    """In a program whose threads are greenlets, others have their turn while it waits."""
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-c", SCRIPT, server.url],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=ROOT,
    )
    connection: V2Connection = server.client()
    connection.hello()
    connection.subscribed()
    connection.snapshot(call("1"))
    assert process.stdout is not None
    assert process.stdout.readline() == "1\n"
    connection.send(state(call("2")))
    connection.send(reply(connection.take("action"), 1))
    assert process.communicate(timeout=WAIT) == ("2\nanswered True\n", None)
    assert process.returncode == 0
