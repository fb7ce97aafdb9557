"""The way that a call took: a bounded list of what has happened to it, in words."""

from __future__ import annotations

from typing import Any, Final

from amiws_gevent.state.compact import Forms

_FORMS: Final = Forms()

Way = list[dict[str, Any]]

MOST_STEPS: Final = 40


Moment = tuple[int, int | None]
"""When something came to be: by our clock, and by the server's where it says so."""


def step(what: str, moment: Moment, **details: Any) -> dict[str, Any]:
    """One step; details that are None are left out, and the server's time where it sent none."""
    told = _FORMS.empty(what)
    told["what"] = what
    told["at"], server_at = moment
    for name, value in details.items():
        if value is not None:
            told[name] = value
    if server_at is not None:
        told["server_at"] = server_at
    return told


def lengthened(way: Way, steps: Way) -> Way:
    """A way with more steps; the first half of a long one is kept, and the last."""
    longer = [*way, *steps]
    if len(longer) <= MOST_STEPS:
        return longer
    return longer[: MOST_STEPS // 2] + longer[-MOST_STEPS // 2 :]
