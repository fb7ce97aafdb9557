"""Messages through filters and transforms, whatever these do."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import gevent
import pytest
from gevent.event import Event
from gevent.lock import Semaphore

from amiws_gevent.ami import Kind, Message
from amiws_gevent.plugins.api import ServerInfo
from amiws_gevent.plugins.chain import (
    FILTER,
    LONGEST_TURN,
    TRANSFORM,
    MessageChain,
    MessageHook,
    MessageSteps,
)
from amiws_gevent.plugins.guard import OVERRUNS_TO_SUSPEND, HookTimeout, PluginState
from amiws_gevent.runtime.log import LogLimiter
from tests.support.clock import Clock
from tests.support.greenlets import until
from tests.support.leaks import live_greenlets
from tests.support.patience import WAIT
from tests.support.plugins import SERVER, entry, event

TIMEOUT = 0.05
PLENTY = 30.0  # of a hook that is not to overrun, however busy the machine is
Hook = Callable[[Message, ServerInfo], Any]


class Chain:
    """Steps under test: hooks are added in order, each as a plugin of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.filters: list[MessageHook] = []
        self.transforms: list[MessageHook] = []

    def add(
        self,
        *,
        filter: Hook | None = None,  # noqa: A002 - as the hook is called
        transform: Hook | None = None,
        required: bool = False,
        timeout: float = PLENTY,
    ) -> PluginState:
        made = entry(
            self.folder, "def amiws_reload(): pass", required=required, hook_timeout=timeout
        )
        name = f"p{len(self.filters) + len(self.transforms)}"
        state = PluginState(made, name=name, limiter=LogLimiter())
        if filter is not None:
            self.filters.append(MessageHook(state, filter))
        if transform is not None:
            self.transforms.append(MessageHook(state, transform))
        return state

    def make(
        self,
        clock: Callable[[], float] = time.monotonic,
        cpu_clock: Callable[[], float] = time.thread_time,
    ) -> MessageChain:
        return MessageChain(MessageSteps(self.filters, self.transforms), clock, cpu_clock)

    def run(self, *messages: Message) -> list[Message]:
        with gevent.Timeout(WAIT):
            return self.make().run(messages, SERVER)

    def names(self, *names: str) -> list[str]:
        return [message.name for message in self.run(*map(event, names))]


@pytest.fixture
def chain(tmp_path: Path) -> Chain:
    return Chain(tmp_path)


def tagged(tag: str) -> Hook:
    """A transform that leaves its mark."""
    return lambda message, server: message.replace("Tags", (message.get("Tags") or "") + tag)


def noted(
    order: list[int], number: int, answer: bool | None, message: Message, server: ServerInfo
) -> bool | None:
    """A filter that notes when it was asked."""
    order.append(number)
    return answer


def wait_forever(message: Message, server: ServerInfo) -> None:
    gevent.sleep(3600)


def wait_for(name: str) -> Hook:
    """A hook that waits forever for messages of that name, and lets the others be."""
    return lambda message, server: wait_forever(message, server) if message.name == name else None


class Stubborn:
    """A hook that catches whatever is thrown and goes on waiting, until ``let_go``."""

    def __init__(self, name: str = "Bad") -> None:
        self.name = name
        self.let_go = False
        self.ended = 0
        self.calls = 0

    def __call__(self, message: Message, server: ServerInfo) -> bool | None:
        self.calls += 1
        if message.name != self.name:
            return None
        while not self.let_go:
            try:
                gevent.sleep(0.002)
            except BaseException:  # noqa: BLE001 - the fault
                continue
        self.ended += 1
        return False


