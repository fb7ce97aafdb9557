"""What Redis does in one step."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from amiws_gevent.bus.connection import Away
from amiws_gevent.bus.scripts import (
    APPEND,
    BROKEN,
    FENCED,
    LOOK,
    OPEN,
    REMOVE,
    SAVE,
    TRIM,
    Argument,
    Script,
)
from tests.support.bus import FENCE as FENCE_FIELD
from tests.support.bus import KEYS, LEASE, take_away
from tests.support.redis_server import RedisServer

pytestmark = pytest.mark.slow

FENCE = b"1 a"
BASE = (2**31 - 1) << 20  # the largest that there is
STREAM = [KEYS.leases, KEYS.stream("s"), KEYS.about("s")]
ABOUT = [KEYS.leases, KEYS.about("s")]
HOUR = 3_600_000
EXPIRY = 24 * HOUR


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    with RedisServer(tmp_path) as made:
        made.ask("HSET", KEYS.leases, FENCE_FIELD, FENCE)
        yield made


def run(server: RedisServer, script: Script, keys: list[bytes], *arguments: Argument) -> Any:
    return server.ask(*script(keys, FENCE_FIELD, FENCE, *arguments))


def begin(server: RedisServer, *entries: bytes, anew: int = 0) -> int:
    number: int = run(server, OPEN, STREAM, anew, BASE, EXPIRY)[0]
    if entries:
        number = run(server, APPEND, STREAM, number, *entries)
    return number


def payloads(server: RedisServer) -> list[bytes]:
    return [fields[1] for _, fields in server.ask("XRANGE", KEYS.stream("s"), "-", "+")]


def trim(server: RedisServer, number: int, entries: int = 10**6, size: int = 10**9) -> Any:
    return run(server, TRIM, STREAM, entries, size, HOUR, EXPIRY, number)


def test_a_stream_begins_with_an_empty_entry_and_goes_on(server: RedisServer) -> None:
    assert run(server, OPEN, STREAM, 0, BASE, EXPIRY) == [BASE, 0, 0, 1]
    assert run(server, APPEND, STREAM, BASE, b"one", b"two") == BASE + 2
    assert run(server, OPEN, STREAM, 0, 7, EXPIRY) == [BASE + 2, 2, 6, 0]
    assert run(server, SAVE, ABOUT, BASE + 2, b"snapshot") == BASE + 2
    assert run(server, APPEND, STREAM, BASE + 2, b"three") == BASE + 3
    assert run(server, OPEN, STREAM, 0, 7, EXPIRY) == [BASE + 3, 1, 5, 0]
    assert payloads(server) == [b"", b"one", b"two", b"three"]
    assert 0 < server.ask("PTTL", KEYS.stream("s")) <= EXPIRY
    assert 0 < server.ask("PTTL", KEYS.about("s")) <= EXPIRY


def test_a_stream_may_begin_with_a_snapshot(server: RedisServer) -> None:
    assert run(server, OPEN, STREAM, 0, BASE, EXPIRY, b"first") == [BASE, 0, 0, 1]
    about = server.ask("HMGET", KEYS.about("s"), "snapshot", "sn", "sb")
    assert about == [b"first", str(BASE).encode(), b"0"]
    assert run(server, OPEN, STREAM, 0, 7, EXPIRY, b"never") == [BASE, 0, 0, 0]
    assert server.ask("HGET", KEYS.about("s"), "snapshot") == b"first"


def test_numbers_go_up_by_one_and_times_never_back(server: RedisServer) -> None:
    number = begin(server, b"x")
    far = 2**45  # Redis' clock was ahead, and was set back
    server.ask("XADD", KEYS.stream("s"), f"{far}-{number + 1}", "d", "y", "b", "2")
    server.ask("HSET", KEYS.about("s"), "n", str(number + 1), "ms", str(far), "b", "2")
    assert run(server, APPEND, STREAM, number + 1, b"z") == number + 2
    ids = [entry for entry, _ in server.ask("XRANGE", KEYS.stream("s"), "-", "+")]
    assert ids[-1] == f"{far}-{number + 2}".encode()
    assert [int(entry.partition(b"-")[2]) for entry in ids] == [BASE + i for i in range(4)]


def test_an_attempt_that_is_made_again_adds_only_what_is_missing(server: RedisServer) -> None:
    number = begin(server, b"one")
    assert run(server, APPEND, STREAM, number, b"two", b"three") == number + 2
    assert run(server, APPEND, STREAM, number, b"two", b"three") == number + 2
    assert run(server, APPEND, STREAM, number, b"two", b"three", b"four") == number + 3
    assert payloads(server) == [b"", b"one", b"two", b"three", b"four"]


@pytest.mark.parametrize("lost", ["all", "stream", "about", "back", "ahead"])
def test_a_stream_that_is_not_as_it_was_left_is_told(server: RedisServer, lost: str) -> None:
    number = begin(server, b"one", b"two")
    if lost == "all":
        server.ask("FLUSHALL")
        server.ask("HSET", KEYS.leases, FENCE_FIELD, FENCE)
    elif lost in ("stream", "about"):
        server.ask("DEL", getattr(KEYS, lost)("s"))
    elif lost == "back":
        server.ask("HSET", KEYS.about("s"), "n", str(number - 1))
    else:
        server.ask("XADD", KEYS.stream("s"), f"{2**46}-1", "d", "strange", "b", "9")
    before = server.ask("XLEN", KEYS.stream("s"))
    assert run(server, APPEND, STREAM, number, b"three") == BROKEN
    assert server.ask("XLEN", KEYS.stream("s")) == before
    if lost not in ("ahead",):
        assert trim(server, number) == BROKEN
    if lost in ("all", "about", "back"):
        assert run(server, SAVE, ABOUT, number, b"snapshot") == BROKEN
    begun = begin(server, b"anew", anew=1)
    assert payloads(server) == [b"", b"anew"]
    assert begun == BASE + 1


def test_a_stream_that_begins_anew_wakes_its_readers(server: RedisServer) -> None:
    """Its first entry comes behind all that there were, by its id."""
    begin(server, b"one")
    server.ask("HSET", KEYS.about("s"), "ms", str(2**45))
    run(server, OPEN, STREAM, 1, 5, EXPIRY)
    (entry,) = server.ask("XRANGE", KEYS.stream("s"), "-", "+")
    assert entry[0] == f"{2**45 + 1}-5".encode()


def test_another_term_is_refused_and_changes_nothing(server: RedisServer) -> None:
    number = begin(server, b"one")
    server.ask("HSET", KEYS.leases, FENCE_FIELD, "2 b")
    before = server.ask("XRANGE", KEYS.stream("s"), "-", "+"), server.ask("HGETALL", ABOUT[1])
    assert run(server, OPEN, STREAM, 1, BASE, EXPIRY) == FENCED
    assert run(server, APPEND, STREAM, number, b"two") == FENCED
    assert run(server, SAVE, ABOUT, number, b"snapshot") == FENCED
    assert trim(server, number) == FENCED
    assert run(server, REMOVE, STREAM) == FENCED
    assert (
        server.ask("XRANGE", KEYS.stream("s"), "-", "+"),
        server.ask("HGETALL", ABOUT[1]),
    ) == before


@pytest.mark.parametrize("key", STREAM[1:])
def test_what_is_somebody_elses_is_not_removed(server: RedisServer, key: bytes) -> None:
    server.ask("SET", key, "precious")
    with pytest.raises(Away, match="give redis a prefix of its own"):
        run(server, OPEN, STREAM, 1, BASE, EXPIRY)
    assert server.ask("GET", key) == b"precious"


def test_nothing_is_trimmed_without_a_snapshot_or_past_it(server: RedisServer) -> None:
    number = begin(server, *[b"x" * 100] * 20)
    assert trim(server, number, entries=3, size=150) == 0
    run(server, SAVE, ABOUT, number, b"snapshot")
    number = run(server, APPEND, STREAM, number, *[b"y" * 100] * 10)
    assert trim(server, number, entries=3, size=150) == 20
    assert payloads(server) == [b"x" * 100, *[b"y" * 100] * 10]


def test_trimming_by_entries(server: RedisServer) -> None:
    number = begin(server, *[b"%d" % i for i in range(30)])
    run(server, SAVE, ABOUT, number, b"snapshot")
    assert trim(server, number, entries=40) == 0
    assert trim(server, number, entries=10) == 21
    assert payloads(server) == [b"%d" % i for i in range(20, 30)]
    assert trim(server, number, entries=10) == 0


def at_times(server: RedisServer, times: list[int], size: int = 100) -> int:
    """A stream with an entry at each of these times, milliseconds ago, and a snapshot."""
    begin(server)
    seconds = server.ask("TIME")[0]
    now = int(seconds) * 1000
    server.ask("DEL", KEYS.stream("s"))
    number = BASE
    for age in times:
        number += 1
        total = (number - BASE) * size
        identity = f"{now - age}-{number}"
        server.ask("XADD", KEYS.stream("s"), identity, "d", b"x" * size, "b", str(total))
    server.ask(
        *("HSET", KEYS.about("s"), "n", str(number), "ms", str(now - times[-1]), "b"),
        str((number - BASE) * size),
    )
    run(server, SAVE, ABOUT, number, b"snapshot")
    return number


def test_trimming_by_age(server: RedisServer) -> None:
    number = at_times(server, [3 * HOUR, 2 * HOUR, HOUR // 2, 0])
    assert trim(server, number) == 2
    number = at_times(server, [3 * HOUR, 2 * HOUR])
    assert trim(server, number) == 1  # the newest stays: readers that are behind see a gap


@pytest.mark.parametrize("most", range(0, 2100, 150))
@pytest.mark.parametrize("spread", ["even", "bursts", "one time"])
def test_trimming_by_bytes(server: RedisServer, most: int, spread: str) -> None:
    times = {
        "even": list(range(20_000, 0, -1000)),
        "bursts": [60_000] * 8 + [50_000] * 8 + [3] * 4,
        "one time": [5] * 20,
    }[spread]
    number = at_times(server, times)
    trim(server, number, size=most)
    left = payloads(server)
    fits = sum(map(len, left)) <= most
    # Entries of one time stay or go together, and the newest stays.
    assert fits or len(left) == 1 or spread != "even"
    kept_times = times[-len(left) :]
    assert len(left) == 20 or fits or kept_times[0] == kept_times[-1] or len(left) == 1
    next_time = times[-len(left) - 1] if len(left) < 20 else None
    if next_time is not None:
        more = 100 * times[: 20 - len(left)].count(next_time)
        assert sum(map(len, left)) + more > most


def test_a_look_at_all(server: RedisServer) -> None:
    number = begin(server, b"one")
    keys = [KEYS.leases, KEYS.about("none"), KEYS.about("s")]
    assert server.ask(*LOOK(keys, LEASE, "none")) == [b"", b"", [-1, -1], [BASE, number]]
    take_away(server, 5)
    assert server.ask(*LOOK(keys[:1], LEASE, "none")) == [b"5 other", b""]


def test_a_stream_is_removed(server: RedisServer) -> None:
    begin(server, b"one")
    assert run(server, REMOVE, STREAM) == 2
    assert run(server, REMOVE, STREAM) == 0
