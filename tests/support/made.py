"""Recordings of what no capture has: made of the simulated PBX's scenarios, and, for Asterisk 11,
of the events that ``tests/unit/test_state_calls_11.py`` has from its source.

``python -m tests.support.made`` writes them anew into ``tests/captures/made/``.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar
from unittest import mock

from amiws_gevent.ami import Kind, Message
from amiws_gevent.ami.lists import ends_list, list_form
from amiws_gevent.simulator.pbx.answers import Answers
from amiws_gevent.simulator.pbx.repertoire import only
from amiws_gevent.simulator.pbx.simulation import Simulation
from amiws_gevent.simulator.pbx.style import STYLE_13, STYLE_22, Style
from amiws_gevent.simulator.serving.requests import Request
from tests.support.captured import Step
from tests.support.state import CAPTURES, World, messages_of

test_state_calls_11 = importlib.import_module("tests.unit.test_state_calls_11")

FOLDER = CAPTURES / "made"
SCENARIOS = (
    *("hold", "blonde", "phone_transfer", "forward", "merge"),
    *("originate_busy", "originate_refused", "parking_timeout"),
)
LISTS = ("CoreShowChannels", "BridgeList", "ParkedCalls")

_STARTED = 1_700_000_000.0


def scenario(name: str, style: Style) -> str:
    """One scenario from its first event to its last, with lists after whatever happens."""
    simulation = Simulation(style, started=_STARTED, seed=11, rate=1.0, programme=only([name]))
    answers = Answers(simulation, "made")
    text, asked = [style.banner, _lists(answers, 0)], 0
    due: float | None = _STARTED
    while due is not None:
        happened = simulation.advance(due)
        if due == _STARTED:
            simulation.quiet()
        if happened:
            asked += 1
            text += [*happened, _lists(answers, asked)]
        due = simulation.next_due
    return "".join(text)


def _lists(answers: Answers, number: int) -> str:
    text = ""
    for action in LISTS:
        request = Request((f"Action: {action}", f"ActionID: {number}:{action}"))
        text += answers.answer(request, lambda late: None) or ""
    return text


class _Recorder(World):
    """A world that writes down what it is fed."""

    text: ClassVar[list[str]]
    last: ClassVar[_Recorder]

    def __init__(self) -> None:
        super().__init__()
        _Recorder.last = self

    def receive(self, *messages: Message, after: float = 1) -> None:
        for message in messages:
            first, *others = message.data().items()
            headers = [first, ("Privilege", "call,all"), *others]
            lines = [f"{name}: {value}\r\n" for name, value in headers]
            self.text.append("".join(lines) + "\r\n")
        super().receive(*messages, after=after)


_NO_CHANNELS_11 = (
    "Response: Success\r\nActionID: 0:CoreShowChannels\r\nEventList: start\r\n"
    "Message: Channels will follow\r\n\r\nEvent: CoreShowChannelsComplete\r\n"
    "EventList: Complete\r\nListItems: 0\r\nActionID: 0:CoreShowChannels\r\n\r\n"
)


def of_asterisk_11() -> Iterator[tuple[str, str]]:
    """The name and text of each of its scenarios, with the list of channels after it."""
    for name, play in inspect.getmembers(test_state_calls_11, inspect.isfunction):
        if name.startswith("test_"):
            text = ["Asterisk Call Manager/1.3\r\n"]
            _Recorder.text = text
            with mock.patch.object(test_state_calls_11, "World", _Recorder):
                play()
            world = _Recorder.last
            test_state_calls_11.Server(world).hang_up(*world.store.keys("channel"))
            if len(text) > 1:
                yield name.removeprefix("test_"), "".join([*text, _NO_CHANNELS_11])


def steps(file: Path) -> Iterator[Step]:
    """What a recording has, in its order; the action of a list is in its ActionID."""
    under_way: list[Message] = []
    for message in messages_of(str(file)):
        action = (message.get("ActionID") or "").partition(":")[2]
        if message.kind is Kind.RESPONSE:
            under_way = []
        elif message.kind is Kind.EVENT and not action:
            yield Step(message)
        elif message.kind is Kind.EVENT and ends_list(list_form(action), message):
            yield Step(None, action, tuple(under_way))
        elif message.kind is Kind.EVENT:
            under_way.append(message)


def main(styles: Sequence[Style] = (STYLE_13, STYLE_22)) -> None:
    for style in styles:
        for name in SCENARIOS:
            _write(f"{style.name}-{name}", scenario(name, style))
    for name, text in of_asterisk_11():
        _write(f"11-{name}", text)


def _write(name: str, text: str) -> None:
    (FOLDER / f"{name}.raw").write_bytes(text.encode())


if __name__ == "__main__":
    main()
