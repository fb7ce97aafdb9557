"""Compressed messages come out right, whoever gets which of them.

Clients join and leave amid passes, read slowly, lose messages, get answers of their own, resume,
and each of them keeps its window over all of it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator
from contextlib import suppress
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from amiws_gevent.batch import Item
from amiws_gevent.clients import ClassicView
from amiws_gevent.losses import Losses
from amiws_gevent.passes import Delivery, Passes
from amiws_gevent.views import Encoding
from amiws_gevent.web import frames
from amiws_gevent.web.backlog import Backlog, LossyBacklog
from amiws_gevent.web.deflate import InflateError, TooLongError, inflate
from amiws_gevent.web.frames import deflated_alone, deflated_frames, text_frame, text_frames
from tests.support.deflated import Window, deflated
from tests.support.feeds import Client, Deflated, DeflatedAlone, FakeServer
from tests.support.feeds_game import Game, play

moves = st.lists(st.tuples(*[st.integers(0, 1000)] * 3), min_size=60, max_size=200)

ENCODINGS: list[Encoding] = [deflated_frames, deflated_alone, text_frames]


@pytest.fixture(autouse=True, scope="module")
def _all_is_compressed() -> Iterator[None]:
    patch = pytest.MonkeyPatch()
    patch.setattr(frames, "SMALLEST_DEFLATED", 1)
    yield
    patch.undo()


class MixedGame(Game):
    kinds = (Deflated, Client, DeflatedAlone)


@settings(max_examples=100, deadline=None)
@given(moves=moves)
def test_clients_of_feeds(moves: list[tuple[int, int, int]]) -> None:
    play(MixedGame(), moves)


class Reader:
    """A client of the classic socket, whose outlet is one of ours without a socket."""

    def __init__(self, encode: Encoding, losses: Losses | None, room: int) -> None:
        self.view = ClassicView("classic", encode)
        self.window = Window(alone=encode is deflated_alone)
        self.blocked = False
        self.due: deque[bytes] = deque()
        self.refused = False
        self._losses = losses
        self._source: Backlog | LossyBacklog | None = None
        self._room = room

    def offer(self, item: Item) -> None:
        if self.refused:
            return
        if not self.blocked and self._source is None:
            self._take(item.data)
            return
        if self._source is None:
            lossy = self._losses is not None
            self._source = LossyBacklog(self._losses, text_frame) if lossy else Backlog()
        self.refused = not self._source.push(item, self._room)

    def answer(self, text: bytes) -> None:
        """What is for it alone goes ahead of what waits."""
        assert self.window.texts(self.view.encode([text])) == [text]

    def read(self) -> None:
        """Take one buffer of what waits; an outlet offers the rest directly afterwards."""
        if self._source is not None:
            data = self._source.pull()
            if data is None:
                self._source = None
            else:
                self._take(data)

    def read_all(self) -> None:
        self.blocked = False
        while self._source is not None:
            self.read()

    def _take(self, data: bytes) -> None:
        for text in self.window.texts(data):
            message = orjson.loads(text)
            if message["data"].get("Event") == "MessagesDropped":
                for _ in range(int(message["data"]["Count"])):
                    self.due.popleft()
            else:
                assert text == self.due.popleft()


class Site:
    """Passes that are taken step by step, amid which clients do as they like."""

    def __init__(self) -> None:
        self.passes = Passes(limit=1 << 20)
        self.server = FakeServer(1)
        self.readers: list[Reader] = []
        self.steps: Iterator[Delivery] = iter(())
        self.number = 0
        self.losses = Losses()

    def join(self, a: int, b: int) -> None:
        reader = Reader(ENCODINGS[a % 3], self.losses if b % 2 else None, room=200 * (b % 9))
        self.readers.append(reader)
        self.passes.add(reader, reader.view)

    def leave(self, a: int, b: int) -> None:
        if self.readers:
            reader = self.readers.pop(a % len(self.readers))
            self.passes.remove(reader, reader.view)

    def say(self, a: int, b: int) -> None:
        names = [f"E{(self.number + number) % 7}" for number in range(1 + a % 4)]
        batch = self.server.says(*names, Number=str(self.number), Text="ab"[b % 2] * (b % 50))
        self.number += len(names)
        for reader in self.readers:
            reader.due += batch.json
        self.passes.publish(batch)

    def step(self, a: int, b: int) -> None:
        """Some of the pass that is on, or the next begins."""
        for _ in range(1 + a % 3):
            delivery = next(self.steps, None)
            if delivery is not None:
                self._deliver(*delivery)
            elif self.passes.waiting:
                self.steps = self.passes.next()

    @staticmethod
    def _deliver(item: Item, readers: Collection[Any]) -> None:
        for reader in list(readers):
            reader.offer(item)

    def block(self, a: int, b: int) -> None:
        for reader in self.readers[a % 3 :: 3]:
            reader.blocked = True

    def read(self, a: int, b: int) -> None:
        for reader in self.readers[a % 2 :: 2]:
            if b % 3:
                reader.read()
            else:
                reader.read_all()

    def answer(self, a: int, b: int) -> None:
        for reader in self.readers[a % 2 :: 2]:
            reader.answer(b'{"answer":"%d"}' % b * (1 + b % 5))

    def finish(self) -> None:
        """All that was said is delivered, and read."""
        while True:
            for delivery in self.steps:
                self._deliver(*delivery)
            if not self.passes.waiting:
                break
            self.steps = self.passes.next()
        for reader in self.readers:
            reader.read_all()

    def play(self, moves: list[tuple[int, int, int]]) -> None:
        say, step = self.say, self.step
        choices: list[Any] = [say, say, say, step, step, step, self.join, self.join]
        choices += [self.leave, self.block, self.read, self.read, self.answer]
        for what, a, b in moves:
            choices[what % len(choices)](a, b)


@settings(max_examples=200, deadline=None)
@given(moves=moves)
def test_clients_of_the_classic_socket(moves: list[tuple[int, int, int]]) -> None:
    site = Site()
    site.play(moves)
    site.finish()
    for reader in site.readers:
        assert reader.refused or not reader.due


@given(st.lists(st.binary(max_size=400), max_size=12))
def test_a_call_is_understood_by_whoever_has_a_window(messages: list[bytes]) -> None:
    fresh, used = Window(), Window()
    used.texts(deflated_frames([b"something else, that is long enough to refer to"] * 3))
    for window in (fresh, used):
        assert window.texts(deflated_frames(messages)) == messages
    assert Window(alone=True).texts(deflated_alone(messages)) == messages


@given(st.binary(max_size=2000), st.integers(0, 2000))
def test_a_message_of_a_client_comes_out_or_is_too_long(message: bytes, limit: int) -> None:
    if len(message) > limit:
        with pytest.raises(TooLongError):
            inflate(deflated(message), limit)
    else:
        assert inflate(deflated(message), limit) == message


@given(st.binary(max_size=300))
def test_any_bytes_are_a_message_or_refused(payload: bytes) -> None:
    with suppress(InflateError, TooLongError):
        assert len(inflate(payload, 5000)) <= 5000


@given(st.binary(min_size=1, max_size=500), st.data())
def test_a_part_of_a_message_is_never_taken_for_the_whole(
    message: bytes, data: st.DataObject
) -> None:
    payload = deflated(message)
    cut = data.draw(st.integers(0, len(payload) - 1))
    with suppress(InflateError):
        assert inflate(payload[:cut], 5000) == message  # a byte of padding was cut off
