"""Who can hear whom, and who rings for whom."""

from __future__ import annotations

from amiws_gevent.state.company import company_of
from amiws_gevent.state.people import Call, Leg
from amiws_gevent.state.store import Store

BLANK = {"caller_number": None, "application": None, "created": 0, "bridge": None}


def call_of(store: Store, **channels: tuple[str, str, str | None]) -> dict[str, Leg]:
    """Legs by key, of channels with name, state and bridge."""
    call = Call("c", 0)
    for key, (name, state, bridge) in channels.items():
        fields = {**BLANK, "name": name, "state": state, "bridge": bridge}
        store.put("channel", key, **fields)
        call.legs[key] = Leg(key, store.entities("channel")[key], call)
        if bridge is not None:
            known = store.get("bridge", bridge) or {"members": []}
            store.put("bridge", bridge, members=[*known["members"], key])
    return call.legs


def keys(legs: list[Leg]) -> set[str]:
    return {leg.key for leg in legs}


def test_those_of_one_bridge_hear_each_other() -> None:
    store = Store()
    legs = call_of(store, a=("S/1-1", "up", "b"), b=("S/2-1", "up", "b"), c=("S/3-1", "up", "d"))
    talking, ringing = company_of(legs["a"], store)
    assert (keys(talking), keys(ringing)) == ({"b"}, set())


def test_sound_goes_through_both_halves_of_a_local_channel() -> None:
    store = Store()
    legs = call_of(
        store,
        a=("S/1-1", "up", "b"),
        one=("Local/2@x-0;1", "up", "b"),
        two=("Local/2@x-0;2", "up", "d"),
        c=("S/3-1", "up", "d"),
    )
    legs["one"].half, legs["two"].half = legs["two"], legs["one"]
    assert keys(company_of(legs["a"], store).talking) == {"c"}


def test_those_that_were_dialled_ring_until_they_are_up() -> None:
    store = Store()
    legs = call_of(store, a=("S/1-1", "ring", None), b=("S/2-1", "down", None))
    legs["b"].dialled_by = "a"
    assert keys(company_of(legs["a"], store).ringing) == {"b"}
    assert keys(company_of(legs["b"], store).ringing) == {"a"}
    store.put("channel", "b", state="up")
    assert keys(company_of(legs["a"], store).talking) == {"b"}


def test_in_11_two_are_bridged_by_pairs() -> None:
    store = Store()
    legs = call_of(store, a=("S/1-1", "up", None), b=("S/2-1", "up", None))
    legs["a"].peer, legs["b"].peer = "b", "a"
    assert keys(company_of(legs["a"], store).talking) == {"b"}
    assert company_of(call_of(store, x=("S/9-1", "up", None))["x"], store) == ([], [])
