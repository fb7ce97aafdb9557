"""Two edges with the same users: what one knows of logins, the other does."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from amiws_gevent.bus.shared import RedisShared
from amiws_gevent.bus.sharing import SKEW, Logout
from amiws_gevent.identity import PROXY
from amiws_gevent.web.digest import NONCE_LIFETIME
from amiws_gevent.web.login_throttle import FAILURE_TIME, LIMIT, PASSWORD
from amiws_gevent.web.loginwatch import LoginWatch
from amiws_gevent.web.sharedlogins import SharedLoginMemory
from amiws_gevent.web.verdict import LOGGED_OUT, Grant
from tests.support.bus import health
from tests.support.clock import Clock
from tests.support.greenlets import until
from tests.support.redis_server import RedisServer
from tests.support.sharing import Away, Events, is_back, sharing
from tests.unit.test_web_gate import World, header, request
from tests.unit.test_web_loginwatch import Holds

pytestmark = pytest.mark.slow


class EdgeWorld(World):
    """One edge: a `World` with what it shares."""

    def __init__(self, tmp_path: Path, shared: Any, **changes: Any) -> None:
        self.shared = shared
        super().__init__(tmp_path, **changes)

    def restart(self) -> None:
        self.wall_clock = Clock(time.time())
        self.memory = self.logins = SharedLoginMemory(
            self.shared, "amiws", clock=self.clock, wall_clock=self.wall_clock
        )
        self.memory.configure(self.settings)
        self.failed = self.memory.throttle
        self.sockets = Holds()
        self.watch = LoginWatch(
            self.sockets, Holds(), save=self.logins.save, tell=self.logins.proxy_logout
        )
        self.logins.on_logout = self.watch.look
        self.logins.on_proxy_logout = self.watch.end_of_proxy
        self.shared.start(self.logins)
        self.reload()
        self.watch.use(self.gate)
        self.watch.start()

    def stop(self) -> None:
        self.watch.stop()
        self.shared.stop()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    with RedisServer(tmp_path / "redis") as made:
        yield made


class Edges:
    """Makes them, with one file of users; they are stopped at the end."""

    def __init__(self, tmp_path: Path, server: RedisServer) -> None:
        self.server = server
        self.made: list[EdgeWorld] = []
        self._path = tmp_path

    def __call__(self, **changes: Any) -> EdgeWorld:
        shared = RedisShared(self.server.settings, health(), 120.0)
        made = EdgeWorld(self._path, shared, **changes)
        self.made.append(made)
        assert shared.wait(120.0)
        until(lambda: is_back(shared))
        return made


@pytest.fixture
def edges(tmp_path: Path, server: RedisServer) -> Iterator[Edges]:
    made = Edges(tmp_path, server)
    yield made
    for edge in made.made:
        edge.stop()


def test_a_challenge_of_one_holds_at_the_other_and_its_count_once(
    edges: Edges, caplog: pytest.LogCaptureFixture
) -> None:
    one, other = edges(), edges()
    right = one.digest()
    assert other.page(right).status == 200
    for edge in (one, other):
        again = edge.page(right)
        assert again.status == 401
        assert "stale=true" in header(again, "WWW-Authenticate")
    for behind in (-SKEW, SKEW):  # clocks of two machines
        other.wall_clock.now = one.wall_clock.now + behind
        assert other.page(one.digest()).status == 200
    assert "clock" not in caplog.text
    other.wall_clock.now = one.wall_clock.now - SKEW - 1
    assert "stale=true" in header(other.page(one.digest()), "WWW-Authenticate")
    assert "61 s ahead of the clock of this machine" in caplog.text
    old = one.digest()
    other.wall_clock.now = one.wall_clock.now + NONCE_LIFETIME + 1
    assert "stale=true" in header(other.page(old), "WWW-Authenticate")


def test_a_cookie_of_one_holds_at_the_other_whatever_its_port(edges: Edges) -> None:
    one, other = edges(ws_port=8001), edges(ws_port=8002)
    cookie = one.log_in()
    assert other.upgrade(cookie).status == 200
    assert not any(port in cookie[1] for port in ("8001", "8002"))


def test_wrong_passwords_have_one_count(edges: Edges) -> None:
    few = {"limits": {"failed_logins": 2}}
    one, other = edges(**few), edges(**few)
    cookie = one.log_in()
    for edge in (one, other):
        assert edge.page(edge.digest(password="guess")).status == 401
    for edge in (one, other):
        for password in ("guess", "one"):
            verdict = edge.page(edge.digest(password=password))
            assert verdict.status == 429
            assert 0 < int(header(verdict, "Retry-After")) <= FAILURE_TIME
        assert edge.failed.refused == {PASSWORD: 1, LIMIT: 2}
    assert other.page(other.digest(), cookie).status == 200, "whose cookie is right, learns nothing"
    assert other.page(other.digest("bob", "two")).status == 200


def test_a_logout_at_one_ends_what_is_open_at_the_other(edges: Edges) -> None:
    one, other = edges(), edges()
    cookie = one.log_in()
    grant, others = other.upgrade(cookie).grant, other.upgrade(other.log_in()).grant
    other.sockets.open = [grant, others]
    one.watch.log_out(one.gate, None, one.upgrade(cookie).grant, request())
    until(lambda: other.sockets.ended)
    assert other.sockets.ended == [(grant, LOGGED_OUT)]
    assert other.upgrade(cookie).status == 401
    assert edges().upgrade(cookie).status == 401, "an edge that starts later"


def test_a_logout_of_a_proxys_user_ends_it_at_all_edges_once(edges: Edges) -> None:
    one, other = edges(), edges()
    for edge in (one, other):
        edge.sockets.open = [Grant("anna", PROXY), Grant("bob", PROXY)]
    one.watch.log_out(one.gate, None, Grant("anna", PROXY), request())
    one.sockets.open.append(Grant("anna", PROXY))  # came back
    until(lambda: other.sockets.ended)
    assert other.sockets.ended == [(Grant("anna", PROXY), LOGGED_OUT)]
    with sharing(edges.server, events := Events()):
        until(lambda: events.names == [("anna", b"")])
    assert len(one.sockets.ended) == 1


def test_a_logout_that_redis_has_lost_hides_no_later_one() -> None:
    class Lost:
        def tell_logouts(self, logouts: Any) -> None:
            """Told, and then Redis loses it."""

    memory = SharedLoginMemory(Lost(), "amiws")  # type: ignore[arg-type]
    ended: list[str] = []
    memory.on_proxy_logout = ended.append
    memory.proxy_logout("anna")
    memory.begin_logouts()
    memory.take_logouts([Logout("anna", b"", 0.0, 60.0)], None)  # of another edge
    assert ended == ["anna"]
    memory.stop()


def test_logouts_outlive_redis_and_the_edge(edges: Edges, tmp_path: Path) -> None:
    kept = {"state_file": tmp_path / "state"}
    one, other = edges(**kept, ws_port=8001), edges(**kept, ws_port=8002)
    cookie = one.log_in()
    grant = one.upgrade(cookie).grant
    edges.server.kill()
    until(lambda: not is_back(other.shared))
    one.watch.log_out(one.gate, None, grant, request())
    assert one.upgrade(cookie).status == 401
    assert other.upgrade(cookie).status == 200, "nobody could tell it"
    edges.server.start()
    until(lambda: other.upgrade(cookie).status == 401)
    assert other.settings.logouts_file is not None
    until(other.settings.logouts_file.exists)
    for edge in (one, other):
        edge.stop()
    edges.server.kill()
    edges.server.start()
    again = edges(**kept, ws_port=8002)
    assert again.upgrade(cookie).status == 401, "its file has what another edge has told"
    until(lambda: edges().upgrade(cookie).status == 401)


def test_logins_go_on_while_redis_is_away(tmp_path: Path) -> None:
    edge = EdgeWorld(tmp_path, Away(), limits={"failed_logins": 2})
    try:
        right = edge.digest()
        assert edge.page(right).status == 200
        assert edge.page(right).status == 401, "its own counts hold"
        for _ in range(2):
            assert edge.page(edge.digest(password="guess")).status == 401
        assert edge.page(edge.digest()).status == 429
        edge.clock.now += FAILURE_TIME
        cookie = edge.log_in()
        edge.watch.log_out(edge.gate, None, edge.upgrade(cookie).grant, request())
        assert edge.upgrade(cookie).status == 401
        edge.watch.log_out(edge.gate, None, Grant("anna", PROXY), request())
        assert len(edge.logins.untold(10)) > 0
    finally:
        edge.stop()


def test_what_was_refused_elsewhere_does_not_count_here(edges: Edges) -> None:
    """Else this edge would refuse for longer than is said."""
    few = {"limits": {"failed_logins": 1}}
    one, other = edges(**few), edges(**few)
    assert one.page(one.digest(password="guess")).status == 401
    for _ in range(5):
        assert other.page(other.digest(password="guess")).status == 429
    assert other.failed.wait("10.0.0.9", "anna", 1) == 0
