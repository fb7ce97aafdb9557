"""What an unknown key was meant to be."""

from __future__ import annotations

import pytest

from amiws_gevent.config.suggest import nearest, unknown_key

KNOWN = ["log_level", "ws_port", "web_root", "secret", "username"]


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("log_levl", "log_level"),
        ("log-level", "log_level"),
        ("Log Level", "log_level"),
        ("LOG_LEVEL", "log_level"),
        ("usename", "username"),
        ("sercet", "secret"),
        ("zzz", None),
        ("", None),
    ],
)
def test_nearest(word: str, meant: str | None) -> None:
    assert nearest(word, KNOWN) == meant


def test_the_warning_names_the_nearest_key() -> None:
    assert unknown_key("webroot", KNOWN, {}) == 'unknown key, ignored; did you mean "web_root"?'


def test_the_warning_names_the_place_where_the_key_is_known() -> None:
    message = unknown_key("keepalive", KNOWN, {"keepalive": "amihosts"})
    assert message == "unknown key, ignored (in amihosts it is known)"


def test_a_key_that_resembles_nothing_is_just_unknown() -> None:
    assert unknown_key("zzz", KNOWN, {"port": "amihosts"}) == "unknown key, ignored"
