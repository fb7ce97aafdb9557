"""Filters and transforms against a model of what they are to do, whatever they answer."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace

import gevent
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from amiws_gevent.ami import Kind, Message
from amiws_gevent.plugins.api import ServerInfo
from amiws_gevent.plugins.chain import MessageChain, MessageHook, MessageSteps
from amiws_gevent.plugins.entry import PluginEntry
from amiws_gevent.plugins.guard import PluginState
from amiws_gevent.runtime.log import LogLimiter
from tests.support import patience
from tests.support.plugins import SERVER, entry

KEEP, DROP, PASS, RAISE, WRONG, WAIT = "keep", "drop", "pass", "raise", "wrong", "wait"


@dataclass
class Plan:
    """A filter or transform, and what it does with the messages that it sees, in turn."""

    filters: bool
    required: bool
    deeds: list[str]

    def deed(self, number: int) -> str:
        return self.deeds[number % len(self.deeds)]


DEEDS = st.sampled_from([KEEP, DROP, PASS, PASS, RAISE, WRONG, WAIT])
PLANS = st.lists(
    st.builds(Plan, st.booleans(), st.booleans(), st.lists(DEEDS, min_size=1, max_size=5)),
    max_size=5,
)


def number_of(message: Message) -> int:
    return int(message.get("Number") or 0)


def expected(plan: list[Plan], count: int) -> list[tuple[int, str]]:
    """The number and the marks of each message that is left."""
    left = []
    for number in range(count):
        marks = _after_transforms(plan, number) if _passes(plan, number) else None
        if marks is not None:
            left.append((number, marks))
    return left


def _passes(plan: list[Plan], number: int) -> bool:
    for each in plan:
        deed = each.deed(number)
        if not each.filters or deed == PASS:
            continue
        if deed in (KEEP, DROP):
            return deed == KEEP
        if each.required:
            return False
    return True


def _after_transforms(plan: list[Plan], number: int) -> str | None:
    marks = ""
    for place, each in enumerate(plan):
        deed = each.deed(number)
        if each.filters or deed == PASS:
            continue
        if deed in (KEEP, DROP):  # for a transform: it changes the message
            marks += str(place)
        elif each.required:
            return None
    return marks


def hook(made: PluginEntry, place: int, plan: Plan) -> MessageHook:
    made = replace(made, required=plan.required)
    # A minute passes between two overruns, so that none is suspended.
    clock = itertools.count(0.0, 60.0).__next__
    state = PluginState(made, name=f"p{place}", limiter=LogLimiter(), clock=clock)

    def call(message: Message, server: ServerInfo) -> object:
        deed = plan.deed(number_of(message))
        if deed == RAISE:
            raise ValueError(place)
        if deed == WAIT:
            gevent.sleep(3600)
        if deed == WRONG:
            return "nonsense"
        if deed == PASS:
            return None
        if plan.filters:
            return deed == KEEP
        return message.replace("Marks", (message.get("Marks") or "") + str(place))

    return MessageHook(state, call)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> PluginEntry:
    """Any plugin: the hooks are not its own."""
    folder = tmp_path_factory.mktemp("plugin")
    return entry(folder, "def amiws_reload(): pass", hook_timeout=0.002)


@given(plan=PLANS, count=st.integers(0, 12), cut=st.integers(0, 12))
@settings(max_examples=60, deadline=None)
def test_the_chain_does_what_the_specifications_say(
    made: PluginEntry, plan: list[Plan], count: int, cut: int
) -> None:
    hooks = [hook(made, place, each) for place, each in enumerate(plan)]
    filters = [each for each, how in zip(hooks, plan, strict=True) if how.filters]
    transforms = [each for each, how in zip(hooks, plan, strict=True) if not how.filters]
    chain = MessageChain(MessageSteps(filters, transforms))
    messages = [Message(Kind.EVENT, {"Event": "E", "Number": str(n)}) for n in range(count)]
    with gevent.Timeout(patience.WAIT):
        kept = chain.run(messages[:cut], SERVER) + chain.run(messages[cut:], SERVER)
    found = [(number_of(message), message.get("Marks") or "") for message in kept]
    assert found == expected(plan, count)
