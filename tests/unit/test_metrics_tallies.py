"""What is counted of queues and trunks: by what servers say, with a bound on the names."""

from __future__ import annotations

from typing import Any

import gevent
import pytest

from amiws_gevent.link import LinkState
from amiws_gevent.metrics import tallies
from amiws_gevent.metrics.tallies import OTHERS, Tally, tally_all
from amiws_gevent.state.store import Store
from tests.support.assembly import Assembly
from tests.support.fed import event


def connected(servers: int = 1) -> Assembly:
    assembly = Assembly(servers)
    for link in assembly.links.values():
        link.state = LinkState.CONNECTED
    return assembly


@pytest.fixture
def assembly() -> Assembly:
    return connected()


def store_of(assembly: Assembly, server: int = 1) -> Store:
    return assembly.live.servers[server].store


def listed(assembly: Assembly, action: str, *items: Any) -> None:
    (live,) = assembly.live.followed
    live.listed(action, items, live.offset, heals=False)


def tally(assembly: Assembly) -> Tally:
    (found,) = tally_all(assembly._measured())
    return found


def member(number: int, **headers: object) -> Any:
    base = {"Queue": "sales", "Name": "Anna", "Location": f"SIP/{number}", "Status": 1, "Paused": 0}
    return event("QueueMember", **{**base, **headers})


def caller(number: int, wait: int, queue: str = "sales") -> Any:
    return event("QueueEntry", Queue=queue, Uniqueid=f"{number}.1", Position=number, Wait=wait)


