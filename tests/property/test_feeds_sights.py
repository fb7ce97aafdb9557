"""Whatever roles let clients see, however they read: each has what a snapshot says to such a role.

Nothing else is in any message that it gets, its rights may change meanwhile as often as they like.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from amiws_gevent.ami import Message
from amiws_gevent.feeds.filters import Filters
from amiws_gevent.policy import Sight
from tests.support.feeds import expected
from tests.support.feeds_game import Game, Member, play
from tests.support.plain_policy import LEVELS, showing_entity, showing_event
from tests.support.policy import sight

NUMBERS = ["201", "0301234567", "017099988877", "204"]
MASKED = ["*****4567", "******4567", "********8877"]

SEES: list[list[dict[str, Any]]] = [
    [],
    [{}],
    [{"servers": ["1"]}],
    [{"numbers": "masked", "names": "masked"}],
    [{"numbers": "none"}],
    [{"queues": ["a"]}],
    [{"queues": ["a", "b"], "numbers": "masked", "names": "masked"}, {"extensions": ["2*"]}],
    [{"contexts": ["x"]}, {"kinds": ["queue_caller"], "servers": ["Berlin"], "numbers": "masked"}],
    [{"extensions": ["0301*", "201"], "events": ["Queue*"]}],
    [{"kinds": ["channel"], "events": ["Newchannel"]}],
]
CHOICES: list[dict[str, Any]] = [
    {},
    {},
    {"server": 1},
    {"kind": "queue_caller"},
    {"queue": ["a", "c"]},
    {"extension": ["201", "204"]},
    {"extension": MASKED},
    {"extension": NUMBERS[1]},
    {"event": "QueueCallerJoin", "queue": ["a", "b"]},
    {"context": "x", "server": [1, 2]},
]


class SightGame(Game):
    choices = CHOICES
    names = ("QueueCallerJoin", "Newchannel")

    def __init__(self, sees: list[list[dict[str, Any]]]) -> None:
        super().__init__()
        self.sees = [(one, sight(*one)) for one in sees]
        self.heard: list[tuple[list[dict[str, Any]], dict[str, Any]]] = []

    def extension(self, a: int) -> str:
        return NUMBERS[a // 3 % 4]

    def key(self, a: int) -> str:
        return f"Local/{NUMBERS[a // 2 % 4]}@y-{a % 2}"

    def headers(self, a: int) -> dict[str, str]:
        number = NUMBERS[a // 5 % 4]
        return {"Channel": f"PJSIP/{number}-1", "CallerIDNum": number, "Context": "xy"[a % 2]}

    def sight(self, a: int) -> Sight:
        return self.sees[a // 7 % len(self.sees)][1]

    def change_rights(self, a: int, b: int) -> None:
        member = self.member(a)
        if member is not None:
            member.use_sight(self.sight(b))

    OPS = (*Game.OPS, change_rights)

    def see(self, member: Member) -> list[dict[str, Any]]:
        """What the role of a member shows, in the words of the configuration."""
        return next(one for one, made in self.sees if made == member.sight)

    def seen(self, member: Member, server: int, message: Message) -> Message | None:
        found = super().seen(member, server, message)
        assert bool(showing_event(self.see(member), {}, server, message)) == (found is not None)
        return found

    def hears(self, member: Member, message: dict[str, Any]) -> None:
        self.heard.append((self.see(member), message))

    def check(self) -> None:
        super().check()
        for see, message in self.heard:
            check_plainly(see, message)
        for see, made in self.sees:
            shown = expected(self.world.live, Filters(), made)
            assert Counter(key[:2] for key in shown) == self.shown_plainly(see)

    def shown_plainly(self, see: list[dict[str, Any]]) -> Counter[tuple[int, str]]:
        """How many entities a role shows, by server and kind."""
        return Counter(
            (server, kind)
            for server, served in self.world.servers.items()
            for kind in ("queue_caller", "channel")
            for fields in served.store.of(kind).values()
            if showing_entity(see, {}, server, kind, fields)
        )


def check_plainly(see: list[dict[str, Any]], message: dict[str, Any]) -> None:
    """What a role shows at all, in a few words that know nothing of the policy."""
    text = json.dumps({**message, "position": ""})
    if see and all(one.get("numbers", "whole") != "whole" for one in see):
        assert NUMBERS[1] not in text
        assert NUMBERS[2] not in text
    told = [*message.get("set", ()), *message.get("items", ())]
    if not see:
        assert not told
        assert message["op"] != "event"
        assert not message.get("unset")
    if see == [{"servers": ["1"]}]:
        assert {one["server"] for one in [*told, *message.get("unset", ())]} <= {1}
        assert message.get("server", 1) == 1
        assert message.get("message", {}).get("server_id", 1) == 1
    if see == [{"queues": ["a"]}]:
        assert {one["kind"] for one in told} <= {"queue_caller"}
        assert {one.get("queue", "a") for one in told} <= {"a"}
        if message["op"] == "event":
            assert message["message"]["data"]["Queue"] == "a"


moves = st.lists(st.tuples(*[st.integers(0, 1000)] * 3), min_size=60, max_size=200)
LIMITS = {
    "servers": ["1", "Berlin"],
    "kinds": ["queue_caller", "channel"],
    "events": ["Queue*", "Newchannel"],
    "queues": ["a", "b", "[bc]"],
    "extensions": [*NUMBERS, "2*", "0*"],
    "contexts": ["x", "y"],
}
random_see = st.fixed_dictionaries(
    {"numbers": st.sampled_from(LEVELS)},
    optional={name: st.lists(st.sampled_from(of), min_size=1) for name, of in LIMITS.items()},
)
roles = st.lists(
    st.sampled_from(SEES) | st.lists(random_see, min_size=1, max_size=2), min_size=1, max_size=4
)


@settings(max_examples=150, deadline=None)
@given(sees=roles, moves=moves)
def test_in_the_end_each_client_has_what_it_may_see(
    sees: list[list[dict[str, Any]]], moves: list[tuple[int, int, int]]
) -> None:
    play(SightGame(sees), moves)


def test_what_is_dropped_twice_amid_a_flush_is_told_twice() -> None:
    put, join, flush, say, overload = 0, 12, 8, 5, 28
    game = SightGame([[{"contexts": ["x"]}]])
    moves = [(put, 0, 0), (join, 0, 0), (flush, 0, 0), (say, 0, 0), (overload, 0, 7), (say, 0, 0)]
    play(game, [*moves, (overload, 0, 0)])
    assert [told["reason"] for _, told in game.heard if told["op"] == "gap"] == ["busy"] * 2
