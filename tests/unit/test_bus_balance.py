"""Which leases a collector takes, and which it yields."""

from __future__ import annotations

import random
from collections.abc import Collection

import pytest

from amiws_gevent.bus.balance import LOW, RICH, Balance, Free, Member

TIME = 10.0
NAMES = [f"server-{i:02}" for i in range(10)]


def made(wanted: Collection[str] = NAMES, me: str = "a") -> Balance:
    balance = Balance(me, TIME, {"program"})
    balance.wanted = frozenset(wanted)
    return balance


def others(**takes: str) -> dict[str, Member]:
    return {name: Member.of(text) for name, text in takes.items()}


def free(names: Collection[str], since: float = 0.0) -> list[Free]:
    return [Free(name, since) for name in names]


def test_who_is_there_alone_takes_all() -> None:
    assert sorted(made().takes(free([*NAMES, "unknown"]), [], 0.0)) == NAMES


def test_each_takes_its_share_and_what_others_leave() -> None:
    balance = made()
    balance.meet(others(a="", b="", c=""), 0.0)
    assert len(balance.takes(free(NAMES), [], 0.0)) == 4
    assert len(balance.takes(free(NAMES[2:]), NAMES[:2], 0.0)) == 2
    assert balance.takes(free(NAMES[4:]), NAMES[:4], TIME - 0.1) == []
    assert sorted(balance.takes(free(NAMES[4:]), NAMES[:4], TIME)) == NAMES[4:]


def test_they_begin_at_different_ones() -> None:
    taken = []
    for me in "ab":
        balance = made(me=me)
        balance.meet(others(a="", b=""), 0.0)
        taken.append(set(balance.takes(free(NAMES), [], 0.0)))
    assert taken[0] | taken[1] == set(NAMES)


def test_who_has_enough_leaves_what_is_free_to_who_has_too_few() -> None:
    balance = made()
    balance.meet(others(b="low server-09", c=""), 0.0)
    assert balance.takes(free(NAMES[9:]), NAMES[:3], 0.0) == []
    assert balance.takes(free(NAMES[9:]), NAMES[:2], 0.0) == ["server-09"]
    assert balance.takes(free(NAMES[9:]), NAMES[:3], TIME) == ["server-09"]


def test_what_makes_no_work_is_not_counted() -> None:
    balance = made([*NAMES, "program"])
    balance.meet(others(b="low program"), 0.0)
    assert balance.takes(free(["program"]), NAMES, 0.0) == ["program"]
    assert balance.yields([*NAMES, "program"], 100.0) is None
    assert balance.member(["program"]) == Member(LOW, frozenset(NAMES))


def test_who_has_too_few_says_what_it_would_take() -> None:
    balance = made()
    balance.meet(others(b=""), 0.0)
    told = balance.member(NAMES[:4])
    assert told == Member(LOW, frozenset(NAMES[4:]))
    assert Member.of(told.encode()) == told
    assert balance.member(NAMES[:6]) == Member(RICH)
    assert balance.member(NAMES[:5]) == Member() == Member.of(Member().encode())


def test_one_is_yielded_at_a_time_once_nobody_has_come_or_gone_for_long() -> None:
    balance = made()
    balance.meet(others(b="low server-03 server-04"), 100.0)
    assert balance.yields(NAMES, 100.0 + 3 * TIME - 0.1) is None
    balance.meet(others(b="low server-03 server-04 server-05"), 129.0)  # no other member
    assert balance.yields(NAMES, 130.0) == "server-03"
    assert balance.yields(NAMES, 139.9) is None
    assert balance.yields(NAMES[4:], 140.0) == "server-04"
    balance.meet(others(b="low server-05", c=""), 150.0)
    assert balance.yields(NAMES, 150.0) is None


def test_nothing_is_yielded_that_others_do_not_want_or_that_makes_them_have_more() -> None:
    balance = made()
    balance.meet(others(b="low elsewhere", c=""), 0.0)
    assert balance.yields(NAMES, 100.0) is None
    balance.meet(others(b="low server-00", c=""), 0.0)
    assert balance.yields(NAMES[:3], 100.0) is None
    assert balance.yields(NAMES[:4], 100.0) == "server-00"


