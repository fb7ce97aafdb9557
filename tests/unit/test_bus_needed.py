"""The libraries redis and hiredis may be missing, and nothing else."""

from __future__ import annotations

import importlib

import pytest

from amiws_gevent.bus.needed import needing_redis
from amiws_gevent.errors import MissingLibraryError


@pytest.mark.parametrize(
    ("missing", "raised"),
    [
        ("redis", MissingLibraryError),
        ("hiredis", MissingLibraryError),
        ("gevent", ModuleNotFoundError),
    ],
)
def test_what_is_missing_is_named(
    missing: str, raised: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    def import_module(name: str) -> None:
        assert name == "amiws_gevent.bus.check"
        raise ModuleNotFoundError(f"No module named {missing!r}", name=missing)

    monkeypatch.setattr(importlib, "import_module", import_module)
    with pytest.raises(raised, match=missing):
        needing_redis("check")
