"""From the messages of one read to a batch: what happens to a message on its way to pages.

A link gives all messages of one read; the pipeline drops the events that the
server's ``event_names`` leaves out, takes the rest through the plugins, makes
each message's JSON once, and hands the batch on. It knows no sockets and no
pages.

Where plugins filter or transform, a server's messages take their ``Lane``: a
queue with a greenlet, so that a hook that waits keeps no link from reading.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import gevent
from gevent.event import Event

from amiws_gevent.ami import Kind, Message, encode_message, envelope_prefix, may_be_answer
from amiws_gevent.config import AmiHost
from amiws_gevent.plugins.api import ServerInfo
from amiws_gevent.plugins.manager import Plugins
from amiws_gevent.routing import JSON_MARK, unwrap
from amiws_gevent.runtime.log import LogLimiter
from amiws_gevent.runtime.loop import yield_to_loop

LANE_TURN = 0.005
"""Seconds that a lane works on, then others have their turn: long enough for several reads'
worth, since hooks cost more than reading and a lane would else fall behind its link."""

HOLD_TIME = 1.0  # seconds that plugins which wait have, before others take their place

_EVENT = Kind.EVENT

_log = logging.getLogger("amiws_gevent.pipeline")


class Source:
    """One AMI server as messages name it: its id, name and TLS flag, ready for JSON."""

    __slots__ = ("event_names", "host", "info", "lane", "prefixes", "received")

    def __init__(self, host: AmiHost) -> None:
        self.host = host
        self.info = ServerInfo(host.id, host.name, host.ssl)
        self.event_names = host.event_names
        self.prefixes = {kind: envelope_prefix(kind, host.id, host.name, host.ssl) for kind in Kind}
        self.lane: Lane | None = None
        self.received = [0] * len(Kind)
        """Messages that the server has sent, by kind."""

    def count(self, messages: Sequence[Message]) -> None:
        """Add to ``received``; 20 ns a message, since nearly all are events."""
        received = self.received
        events = 0
        for message in messages:
            if message.kind is _EVENT:
                events += 1
            else:
                received[message.kind] += 1
        received[_EVENT] += events

    def passes(self, message: Message) -> bool:
        """Whether ``event_names`` lets the message through; only news are ever held back."""
        return (
            message.kind is not Kind.EVENT
            or message.name.casefold() in self.event_names
            or may_be_answer(message)
        )


class Envelope(NamedTuple):
    """One message ready for clients: who said it, what, its JSON, and the one client it is for.

    What a ``Batch`` is seen as, message by message; see there.
    """

    source: Source
    message: Message
    json: bytes
    """The five-key JSON text, valid UTF-8, without a line end."""
    requester: str | None = None
    """Token of the ``amiws.v2`` client that asked for this answer; None: it is for everybody."""


class Batch:
    """All messages of one read of a server, ready for pages.

    ``json`` has the text of each of ``messages``; ``requesters`` the tokens of
    those that are for one client, by index. Lists side by side, since an object
    for each message would cost as much as its frame; iterating makes them.
    """

    __slots__ = ("json", "messages", "requesters", "size", "source")

    def __init__(self, source: Source, messages: Sequence[Message]) -> None:
        self.source = source
        self.messages = messages
        self.requesters: dict[int, str] = {}
        prefixes = source.prefixes
        self.json = [encode_message(prefixes[message.kind], message) for message in messages]
        self.size = sum(map(len, self.json))
        """Bytes of JSON."""
        for index, text in enumerate(self.json):
            if JSON_MARK in text:
                self._address(index)

    def _address(self, index: int) -> None:
        """Restore an answer to an ``amiws.v2`` client, and note whom it is for."""
        message = self.messages[index]
        requester, restored = unwrap(message)
        if restored is message:  # other text that looks like it
            return
        self.messages = [*self.messages[:index], restored, *self.messages[index + 1 :]]
        self.json[index] = encode_message(self.source.prefixes[restored.kind], restored)
        if requester is not None:
            self.requesters[index] = requester

    def for_all(self) -> Sequence[bytes]:
        """The JSON of what is for everybody on the classic socket, in order."""
        if not self.requesters:
            return self.json
        return [text for index, text in enumerate(self.json) if index not in self.requesters]

    def __len__(self) -> int:
        return len(self.json)

    def __iter__(self) -> Iterator[Envelope]:
        for index, (message, text) in enumerate(zip(self.messages, self.json, strict=True)):
            yield Envelope(self.source, message, text, self.requesters.get(index))


class Pipeline:
    """Turns each read's messages into one batch and gives it to ``publish``.

    ``plugins`` may be changed at any time; messages that wait go through the new
    ones. ``limit`` bounds how many messages of one server wait for plugins.
    """

    def __init__(
        self,
        publish: Callable[[Batch], None],
        plugins: Plugins | None = None,
        *,
        limit: int = 50_000,
    ) -> None:
        self.plugins = plugins or Plugins()
        self.limit = limit
        self.dropped_messages = 0
        self._publish = publish
        self._limiter = LogLimiter()
        self._lanes: set[Lane] = set()
        self._held = False
        self._free = Event()
        self._free.set()

    def process(self, source: Source, messages: Sequence[Message]) -> None:
        """Pass on all messages of one read from ``source``, in order; returns at once."""
        source.count(messages)
        self.pass_on(source, messages)

    def pass_on(self, source: Source, messages: Sequence[Message]) -> None:
        """As ``process``, for messages that the server did not send but are said in its name."""
        if source.event_names:
            messages = [message for message in messages if source.passes(message)]
        if not messages:
            return
        if source.lane is not None or self.plugins.changes_messages or self._held:
            self._queue(source, messages)
        else:
            self.emit(source, messages)

    def emit(self, source: Source, messages: Sequence[Message]) -> None:
        """Make the JSON of messages that have passed the plugins, and publish them."""
        batch = self._batch(source, messages)
        if not batch:
            return
        self._publish(batch)
        if self.plugins.logs_messages:
            self.plugins.log([(envelope.message, source.info, envelope.json) for envelope in batch])

    def _batch(self, source: Source, messages: Sequence[Message]) -> Batch:
        """A batch of the messages, without those that a plugin has changed past encoding."""
        try:
            return Batch(source, messages)
        except Exception as error:
            if not self.plugins.changes_messages:
                raise
            sound = [message for message in messages if _is_sound(source, message)]
            culprit = self.plugins.spoilt(error)
            self._limiter.log(
                _log,
                logging.ERROR,
                ("spoilt", source.host.id),
                "%s: message dropped, since it was changed in place by %s: %s: %s",
                source.host.name,
                culprit,
                type(error).__name__,
                error,
            )
            return Batch(source, sound)

    @contextmanager
    def holding(self) -> Iterator[None]:
        """Let messages wait while plugins change; begins when none is at work on one."""
        self._held = True
        self._free.clear()
        try:
            _wait_until(lambda: not any(lane.working for lane in self._lanes), HOLD_TIME)
            yield
        finally:
            self._held = False
            self._free.set()

    def wait_while_held(self) -> None:
        """For a lane: return once messages may go on."""
        while self._held:
            self._free.wait()

    def lane_ended(self, lane: Lane) -> None:
        """For a lane: it is empty, and another begins with the next message."""
        self._lanes.discard(lane)

    def drain(self, timeout: float) -> None:
        """Wait, at most ``timeout`` seconds, until no message is on its way through plugins."""
        _wait_until(lambda: not self._lanes, timeout)

    def _queue(self, source: Source, messages: Sequence[Message]) -> None:
        if source.lane is None:
            source.lane = Lane(source, self)
            self._lanes.add(source.lane)
        if source.lane.size + len(messages) > self.limit and source.lane.size:
            self.dropped_messages += len(messages)
            self._limiter.log(
                _log,
                logging.ERROR,
                source.host.id,
                "%s: messages dropped, since plugins take them slower than they come "
                "(limits.plugin_messages; %d so far)",
                source.host.name,
                self.dropped_messages,
            )
        else:
            source.lane.put(messages)


class Lane:
    """One server's messages on their way through the plugins; it ends when it is empty."""

    def __init__(self, source: Source, pipeline: Pipeline) -> None:
        self.size = 0
        self.working = False
        """Whether plugins are asked about a message of this lane right now."""
        self._source = source
        self._pipeline = pipeline
        self._batches: deque[Sequence[Message]] = deque()
        gevent.spawn(self._run)

    def put(self, messages: Sequence[Message]) -> None:
        """Queue the messages of one read."""
        self._batches.append(messages)
        self.size += len(messages)

    def _run(self) -> None:
        source, pipeline = self._source, self._pipeline
        turn_end = time.monotonic() + LANE_TURN
        try:
            while self._batches:
                pipeline.wait_while_held()
                self.working = True
                messages = self._batches.popleft()
                self.size -= len(messages)
                kept = pipeline.plugins.chain().run(messages, source.info)
                if kept:
                    pipeline.emit(source, kept)
                self.working = False
                if time.monotonic() > turn_end:
                    yield_to_loop()
                    turn_end = time.monotonic() + LANE_TURN
        finally:
            source.lane = None
            pipeline.lane_ended(self)


def _is_sound(source: Source, message: Message) -> bool:
    try:
        message.check()
        Batch(source, [message])
    except Exception:  # noqa: BLE001 - whatever was done to it
        return False
    return True


def _wait_until(condition: Callable[[], bool], timeout: float) -> None:
    end = time.monotonic() + timeout
    while not condition() and time.monotonic() < end:
        gevent.sleep(0.002)
