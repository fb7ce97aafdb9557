"""The limit on descriptors, in child processes: what is raised here stays raised."""

from __future__ import annotations

import subprocess
import sys

import pytest

from amiws_gevent.runtime import descriptors


def run(soft: int, hard: int, code: str) -> list[int]:
    """The numbers that ``code`` prints in a process with these limits."""
    script = (
        f"import resource; resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard}))\n"
        f"from amiws_gevent.runtime import descriptors\nprint(*({code}))"
    )
    found = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)
    return [int(number) for number in found.stdout.split()]


def test_the_limit_is_raised_as_far_as_it_goes() -> None:
    assert run(100, 300, "*descriptors.raise_limit(), descriptors.limit()") == [100, 300, 300]


def test_a_limit_that_is_reached_stays() -> None:
    assert run(300, 300, "descriptors.raise_limit()") == [300, 300]


@pytest.mark.parametrize(("highest", "clients"), [(8, 6), (64, 48), (128, 96), (1000, 968)])
def test_some_are_kept_from_clients(
    highest: int, clients: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(descriptors.resource, "getrlimit", lambda _: (highest, highest))
    assert descriptors.limit_for_clients() == clients


def test_no_limit_is_a_large_one(monkeypatch: pytest.MonkeyPatch) -> None:
    endless = (descriptors.resource.RLIM_INFINITY,) * 2
    monkeypatch.setattr(descriptors.resource, "getrlimit", lambda _: endless)
    assert descriptors.limit() == sys.maxsize
    assert descriptors.limit_for_clients() == sys.maxsize - 32


def test_a_hard_limit_that_the_kernel_refuses_changes_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(_what: int, _limits: tuple[int, int]) -> None:
        raise ValueError("not allowed to raise maximum limit")

    before = descriptors.limit()
    monkeypatch.setattr(descriptors.resource, "setrlimit", refuse)
    assert descriptors.raise_limit() == (before, before)
