from __future__ import annotations

import json

import pytest

from amiws_gevent.ami import Kind, Message, encode_message, envelope_prefix
from amiws_gevent.ami.jsonform import encodable_data

PREFIX = envelope_prefix(Kind.EVENT, 1, "asterisk01.local", False)


def test_the_five_keys_in_amiws_s_order() -> None:
    message = Message(Kind.EVENT, [("Event", "Hangup"), ("Cause", "16")])
    assert encode_message(PREFIX, message) == (
        b'{"type":3,"server_id":1,"server_name":"asterisk01.local","ssl":false,'
        b'"data":{"Event":"Hangup","Cause":"16"}}'
    )


def test_numbers_of_a_queue_and_lists_of_repeats() -> None:
    message = Message(Kind.QUEUE, [("Calls", 2), ("ServiceLevel", "2.7%"), ("X", "1"), ("X", "2")])
    data = json.loads(encode_message(PREFIX, message))["data"]
    assert data == {"Calls": 2, "ServiceLevel": "2.7%", "X": ["1", "2"]}


@pytest.mark.parametrize("name", ['a"b\\c', "Ž 猫", "a\nb", "\ud800", ""])
def test_any_server_name(name: str) -> None:
    prefix = envelope_prefix(Kind.PROMPT, 7, name, True)
    loaded = json.loads(encode_message(prefix, Message(Kind.PROMPT, {})).decode())
    assert loaded["server_name"] == name.replace("\ud800", "\ufffd")
    assert (loaded["type"], loaded["server_id"], loaded["ssl"]) == (1, 7, True)


@pytest.mark.parametrize("value", ["\0", "\u2028", "\x85", '"\\', "é", "\U0001f408", "\x1f\x7f"])
def test_values_come_back_as_they_were(value: str) -> None:
    encoded = encode_message(PREFIX, Message(Kind.EVENT, {"Event": value, value: "x"}))
    assert json.loads(encoded.decode())["data"] == {"Event": value, value: "x"}
    assert b"\n" not in encoded


def test_what_utf8_or_json_cannot_hold_is_replaced() -> None:
    message = Message(
        Kind.EVENT,
        [("A\ud800", "x\udc00y"), ("L", "\ud83d\udc08"), ("L", "\ud800"), ("N", 1 << 70)],
    )
    data = json.loads(encode_message(PREFIX, message).decode())["data"]
    assert data == {"A\ufffd": "x\ufffdy", "L": ["\U0001f408", "\ufffd"], "N": str(1 << 70)}
    mixed = Message(Kind.EVENT, [("A", "\ud800"), ("F", 1.5)])
    assert json.loads(encode_message(PREFIX, mixed))["data"] == {"A": "\ufffd", "F": 1.5}
    for one in (message, mixed):
        assert encodable_data(one) == json.loads(encode_message(PREFIX, one))["data"]


def test_data_for_a_larger_text_is_that_of_the_message() -> None:
    message = Message(Kind.EVENT, [("A", "1"), ("B", "ü"), ("A", "2")])
    assert encodable_data(message) == message.data()
