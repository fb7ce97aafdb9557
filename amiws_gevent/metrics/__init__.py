"""Metrics for Prometheus: counters that the other parts keep anyway, read when it asks.

measured.py   the parts that have the numbers, and what a metric is
servers.py    links, the live state, the configuration
clients.py    what goes to clients, who they are, and who was not let in
actions.py    what clients send, and the audit
bus.py        a collector and its edges
program.py    the event loop, plugins, the log
tallies.py    what is counted of the queues and trunks of each server, when Prometheus asks
telephony.py  the metrics of these
collector.py  all of them, the registry, and rendering in pieces
"""

from .collector import FAMILIES, Metrics
from .measured import Measured, OnBus

__all__ = ["FAMILIES", "Measured", "Metrics", "OnBus"]
