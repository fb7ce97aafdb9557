"""Whatever a client sends becomes one whole action for a server, or an ActionError."""

from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from amiws_gevent.ami import (
    ActionError,
    encode_action,
    encode_message,
    envelope_prefix,
    error_response,
    parse_client_action,
)
from amiws_gevent.ami.actions import SESSION_ACTIONS

NASTY = st.sampled_from(
    ["\r", "\n", "\0", "\r\n\r\n", ":", ": ", " ", "\t", "\x01", "\u2028", "\x85", "\ud800", "é"]
)
TEXT = st.lists(st.text(max_size=5) | NASTY, max_size=4).map("".join)
NAME = TEXT | st.sampled_from(
    ["Action", "ACTION", "ActionID", "AMIServerID", "Variable", "Action ", "X"]
)
ACTION = TEXT | st.sampled_from(["Ping", "Logoff", " login", "Events\x01", "Command"])
SCALAR = st.none() | st.booleans() | st.integers() | st.floats() | TEXT | ACTION
VALUE = SCALAR | st.lists(SCALAR, max_size=4) | st.dictionaries(TEXT, SCALAR, max_size=2)
MEMBERS = st.lists(st.tuples(NAME, VALUE), max_size=6) | st.tuples(
    ACTION, st.lists(st.tuples(NAME, SCALAR), max_size=4)
).map(lambda given: [("Action", given[0]), *given[1]])


def as_json(members: list[tuple[str, object]], ascii_only: bool) -> str:
    """An object with repeated names, which json.dumps alone cannot write."""
    written = [
        f"{json.dumps(name, ensure_ascii=ascii_only)}: {json.dumps(value, ensure_ascii=ascii_only)}"
        for name, value in members
    ]
    return "{" + ", ".join(written) + "}"


def check(text: str | bytes) -> None:
    try:
        action = parse_client_action(text)
    except ActionError as error:
        answer = error_response(error.message, error.action_id)
        encode_message(envelope_prefix(answer.kind, 1, "pbx", False), answer).decode()
        return
    # What was parsed can be sent: the caller need not expect an error here.
    data = encode_action(action.headers)
    lines = data.split(b"\r\n")
    assert lines[-2:] == [b"", b""]
    assert b"" not in lines[:-2]
    assert data.count(b"\n") == data.count(b"\r") == len(lines) - 1
    assert b"\0" not in data
    assert all(len(line) + 2 <= 1024 for line in lines)
    assert len(lines) - 2 <= 128
    names = [line.partition(b":")[0].lower() for line in lines[:-2]]
    assert names.count(b"action") == 1
    assert b"amiserverid" not in names
    # As Asterisk reads it: it skips all bytes up to 0x20 before a value.
    value = lines[names.index(b"action")].partition(b":")[2]
    read = value.lstrip(bytes(range(0x21))).decode()
    assert read.strip().lower() not in SESSION_ACTIONS
    assert read


@given(MEMBERS, st.booleans())
@settings(max_examples=600, deadline=None)
def test_objects_of_all_sorts(members: list[tuple[str, object]], ascii_only: bool) -> None:
    check(as_json(members, ascii_only))


@given(st.recursive(SCALAR, lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner)))
@settings(max_examples=50, deadline=None)
def test_any_json(value: object) -> None:
    check(json.dumps(value))


@given(st.text() | st.binary())
@settings(max_examples=500, deadline=None)
def test_any_text_or_bytes(text: str | bytes) -> None:
    check(text)


@given(st.lists(st.tuples(NAME, TEXT), max_size=6))
@settings(max_examples=500, deadline=None)
def test_encode_alone_makes_one_action_or_none(headers: list[tuple[str, str]]) -> None:
    try:
        data = encode_action(headers)
    except ActionError:
        return
    assert data.count(b"\n") == data.count(b"\r") == data.count(b"\r\n") == len(headers) + 1
    assert data.find(b"\r\n\r\n") == len(data) - 4
