"""For all tests."""

from __future__ import annotations

import os
from collections.abc import Generator

import pytest
from hypothesis import HealthCheck, settings

# The same examples each time, and no bound on time: a machine may hold up any one of them.
# To look for more: pytest --hypothesis-profile=default tests/property
settings.register_profile(
    "same", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("same")

# A test that runs pytest in a process of its own gives it all options that it is to have.
os.environ.pop("PYTEST_ADDOPTS", None)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Spell out lone surrogates in what is captured: pytest-xdist cannot carry them."""
    report = yield
    report.sections = [(name, carried(content)) for name, content in report.sections]
    if report.failed and report.longrepr is not None:
        text = str(report.longrepr)
        if carried(text) != text:
            report.longrepr = carried(text)
    return report


def carried(text: str) -> str:
    """``text`` in characters that UTF-8 has."""
    return text.encode("utf-8", "backslashreplace").decode()
