"""What an unknown key was meant to be."""

from __future__ import annotations

import pytest

from amiws_gevent.config.suggest import nearest, unknown_event, unknown_key

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
    assert message == "unknown key, ignored (it is a key of amihosts)"


def test_a_key_that_resembles_nothing_is_just_unknown() -> None:
    assert unknown_key("zzz", KNOWN, {"port": "amihosts"}) == "unknown key, ignored"


@pytest.mark.parametrize("name", ["Hangup", "HANGUP", "newexten", "AOC-D", "QueueMemberPaused"])
def test_an_event_of_asterisk_is_no_matter(name: str) -> None:
    assert unknown_event(name) is None


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("Hangupp", 'did you mean "Hangup"?'),
        ("NewChanel", 'did you mean "Newchannel"?'),
        (
            "queuecaller",
            (
                "for all events with it in their name write "
                "QueueCallerAbandon, QueueCallerJoin, QueueCallerLeave"
            ),
        ),
        ("XyzHangupXyzXyzXyz", "in amiws it lets Hangup pass"),
        ("zzz", "another module of Asterisk may have it"),
        ("e", "another module of Asterisk may have it"),
    ],
)
def test_an_event_that_asterisk_has_not(name: str, advice: str) -> None:
    assert unknown_event(name) == (
        f"'{name}' is not an event of Asterisk, and only whole names match; {advice}"
    )
