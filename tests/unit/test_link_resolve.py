from __future__ import annotations

import socket
import subprocess
import sys
import threading

import gevent
import pytest

from amiws_gevent.link.resolve import Resolver
from tests.support.patience import WAIT

FOUND = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.7", 5038))]


class HangingNames:
    """A name server that answers when it is told to."""

    def __init__(self) -> None:
        self.answer = threading.Event()
        self.calls = 0

    def __call__(self, *_: object, **__: object) -> list[tuple[object, ...]]:
        self.calls += 1
        self.answer.wait(WAIT)
        return list(FOUND)


def test_an_address_needs_no_look_up() -> None:
    def never(*_: object, **__: object) -> list[tuple[object, ...]]:
        raise AssertionError("asked a name server")

    resolver = Resolver(never)
    assert resolver.resolve("192.0.2.1", 5038, 1) == [(socket.AF_INET, ("192.0.2.1", 5038))]
    assert resolver.resolve("2001:db8::1", 5038, 1) == [
        (socket.AF_INET6, ("2001:db8::1", 5038, 0, 0))
    ]


def test_a_name_is_looked_up() -> None:
    assert (socket.AF_INET, ("127.0.0.1", 5038)) in Resolver().resolve("localhost", 5038, 10)


def test_an_unknown_name_is_an_error() -> None:
    def unknown(*_: object, **__: object) -> list[tuple[object, ...]]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    with pytest.raises(socket.gaierror, match="Name or service not known"):
        Resolver(unknown).resolve("pbx.invalid", 5038, 10)


def test_what_can_be_no_name_is_an_error() -> None:
    with pytest.raises(UnicodeError):
        Resolver().resolve("x" * 300, 5038, 10)


def test_names_go_out_in_idna() -> None:
    asked = []

    def note(name: bytes, *_: object, **__: object) -> list[tuple[object, ...]]:
        asked.append(name)
        return list(FOUND)

    Resolver(note).resolve("münchen.example", 5038, 10)
    assert asked == [b"xn--mnchen-3ya.example"]


def test_a_look_up_that_hangs_ends_in_time_and_is_taken_up_again() -> None:
    names = HangingNames()
    resolver = Resolver(names)
    try:
        for _ in range(3):
            with pytest.raises(TimeoutError, match="looking up pbx takes too long"):
                resolver.resolve("pbx", 5038, 0.02)
        names.answer.set()
        assert resolver.resolve("pbx", 5038, 10) == [(socket.AF_INET, ("192.0.2.7", 5038))]
        assert names.calls == 1
    finally:
        names.answer.set()


def test_a_look_up_that_ended_meanwhile_is_not_used_again() -> None:
    names = HangingNames()
    resolver = Resolver(names)
    with pytest.raises(TimeoutError):
        resolver.resolve("pbx", 5038, 0.02)
    names.answer.set()
    pending = resolver._pending
    assert pending is not None
    assert pending.done.wait(WAIT)
    resolver.resolve("pbx", 5038, 10)
    assert names.calls == 2


def test_many_hanging_look_ups_delay_no_other() -> None:
    names = [HangingNames() for _ in range(30)]
    waiting = [gevent.spawn(Resolver(one).resolve, "pbx", 5038, 20) for one in names]
    try:
        gevent.sleep(0)
        assert Resolver().resolve("localhost", 5038, 20)
    finally:
        for one in names:
            one.answer.set()
        gevent.joinall(waiting, raise_error=True)


PATCHED = """
import gevent.monkey
gevent.monkey.patch_all()
import gevent, os
from amiws_gevent.link.resolve import Resolver
import amiws_gevent.link.resolve as resolve

reading, writing = os.pipe()

def hang(*args, **kwargs):
    os.read(reading, 1)  # blocks the thread, until the greenlet has had its turns
    return resolve._getaddrinfo(*args, **kwargs)

def tick():
    for _ in range(20):
        gevent.sleep(0.01)
    os.write(writing, b"x")

gevent.spawn(tick)
found = Resolver(hang).resolve("localhost", 5038, 40)
assert ("127.0.0.1", 5038) in [address for _, address in found], found
print("patched")
"""


@pytest.mark.slow
def test_under_monkey_patching_a_look_up_runs_beside_the_hub() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PATCHED], capture_output=True, text=True, timeout=WAIT, check=False
    )
    assert (done.stdout, done.stderr) == ("patched\n", "")
