"""How pip in a root reaches the package index of this machine; no package gets to know it."""

from __future__ import annotations

import os
import shutil
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.deb.roots import Root

CA_BUNDLE = "/etc/ssl/certs/ca-certificates.crt"  # of Debian's package ca-certificates


@contextmanager
def passed_to(root: Root) -> Iterator[dict[str, str]]:
    """The environment that pip needs in ``root``; the files it names are there for the block."""
    settings = {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
    here = root.path / "var/tmp/pip"
    here.mkdir()
    user = Path.home() / ".config/pip/pip.conf"
    if user.exists():
        shutil.copy(user, here)
        settings["PIP_CONFIG_FILE"] = "/var/tmp/pip/pip.conf"
    trusted = os.environ.get("PIP_CERT") or ssl.get_default_verify_paths().cafile or CA_BUNDLE
    shutil.copy(trusted, here / "ca.crt")
    settings["PIP_CERT"] = "/var/tmp/pip/ca.crt"
    try:
        yield settings
    finally:
        shutil.rmtree(here)
