"""amiws_gevent.client against the real program."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from amiws_gevent.client import Client, ClientError, Event, Gap, Subscription
from amiws_gevent.runtime.backoff import Backoff
from amiws_gevent.web.tokens import hash_of, make_token
from tests.integration.test_v2_protocol import MORE, Setup
from tests.support.patience import WAIT
from tests.support.program import Program, ami_host, configuration, wait_until
from tests.support.relay import Relay

pytestmark = pytest.mark.slow

KINDS = ["queue", "queue_caller"]


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def make(stack: ExitStack, url: str) -> Client:
    client = stack.enter_context(Client(url, backoff=Backoff(0.01, 0.05)))
    servers = client.subscribe(kind="server", server=0)
    wait_until(lambda: "live" in {one["sync"] for one in servers.items.values()}, "live")
    return client


def digest_of(folder: Path) -> str:
    """The configuration's lines for the login of jürgen."""
    hashed = hashlib.md5("jürgen:pbx:gehëim".encode(), usedforsecurity=False).hexdigest()
    (folder / "htdigest").write_text(f"jürgen:pbx:{hashed}\n", encoding="utf-8")
    return f"auth_domain: pbx\nauth_file: {folder}/htdigest\n"


def events(subscription: Subscription) -> tuple[list[str], list[Gap]]:
    """Numbers of the news that have come, and gaps, until the one that says ``last``."""
    found: list[str] = []
    gaps: list[Gap] = []
    while found[-1:] != ["last"]:
        told = subscription.take(60)
        if isinstance(told, Event):
            found.append(told.data["Number"])
        elif isinstance(told, Gap):
            gaps.append(told)
    return found[:-1], gaps


def test_after_many_cuts_nothing_is_missing_and_nothing_there_twice(
    stack: ExitStack, tmp_path: Path
) -> None:
    setup = Setup(tmp_path, stack)
    relay = stack.enter_context(Relay(setup.program.port))
    client, stays = make(stack, relay.url), make(stack, f"http://127.0.0.1:{setup.program.port}")
    state, whole = client.subscribe(kind=KINDS), stays.subscribe(kind=KINDS)
    news = client.subscribe(["events"], event="UserEvent")
    state.wait(WAIT)
    news.wait(WAIT)
    setup.pbx.news()
    assert isinstance(news.take(60), Event)  # so that it has a position
    for number in range(30):
        setup.pbx.join("sales" if number % 2 else "support", f"1.{number}")
        setup.pbx.news()
        if number % 3 == 0:
            setup.pbx.leave("support", f"1.{number - number % 2}")
        if number % 5 == 0:
            relay.cut()
    setup.pbx.event("UserEvent", Number="last")
    found, gaps = events(news)
    assert (found, gaps) == ([str(number) for number in range(2, 32)], [])
    setup.pbx.join("sales", "last")
    for one in (state, whole):
        wait_until(lambda one=one: one.get(1, "queue_caller", "last"), "the last")
    wait_until(lambda: state.items == whole.items, "the same as who stayed")
    assert len(state.items) > 10


def test_a_restart_of_the_program_is_told(stack: ExitStack, tmp_path: Path) -> None:
    setup = Setup(tmp_path, stack)
    relay = stack.enter_context(Relay(setup.program.port))
    client = make(stack, relay.url)
    subscription = client.subscribe(["state", "events"], kind=KINDS)
    subscription.wait(WAIT)
    setup.pbx.join("sales", "1.1")
    wait_until(lambda: subscription.get(1, "queue_caller", "1.1"), "the caller")
    setup.program.process.terminate()
    setup.program.process.wait(WAIT)
    setup.pbx.callers["sales"].append("1.2")  # of whom nobody is told
    again = tmp_path / "again"
    again.mkdir()
    text = configuration(ami_host(setup.pbx.server.port), more=MORE)
    relay.target = stack.enter_context(Program(again, text)).port
    wait_until(lambda: subscription.get(1, "queue_caller", "1.2"), "the snapshot")
    told: set[tuple[str, str]] = set()
    while len(told) < 2:
        one = subscription.take(60)
        if isinstance(one, Gap):
            told.add((one.stream, one.reason))
    assert told == {("state", "unknown"), ("events", "unknown")}


