"""gevent's monkey-patch, at the start of the process. Imports nothing that the patch changes."""

from __future__ import annotations


def patch_all() -> None:
    """Patch the standard library; before anything is imported that would keep an unpatched name.

    gevent tells plugins of its own what it patches, and looks for them 25 times, each time in the
    metadata of all packages of the machine: 1 ms for each package. Here they are read once.
    """
    from importlib import metadata

    from gevent import monkey

    look_up = metadata.entry_points
    metadata.entry_points = metadata.entry_points().select
    try:
        monkey.patch_all()
    finally:
        metadata.entry_points = look_up
