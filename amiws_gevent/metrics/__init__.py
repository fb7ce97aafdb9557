"""Metrics for Prometheus: counters that the other parts keep anyway, read when it asks.

families.py   metrics of the program: their names and labels, where their numbers are
tallies.py    what is counted of the queues and trunks of each server, when Prometheus asks
telephony.py  the metrics of these
collector.py  all of them, the registry, and rendering in pieces
"""

from .collector import FAMILIES, Metrics
from .families import Measured, OnBus

__all__ = ["FAMILIES", "Measured", "Metrics", "OnBus"]
