"""How long tests wait for what must come."""

from __future__ import annotations

WAIT = 120.0
"""Seconds that a wait lasts at most. It ends a test that hangs, and says nothing of speed: far
above what is needed on a machine that does ten other things."""
