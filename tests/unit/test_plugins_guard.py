"""Faults are counted and told once a minute; a plugin that keeps overrunning is suspended."""

from __future__ import annotations

import logging
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path

import gevent
import pytest

from amiws_gevent.plugins.guard import (
    OVERRUN_WINDOW,
    OVERRUNS_TO_SUSPEND,
    HookTimeout,
    PluginState,
    attempt,
    outcome,
)
from amiws_gevent.runtime.blocked import BlockedTime, Snapshot
from amiws_gevent.runtime.log import LogLimiter
from tests.support.clock import Clock
from tests.support.greenlets import until
from tests.support.patience import WAIT
from tests.support.plugins import entry

HOOK = "amiws_filter_message"
PLUGIN = "def amiws_filter_message():\n    pass\n"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def state(tmp_path: Path, clock: Clock) -> PluginState:
    return state_of(tmp_path, clock)


def state_of(folder: Path, clock: Clock, required: bool = False) -> PluginState:
    made = entry(folder, PLUGIN, required=required)
    return PluginState(made, name="mine", limiter=LogLimiter(clock=clock), clock=clock)


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    assert all(record.levelno == logging.ERROR for record in caplog.records)
    return [record.getMessage() for record in caplog.records]


class TestFaults:
    def test_at_first_there_are_none(self, state: PluginState) -> None:
        assert not state.suspended
        assert not state.faults
        assert (state.seconds, state.log_seconds, state.dropped) == (0.0, 0.0, 0)

    def test_an_error_is_told_with_plugin_hook_and_text(
        self, state: PluginState, caplog: pytest.LogCaptureFixture
    ) -> None:
        state.failed(HOOK, ValueError("a\nb"))
        assert lines(caplog) == [f"plugin mine: {HOOK}: {state.origin}: ValueError: a b"]
        assert state.faults == {HOOK: 1}

    def test_once_a_minute_with_the_count_of_the_others(
        self, state: PluginState, clock: Clock, caplog: pytest.LogCaptureFixture
    ) -> None:
        for _ in range(1000):
            state.failed(HOOK, ValueError("x"))
        clock.now += 60
        state.failed(HOOK, ValueError("x"))
        first, second = lines(caplog)
        assert "more like it" not in first
        assert second.endswith("ValueError: x (and 999 more like it)")
        assert state.faults == {HOOK: 1001}

    def test_each_hook_and_kind_of_fault_is_told_by_itself(
        self, state: PluginState, caplog: pytest.LogCaptureFixture
    ) -> None:
        for _ in range(2):
            state.failed(HOOK, ValueError("x"))
            state.failed("amiws_reload", ValueError("x"))
            state.answered(HOOK, "yes", "True, False or None")
            state.overran(HOOK, 0.0712)
        assert [line.partition(": ")[2] for line in lines(caplog)] == [
            f"{HOOK}: {state.origin}: ValueError: x",
            f"amiws_reload: {state.origin}: ValueError: x",
            f"{HOOK}: returned str, not True, False or None",
            f"{HOOK}: took 0.0712 s; its timeout is 0.05 s",
        ]
        assert state.faults == {HOOK: 6, "amiws_reload": 2}

    def test_that_it_was_cut_off_is_told(
        self, state: PluginState, caplog: pytest.LogCaptureFixture
    ) -> None:
        state.overran(HOOK, 0.06, cut_off=True)
        assert "was cut off after 0.06 s" in caplog.text


class TestSuspension:
    def overrun(self, state: PluginState, times: int = OVERRUNS_TO_SUSPEND) -> None:
        for _ in range(times):
            state.overran(HOOK, 0.1)

    def test_after_so_many_overruns_and_told_once(
        self, state: PluginState, caplog: pytest.LogCaptureFixture
    ) -> None:
        seen = []
        for _ in range(OVERRUNS_TO_SUSPEND + 2):
            self.overrun(state, 1)
            seen.append(state.suspended)
        assert seen == [False] * (OVERRUNS_TO_SUSPEND - 1) + [True] * 3
        (told,) = [line for line in lines(caplog) if "suspended" in line]
        assert told == (
            "plugin mine: suspended until the next reload: it keeps overrunning its timeout of "
            "0.05 s; messages pass without it"
        )

    def test_not_for_a_few_now_and_then(self, state: PluginState, clock: Clock) -> None:
        for _ in range(50):
            self.overrun(state, 1)
            clock.now += OVERRUN_WINDOW / (OVERRUNS_TO_SUSPEND - 1)
            assert not state.suspended

    def test_not_for_errors(self, state: PluginState) -> None:
        for _ in range(100):
            state.failed(HOOK, ValueError())
        assert not state.suspended

    def test_not_of_a_required_plugin(self, tmp_path: Path, clock: Clock) -> None:
        state = state_of(tmp_path, clock, required=True)
        self.overrun(state, 100)
        assert not state.suspended

    def test_a_new_beginning(self, state: PluginState) -> None:
        self.overrun(state)
        state.resume()
        assert not state.suspended
        self.overrun(state, OVERRUNS_TO_SUSPEND - 1)
        assert not state.suspended, "those before the reload count no more"

    @pytest.mark.parametrize(
        ("required", "told"),
        [(False, "messages pass without it"), (True, "every message is dropped")],
    )
    def test_at_once_for_what_cannot_be_cut_off(
        self,
        tmp_path: Path,
        clock: Clock,
        caplog: pytest.LogCaptureFixture,
        required: bool,
        told: str,
    ) -> None:
        state = state_of(tmp_path, clock, required=required)
        state.stuck(HOOK)
        state.stuck(HOOK)
        assert state.suspended
        (line,) = [line for line in lines(caplog) if "suspended" in line]
        assert (
            line == "plugin mine: suspended until the next reload: "
            f"it cannot be cut off in {HOOK}; {told}"
        )
        assert state.faults == {HOOK: 2}


