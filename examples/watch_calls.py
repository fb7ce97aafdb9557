#!/usr/bin/env python3
"""Prints the calls of all servers as they begin, change and end; docs/client.md explains it.

python watch_calls.py http://127.0.0.1:8000 [USER]        the password comes from AMIWS_PASSWORD
"""

import contextlib
import os
import sys
from collections.abc import Mapping
from typing import Any

from amiws_gevent.client import Change, Client, Gap


def person(of: Mapping[str, Any] | None) -> str:
    """Whom a call tells of."""
    return "?" if of is None else of["name"] or of["number"] or "?"


def line(change: Change) -> str:
    """One change in words."""
    call = change.now or change.before or {}
    phase = "ended" if change.now is None else call["phase"]
    return f"{call['server']}: {person(call['caller'])} -> {person(call['called'])}: {phase}"


def main(url: str, user: str | None = None) -> None:
    """Watch until Ctrl-C."""
    password = os.environ.get("AMIWS_PASSWORD", "")
    with Client(url, user=user, password=password) as client:
        for told in client.subscribe(["state"], kind="call"):
            if isinstance(told, Gap):
                print(f"something was missed: {told.reason}", file=sys.stderr)
            elif isinstance(told, Change):
                print(line(told), flush=True)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main(*sys.argv[1:])
