"""The list of known events against what real servers sent."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import pytest

from amiws_gevent.ami.eventnames import EVENT_NAMES

CAPTURES = sorted((Path(__file__).parent.parent / "captures").glob("asterisk-*"))


def test_each_is_there_once_and_in_order() -> None:
    names = [name.casefold() for name in EVENT_NAMES]
    assert names == sorted(set(names))
    assert all(re.fullmatch(r"[A-Za-z-]+", name) for name in EVENT_NAMES)


@pytest.mark.parametrize("path", CAPTURES, ids=lambda path: path.name)
def test_all_that_asterisk_sent_are_known(path: Path) -> None:
    raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    sent = {name.decode() for name in re.findall(rb"^Event: (\S+)\r$", raw, re.MULTILINE)}
    assert len(sent) > 5
    assert sent <= set(EVENT_NAMES)
