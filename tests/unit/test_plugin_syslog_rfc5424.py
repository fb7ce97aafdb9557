"""Lines byte by byte, as RFC 5424 has them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from amiws_plugins.syslog_events.rfc5424 import (
    LARGEST_HEAD,
    Format,
    cut,
    escape_controls,
    parameter_name,
    parameter_value,
    printable,
    timestamp,
)

WHEN = 1763835140.973  # 2025-11-22T18:12:20.973Z
FORMAT = Format("gw.example.com", "amiws-gevent", 4711, 2048)


def test_a_line() -> None:
    line = FORMAT.line(
        132,
        WHEN,
        "PeerStatus",
        [("meta", [("sequenceId", "7")]), ("ami@32473", [("Peer", "SIP/1"), ("Peer", "b")])],
        "SIP/1 is Unreachable",
    )
    assert line == (
        b"<132>1 2025-11-22T18:12:20.973Z gw.example.com amiws-gevent 4711 PeerStatus "
        b'[meta sequenceId="7"][ami@32473 Peer="SIP/1" Peer="b"] SIP/1 is Unreachable'
    )


def test_nothing_is_a_dash() -> None:
    line = Format("", "", 1, 2048).line(0, 0.0, "", [("ami@32473", [])], "")
    assert line == b"<0>1 1970-01-01T00:00:00.000Z - - 1 - -"


def test_the_head_has_no_sign_that_it_must_not_have() -> None:
    line = Format("a b\né", "x y", 1, 2048).line(191, 0.0, "Bad Name\n" * 9, [], "")
    assert line == b"<191>1 1970-01-01T00:00:00.000Z a_b__ x_y 1 Bad_Name_Bad_Name_Bad_Name_Bad_N -"


def test_fields_of_the_head_are_cut() -> None:
    line = Format("h" * 300, "a" * 60, 4194304, 2048).line(191, 0.0, "m" * 40, [], "")
    fields = line.split(b" ")
    assert [len(field) for field in fields] == [6, 24, 255, 48, 7, 32, 1]
    assert len(line) - 1 <= LARGEST_HEAD


@pytest.mark.parametrize(
    ("when", "text"),
    [
        (0.0, b"1970-01-01T00:00:00.000Z"),
        (0.9999, b"1970-01-01T00:00:00.999Z"),
        (WHEN, b"2025-11-22T18:12:20.973Z"),
        (951782400.0, b"2000-02-29T00:00:00.000Z"),
    ],
)
def test_timestamps(when: float, text: bytes) -> None:
    assert timestamp(when) == text


def test_printable() -> None:
    assert printable("", 5) == b"-"
    assert printable("a\x7f\t\u00e9b", 10) == b"a___b"
    assert printable("abcdef", 3) == b"abc"


@pytest.mark.parametrize(
    ("name", "made"),
    [
        ("Cause-txt", "Cause-txt"),
        ('a="b"]', "a__b__"),
        ("ChanVariable(SIP/x y)", "ChanVariable(SIP/x_y)"),
        ("x" * 40, "x" * 32),
        ("é", "_"),
        ("", "_"),
    ],
)
def test_parameter_names(name: str, made: str) -> None:
    assert parameter_name(name) == made


@pytest.mark.parametrize(
    ("value", "made"),
    [
        ("plain é", "plain é"),
        ('"\\]', '\\"\\\\\\]'),
        ("[a b=c]", "[a b=c\\]"),
        ("\n", "\\\\n"),
        ("\x00\x7f\x85", "\\\\x00\\\\x7f\\\\x85"),
        ("\u2028\u202e", "\\\\u2028\\\\u202e"),
        ("\ud800", "\\\\ud800"),
    ],
)
def test_parameter_values(value: str, made: str) -> None:
    assert parameter_value(value) == made


def test_control_characters_are_spelt_out() -> None:
    assert escape_controls("a\tb\r\n\x1b[31m\u2029é\\") == "a\\tb\\r\\n\\x1b[31m\\u2029é\\"
    assert escape_controls("\ufeffx\udfff") == "\\ufeffx\\udfff"


def message(text: str, **changed: object) -> bytes:
    line = replace(FORMAT, **changed).line(0, 0.0, "X", [], text)
    return line.partition(b" X - ")[2]


def test_a_message_that_is_not_ascii_has_the_mark() -> None:
    assert message("café") == b"\xef\xbb\xbfcaf\xc3\xa9"
    assert message("cafe") == b"cafe"
    assert message("café", bom=False) == b"caf\xc3\xa9"


def test_a_message_is_one_line() -> None:
    assert message("a\r\n<13>1 - forged") == b"a\\r\\n<13>1 - forged"


@pytest.mark.parametrize("most", range(12))
def test_cut_ends_with_a_whole_character(most: int) -> None:
    made = cut("€€€€", most)
    assert len(made) <= most
    assert made.decode() == "€" * (max(most - 3, 0) // 3) + "..."[: min(most, 3)]
    assert cut("€€€€", 12) == "€€€€".encode()


@pytest.mark.parametrize("limit", [480, 481, 482, 483, 2048])
def test_a_long_message_fills_the_limit(limit: int) -> None:
    line = replace(FORMAT, limit=limit).line(0, 0.0, "X", [], "é" * 2000)
    assert limit - 1 <= len(line) <= limit
    assert line.decode().endswith("é...")


def test_parameters_that_do_not_fit_are_left_out_whole() -> None:
    parameters = [("a", "1"), ("long", "x" * 600), ("b", "]" * 300), ("c", "3")]
    line = replace(FORMAT, limit=600).line(0, 0.0, "X", [("ami@1", parameters)], "text")
    assert line.endswith(b'[ami@1 a="1" c="3"] text')


def test_parameters_leave_half_of_the_room_to_the_message() -> None:
    parameters = [("a", "x" * 700), ("b", "y" * 700)]
    text = "z" * 900
    line = replace(FORMAT, limit=2048).line(0, 0.0, "X", [("ami@1", parameters)], text)
    assert f'[ami@1 a="{"x" * 700}"] {text}'.encode() in line
    assert b" b=" not in line


def test_what_the_message_does_not_need_is_for_parameters() -> None:
    line = FORMAT.line(0, 0.0, "X", [("ami@1", [("a", "x" * 1900)])], "short")
    assert line.endswith(b'x"] short')


def test_text_room_is_never_cut() -> None:
    text = "é" * (FORMAT.text_room // 2)
    parameters = [(str(n), "x" * 50) for n in range(100)]
    line = FORMAT.line(191, 0.0, "m" * 32, [("ami@1", parameters)], text)
    assert len(line) <= FORMAT.limit
    assert line.decode().endswith("\ufeff" + text)


def test_an_element_without_room_for_a_parameter_is_left_out() -> None:
    elements = [("one@1", [("a", "x" * 470)]), ("two@1", [("b", "1")])]
    line = replace(FORMAT, limit=480).line(0, 0.0, "X", elements, "")
    assert line.endswith(b' X [two@1 b="1"]')