class TestCalls:
    def test_the_result(self, state: PluginState) -> None:
        assert state.call("amiws_reload", lambda a, b: a + b, 1, 2, limit=5) == (True, 3)
        assert state.faults == {}

    @pytest.mark.parametrize(
        "error", [ValueError, SystemExit, KeyboardInterrupt, gevent.GreenletExit]
    )
    def test_nothing_that_is_raised_gets_out(
        self, state: PluginState, caplog: pytest.LogCaptureFixture, error: type[BaseException]
    ) -> None:
        def hook() -> None:
            raise error("why")

        assert state.call("amiws_reload", hook, limit=5) == (False, None)
        assert state.faults == {"amiws_reload": 1}
        assert f"plugin mine: amiws_reload: {state.origin}: {error.__name__}: why" in caplog.text

    def test_what_waits_too_long_is_cut_off_with_its_place(
        self, tmp_path: Path, clock: Clock, caplog: pytest.LogCaptureFixture
    ) -> None:
        source = """
            import gevent
            ENDED = []
            def amiws_shutdown():
                try:
                    gevent.sleep(60)
                except Exception:
                    ENDED.append("dodged")
                finally:
                    ENDED.append("tidied up")
            """
        made = entry(tmp_path, source)
        state = PluginState(made, name="mine", limiter=LogLimiter(), clock=clock)
        hook = made.code.hooks["amiws_shutdown"]
        assert state.call("amiws_shutdown", hook, limit=0.02) == (False, None)
        assert made.code.plugin.ENDED == ["tidied up"]  # type: ignore[attr-defined]
        assert f"{state.origin}:5: HookTimeout: cut off after 0.02 s" in caplog.text

    def test_who_asks_goes_on_whatever_the_hook_does(self, state: PluginState) -> None:
        let_go: list[int] = []

        def hook() -> str:
            while not let_go:
                try:
                    gevent.sleep(0.01)
                except BaseException:  # noqa: BLE001 - the fault
                    continue
            let_go.append(2)
            return "too late"

        with gevent.Timeout(WAIT):
            assert state.call("amiws_reload", hook, limit=0.02) == (False, None)
        let_go.append(1)
        until(lambda: let_go == [1, 2])

    def test_one_that_is_cut_off_and_answers_then_has_failed(self, state: PluginState) -> None:
        def hook() -> bool:
            try:
                gevent.sleep(60)
            except BaseException:  # noqa: BLE001 - the fault
                return True
            return False

        assert state.call("amiws_authorize_client", hook, limit=0.02) == (False, None)

    def test_one_that_has_computed_for_longer_has_failed(
        self, state: PluginState, caplog: pytest.LogCaptureFixture
    ) -> None:
        def hook() -> bool:
            end = time.thread_time() + 0.05
            while time.thread_time() < end:
                pass
            return True

        assert state.call("amiws_authorize_client", hook, limit=0.02) == (False, None)
        assert re.search(r"HookTimeout: took 0\.0\d+ s; its limit is 0\.02 s", caplog.text)

    def test_so_has_one_that_was_blocked_for_longer(
        self, state: PluginState, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setattr(BlockedTime, "since", lambda *figures: 0.5)
        monkeypatch.setattr(BlockedTime, "snapshot", lambda *now: Snapshot(0.0, 0, 0))
        call = state.call("amiws_authorize_client", lambda: time.sleep(0.05), limit=0.2)
        assert call == (False, None)
        assert re.search(r"HookTimeout: took 0\.5\d* s; its limit is 0\.2 s", caplog.text)

    @pytest.mark.slow
    def test_one_that_gets_no_cpu_or_no_turn_has_not(
        self, state: PluginState, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(BlockedTime, "since", lambda *figures: 0.0)

        def hook() -> str:
            gevent.spawn(stand_still)  # while the hook waits
            for _ in range(3):
                gevent.sleep(0.001)
            stand_still()
            return "in time"

        def stand_still() -> None:
            time.sleep(0.6)  # not gevent's: in place of a machine that is busy

        well = state.call("amiws_authorize_client", hook, limit=0.5)
        assert well == (True, "in time")

    def test_a_hook_ends_with_its_caller(self) -> None:
        begun, ended = [], []

        def hook() -> None:
            begun.append(True)
            try:
                gevent.sleep(3600)
            finally:
                ended.append(True)

        caller = gevent.spawn(attempt, hook, limit=3600)
        until(lambda: begun)
        caller.kill()
        until(lambda: ended)

    def test_a_timeout_of_the_hook_s_own_is_its_error(
        self, state: PluginState, caplog: pytest.LogCaptureFixture
    ) -> None:
        def hook() -> None:
            raise TimeoutError("the database")

        state.call("amiws_reload", hook, limit=5)
        assert "TimeoutError: the database" in caplog.text


@pytest.mark.parametrize(
    ("function", "kind"), [(lambda: sys.exit(3), SystemExit), (lambda: 1 // 0, ZeroDivisionError)]
)
def test_outcome(function: Callable[[], object], kind: type[BaseException]) -> None:
    error, result = outcome(function, ())
    assert type(error) is kind
    assert result is None
    assert outcome(divmod, (7, 2)) == (None, (3, 1))


def test_a_timeout_is_no_exception_that_plugins_catch() -> None:
    assert not issubclass(HookTimeout, Exception)