TOKEN = make_token()
LOGINS: dict[str, tuple[str, dict[str, str]]] = {
    "nobody": ("", {}),
    "token": (f"api_tokens: [{{name: wall, hash: '{hash_of(TOKEN)}'}}]\n", {"token": TOKEN}),
    "digest": ("", {"user": "jürgen", "password": "gehëim"}),
}


@pytest.mark.parametrize("how", LOGINS)
def test_each_login_lasts_through_restarts(stack: ExitStack, tmp_path: Path, how: str) -> None:
    """The program comes back with new nonces, and knows no cookie of before."""
    more, login = LOGINS[how]
    if how != "nobody":
        more += digest_of(tmp_path)
    setup = Setup(tmp_path, stack, more)
    relay = stack.enter_context(Relay(setup.program.port))
    client = stack.enter_context(Client(relay.url, **login, backoff=Backoff(0.01, 0.05)))
    assert client.hello["user"] == {"nobody": None, "token": "token:wall", "digest": "jürgen"}[how]
    subscription = client.subscribe(kind=KINDS)
    subscription.wait(WAIT)
    for number in range(3):
        setup.program.process.kill()
        setup.program.process.wait(WAIT)
        setup.pbx.callers["sales"].append(f"1.{number}")
        again = tmp_path / str(number)
        again.mkdir()
        text = configuration(ami_host(setup.pbx.server.port), more=MORE + more)
        setup.program = stack.enter_context(Program(again, text))
        relay.target = setup.program.port
        wait_until(
            lambda number=number: subscription.get(1, "queue_caller", f"1.{number}"), "the caller"
        )
        (reply,) = client.action(1, {"Action": "QueueStatus"}, timeout=60)
        assert reply.complete
    assert len(subscription.items) == 5


@pytest.mark.parametrize("login", [{"token": make_token()}, {"user": "eve", "password": "x"}])
def test_a_wrong_login_is_refused_and_names_the_address(
    tmp_path: Path, login: dict[str, str]
) -> None:
    with Program(tmp_path, configuration(ami_host(1), more=digest_of(tmp_path))) as program:
        address = f"127.0.0.1:{program.port}"
        with (
            pytest.raises(ClientError, match=address) as caught,
            Client(f"http://{address}", **login),
        ):
            pass
        assert caught.value.code == "refused"
    with (
        pytest.raises(ClientError, match=address) as caught,
        Client(f"http://{address}", connect_timeout=10, **login),
    ):
        pass
    assert caught.value.code in ("no_answer", "not_connected"), "nobody listens there any more"


def test_actions(stack: ExitStack, tmp_path: Path) -> None:
    setup = Setup(tmp_path, stack)
    setup.pbx.callers["sales"].append("1.1")
    client = make(stack, f"http://127.0.0.1:{setup.program.port}")
    (reply,) = client.action("all", {"Action": "QueueStatus"}, timeout=30)
    assert (reply.server, reply.outcome, reply.complete) == (1, "answered", True)
    assert "QueueEntry" in {item["Event"] for item in reply.items}
    with pytest.raises(ClientError) as caught:
        client.action(1, {"Action": "Logoff"})
    assert caught.value.code == "action_refused"
    with pytest.raises(ClientError) as caught:
        client.subscribe(["events"], quality="good").wait(WAIT)
    assert caught.value.code == "bad_filter"


def test_a_login(tmp_path: Path) -> None:
    with Program(tmp_path, configuration(ami_host(1), more=digest_of(tmp_path))) as program:
        url = f"http://127.0.0.1:{program.port}"
        with Client(url, user="jürgen", password="gehëim") as client:
            assert client.hello["user"] == "jürgen"
        refused = pytest.raises(ClientError, match="name or the password is wrong")
        with refused as caught, Client(url, user="jürgen", password="wrong"):
            pass
        assert caught.value.code == "refused"
