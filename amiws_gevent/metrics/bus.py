"""Metrics of a collector and its edges. A process that is alone has none."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator

from amiws_gevent.config.fields import COLLECTOR, PROCESSES
from amiws_gevent.metrics.measured import Family, Measured, OnBus, Values


def _by_process(
    read: Callable[[OnBus], float], kinds: Collection[str] = PROCESSES
) -> Callable[[Measured], Iterator[Values]]:
    """A value of such processes, with the label ``process``."""

    def values(measured: Measured) -> Iterator[Values]:
        if measured.bus is not None and measured.bus.process in kinds:
            yield (measured.bus.process,), read(measured.bus)

    return values


def _of_collector(read: Callable[[OnBus], float]) -> Callable[[Measured], Iterator[Values]]:
    return _by_process(read, (COLLECTOR,))


def _lag(measured: Measured) -> Iterator[Values]:
    if measured.bus is not None:
        for stream, entries in list(measured.bus.lag().items()):
            yield (stream,), entries


def _leases(measured: Measured) -> Iterator[Values]:
    if measured.bus is not None:
        for lease, term in list(measured.bus.held.items()):
            yield (lease,), term


FAMILIES = (
    Family(
        "amiws_bus_up",
        "1 if this collector holds a lease, or this edge hears a collector, else 0.",
        ("process",),
        _by_process(lambda bus: bus.up),
    ),
    Family(
        "amiws_bus_losses_total",
        "How often events of a server were lost between the collector and this edge; clients are "
        "told of a gap.",
        ("process",),
        _by_process(lambda bus: bus.lost),
    ),
    Family(
        "amiws_bus_lag_entries",
        "Entries of a stream that this edge has not taken yet.",
        ("stream",),
        _lag,
    ),
    Family(
        "amiws_bus_lease_term",
        "The term of each lease that this collector holds: of a server (`server-1`), or of the "
        "list of servers (`program`). A lease that it does not hold is missing.",
        ("lease",),
        _leases,
    ),
    Family(
        "amiws_bus_refusals_total",
        "How often Redis refused what this collector wrote, since another has a newer lease.",
        ("process",),
        _of_collector(lambda bus: bus.refusals),
    ),
    Family(
        "amiws_bus_dropped_entries_total",
        "Entries and snapshots of this collector that never reached Redis: it held no lease, or "
        "Redis was away too long.",
        ("process",),
        _of_collector(lambda bus: bus.dropped),
    ),
    Family(
        "amiws_bus_waiting_bytes",
        "Bytes of this collector that wait for Redis.",
        ("process",),
        _of_collector(lambda bus: bus.waiting),
    ),
    Family(
        "amiws_bus_unshared_total",
        "How often this edge went by what it knows alone, since Redis did not answer for all.",
        ("process",),
        _by_process(lambda bus: bus.unshared),
    ),
)