def test_who_has_more_than_its_share_yields_to_who_could_have_one_more() -> None:
    balance = made()
    balance.meet(others(b=" server-00", c=""), 0.0)
    assert balance.yields(NAMES[:4], 100.0) is None
    assert balance.yields(NAMES[:5], 100.0) == "server-00"
    balance.meet(others(b="rich", c=""), 200.0)
    assert balance.member(NAMES[:3]) == Member("", frozenset(NAMES[3:]))
    assert balance.member(NAMES[:4]) == Member()


def test_what_was_given_back_is_left_to_others_for_a_while() -> None:
    balance = made()
    balance.meet(others(b=""), 0.0)
    balance.leave("server-00", 0.0)
    assert balance.takes(free(["server-00"]), [], TIME - 0.1) == []
    assert balance.takes(free(["server-00"]), [], TIME) == ["server-00"]
    balance.leave("server-00", TIME)
    balance.meet({}, TIME)  # nobody else is there any more
    assert balance.takes(free(["server-00"], TIME), [], TIME) == ["server-00"]


def test_who_comes_first_where_others_were_lately_leaves_them_their_share_for_a_while() -> None:
    balance = made()
    balance.meet(others(a="low"), 0.0, gone=3)
    assert len(balance.takes(free(NAMES), [], 0.0)) == 4
    balance.meet(others(a="", b="low"), 1.0, gone=2)
    assert balance.takes(free(NAMES[4:]), NAMES[:4], 1.0) == []  # the third may come
    assert balance.takes(free(NAMES[9:]), NAMES[:4], TIME) == NAMES[9:]
    balance.meet(others(a=""), TIME, gone=2)
    assert balance.takes(free(NAMES[4:], TIME), NAMES[:4], TIME) == NAMES[4:]


def test_who_was_there_before_others_have_gone_takes_theirs_at_once() -> None:
    balance = made()
    balance.meet(others(a="low", b=""), 0.0)
    balance.meet(others(a="low"), 1.0, gone=1)
    assert sorted(balance.takes(free(NAMES), [], 1.0)) == NAMES


@pytest.mark.parametrize("seed", range(20))
def test_any_number_come_to_have_as_many_and_then_nothing_moves(seed: int) -> None:
    """Each sees only what the others told last. All want the same, or each a part of it."""
    chance = random.Random(seed)
    names = [f"s{i:02}" for i in range(chance.randint(0, 25))]
    same = seed % 2 == 0
    members = [f"m{i}" for i in range(chance.randint(1, 5))]
    balances = {}
    for me in members:
        wanted = names if same else chance.sample(names, chance.randint(0, len(names)))
        balances[me] = Balance(me, TIME)
        balances[me].wanted = frozenset(wanted)
    holder = {name: chance.choice([None, *members]) for name in names}
    told: dict[str, Member] = {}
    since = dict.fromkeys(names, 0.0)
    moves = 0
    for step in range(600):
        now = float(step)
        for me in chance.sample(members, len(members)):
            balance = balances[me]
            held = [name for name in names if holder[name] == me]
            for name in set(held) - balance.wanted:
                holder[name], since[name] = None, now
            held = [name for name in held if holder[name] == me]
            told[me] = balance.member(held)
            balance.meet(dict(told), now)
            there = [Free(name, since[name]) for name in names if holder[name] is None]
            for name in balance.takes(there, held, now):
                holder[name] = me
                moves = step
            given = balance.yields([name for name in names if holder[name] == me], now)
            if given is not None:
                balance.leave(given, now)
                holder[given], since[given] = None, now
                moves = step
    assert moves < 500
    wanted_by = {name for one in balances.values() for name in one.wanted}
    assert {name for name, one in holder.items() if one is not None} == wanted_by
    counts = [sum(one == me for one in holder.values()) for me in members]
    assert not same or max(counts) - min(counts) <= 1
