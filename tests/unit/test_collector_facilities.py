"""What plugins have of a collector: its own servers, and those of others over the bus."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from amiws_gevent.ami import Kind, Message
from amiws_gevent.collector.actions import HeldLinks
from amiws_gevent.collector.facilities import CollectorFacilities
from amiws_gevent.live.proxy import proxy_source
from amiws_gevent.plugins.facilities import UNREACHABLE, Answer, AskError
from tests.support.actions import ScriptedLink, settle

EVENT = Message(Kind.EVENT, [("Event", "Mine")])


class Setup:
    """A collector that has server 1, and may have the program."""

    def __init__(self) -> None:
        self.link: Any = ScriptedLink(1)
        self.program: Any = SimpleNamespace(own={1}, is_here=False)
        self.held = True
        links = HeldLinks(lambda: {1: self.link.host}, {1: self.link}, lambda _: self.held)
        self.published: list[Any] = []
        self.afar: list[Any] = []
        feeds: Any = SimpleNamespace(publish=self.published.append)
        afar: Any = SimpleNamespace(ask=self._ask, publish=self._publish)
        self.facilities = CollectorFacilities(
            links,
            feeds,
            proxy_source(),
            lambda _, messages: messages,
            program=self.program,
            afar=afar,
        )

    def _ask(self, server: int, action: Any, *, timeout: float, wait: bool) -> Answer:
        self.afar.append(server)
        return Answer(server, None)

    def _publish(self, event: Message) -> bool:
        self.afar.append(event)
        return True


def test_its_own_server_is_asked_here_and_another_one_there() -> None:
    setup = Setup()
    assert setup.facilities.ask(1, {"Action": "Ping"}, timeout=1, wait=False).server == 1
    assert len(setup.link.asked) == 1
    assert setup.facilities.ask(2, {"Action": "Ping"}, timeout=1, wait=False).server == 2
    assert setup.afar == [2]
    setup.held = False
    with pytest.raises(AskError) as caught:
        setup.facilities.ask(1, {"Action": "Ping"}, timeout=1, wait=False)
    assert caught.value.code == UNREACHABLE


def test_events_are_published_where_the_program_is() -> None:
    setup = Setup()
    assert setup.facilities.publish(EVENT)
    assert setup.afar == [EVENT]
    setup.program.is_here = True
    assert setup.facilities.publish(EVENT)
    settle()
    assert len(setup.published) == 1
