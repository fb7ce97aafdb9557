"""The registry of the metrics, and how they are rendered without holding anyone up.

A sample is made when it is rendered, and others have their turn between every
``SAMPLES_PER_TURN``: 200 servers are 4,500 samples, which take 30 ms in all and 2 ms at
a time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import gevent
from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.samples import Sample

from amiws_gevent.metrics import actions, bus, clients, program, servers
from amiws_gevent.metrics.measured import Family, Measured, Values, server_values
from amiws_gevent.metrics.tallies import Tally, tally_all
from amiws_gevent.metrics.telephony import TALLY_FAMILIES, TallyFamily
from amiws_gevent.runtime.loop import yield_to_loop

_OF_PROGRAM: tuple[Family, ...] = (
    *servers.FAMILIES,
    *clients.FAMILIES,
    *actions.FAMILIES,
    *bus.FAMILIES,
    *program.FAMILIES,
)
FAMILIES: tuple[Family | TallyFamily, ...] = (*_OF_PROGRAM, *TALLY_FAMILIES)
"""All metrics."""

SAMPLES_PER_TURN = 200


class Metrics:
    """The registry of one server."""

    def __init__(self, measured: Measured) -> None:
        self.registry = CollectorRegistry()
        self.registry.register(_MeasuredCollector(measured))
        self.registry.register(_ProcessFromThread())

    def render(self, accept: str) -> tuple[bytes, str]:
        """All metrics and their content type, by the ``Accept`` header of the request.

        Passes the event loop on the way; other greenlets run meanwhile.
        """
        encode, content_type = choose_encoder(accept)
        return encode(self.registry), content_type


class _MeasuredCollector:
    """Reads what is measured; prometheus_client's ``Collector``."""

    def __init__(self, measured: Measured) -> None:
        self._measured = measured

    def describe(self) -> Iterator[Metric]:
        """All families without a sample, so that the registry knows their names."""
        yield from map(_metric, FAMILIES)

    def collect(self) -> Iterator[Metric]:
        for family in _OF_PROGRAM:
            yield _filled(family, _found(family, self._measured))
        tallies = tally_all(self._measured)
        for told in TALLY_FAMILIES:
            yield _filled(told, _told(told, tallies))
        yield from program.own_counters(self._measured)


class _ProcessFromThread:
    """prometheus_client's process metrics, which list a folder of all open descriptors."""

    def __init__(self) -> None:
        self._collector = ProcessCollector(registry=None)

    def collect(self) -> Iterator[Metric]:
        """Reads in a thread: 10,000 descriptors would hold the loop for 7 ms and more.

        Of a thread it takes sys.getswitchinterval, 5 ms, at most.
        """
        yield from gevent.get_hub().threadpool.apply(self._collector.collect)


def _metric(family: Family | TallyFamily) -> Metric:
    name = family.name.removesuffix("_total")
    return Metric(name, family.help, "gauge" if name == family.name else "counter")


def _filled(family: Family | TallyFamily, found: Iterable[Values]) -> Metric:
    metric = _metric(family)
    # Made one by one, as the encoder asks for them; it goes through them once.
    metric.samples = _samples(family, found)  # type: ignore[assignment]
    return metric


def _samples(family: Family | TallyFamily, found: Iterable[Values]) -> Iterator[Sample]:
    for number, (values, value) in enumerate(found, 1):
        yield Sample(family.name, dict(zip(family.labels, values, strict=True)), value)
        if not number % SAMPLES_PER_TURN:
            yield_to_loop()


def _found(family: Family, measured: Measured) -> Iterable[Values]:
    found = family.read(measured)
    return [((), found)] if isinstance(found, int | float) else found


def _told(family: TallyFamily, tallies: Sequence[Tally]) -> Iterator[Values]:
    for tally in tallies:
        server = server_values(tally.host)
        for values, value in family.read(tally):
            yield (*server, *values), value
