"""What a collector of scripted links does with what it is asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from amiws_gevent.actions import ActionRequest
from amiws_gevent.ami import Message
from amiws_gevent.audit.trail import Trail
from amiws_gevent.collector.actions import PartActions, Uncounted
from amiws_gevent.collector.answering import Answering
from amiws_gevent.dispatch import Dispatcher
from amiws_gevent.plugins.facilities import Answer, AskError
from amiws_gevent.policy import Rights
from tests.support.actions import as_it_is


class Plugins:
    """What plugins have of the collector: ``answer`` is what each server says, or raises."""

    def __init__(self) -> None:
        self.answer: Answer | AskError = Answer(1, None)
        self.asked: list[tuple[int, ActionRequest]] = []
        self.events: list[Message] = []

    def ask_here(self, server: int, request: ActionRequest) -> Answer:
        self.asked.append((server, request))
        if isinstance(self.answer, AskError):
            raise self.answer
        return self.answer

    def publish_here(self, event: Message) -> bool:
        self.events.append(event)
        return True


class CollectorOf:
    """A collector with these links; ``methods`` are what it is asked."""

    def __init__(self, links: Mapping[int, Any], audit: Trail | None = None) -> None:
        limits = Uncounted()
        self.plugins = Plugins()
        self.rights = Rights.everything
        self.actions = PartActions(
            links, as_it_is, action_limits=limits, rights_of=lambda _identity: self.rights
        )
        self.dispatcher = Dispatcher(links, limits=limits)
        self.reported: list[Mapping[str, Any]] = []
        self.common: Mapping[str, Any] | None = {"term": 1, "key": "00"}
        self.methods = Answering(
            self.actions, self.dispatcher, audit or Trail(), self.plugins, self._report, "host:7"
        ).methods

    def _report(self, servers: Mapping[str, Any]) -> Mapping[str, Any] | None:
        self.reported.append(servers)
        return self.common