class TestAnswers:
    def test_without_hooks_all_pass(self, chain: Chain) -> None:
        assert chain.names("A", "B") == ["A", "B"]

    def test_hooks_see_message_and_server(self, chain: Chain) -> None:
        seen: list[Any] = []
        chain.add(filter=lambda *given: seen.append(given))
        message = event("A")
        assert chain.run(message) == [message]
        assert seen == [(message, SERVER)]
        assert seen[0][0] is message

    def test_false_drops_and_nobody_else_is_asked(self, chain: Chain) -> None:
        asked: list[str] = []
        first = chain.add(filter=lambda m, s: False if m.name == "B" else None)
        chain.add(filter=lambda m, s: asked.append(m.name))
        chain.add(transform=lambda m, s: asked.append(m.name))
        assert chain.names("A", "B", "C") == ["A", "C"]
        assert asked == ["A", "A", "C", "C"]
        assert first.dropped == 1

    def test_true_keeps_and_no_other_filter_is_asked_but_transforms_are(self, chain: Chain) -> None:
        chain.add(filter=lambda m, s: m.name == "A" or None)
        chain.add(filter=lambda m, s: False)
        chain.add(transform=tagged("x"))
        (kept,) = chain.run(event("A"), event("B"))
        assert kept.get("Tags") == "x"

    def test_the_first_answer_wins_in_the_order_given(self, chain: Chain) -> None:
        order: list[int] = []
        for number, answer in enumerate([None, None, True, False]):
            chain.add(filter=partial(noted, order, number, answer))
        assert chain.names("A") == ["A"]
        assert order == [0, 1, 2]

    def test_each_transform_sees_the_result_of_the_one_before(self, chain: Chain) -> None:
        for tag in "12":
            chain.add(transform=tagged(tag))
        chain.add(transform=lambda m, s: None)
        chain.add(transform=tagged("3"))
        message = event("A")
        (kept,) = chain.run(message)
        assert kept.get("Tags") == "123"
        assert message.get("Tags") is None

    def test_a_transform_may_make_another_kind_of_message(self, chain: Chain) -> None:
        made = Message(Kind.UNKNOWN, [("Text", "x")])
        chain.add(transform=lambda m, s: made)
        assert chain.run(event("A")) == [made]

    def test_order_within_a_batch_and_message_by_message(self, chain: Chain) -> None:
        calls: list[str] = []
        chain.add(filter=lambda m, s: calls.append(f"f{m.name}"))
        chain.add(transform=lambda m, s: calls.append(f"t{m.name}"))
        names = [str(number) for number in range(200)]
        assert chain.names(*names) == names
        assert calls == [f"{kind}{name}" for name in names for kind in "ft"]

    def test_a_chain_serves_one_batch_after_the_other(self, chain: Chain) -> None:
        chain.add(filter=lambda m, s: False if m.name == "B" else None)
        made = chain.make()
        other = ServerInfo(2, "other", True)
        assert [m.name for m in made.run([event("A"), event("B")], SERVER)] == ["A"]
        assert [m.name for m in made.run([event("C")], other)] == ["C"]
        assert made.run([], SERVER) == []


