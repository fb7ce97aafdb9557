"""Metrics of a collector and its edges."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import pytest

from amiws_gevent.metrics import Metrics
from tests.support.assembly import Assembly


@pytest.fixture
def assembly() -> Assembly:
    return Assembly()


class TestBus:
    def test_what_a_collector_or_an_edge_has_of_it(self) -> None:
        assembly = Assembly()
        counts = {"held": {}, "refusals": 0, "dropped": 0, "waiting": 0, "unshared": 3}
        bus = SimpleNamespace(
            process="edge", up=True, lost=2, lag=lambda: {"server-1": 7}, **counts
        )
        measured = dataclasses.replace(assembly._measured(), bus=bus)
        assembly.metrics = Metrics(measured)
        assert assembly.value("amiws_bus_up", "edge") == 1
        assert assembly.value("amiws_bus_losses_total", "edge") == 2
        assert assembly.value("amiws_bus_lag_entries", "server-1") == 7
        assert assembly.value("amiws_bus_unshared_total", "edge") == 3
        assert ("amiws_bus_waiting_bytes", "edge") not in assembly.samples()
        counts = {"held": {"server-1": 9}, "refusals": 1, "dropped": 2, "waiting": 3, "unshared": 0}
        bus = SimpleNamespace(process="collector", up=True, lost=0, lag=dict, **counts)
        assembly.metrics = Metrics(dataclasses.replace(measured, bus=bus))
        assert assembly.value("amiws_bus_lease_term", "server-1") == 9
        assert assembly.value("amiws_bus_refusals_total", "collector") == 1
        assert assembly.value("amiws_bus_dropped_entries_total", "collector") == 2
        assert assembly.value("amiws_bus_waiting_bytes", "collector") == 3
