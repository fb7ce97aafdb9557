"""What is rendered is well-formed, and rendering holds nobody up."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import gevent
import pytest
from prometheus_client import ProcessCollector
from prometheus_client.parser import text_string_to_metric_families as parse_text

from amiws_gevent.metrics import FAMILIES
from amiws_gevent.metrics.collector import SAMPLES_PER_TURN
from amiws_gevent.metrics.telephony import TALLY_FAMILIES
from amiws_gevent.runtime.loop import PauseMeter
from tests.support.assembly import Assembly
from tests.support.patience import WAIT

OPENMETRICS = "application/openmetrics-text; version=1.0.0"


@pytest.fixture
def assembly() -> Assembly:
    return Assembly()


class TestForm:
    def test_both_formats_say_the_same(self, assembly: Assembly) -> None:
        plain, openmetrics = assembly.samples(), assembly.samples(OPENMETRICS)
        assert {key for key in plain if key[0].startswith("amiws_")} == {
            key for key in openmetrics if key[0].startswith("amiws_")
        }
        body, content_type = assembly.metrics.render(OPENMETRICS)
        assert content_type.startswith("application/openmetrics-text; version=1.0.0")
        assert body.endswith(b"# EOF\n")
        body, content_type = assembly.metrics.render("*/*")
        assert content_type.startswith("text/plain; version=0.0.4")
        assert body.startswith(
            b"# HELP amiws_build_info The running version, in the labels; always 1.\n# TYPE "
        )

    def test_what_only_grows_is_a_counter_and_the_rest_gauges(self, assembly: Assembly) -> None:
        body, _ = assembly.metrics.render("")
        assert b"# TYPE amiws_deliveries_total counter\namiws_deliveries_total 0.0\n" in body
        assert b"# TYPE amiws_hub_pending_bytes gauge\namiws_hub_pending_bytes 0.0\n" in body

    def test_every_family_has_a_sample_or_is_of_plugins(self, assembly: Assembly) -> None:
        names = {name for name, _ in assembly.samples()}
        missing = {family.name for family in FAMILIES} - names
        missing.remove("amiws_accept_pauses_total")
        missing.remove("amiws_state_healed_total")  # of kinds that had to be
        missing.remove("amiws_user_lost_messages_total")
        missing -= {family.name for family in TALLY_FAMILIES}  # of servers that are connected
        assert all(name.startswith(("amiws_plugin_", "amiws_bus_")) for name in missing)

    def test_two_programs_in_one_process_do_not_meet(self) -> None:
        one, other = Assembly(), Assembly()
        one.hub.published_messages = 1
        assert one.value("amiws_messages_published_total") == 1
        assert other.value("amiws_messages_published_total") == 0
        assert one.metrics.registry is not other.metrics.registry


@pytest.fixture
def large() -> Assembly:
    assembly = Assembly(servers=200)
    assembly.clients += [
        SimpleNamespace(pending_bytes=size, compressed=True) for size in range(5000)
    ]
    return assembly


class TestCost:
    """With the clock of the meter on the thread's CPU time: a busy machine is no pause."""

    @pytest.mark.parametrize("accept", ["", OPENMETRICS])
    def test_200_servers_and_5000_clients_do_not_hold_the_loop(
        self, large: Assembly, accept: str
    ) -> None:
        longest = []
        while not longest or (min(longest) >= 0.010 and len(longest) < 20):
            pauses = PauseMeter(time.thread_time)
            pauses.start()
            body, _ = gevent.spawn(large.metrics.render, accept).get()
            gevent.sleep(0.001)
            pauses.stop()
            assert body.count(b"\n") > 4000
            assert pauses.turns > 4000 / SAMPLES_PER_TURN
            longest.append(pauses.longest)
        # 2 ms here; what is asked for is 10 ms. The shortest, since others add to some: a
        # slower machine, and a collection of the garbage that earlier tests left.
        assert min(longest) < 0.010

    def test_others_run_while_the_process_is_looked_at(
        self, assembly: Assembly, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """With many descriptors that takes long, and no part of it passes the event loop."""
        turns = []

        def slow(collector: ProcessCollector) -> list[Any]:
            end = time.monotonic() + WAIT
            while len(turns) < 5 and time.monotonic() < end:
                time.sleep(0.001)
            return []

        def run() -> None:
            while True:
                turns.append(time.monotonic())
                gevent.sleep(0.001)

        monkeypatch.setattr(ProcessCollector, "collect", slow)
        other = gevent.spawn(run)
        assembly.metrics.render("")
        other.kill()
        assert len(turns) >= 5

    def test_servers_and_clients_may_come_and_go_while_it_is_rendered(
        self, large: Assembly
    ) -> None:
        rendering = gevent.spawn(large.metrics.render, "")
        while not rendering.ready():
            gevent.sleep(0.001)
            if large.links:
                number, _ = large.links.popitem()
                del large.sources[number]
                large.clients.pop()
        assert not large.links or len(large.links) < 200
        parsed = list(parse_text(rendering.get()[0].decode()))
        assert len(parsed) > len(FAMILIES) - 10


def test_reading_changes_nothing(assembly: Assembly) -> None:
    def settled(read: Callable[[], dict[tuple[str, str], float]]) -> dict[tuple[str, str], float]:
        return {key: value for key, value in read().items() if key[0].startswith("amiws_")}

    assert settled(assembly.samples) == settled(assembly.samples)
