"""What is open ends with its login: by a logout, by the file, by a reload."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import gevent
import pytest
from gevent.event import Event

from amiws_gevent.identity import PROXY
from amiws_gevent.web.loginwatch import LoginWatch
from amiws_gevent.web.verdict import LOGGED_OUT, LOGIN_GONE, NOBODY, Grant
from tests.support.webserver import wait_for
from tests.unit.test_web_gate import World
from tests.unit.test_web_logins import BY_PROXY, PROXY_ADDRESS, api, request


class Holds:
    """Connections that are their grants."""

    def __init__(self) -> None:
        self.open: list[Grant] = []
        self.ended: list[tuple[Grant, str]] = []
        self.checks = 0
        self.end_of: Callable[[Grant], str | None] = lambda _: None

    def check(self, end_of: Callable[[Grant], str | None]) -> None:
        self.checks += 1
        for grant in list(self.open):
            reason = end_of(grant)
            if reason is not None:
                self.open.remove(grant)
                self.ended.append((grant, reason))


class Watched:
    def __init__(self) -> None:
        self.sockets, self.streams = Holds(), Holds()
        self.told: list[tuple[str, str | None, str]] = []
        self.elsewhere: list[str] = []
        self.watch = LoginWatch(
            self.sockets,
            self.streams,
            told=lambda *one: self.told.append(one),
            tell=self.elsewhere.append,
            interval=0.01,
        )


@pytest.fixture
def watched() -> Iterator[Watched]:
    made = Watched()
    made.watch.start()
    yield made
    made.watch.stop()


def test_a_logout_ends_what_is_of_the_session(tmp_path: Path, watched: Watched) -> None:
    world = World(tmp_path)
    cookie, other = world.log_in(), world.log_in()
    mine, theirs = world.upgrade(cookie).grant, world.upgrade(other).grant
    watched.sockets.open = [mine, theirs, NOBODY]
    watched.streams.open = [mine, theirs]
    grant = api(world, cookie).grant
    done = watched.watch.log_out(world.gate, "/ignored", grant, request())
    assert [(user, how) for _, user, how in watched.told] == [("anna", "digest")]
    assert done.url is None
    assert done.cookie is not None
    for holder in (watched.sockets, watched.streams):
        assert holder.ended == [(mine, LOGGED_OUT)]


def test_a_logout_of_a_proxys_user(tmp_path: Path, watched: Watched) -> None:
    world = World(tmp_path, **BY_PROXY)
    grant = api(world, ("Remote-User", "anna"), proxy=PROXY_ADDRESS).grant
    bob = Grant("bob", PROXY, grant.secret)
    watched.sockets.open = [grant, bob, Grant("anna")]
    done = watched.watch.log_out(world.gate, "/oauth2/sign_out", grant, request())
    assert done == (None, "/oauth2/sign_out")
    assert watched.sockets.ended == [(grant, LOGGED_OUT)]
    assert watched.elsewhere == ["anna"]


def test_a_logout_elsewhere_is_looked_for_soon(tmp_path: Path, watched: Watched) -> None:
    world = World(tmp_path)
    watched.watch.use(world.gate)
    wait_for(lambda: watched.sockets.checks, "the look at the new configuration")
    grant = world.upgrade(world.log_in()).grant
    watched.sockets.open = [grant]
    world.memory.ended.end("anna", grant.sessions, 60)  # as another edge has told
    watched.watch.look()
    wait_for(lambda: watched.sockets.ended == [(grant, LOGGED_OUT)], "its end")


class LateEvent(Event):
    """Set when the wait for it has just been given up, as gevent's may be."""

    late = False

    def wait(self, timeout: float | None = None) -> bool:
        gevent.sleep(0.001)
        if self.late:
            self.late = False
            self.set()
        return False


def test_nothing_is_missed_that_comes_as_the_interval_ends(
    tmp_path: Path, watched: Watched
) -> None:
    watched.watch.stop()
    asked = watched.watch._asked = LateEvent()
    world = World(tmp_path)
    watched.watch.use(world.gate)
    watched.watch.start()
    wait_for(lambda: watched.sockets.checks, "the look at the new configuration")
    checks = watched.sockets.checks
    asked.late = True
    wait_for(lambda: watched.sockets.checks > checks, "another look")


def test_a_new_configuration_is_checked_at_once_and_without_a_wait(
    tmp_path: Path, watched: Watched
) -> None:
    world = World(tmp_path)
    grant = world.upgrade(world.log_in()).grant
    watched.sockets.open = watched.streams.open = [grant, NOBODY]
    before = watched.sockets.checks
    watched.watch.use(world.gate)
    assert watched.sockets.checks == before  # not in the greenlet of the reload
    wait_for(lambda: watched.sockets.ended, "the check")
    assert watched.sockets.ended == [(NOBODY, LOGIN_GONE)]
    assert watched.sockets.end_of(grant) is None
    assert watched.streams.end_of(NOBODY) == LOGIN_GONE


def test_a_changed_file_is_seen_once_it_rests(tmp_path: Path, watched: Watched) -> None:
    world = World(tmp_path)
    grant = world.upgrade(world.log_in()).grant
    watched.sockets.open = [grant]
    watched.watch.use(world.gate)
    wait_for(lambda: watched.streams.checks, "the first check")
    world.clock.now += 10
    wait_for(lambda: watched.streams.checks == 2, "the check of the file at rest")
    world.write(anna="new")
    gevent.sleep(0.1)
    assert watched.sockets.open == [grant]  # somebody may be writing still
    world.clock.now += 10
    wait_for(lambda: watched.sockets.ended, "the end")
    assert watched.sockets.ended == [(grant, LOGIN_GONE)]
    checks = watched.sockets.checks
    gevent.sleep(0.1)
    assert watched.sockets.checks == checks  # nothing new, nothing to do


def test_without_a_configuration_it_waits(watched: Watched) -> None:
    gevent.sleep(0.05)
    assert watched.sockets.checks == 0
