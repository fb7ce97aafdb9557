"""The end of the channel that is told what to do; its server is a fake."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gevent
import pytest
from gevent import socket
from gevent.event import Event
from prometheus_client import Metric
from werkzeug.exceptions import ServiceUnavailable

from amiws_gevent.config import Source
from amiws_gevent.errors import ListenError
from amiws_gevent.web.monitor import Readiness
from amiws_gevent.workers.channel import Channel, Refusal
from amiws_gevent.workers.child import Child, WholeProgram
from amiws_gevent.workers.handover import Beginning
from amiws_gevent.workers.spread import Places
from tests.support.patience import WAIT


class FakeServer:
    """Notes what it is told."""

    def __init__(self, child: Child) -> None:
        self.child = child
        self.notes: list[Any] = []
        self.error: Exception | None = None
        self.hold: Event | None = None
        self.ended = Event()
        self.request_stop = self.ended.set
        self.reload_refused = self.notes.append

    def prepare_reload(self) -> Any:
        if self.hold is not None:
            assert self.hold.wait(WAIT)
        self.notes.append(self.child.load().settings.log_level)
        if self.error is not None:
            raise self.error
        return SimpleNamespace(
            commit=lambda: self.notes.append("commit"),
            roll_back=lambda: self.notes.append("roll back"),
        )

    def measure(self) -> list[Metric]:
        metric = Metric("amiws_gaps", "Gaps.", "counter")
        metric.add_sample("amiws_gaps_total", {}, 3)
        return [metric]

    def readiness(self) -> Readiness:
        return Readiness(True, ({"id": 1},), None, {"up": True})


class Site:
    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        self.whole: dict[str, Any] = {}
        self.channel = Channel(ours, self.whole)
        self.child = Child(theirs)
        self.server: Any = FakeServer(self.child)
        self.channel.start()
        self.child.channel.start()

    def ask(self, method: str, data: Any = None) -> Any:
        return self.channel.ask(method, data, timeout=WAIT)

    def begin(self) -> gevent.Greenlet[..., Any]:
        beginning = Beginning(source(6), foreground=False, alone=True, private_files=("/p",))
        asking = gevent.spawn(self.ask, "begin", beginning.as_data())
        assert self.child.wait() == beginning
        return asking

    def serve(self) -> None:
        asking = self.begin()
        self.child.serves(self.server)
        asking.get(timeout=WAIT)


@pytest.fixture
def site() -> Iterator[Site]:
    made = Site()
    yield made
    made.channel.close()
    made.child.channel.close()


def source(level: int) -> Source:
    host = {"name": "a", "host": "h", "username": "u", "secret": "s"}
    return Source(replaced={"amihosts": [host], "log_level": level})


def test_it_answers_once_it_serves(site: Site) -> None:
    asking = site.begin()
    assert site.ask("ping") is None
    assert not asking.ready()
    assert site.child.load().settings.log_level == 6
    site.child.serves(site.server)
    asking.get(timeout=WAIT)


def test_why_it_does_not_serve_is_told_before_the_end(site: Site) -> None:
    asking = site.begin()
    site.child.failed(ListenError("the port is taken"))
    site.child.channel.close(WAIT)
    with pytest.raises(Refusal, match="the port is taken") as caught:
        asking.get(timeout=WAIT)
    assert caught.value.exit_status == 71


def test_a_configuration_in_two_steps(site: Site) -> None:
    site.serve()
    site.ask("prepare", source(7).as_data())
    site.ask("commit")
    site.ask("prepare", source(5).as_data())
    site.ask("roll back")
    site.ask("roll back")  # nothing is prepared
    assert site.server.notes == [7, "commit", 5, "roll back"]


def test_one_that_cannot_be_prepared(site: Site) -> None:
    site.serve()
    site.server.error = ListenError("no")
    with pytest.raises(Refusal, match="no"):
        site.ask("prepare", source(7).as_data())
    site.ask("roll back")
    site.ask("refused", "no (edge-1)")
    assert site.server.notes == [7, "no (edge-1)"]


def test_a_roll_back_waits_for_what_is_still_prepared(site: Site) -> None:
    site.serve()
    site.server.hold = Event()
    preparing = gevent.spawn(site.ask, "prepare", source(7).as_data())
    gevent.sleep(0)
    back = gevent.spawn(site.ask, "roll back")
    site.ask("ping")
    assert site.server.notes == []
    site.server.hold.set()
    gevent.joinall([preparing, back], timeout=WAIT, raise_error=True)
    assert site.server.notes == [7, "roll back"]


def test_it_tells_what_it_knows(site: Site) -> None:
    site.serve()
    assert site.ask("metrics") == [
        ["amiws_gaps", "Gaps.", "counter", [["amiws_gaps_total", {}, 3]]]
    ]
    assert site.ask("readiness")["bus"] == {"up": True}


def test_it_ends_with_the_supervisor(site: Site) -> None:
    site.serve()
    site.channel.close()
    assert site.server.ended.wait(WAIT)


def test_what_it_tells_of_all(site: Site) -> None:
    site.whole |= {
        "metrics of all": lambda accept: ("a 1\n", accept),
        "readiness of all": lambda _: Readiness(True, (), None, {"up": False})._asdict(),
    }
    whole = WholeProgram(site.child.channel, alone=False)
    assert whole.metrics("text/plain") == (b"a 1\n", "text/plain")
    assert whole.readiness() == Readiness(True, (), None, {"up": False})
    site.channel.close()
    with pytest.raises(ServiceUnavailable, match="supervisor"):
        whole.metrics("")


def test_its_files_and_its_redis(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    made: dict[str, Any] = {}
    monkeypatch.setattr(
        "amiws_gevent.workers.child.server_of", lambda settings, **keys: made.update(keys)
    )
    kept = socket.create_server(("127.0.0.1", 0))
    beginning = Beginning(
        source(6), foreground=False, alone=True, private_files=("/p",), listener=kept.fileno()
    )
    places = Places(1)
    seat = places.take(0)
    assert seat is not None
    own = tuple((os.dup(sends), os.dup(takes)) for sends, takes in seat.ends)
    beginning = replace(beginning, seat=replace(seat, ends=own))
    control: Any = None
    with site.child.server(beginning.source.load(), control, beginning):
        assert made["private_files"] == [Path("/p")]
        assert made["whole"].alone
        assert made["whole"].listener.getsockname() == kept.getsockname()
        assert made["whole"].spread.receive() is None
    for end in (*made["whole"].spread._sending, *made["whole"].spread._taking):
        end.close()
    places.close()
    made["whole"].listener.detach()
    kept.close()
