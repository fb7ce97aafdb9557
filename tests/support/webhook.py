"""The settings of `webhook` of which its queue and its circuit are made."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Bounds:
    """Those of an outbox."""

    batch_messages: int
    batch_bytes: int
    queue_messages: int
    queue_bytes: int
    batch_delay: float


@dataclass(frozen=True)
class Policy:
    """Those of a circuit."""

    circuit_failures: int
    retry_delay: float
    retry_delay_max: float
    circuit_cooldown: float
    circuit_cooldown_max: float
