"""Turns the messages of one read into a batch for clients.

A link passes all messages of one read. The read first gets its position in the server's
stream, even if all its messages are dropped, and the source's observer, the live model, is told
of all of them. Then the pipeline drops the events that
``event_names`` excludes, calls the plugins, makes each message's JSON once, and publishes
the batch. It knows no sockets and no clients.

If plugins filter or transform, a server's messages go through its ``Lane``: a queue with a
greenlet, so that a hook that waits does not stop a link from reading.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import repeat

import gevent
from gevent.event import Event

from amiws_gevent.ami import Kind, Message, encode_message, envelope_prefix, may_be_answer
from amiws_gevent.batch import Batch, Position
from amiws_gevent.config import AmiHost, Limits
from amiws_gevent.plugins.api import Entity, ServerInfo
from amiws_gevent.plugins.manager import Plugins
from amiws_gevent.runtime.log import LogLimiter
from amiws_gevent.runtime.loop import yield_to_loop

LANE_TURN = 0.005
"""Seconds that a lane works before it yields: long enough for the messages of several reads,
since hooks cost more than reading and the lane would otherwise fall behind its link."""

HOLD_TIME = 1.0  # seconds that waiting hooks have before their plugins are replaced

_EVENT = Kind.EVENT

_log = logging.getLogger("amiws_gevent.pipeline")

Observer = Callable[[Sequence[Message], int], None]
"""Gets all messages of one read, and the offset of their position."""


class Source:
    """One AMI server as messages name it, ready for JSON, and its stream.

    ``epoch`` names the stream, which begins with this object; without one it is random.
    """

    __slots__ = (
        "epoch",
        "event_names",
        "host",
        "info",
        "lane",
        "observer",
        "offset",
        "prefixes",
        "received",
    )

    def __init__(self, host: AmiHost, *, epoch: str | None = None) -> None:
        self.host = host
        self.info = ServerInfo(host.id, host.name, host.ssl)
        self.event_names = host.event_names
        self.prefixes = {kind: envelope_prefix(kind, host.id, host.name, host.ssl) for kind in Kind}
        self.epoch = secrets.token_hex(8) if epoch is None else epoch
        self.offset = 0
        """Reads so far."""
        self.lane: Lane | None = None
        self.observer: Observer | None = None
        """Is told of each read before anything is left out of it; must not raise."""
        self.received = [0] * len(Kind)
        """Messages that the server has sent, by kind."""

    def advance(self) -> Position:
        """The position of the next read."""
        self.offset += 1
        return Position(self.epoch, self.offset)

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
        """Whether ``event_names`` allows the message; answers always pass."""
        return (
            message.kind is not _EVENT
            or message.name.casefold() in self.event_names
            or may_be_answer(message)
        )


def make_batch(source: Source, position: Position, read: Sequence[Message]) -> Batch:
    """The messages of one read with their JSON."""
    prefixes = source.prefixes
    json = [encode_message(prefixes[message.kind], message) for message in read]
    return Batch(source.info, position, read, json)


def _nobody(_server: int, _messages: Sequence[Message]) -> None:
    """Nobody wants to hear of reads."""


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
        self.on_read: Callable[[int, Sequence[Message]], None] = _nobody
        """Is told of each read, by the id of its server; must not block or raise."""
        self._publish = publish
        self._limiter = LogLimiter()
        self._lanes: set[Lane] = set()
        self._shown = 0  # calls of `shown` and `shown_entities` that are with plugins
        self._held = False
        self._free = Event()
        self._free.set()

    def configure(self, limits: Limits) -> None:
        """Hold what waits for plugins to another limit."""
        self.limit = limits.plugin_messages

    def process(self, source: Source, messages: Sequence[Message]) -> None:
        """Pass on all messages of one read from ``source``, in order; returns at once."""
        source.count(messages)
        position = source.advance()
        if source.observer is not None:
            source.observer(messages, position.offset)
        self.on_read(source.host.id, messages)
        if source.event_names:
            messages = [message for message in messages if source.passes(message)]
        if not messages:
            return
        if source.lane is not None or self.plugins.changes_messages or self._held:
            self._queue(source, position, messages)
        else:
            self.emit(source, position, messages)

    def emit(self, source: Source, position: Position, messages: Sequence[Message]) -> None:
        """Make the JSON of messages that have passed the plugins, and publish them."""
        batch = self._batch(source, position, messages)
        if not batch.json:
            return
        self._publish(batch)
        if self.plugins.logs_messages:
            self.plugins.log(zip(batch.messages, repeat(batch.server), batch.json, strict=False))

    def shown(self, server: ServerInfo, messages: Sequence[Message]) -> Sequence[Message]:
        """Messages that one client gets alone, in order, as plugins transform them; may wait.

        What they mask for all is masked here as well. Filters are not asked, log hooks not
        told. What a required plugin fails on is missing.
        """
        self.wait_while_held()
        if not self.plugins.changes_messages:
            return messages
        self._shown += 1
        try:
            kept = self.plugins.transforms().run(messages, server)
        finally:
            self._shown -= 1
        return [message for message in kept if self._is_whole(message, server)]

    def shown_entities(self, server: ServerInfo, entities: Sequence[Entity]) -> list[Entity]:
        """Entities of the state, in order, as plugins transform them; may wait.

        What a required plugin fails on is missing.
        """
        self.wait_while_held()
        self._shown += 1
        try:
            return self.plugins.transform_entities(server, entities)
        finally:
            self._shown -= 1

    def _is_whole(self, message: Message, server: ServerInfo) -> bool:
        try:
            message.check()
        except Exception as error:  # noqa: BLE001 - a plugin may have done anything to it
            self._tell_spoilt(server, error)
            return False
        return True

    def _tell_spoilt(self, server: ServerInfo, error: Exception) -> None:
        culprit = self.plugins.spoilt(error)
        self._limiter.log(
            _log,
            logging.ERROR,
            ("spoilt", server.id),
            "%s: message dropped because %s changed it in place: %s: %s",
            server.name,
            culprit,
            type(error).__name__,
            error,
        )

    def _batch(self, source: Source, position: Position, messages: Sequence[Message]) -> Batch:
        """A batch of the messages, without those that a plugin has made impossible to encode."""
        try:
            return make_batch(source, position, messages)
        except Exception as error:
            if not self.plugins.changes_messages:
                raise
            sound = [message for message in messages if _is_sound(source, position, message)]
            self._tell_spoilt(source.info, error)
            return make_batch(source, position, sound)

    @contextmanager
    def holding(self) -> Iterator[None]:
        """Hold messages back while plugins are replaced; waits until no plugin has one."""
        self._held = True
        self._free.clear()
        try:
            _wait_until(lambda: not self._with_plugins(), HOLD_TIME)
            yield
        finally:
            self._held = False
            self._free.set()

    def _with_plugins(self) -> bool:
        return self._shown > 0 or any(lane.working for lane in self._lanes)

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

    def _queue(self, source: Source, position: Position, messages: Sequence[Message]) -> None:
        if source.lane is None:
            source.lane = Lane(source, self)
            self._lanes.add(source.lane)
        if source.lane.size + len(messages) > self.limit and source.lane.size:
            self.dropped_messages += len(messages)
            self._limiter.log(
                _log,
                logging.ERROR,
                source.host.id,
                "%s: messages dropped because plugins process them more slowly than they arrive "
                "(limits.plugin_messages; %d so far)",
                source.host.name,
                self.dropped_messages,
            )
        else:
            source.lane.put(position, messages)


class Lane:
    """One server's messages on their way through the plugins; it ends when it is empty."""

    def __init__(self, source: Source, pipeline: Pipeline) -> None:
        self.size = 0
        self.working = False
        """Whether plugins are asked about a message of this lane right now."""
        self._source = source
        self._pipeline = pipeline
        self._reads: deque[tuple[Position, Sequence[Message]]] = deque()
        gevent.spawn(self._run)

    def put(self, position: Position, messages: Sequence[Message]) -> None:
        """Queue the messages of one read."""
        self._reads.append((position, messages))
        self.size += len(messages)

    def _run(self) -> None:
        source, pipeline = self._source, self._pipeline
        turn_end = time.monotonic() + LANE_TURN
        try:
            while self._reads:
                pipeline.wait_while_held()
                self.working = True
                position, messages = self._reads.popleft()
                self.size -= len(messages)
                kept = pipeline.plugins.chain().run(messages, source.info)
                if kept:
                    pipeline.emit(source, position, kept)
                self.working = False
                if time.monotonic() > turn_end:
                    yield_to_loop()
                    turn_end = time.monotonic() + LANE_TURN
        finally:
            source.lane = None
            pipeline.lane_ended(self)


def _is_sound(source: Source, position: Position, message: Message) -> bool:
    try:
        message.check()
        make_batch(source, position, [message])
    except Exception:  # noqa: BLE001 - a plugin may have done anything to it
        return False
    return True


def _wait_until(condition: Callable[[], bool], timeout: float) -> None:
    end = time.monotonic() + timeout
    while not condition() and time.monotonic() < end:
        gevent.sleep(0.002)
