"""Random roles, entities and events, against the plain filter of `plain_policy`."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from amiws_gevent.ami import Kind, Message
from tests.support.plain_policy import (
    KNOWN,
    LEVELS,
    See,
    is_whole,
    level,
    showing_entity,
    showing_event,
)
from tests.support.policy import SERVERS, action, policy

QUEUES = ["support", "sales"]
SHORT = ["201", "204", "9"]
LONG = ["0301234567", "+49301112223", "017099988877"]
CONTEXTS = ["internal", "outbound"]
NAMES = ["Alice Secret", "Bob Hidden"]
DEVICES = ["PJSIP/201", "Local/0301234567@internal", "SIP/017099988877"]


def _some(values: list[str]) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(values), min_size=1, max_size=2)


LIMITS = {
    "servers": _some(["1", "Berlin", "pbx*"]),
    "kinds": _some(["call", "queue", "queue_member", "channel", "device"]),
    "events": _some(["Queue*", "Newchannel", "VarSet", "New*"]),
    "queues": _some([*QUEUES, "s*", "{user.queues}"]),
    "extensions": _some([*SHORT, *LONG, "2*", "{user.extension}"]),
    "contexts": _some([*CONTEXTS, "*bound"]),
}
# Few limits and any level, so that several mappings often show the same thing, each more or less.
SEE = st.builds(
    operator.or_,
    st.lists(st.sampled_from(sorted(LIMITS)), max_size=2, unique=True).flatmap(
        lambda names: st.fixed_dictionaries({name: LIMITS[name] for name in names})
    ),
    st.fixed_dictionaries({"numbers": st.sampled_from(LEVELS), "names": st.sampled_from(LEVELS)}),
)
ROLE = st.lists(SEE, max_size=3)
USER = st.fixed_dictionaries({"queues": _some(QUEUES), "extension": _some([*SHORT, *LONG])})

NUMBER = st.sampled_from([*SHORT, *LONG, None])
NAME = st.sampled_from([*NAMES, LONG[0], None])  # who has no name is shown by the number
PERSON = st.fixed_dictionaries(
    {"number": NUMBER, "name": NAME, "channel": st.just("1795371260.16")}
)
ENTITIES = st.one_of(
    st.tuples(
        st.just("call"),
        st.fixed_dictionaries(
            {
                "caller": PERSON | st.none(),
                "ringing": st.lists(PERSON, max_size=2),
                "dialled": NUMBER,
                "queue": st.sampled_from(QUEUES) | st.none(),
                "phase": st.just("talking"),
                "by_a_plugin": NUMBER,
            }
        ),
    ),
    st.tuples(
        st.just("queue_member"),
        st.fixed_dictionaries(
            {
                "queue": st.sampled_from(QUEUES),
                "interface": st.sampled_from(DEVICES),
                "reason": NAME,
                "paused": st.booleans(),
            }
        ),
    ),
    st.tuples(
        st.just("channel"),
        st.fixed_dictionaries(
            {
                "name": st.sampled_from(DEVICES),
                "caller_number": NUMBER,
                "connected_name": NAME,
                "exten": NUMBER,
                "context": st.sampled_from(CONTEXTS),
            }
        ),
    ),
    st.tuples(st.just("device"), st.fixed_dictionaries({"device": st.sampled_from(DEVICES)})),
)
EVENTS = st.builds(
    lambda name, headers: Message(
        Kind.EVENT, {"Event": name, **{n: v for n, v in headers.items() if v is not None}}
    ),
    st.sampled_from([*KNOWN, "VarSet", "UserEvent", "Invented"]),
    st.fixed_dictionaries(
        {
            "Queue": st.sampled_from([*QUEUES, None]),
            "CallerIDNum": NUMBER,
            "CallerIDName": NAME,
            "DestExten": NUMBER,
            "Context": st.sampled_from([*CONTEXTS, None]),
            "Channel": st.sampled_from(DEVICES),
            "Value": NUMBER,
            "AppData": NAME,
            "Whatever": NUMBER,
        }
    ),
)


def hides(shown: str, sees: Sequence[See]) -> None:
    """Nothing in a text that the mappings which show it do not allow together."""
    if level(sees, "numbers"):
        assert not [number for number in LONG if number.lstrip("+") in shown], shown
    if level(sees, "names"):
        assert not [name for name in NAMES if name.split()[1] in shown], shown


def as_number(value: str | None, sees: Sequence[See], shown: str | None) -> bool:
    """Whether that is shown of a number: what the most of the mappings allow, and no less."""
    allowed = LEVELS[level(sees, "numbers")]
    if value is None or allowed == "whole":
        return shown == value
    if allowed == "none":
        return shown is None
    return shown == value if value in SHORT else is_masked(value, shown)


def is_masked(value: str, shown: str | None) -> bool:
    return shown is not None and "*" in shown and shown[-4:] == value[-4:]


def as_dialled(value: str | None, sees: Sequence[See], shown: str | None) -> bool:
    """The same for what was dialled: extensions stay."""
    return shown == value if value in SHORT else as_number(value, sees, shown)


def as_name(value: str | None, sees: Sequence[See], shown: str | None) -> bool:
    """The same for a name, which may be a number."""
    allowed = LEVELS[level(sees, "names")]
    if value in LONG and allowed == "whole":
        return as_dialled(value, sees, shown)
    if value is None or allowed == "whole":
        return shown == value
    return shown is None if allowed == "none" else shown == "***"


AS = {
    **dict.fromkeys(("caller_number", "CallerIDNum"), as_number),
    **dict.fromkeys(("exten", "dialled", "DestExten"), as_dialled),
    **dict.fromkeys(("connected_name", "CallerIDName"), as_name),
}
"""By field of an entity and header of an event."""


@settings(max_examples=400)
@given(ROLE, USER, st.sampled_from(sorted(SERVERS)), ENTITIES)
def test_entities(
    role: list[dict[str, Any]],
    user: dict[str, Any],
    server: int,
    entity: tuple[str, dict[str, Any]],
) -> None:
    kind, fields = entity
    rights = policy({"a": {"see": role}}, users={"u": {"roles": "a", **user}}).rights("u")
    key = f"{fields.get('queue')}|{fields.get('interface') or fields.get('device') or 'x'}"
    showing = showing_entity(role, user, server, kind, fields)
    found = rights.entity(kind, server, key, fields)
    assert (found is not None) == bool(showing)
    if found is None:
        return
    shown_key, shown = found
    assert set(shown) == set(fields)
    hides(str(shown), showing)
    for name, fits in AS.items():
        assert fits(fields.get(name), showing, shown.get(name)), name
    if caller := fields.get("caller"):
        assert as_number(caller["number"], showing, shown["caller"]["number"])
        assert as_name(caller["name"], showing, shown["caller"]["name"])
    if all(level([see], "numbers") == 0 for see in role):
        assert shown_key == key
    if all(level([see], which) == 0 for see in role for which in ("numbers", "names")):
        assert shown is fields
    if any(level([see], "numbers") for see in role):
        ids = str([shown_key, *map(shown.get, ("name", "interface", "device"))])
        assert not [number for number in LONG if number.lstrip("+") in ids]
    taken = rights.take_back(action("QueuePause", Interface=shown_key))
    assert dict(taken)["Interface"] == key


@settings(max_examples=400)
@given(ROLE, USER, st.sampled_from(sorted(SERVERS)), EVENTS)
def test_events(
    role: list[dict[str, Any]], user: dict[str, Any], server: int, message: Message
) -> None:
    rights = policy({"a": {"see": role}}, users={"u": {"roles": "a", **user}}).rights("u")
    showing = showing_event(role, user, server, message)
    found = rights.message(server, message)
    assert rights.sight.sees(server, message) == (found is not None)
    assert (found is not None) == bool(showing)
    if found is None:
        return
    assert found.name == message.name
    hides(str(found.headers), showing)
    if any(level([see], "numbers") for see in role):
        assert not [number for number in LONG if number.lstrip("+") in str(found.get("Channel"))]
    for header, fits in AS.items():
        assert fits(message.get(header), showing, found.get(header)), header
    assert {header for header, _ in found.headers} <= {header for header, _ in message.headers}
    if is_whole(showing):
        assert found.get("Value") == message.get("Value")
    else:
        assert not {"Value", "AppData", "Whatever"} & {header for header, _ in found.headers}


@settings(max_examples=200)
@given(ROLE, st.randoms(use_true_random=False), USER)
def test_the_order_of_a_role_means_nothing(
    role: list[dict[str, Any]], random: Any, user: dict[str, Any]
) -> None:
    other = [*role, *role[:1]]
    random.shuffle(other)
    made = policy({"a": {"see": role}}, users={"u": {"roles": "a", **user}}).rights("u")
    again = policy({"a": {"see": other}}, users={"u": {"roles": "a", **user}}).rights("u")
    assert made == again
    assert hash(made) == hash(again)
    assert made.sight == again.sight
