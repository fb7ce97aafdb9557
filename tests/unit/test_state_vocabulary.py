"""One vocabulary for two number spaces."""

from __future__ import annotations

import pytest

from amiws_gevent.state.vocabulary import device_word, device_word_of, extension_word, word


@pytest.mark.parametrize(
    ("number", "name", "shown", "meant"),
    [
        # main/devicestate.c, devstatestring
        (0, "UNKNOWN", "Unknown", "unknown"),
        (1, "NOT_INUSE", "Not in use", "idle"),
        (2, "INUSE", "In use", "in_use"),
        (3, "BUSY", "Busy", "busy"),
        (4, "INVALID", "Invalid", "invalid"),
        (5, "UNAVAILABLE", "Unavailable", "unavailable"),
        (6, "RINGING", "Ringing", "ringing"),
        (7, "RINGINUSE", "Ring+Inuse", "ringing_in_use"),
        (8, "ONHOLD", "On Hold", "on_hold"),
    ],
)
def test_devices(number: int, name: str, shown: str, meant: str) -> None:
    assert {device_word(number), device_word_of(name), device_word_of(shown)} == {meant}


@pytest.mark.parametrize(
    ("mask", "meant"),
    [
        (0, "idle"),
        (1, "in_use"),
        (2, "busy"),
        (4, "unavailable"),
        (8, "ringing"),
        (9, "ringing_in_use"),
        (16, "on_hold"),
        (17, "on_hold"),
        (-1, "unknown"),
        (-2, "unknown"),
        (32, "unknown"),
        (None, "unknown"),
    ],
)
def test_extensions(mask: int | None, meant: str) -> None:
    assert extension_word(mask) == meant


def test_what_no_list_has_is_unknown() -> None:
    assert {device_word(None), device_word(9), device_word(-1), device_word_of("X")} == {"unknown"}


def test_texts_become_words() -> None:
    assert word("Request Sent") == "request_sent"
    assert word("Auth. Sent") == "auth_sent"
    assert {word(None), word(""), word("?")} == {"unknown"}