class TestFaults:
    @pytest.mark.parametrize(
        "error",
        [ValueError, KeyError, RecursionError, SystemExit, KeyboardInterrupt, gevent.GreenletExit,
         StopIteration, HookTimeout, gevent.Timeout],
    )  # fmt: skip
    @pytest.mark.parametrize("kind", ["filter", "transform"])
    def test_raising_fails_open(
        self, chain: Chain, error: type[BaseException], kind: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        def hook(message: Message, server: ServerInfo) -> None:
            if message.name == "B":
                raise error

        state = chain.add(**{kind: hook})  # type: ignore[arg-type]
        after = chain.add(transform=tagged("x"))
        kept = chain.run(event("A"), event("B"), event("C"))
        assert [m.name for m in kept] == ["A", "B", "C"]
        assert all(m.get("Tags") == "x" for m in kept)
        assert state.faults == {FILTER if kind == "filter" else TRANSFORM: 1}
        assert not after.faults
        assert error.__name__ in caplog.text
        assert state.dropped == 0

    @pytest.mark.parametrize("kind", ["filter", "transform"])
    def test_a_required_one_that_raises_drops_the_message(self, chain: Chain, kind: str) -> None:
        def hook(message: Message, server: ServerInfo) -> None:
            if message.name == "B":
                raise ValueError

        state = chain.add(**{kind: hook}, required=True)  # type: ignore[arg-type]
        asked: list[str] = []
        chain.add(transform=lambda m, s: asked.append(m.name))
        assert chain.names("A", "B", "C") == asked == ["A", "C"]
        assert state.dropped == 1

    @pytest.mark.parametrize("answer", [0, 1, "", "no", [], object(), event("X")])
    def test_a_filter_s_answer_that_is_none_of_the_three(
        self, chain: Chain, answer: object, caplog: pytest.LogCaptureFixture
    ) -> None:
        open_one = chain.add(filter=lambda m, s: answer)
        assert chain.names("A") == ["A"]
        assert open_one.faults == {FILTER: 1}
        assert f"returned {type(answer).__name__}, not True, False or None" in caplog.text
        chain.add(filter=lambda m, s: answer, required=True)
        assert chain.names("A") == []

    @pytest.mark.parametrize("answer", [True, False, "text", {"Event": "X"}, b""])
    def test_a_transform_s_answer_that_is_no_message(
        self, chain: Chain, answer: object, caplog: pytest.LogCaptureFixture
    ) -> None:
        state = chain.add(transform=lambda m, s: answer)
        assert chain.names("A") == ["A"]
        assert state.faults == {TRANSFORM: 1}
        assert f"returned {type(answer).__name__}, not a Message or None" in caplog.text
        chain.add(transform=lambda m, s: answer, required=True)
        assert chain.names("A") == []

    def test_a_message_that_no_client_could_read(
        self, chain: Chain, caplog: pytest.LogCaptureFixture
    ) -> None:
        wrong = Message(Kind.EVENT, {"Event": None})
        state = chain.add(transform=lambda m, s: wrong)
        assert chain.names("A") == ["A"]
        assert state.faults == {TRANSFORM: 1}
        assert "Event is of type NoneType" in caplog.text

    def test_an_answer_that_breaks_when_it_is_shown(self, chain: Chain) -> None:
        class Odd:
            def __repr__(self) -> str:
                raise RuntimeError

            def __bool__(self) -> bool:
                raise RuntimeError

            __eq__ = __str__ = __repr__  # type: ignore[assignment]

        chain.add(filter=lambda m, s: Odd(), transform=lambda m, s: Odd())
        assert chain.names("A") == ["A"]

    def test_deep_recursion_in_a_hook(self, chain: Chain) -> None:
        def hook(message: Message, server: ServerInfo) -> Any:
            return hook(message, server)

        state = chain.add(filter=hook, timeout=10)
        assert chain.names("A", "B") == ["A", "B"]
        assert state.faults == {FILTER: 2}


class TestWaiting:
    def test_within_the_timeout_is_allowed(self, chain: Chain) -> None:
        state = chain.add(filter=lambda m, s: gevent.sleep(0.001), timeout=5)
        assert chain.names(*"ABCDEFGH") == list("ABCDEFGH")
        assert not state.faults
        assert state.seconds > 0.008

    def test_many_waits_that_are_short_are_not_one_long(self, chain: Chain) -> None:
        now = 0.0  # as a machine that holds the test up would make a wait longer

        def hook(message: Message, server: ServerInfo) -> None:
            nonlocal now
            gevent.sleep(0.01)  # all of them are longer than three looks of the chain
            now += 0.1

        state = chain.add(filter=hook, timeout=0.25)
        assert len(chain.make(lambda: now).run([event("A")] * 40, SERVER)) == 40
        assert not state.faults

    @pytest.mark.parametrize("kind", ["filter", "transform"])
    def test_past_it_the_hook_is_cut_off_and_the_others_go_on(
        self, chain: Chain, kind: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        state = chain.add(**{kind: wait_for("B")}, timeout=TIMEOUT)  # type: ignore[arg-type]
        after = chain.add(transform=tagged("x"))
        kept = chain.run(event("A"), event("B"), event("C"))
        assert [m.name for m in kept] == ["A", "B", "C"]
        assert all(m.get("Tags") == "x" for m in kept)
        assert state.faults == {FILTER if kind == "filter" else TRANSFORM: 1}
        assert not after.faults
        assert re.search(r"was cut off after \d+\.\d+ s", caplog.text)

    @pytest.mark.parametrize("kind", ["filter", "transform"])
    def test_of_a_required_one_the_message_is_dropped(self, chain: Chain, kind: str) -> None:
        state = chain.add(**{kind: wait_for("B")}, required=True, timeout=TIMEOUT)
        assert chain.names("A", "B", "C") == ["A", "C"]
        assert state.dropped == 1

    def test_each_plugin_has_its_own_timeout(self, chain: Chain) -> None:
        quick = chain.add(filter=lambda m, s: gevent.sleep(0.05), timeout=0.01)
        slow = chain.add(filter=lambda m, s: gevent.sleep(0.05), timeout=10)
        assert chain.names("A") == ["A"]
        assert quick.faults == {FILTER: 1}
        assert not slow.faults

    def test_except_exception_does_not_dodge_it(self, chain: Chain) -> None:
        def hook(message: Message, server: ServerInfo) -> bool:
            while True:
                with contextlib.suppress(Exception):
                    gevent.sleep(3600)

        state = chain.add(filter=hook, timeout=TIMEOUT)
        assert chain.names("A") == ["A"]
        assert state.faults == {FILTER: 1}

    def test_what_it_held_is_let_go(self, chain: Chain) -> None:
        lock, ready, tidied = Semaphore(), Event(), []

        def hook(message: Message, server: ServerInfo) -> None:
            with lock:
                try:
                    ready.wait()
                finally:
                    tidied.append(message.name)

        chain.add(filter=hook, timeout=TIMEOUT)
        assert chain.names("A", "B") == ["A", "B"]
        assert tidied == ["A", "B"]
        assert lock.acquire(blocking=False)
        ready.set()
        gevent.sleep(0.01)  # nobody waits any more who could be woken

    def test_while_it_waits_for_a_lock(self, chain: Chain) -> None:
        lock = Semaphore()
        lock.acquire()

        def hook(message: Message, server: ServerInfo) -> None:
            with lock:
                pass

        state = chain.add(filter=hook, timeout=TIMEOUT)
        assert chain.names("A") == ["A"]
        lock.release()
        assert chain.names("B") == ["B"]
        assert state.faults == {FILTER: 1}

    def test_an_answer_given_after_the_cut_off_counts(self, chain: Chain) -> None:
        def hook(message: Message, server: ServerInfo) -> bool:
            try:
                gevent.sleep(3600)
            except BaseException:  # noqa: BLE001 - the fault
                return False
            return True

        state = chain.add(filter=hook, timeout=TIMEOUT)
        assert chain.names("A") == []
        assert state.faults == {FILTER: 1}

    def test_what_it_makes_of_the_cut_off_is_not_told_as_well(
        self, chain: Chain, caplog: pytest.LogCaptureFixture
    ) -> None:
        def hook(message: Message, server: ServerInfo) -> None:
            try:
                gevent.sleep(3600)
            except BaseException as error:
                raise OSError("broken pipe") from error

        state = chain.add(filter=hook, timeout=TIMEOUT)
        assert chain.names("A") == ["A"]
        assert state.faults == {FILTER: 1}
        assert "broken pipe" not in caplog.text

    def test_two_servers_do_not_disturb_each_other(self, chain: Chain) -> None:
        chain.add(filter=wait_for("Bad"), timeout=0.03)
        chain.add(transform=tagged("x"))
        one, two = chain.make(), chain.make()
        bad = gevent.spawn(one.run, [event("Bad"), event("A")], SERVER)
        good = gevent.spawn(two.run, [event(str(n)) for n in range(50)], ServerInfo(2, "b", False))
        gevent.joinall([bad, good], timeout=WAIT, raise_error=True)
        assert [m.name for m in bad.get()] == ["Bad", "A"]
        assert [m.name for m in good.get()] == [str(n) for n in range(50)]
        assert all(m.get("Tags") == "x" for m in (*bad.get(), *good.get()))

    def test_whoever_waits_for_the_batch_can_be_ended(self, chain: Chain) -> None:
        go_on = Event()
        begun: list[str] = []
        ended: list[str] = []

        def hook(message: Message, server: ServerInfo) -> None:
            begun.append(message.name)
            try:
                go_on.wait()
            finally:
                ended.append(message.name)

        chain.add(filter=hook, timeout=600)
        caller = gevent.spawn(chain.make().run, [event("A"), event("B")], SERVER)
        until(lambda: begun)
        caller.kill()
        assert caller.dead
        go_on.set()
        until(lambda: ended)
        gevent.sleep(0.01)
        assert begun == ended == ["A"], "the second message is not begun"


class TestStubborn:
    """Hooks that swallow even HookTimeout: the chain leaves them behind."""

    @pytest.mark.parametrize("kind", ["filter", "transform"])
    def test_the_messages_go_on_without_it(
        self, chain: Chain, kind: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        hook = Stubborn()
        chain.add(filter=lambda m, s: None)
        state = chain.add(**{kind: hook}, timeout=TIMEOUT)  # type: ignore[arg-type]
        chain.add(filter=lambda m, s: False if m.name == "C" else None)
        chain.add(transform=tagged("x"))
        kept = chain.run(*map(event, ["A", "Bad", "C", "D"]))
        assert [m.name for m in kept] == ["A", "Bad", "D"]
        assert all(m.get("Tags") == "x" for m in kept)
        assert state.suspended
        assert hook.calls == 2, "it is suspended at once"
        assert "still waits after it was cut off" in caplog.text
        assert "cannot be cut off" in caplog.text
        hook.let_go = True
        until(lambda: hook.ended)

    def test_what_a_transform_before_it_made_is_kept(self, chain: Chain) -> None:
        hook = Stubborn()
        chain.add(transform=tagged("1"))
        chain.add(transform=hook, timeout=TIMEOUT)
        chain.add(transform=tagged("2"))
        (kept,) = chain.run(event("Bad"))
        assert kept.get("Tags") == "12"
        hook.let_go = True
        until(lambda: hook.ended)

    def test_that_it_ends_after_all_disturbs_nobody(self, chain: Chain) -> None:
        hook = Stubborn()
        seen: list[str] = []
        chain.add(filter=hook, timeout=TIMEOUT)
        chain.add(filter=lambda m, s: seen.append(m.name))
        made = chain.make()
        assert [m.name for m in made.run([event("Bad"), event("A")], SERVER)] == ["Bad", "A"]
        later: list[Message] = []
        going_on = gevent.spawn(
            lambda: later.extend(made.run([event(str(n)) for n in range(5)], SERVER))
        )
        hook.let_go = True
        until(lambda: hook.ended)
        going_on.join(WAIT)
        assert [m.name for m in later] == list("01234")
        assert seen == ["Bad", "A", *"01234"], "the one left behind goes on with nothing"

    def test_that_it_ends_within_the_batch_disturbs_nobody(self, chain: Chain) -> None:
        hook = Stubborn()

        def slow(message: Message, server: ServerInfo) -> None:
            if message.name == "C":
                hook.let_go = True
                gevent.sleep(0.05)

        chain.add(filter=hook, timeout=TIMEOUT)
        chain.add(filter=slow, timeout=10)
        assert chain.names("A", "Bad", "C", "D") == ["A", "Bad", "C", "D"]
        assert hook.ended == 1

    def test_a_required_one_drops_all_messages_from_then_on(
        self, chain: Chain, caplog: pytest.LogCaptureFixture
    ) -> None:
        hook = Stubborn()
        state = chain.add(transform=hook, required=True, timeout=TIMEOUT)
        assert chain.names("A", "Bad", "C", "D") == ["A"]
        assert chain.names("E") == []
        assert state.dropped == 4
        assert hook.calls == 2
        assert "every message is dropped" in caplog.text
        hook.let_go = True
        until(lambda: hook.ended)

    def test_two_in_one_batch(self, chain: Chain) -> None:
        one, two = Stubborn("One"), Stubborn("Two")
        chain.add(filter=one, timeout=TIMEOUT)
        chain.add(transform=two, timeout=TIMEOUT)
        assert chain.names("One", "A", "Two", "B") == ["One", "A", "Two", "B"]
        assert one.calls == 1
        assert two.calls == 3
        one.let_go = two.let_go = True
        until(lambda: one.ended and two.ended)


class TestTimeOfOthers:
    """What the machine takes from a hook does not count against its timeout."""

    def test_a_hook_that_gets_no_cpu_does_not_overrun(self, chain: Chain) -> None:
        now, cpu = Clock(), Clock()

        def hook(message: Message, server: ServerInfo) -> None:
            now.now += 0.28  # as it took mask on a machine that was busy
            cpu.now += 0.001

        state = chain.add(filter=hook, timeout=TIMEOUT)
        assert len(chain.make(now, cpu).run([event("A")] * 20, SERVER)) == 20
        assert not state.faults
        assert not state.suspended

    def test_one_that_waits_does_not_while_the_loop_stands_still(self, chain: Chain) -> None:
        now, cpu = Clock(), Clock()

        def others(go_on: Event) -> None:
            now.now += 10 * PLENTY
            cpu.now += 10 * PLENTY
            go_on.set()

        def hook(message: Message, server: ServerInfo) -> None:
            go_on = Event()
            gevent.spawn(others, go_on)
            go_on.wait()

        state = chain.add(filter=hook)
        assert len(chain.make(now, cpu).run([event("A")], SERVER)) == 1
        assert state.faults == {}

    def test_what_it_computes_before_and_after_a_wait_counts(
        self, chain: Chain, caplog: pytest.LogCaptureFixture
    ) -> None:
        now, cpu = Clock(), Clock()

        def compute(seconds: float) -> None:
            now.now += seconds
            cpu.now += seconds

        def hook(message: Message, server: ServerInfo) -> None:
            compute(0.2)
            gevent.sleep(0)
            compute(0.3)

        state = chain.add(filter=hook, timeout=0.45)
        chain.make(now, cpu).run([event("A")], SERVER)
        assert "took 0.5 s" in caplog.text
        assert state.faults == {FILTER: 1}

    def test_what_the_hooks_before_it_have_computed_does_not(self, chain: Chain) -> None:
        now, cpu = Clock(), Clock()

        def slow(message: Message, server: ServerInfo) -> None:
            now.now += 0.04
            cpu.now += 0.04

        def held_up(message: Message, server: ServerInfo) -> None:
            now.now += 0.06
            cpu.now += 0.02

        before = chain.add(filter=slow, timeout=0.05)
        state = chain.add(filter=held_up, timeout=0.05)
        chain.make(now, cpu).run([event("A")], SERVER)
        assert (before.faults, state.faults) == ({}, {})


class TestOverruns:
    def test_computing_too_long_is_counted(
        self, chain: Chain, caplog: pytest.LogCaptureFixture
    ) -> None:
        def hook(message: Message, server: ServerInfo) -> None:
            end = time.thread_time() + 2 * TIMEOUT
            while time.thread_time() < end:
                pass

        state = chain.add(filter=hook, timeout=TIMEOUT)
        assert chain.names("A") == ["A"]
        assert state.faults == {FILTER: 1}
        assert re.search(r"took \d+\.\d+ s", caplog.text)
        assert "cut off" not in caplog.text

    def test_again_and_again_it_is_suspended(self, chain: Chain) -> None:
        calls: list[str] = []

        def hook(message: Message, server: ServerInfo) -> None:
            calls.append(message.name)
            gevent.sleep(3600)

        state = chain.add(filter=hook, timeout=0.005)
        names = [str(number) for number in range(2 * OVERRUNS_TO_SUSPEND)]
        assert chain.names(*names) == names
        assert calls == names[:OVERRUNS_TO_SUSPEND]
        assert state.suspended
        state.resume()
        chain.names("A")
        assert calls[-1] == "A"

    def test_a_required_one_is_asked_every_time(self, chain: Chain) -> None:
        calls: list[str] = []

        def hook(message: Message, server: ServerInfo) -> None:
            calls.append(message.name)
            gevent.sleep(3600)

        chain.add(filter=hook, timeout=0.002, required=True)
        names = [str(number) for number in range(2 * OVERRUNS_TO_SUSPEND)]
        assert chain.names(*names) == []
        assert calls == names

    def test_time_is_counted_for_each_plugin(self, chain: Chain) -> None:
        slow = chain.add(filter=lambda m, s: gevent.sleep(0.01), timeout=10)
        quick = chain.add(filter=lambda m, s: None, timeout=10)
        chain.names("A", "B", "C")
        assert 0.03 <= slow.seconds < 20
        assert quick.seconds < slow.seconds / 2


def test_others_have_their_turn_within_a_long_batch(chain: Chain) -> None:
    turns = []

    def other() -> None:
        while True:
            turns.append(time.monotonic())
            gevent.sleep(0.001)

    def hook(message: Message, server: ServerInfo) -> None:
        end = time.monotonic() + 0.001
        while time.monotonic() < end:
            pass

    chain.add(filter=hook, timeout=10)
    greenlet = gevent.spawn(other)
    try:
        assert len(chain.names(*["A"] * 100)) == 100
        assert len(turns) >= 0.1 / LONGEST_TURN / 4
    finally:
        greenlet.kill()


def test_no_greenlet_and_no_timer_is_left(chain: Chain) -> None:
    chain.add(filter=wait_for("B"), timeout=0.001)

    loop = gevent.get_hub().loop
    chain.names("A", "B")
    greenlets, watchers = live_greenlets(), loop.activecnt
    for _ in range(20):
        chain.names("A", "B")
    assert live_greenlets() <= greenlets
    assert loop.activecnt <= watchers
