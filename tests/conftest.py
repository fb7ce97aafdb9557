"""For all tests."""

from __future__ import annotations

import os
import traceback
from collections.abc import Generator

import pytest
from hypothesis import HealthCheck, given, settings, strategies

from tests.support.garbage import set_aside

# The same examples each time, and no bound on time: a machine may hold up any one of them.
# To look for more: pytest --hypothesis-profile=default tests/property
settings.register_profile(
    "same", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("same")

# A test that runs pytest in a process of its own gives it all options that it is to have.
os.environ.pop("PYTEST_ADDOPTS", None)


@given(strategies.none())
def begin_examples(_: None) -> None:
    """Have Hypothesis begin: it asks the garbage collector who has its source of randomness, and
    would not be told of what is set aside (register_random of hypothesis.internal.entropy)."""


def pytest_collection_finish() -> None:
    """What was imported and collected stays, and is no work for the garbage collector."""
    begin_examples()
    set_aside()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Let go of what a failed test left open, and make the report such that it can be carried.

    Lone surrogates in what is captured are spelled out: pytest-xdist cannot carry them.
    """
    report = yield
    if report.failed and call.excinfo is not None and not item.config.getoption("usepdb"):
        let_go(call.excinfo.value)
    report.sections = [(name, carried(content)) for name, content in report.sections]
    if report.failed and report.longrepr is not None:
        text = str(report.longrepr)
        if carried(text) != text:
            report.longrepr = carried(text)
    return report


def let_go(error: BaseException | None) -> None:
    """Of the variables of all functions that an error went through.

    They hold sockets and processes, whose warnings would come, and fail a test, much later.
    """
    while error is not None:
        traceback.clear_frames(error.__traceback__)
        for frame, _ in traceback.walk_tb(error.__traceback__):
            len(frame.f_locals)  # until 3.12 a copy, made anew by looking at it
        error = error.__cause__ or error.__context__


def carried(text: str) -> str:
    """``text`` in characters that UTF-8 has."""
    return text.encode("utf-8", "backslashreplace").decode()
