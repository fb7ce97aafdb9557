"""The two versions are told apart by what the recordings show."""

from __future__ import annotations

from pathlib import Path

import pytest

from amiws_gevent.simulator.pbx.style import STYLE_13, STYLE_22, style_named

CAPTURES = Path(__file__).parent.parent / "captures"


def test_styles_have_their_names() -> None:
    assert style_named("13") is STYLE_13
    assert style_named("22") is STYLE_22
    with pytest.raises(KeyError):
        style_named("1.8")  # type: ignore[arg-type]


def test_banners_are_the_recorded_ones() -> None:
    for style, file in ((STYLE_13, "asterisk-13.38.raw"), (STYLE_22, "asterisk-22.11.raw")):
        assert (CAPTURES / file).read_bytes().startswith(style.banner.encode())


def test_own_numbers_are_fictitious_and_differ() -> None:
    assert not set(STYLE_13.own_numbers) & set(STYLE_22.own_numbers)
    assert all("55501" in number for number in STYLE_13.own_numbers)
    assert all(number.startswith("442079460") for number in STYLE_22.own_numbers)
