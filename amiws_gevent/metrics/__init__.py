"""Metrics for Prometheus: counters that the other parts keep anyway, read when it asks.

families.py   every metric: its name, its labels, where its number is
collector.py  the registry, and rendering in pieces
"""

from .collector import Metrics
from .families import FAMILIES, Measured, OnBus

__all__ = ["FAMILIES", "Measured", "Metrics", "OnBus"]
