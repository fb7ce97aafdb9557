"""The judge of the fuzzer does what Asterisk's source says."""

from __future__ import annotations

import pytest

from tests.support.asterisk_actions import Headers, app_args, dial, effects

ORIGINATE = "Action: Originate"


def lines(*headers: str) -> bytes:
    return "".join(f"{header}\r\n" for header in headers).encode() + b"\r\n"


def test_headers_in_any_case_and_the_first_counts() -> None:
    headers = Headers(lines("context: \x01 a", "CONTEXT: b", "Context : c", "X: d\0e"))
    assert headers.get("Context") == "a"
    assert headers.all("Context") == [b"a", b"b"]
    assert headers.get("X") == "d"
    assert headers.get("Y") == ""


def test_a_line_feed_ends_a_line_and_an_empty_one_the_action() -> None:
    headers = Headers(b"Action: Ping\nA: b\r\n\r\nA: c\r\n\r\n")
    assert headers.all("A") == [b"b"]


@pytest.mark.parametrize(
    ("text", "effect"),
    [
        ("PJSIP/201", ("dial", "PJSIP/201")),
        ("Local/1@a", ("place", "a", "1", "1")),
        ("LOCAL/1@a/n", ("place", "a", "1", "1")),
        ("Local/1", ("place", "default", "1", "1")),
        ("Local/1@a@b", ("place", "a@b", "1", "1")),
        ("Local/1@a/n/x@b", ("place", "a/n", "1", "1")),
        ("Local/" + "1" * 300 + "@a", ("place", "default", "1" * 79, "1")),
    ],
)
def test_dialling(text: str, effect: tuple[str, ...]) -> None:
    assert list(dial(text)) == [effect]


def test_no_channel() -> None:
    assert list(dial("201")) == []


def test_arguments() -> None:
    assert app_args('a,b(c,d),"e,f",g\\,h') == ["a", "b(c,d)", "e,f", "g,h"]


@pytest.mark.parametrize(
    ("headers", "effect"),
    [
        (
            [ORIGINATE, "Channel: SIP/1", "Application: System"],
            ("application", "system"),
        ),
        (
            [ORIGINATE, "Channel: SIP/1", "Variable: a=1,SHELL(x)=2"],
            ("function", "SHELL(x)"),
        ),
        (
            [ORIGINATE, "Channel: SIP/1", "Variable: a=1", "variable: b=1"],
            ("variable", "b"),
        ),
        (["Action: Redirect", "Channel: x", "Exten: 1"], ("place", "?", "1", "1")),
        (["Action: MixMonitor", "Channel: x", "File: a.wav,b,id"], ("shell", "id,,")),
        (["Action: MixMonitor", "Channel: x", "Command: id"], ("shell", "id")),
        (["Action: ConfbridgeStartRecord", "RecordFile: a,,id"], ("shell", ",id")),
        (["Action: QueuePause", "Interface: x"], ("queue", "*")),
        (["Action: QueueAdd", "Interface: Local/1@a"], ("place", "a", "1", "1")),
        (["Action: Status", "Variables: a,SHELL(x)"], ("function", "SHELL(x)")),
        (["Action: Setvar", "Variable: a"], ("channel", "*")),
        (["Action: Nobody"], ("other", "nobody")),
        (["Action: Ping ", "Action: Command"], ("other", "ping ")),
        (["Action: ", "Action: Command", "Command: x"], ("console", "x")),
    ],
)
def test_effects(headers: list[str], effect: tuple[str, ...]) -> None:
    assert effect in effects(lines(*headers))