class TestQueues:
    def test_waiting_members_and_the_figures_of_the_day(self, assembly: Assembly) -> None:
        listed(
            assembly,
            "QueueStatus",
            event("QueueParams", Queue="sales"),
            event("QueueParams", Queue="empty"),
            member(1),
            member(2, Paused=1),
            member(3, Status=2, InCall=1),
            member(4, Status=5),
            member(5, Status=99),
            caller(1, 70),
            caller(2, 10),
        )
        (live,) = assembly.live.followed
        figures = live.model.queues.figures
        figures.answered("sales", "8.1", 15)
        figures.answered("sales", "9.1", 25)
        figures.abandoned("sales", "7.1", 90, {})
        live.tick()
        live.model.queues.interrupted(live.model.queues.now)
        sales = tally(assembly).queues["sales"]
        assert (sales.waiting, sales.entered, sales.answered) == (2, 2, 2)
        assert (sales.answered_in_level, sales.abandoned) == (1, 1)
        assert sales.longest_wait_of_day == 90
        assert 70 <= sales.longest_wait < 80
        assert dict(sales.states) == {"idle": 2, "in_use": 1, "unavailable": 1, "unknown": 1}
        assert (sales.paused, sales.free) == (1, 1)
        empty = tally(assembly).queues["empty"]
        assert (empty.waiting, empty.longest_wait, empty.free) == (0, 0, 0)
        assert tally(assembly).service_level == 20

    def test_the_first_have_names_and_the_rest_one_together(
        self, assembly: Assembly, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(tallies, "MOST_QUEUES", 2)
        queues = [event("QueueParams", Queue=name) for name in ("d", "c", "b", "a")]
        waiting = [caller(1, 5, "c"), caller(2, 50, "b"), caller(3, 40, "a")]
        listed(assembly, "QueueStatus", *queues, *waiting, member(1, Queue="a"))
        found = tally(assembly).queues
        assert list(found) == ["d", "c", OTHERS]
        assert found["c"].waiting == 1
        assert found[OTHERS].waiting == found[OTHERS].entered == 2
        assert 50 <= found[OTHERS].longest_wait < 60
        assert found[OTHERS].free == 1

    def test_servers_share_the_bound(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(tallies, "MOST_QUEUES", 4)
        assembly = connected(servers=2)
        for live in assembly.live.followed:
            queues = [event("QueueParams", Queue=f"q{number}") for number in range(5)]
            live.listed("QueueStatus", queues, live.offset, heals=False)
        found = tally_all(assembly._measured())
        assert [list(one.queues) for one in found] == [["q0", "q1", OTHERS]] * 2

    def test_a_queue_called_like_the_rest_is_of_the_rest(self, assembly: Assembly) -> None:
        listed(assembly, "QueueStatus", event("QueueParams", Queue=OTHERS))
        assert list(tally(assembly).queues) == [OTHERS]


def peer(name: str, **fields: Any) -> dict[str, Any]:
    return {"name": name, "technology": "SIP", "status": "reachable", "latency": None, **fields}


class TestTrunks:
    def test_phones_are_none(self, assembly: Assembly) -> None:
        store = store_of(assembly)
        for name in ("201", "carrier", "1234567"):
            store.put("peer", f"SIP/{name}", **peer(name))
        assert list(tally(assembly).trunks) == ["carrier", "1234567"]

    @pytest.mark.parametrize(
        ("status", "down"),
        [("reachable", 0), ("lagged", 0), ("unmonitored", 0), ("unreachable", 1), ("unknown", 1)],
    )
    def test_a_peer_is_down_unless_it_is_known_to_be_there(
        self, assembly: Assembly, status: str, down: int
    ) -> None:
        store_of(assembly).put("peer", "SIP/carrier", **peer("carrier", status=status))
        assert tally(assembly).trunks["carrier"].down == down

    @pytest.mark.parametrize(
        ("state", "contacts", "down"),
        [
            ("idle", [], 0),
            ("in_use", ["reachable"], 0),
            ("idle", ["unreachable", "reachable"], 0),
            ("idle", ["unreachable", "unreachable"], 1),
            ("idle", ["unqualified"], 0),
            ("unavailable", [], 1),
        ],
    )
    def test_an_endpoint_is_down_by_its_state_or_if_no_contact_answers(
        self, assembly: Assembly, state: str, contacts: list[str], down: int
    ) -> None:
        store = store_of(assembly)
        store.put("endpoint", "carrier", name="carrier", state=state)
        for number, status in enumerate(contacts):
            fields = {"endpoint": "carrier", "status": status, "latency_us": None}
            store.put("contact", f"carrier|{number}", **fields)
        assert tally(assembly).trunks["carrier"].down == down

    def test_the_slowest_answer_is_told_in_seconds(self, assembly: Assembly) -> None:
        store = store_of(assembly)
        store.put("peer", "SIP/one", **peer("one", latency=250))
        store.put("peer", "SIP/two", **peer("two"))
        store.put("endpoint", "three", name="three", state="idle")
        for number, latency in enumerate((20_000, 40_000)):
            fields = {"endpoint": "three", "status": "reachable", "latency_us": latency}
            store.put("contact", f"three|{number}", **fields)
        found = {name: trunk.latency for name, trunk in tally(assembly).trunks.items()}
        assert found == {"one": 0.25, "two": None, "three": 0.04}

    def test_calls_and_those_through_what_is_no_peer(self, assembly: Assembly) -> None:
        store = store_of(assembly)
        store.put("peer", "SIP/carrier", **peer("carrier"))
        for number, trunk in enumerate(["carrier", "carrier", None, "i1", "203.0.113.7"]):
            store.put("call", f"{number}.1", trunk=trunk)
        found = {name: trunk.calls for name, trunk in tally(assembly).trunks.items()}
        assert found == {"carrier": 2, OTHERS: 2}

    def test_the_first_have_names_and_the_rest_one_together(
        self, assembly: Assembly, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(tallies, "MOST_TRUNKS", 1)
        store = store_of(assembly)
        for name, status in (("one", "reachable"), ("two", "unknown"), ("three", "unknown")):
            store.put("peer", f"SIP/{name}", **peer(name, status=status))
        found = {name: trunk.down for name, trunk in tally(assembly).trunks.items()}
        assert found == {"one": 0, OTHERS: 2}

    def test_registrations_have_the_name_of_the_section_or_user_and_host(
        self, assembly: Assembly
    ) -> None:
        store = store_of(assembly)
        said = {"technology": "SIP", "username": "u", "domain": "d.example"}
        store.put("registration", "a", **said, name=None, status="registered")
        store.put("registration", "b", **said, name="carrier", status="rejected")
        assert tally(assembly).registrations == {"u@d.example": 0, "carrier": 1}


def test_a_server_that_is_not_connected_tells_nothing(assembly: Assembly) -> None:
    listed(assembly, "QueueStatus", event("QueueParams", Queue="sales"))
    assembly.links[1].state = LinkState.WAITING
    assert tally_all(assembly._measured()) == []


def test_others_have_their_turn_and_may_remove_what_is_counted(assembly: Assembly) -> None:
    store = store_of(assembly)
    for number in range(3 * tallies.ENTITIES_PER_TURN):
        store.put("call", f"{number}.1", trunk="carrier")
    removed = []

    def end_calls() -> None:
        for number in range(2 * tallies.ENTITIES_PER_TURN, 3 * tallies.ENTITIES_PER_TURN):
            removed.append(store.remove("call", f"{number}.1"))

    other = gevent.spawn(end_calls)
    found = tally(assembly)
    assert other.ready()
    assert all(removed)
    assert found.trunks[OTHERS].calls == 2 * tallies.ENTITIES_PER_TURN
