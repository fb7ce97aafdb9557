"""A link against the scripted server, and all that it says."""

from __future__ import annotations

import time
from typing import Any

import pytest

from amiws_gevent.ami import Message
from amiws_gevent.config import AmiHost, Limits
from amiws_gevent.link import Link, LinkState, Timings
from tests.support.greenlets import until

FAST = Timings(
    retry_shortest=0.01,
    retry_longest=0.05,
    refused_shortest=0.01,
    refused_longest=0.1,
    stable=0.05,
    down_warning=0.1,
)
SLOW = Timings(retry_shortest=30, retry_longest=60, refused_shortest=30)
ACCEPTED = b"Response: Success\r\nMessage: Authentication accepted\r\n\r\n"


def event(number: int) -> bytes:
    return b"Event: Test\r\nNumber: %d\r\n\r\n" % number


class Watched:
    """A link, and all that it said."""

    def __init__(
        self, port: int, timings: Timings = FAST, limits: Limits | None = None, **settings: Any
    ) -> None:
        known = {
            "id": 1,
            "name": "pbx",
            "host": "127.0.0.1",
            "port": port,
            "username": "amiws",
            "secret": "s3cret",
        }
        self.host = AmiHost.model_validate({**known, **settings})
        self.messages: list[Message] = []
        self.batches: list[int] = []
        self.states: list[tuple[LinkState, str]] = []
        self.later = 0.0  # seconds that the link's clock is ahead
        self.link = Link(
            self.host,
            limits or Limits(),
            on_messages=self._take,
            on_state=lambda _, state, reason: self.states.append((state, reason)),
            clock=lambda: time.monotonic() + self.later,
            timings=timings,
        )

    def _take(self, link: Link, messages: list[Message]) -> None:
        assert link is self.link
        self.messages += messages
        self.batches.append(len(messages))

    def __enter__(self) -> Watched:
        self.link.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.link.stop()

    def until_state(self, state: LinkState) -> str:
        """Wait for the state; its reason."""
        until(lambda: self.link.state is state)
        return self.link.reason

    def until_setback(self, number: int = 1) -> str:
        """Wait until so many attempts or connections ended; the last one's reason."""
        until(lambda: len(self.setbacks) >= number)
        return self.setbacks[number - 1]

    @property
    def setbacks(self) -> list[str]:
        down = (LinkState.WAITING, LinkState.REFUSED)
        return [reason for state, reason in self.states if state in down]

    def seen(self) -> list[str]:
        """The messages in short."""
        return [message.name or message.get("Response") or "PROMPT" for message in self.messages]


def lines(caplog: pytest.LogCaptureFixture, level: int) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == level]
