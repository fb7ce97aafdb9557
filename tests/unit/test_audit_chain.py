"""The form of a line, and what its code proves."""

from __future__ import annotations

import json

import pytest

from amiws_gevent.audit.chain import NOTHING, Head, Key, line_of, seal

KEY = Key(b"k" * 32)


def test_a_line_is_json_with_its_number_first_and_its_code_last() -> None:
    line, head = seal(b'{"what":"login","user":"a\\"b"}', Head(6, b"x" * 32), KEY)
    assert line.endswith(b"\n")
    told = json.loads(line)
    assert list(told) == ["seq", "what", "user", "mac"]
    assert told == {"seq": 7, "what": "login", "user": 'a"b', "mac": head.mac.hex()}
    found = line_of(line[:-1])
    assert found is not None
    assert (found.head, found.fields()) == (head, {"seq": 7, "what": "login", "user": 'a"b'})


def test_a_known_answer() -> None:
    """By openssl: printf of 32 NULs and the body, `dgst -sha256 -mac HMAC -macopt key:kk…`."""
    import hashlib
    import hmac

    line, head = seal(b'{"a":1}', Head(), KEY)
    expected = hmac.new(b"k" * 32, NOTHING + b'{"seq":1,"a":1', hashlib.sha256).hexdigest()
    assert line == b'{"seq":1,"a":1,"mac":"%b"}\n' % expected.encode()
    assert head == Head(1, bytes.fromhex(expected))


def test_a_line_follows_one_alone() -> None:
    first, head = seal(b'{"a":1}', Head(), KEY)
    second, _ = seal(b'{"a":2}', head, KEY)
    one, two = line_of(first[:-1]), line_of(second[:-1])
    assert one is not None
    assert two is not None
    assert one.follows(Head(), KEY)
    assert two.follows(head, KEY)
    assert not two.follows(Head(), KEY)
    assert not two.follows(head, Key(b"q" * 32))
    changed = line_of(second[:-1].replace(b'"a":2', b'"a":3'))
    assert changed is not None
    assert not changed.follows(head, KEY)


@pytest.mark.parametrize(
    "data",
    [b"", b"{}", b'{"seq":1,"a":1}', b'{"seq":x,"mac":"' + b"0" * 64 + b'"}', b"\xff" * 200],
)
def test_what_is_no_line(data: bytes) -> None:
    assert line_of(data) is None


def test_a_line_that_is_no_json_says_nothing() -> None:
    data = b'{"seq":1,"a":,"mac":"' + b"0" * 64 + b'"}'
    line = line_of(data)
    assert line is not None
    assert line.fields() == {}


def test_heads_are_text_for_people() -> None:
    head = Head(12, b"\x01" * 32)
    assert Head.of(f" {head} ".upper()) == head
    for text in ("", "12", "12:ab", "x:" + "0" * 64):
        with pytest.raises(ValueError, match="64 hexadecimal"):
            Head.of(text)


def test_the_name_of_a_key_tells_keys_apart() -> None:
    assert KEY.name == Key(b"k" * 32).name != Key(b"q" * 32).name
    assert len(KEY.name) == 16
