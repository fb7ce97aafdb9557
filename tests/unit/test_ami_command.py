from __future__ import annotations

import pytest

from amiws_gevent.ami import Kind
from amiws_gevent.ami.command import Answer, Block, find_block, kind_of


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"Response: Follows\r\ntext\n", b"text\n"),
        (b"Response: Follows\r\nPrivilege: Command\r\nActionID: 1\r\nMessage: m\r\nt\n", b"t\n"),
        (b"Response: Follows\r\nPrivilege: Command\r\n\nt\n", b"\nt\n"),
        (b"Response: Follows\r\nPrivilege: Command\r\nPrivilege: t\r\n", b"Privilege: t\r\n"),
        (b"Response: Follows\r\nActionID: t\n", b"ActionID: t\n"),
        (b"Response: Follows\r\nOther: t\r\n", b"Other: t\r\n"),
        (b"Response: Follows\r\nprivilege\r\n", b"privilege\r\n"),
        (b"Response: Follows\nActionID: 1\nt\n", b"t\n"),
        (b"X: 1\r\nResponse:follows \r\nt\n", b"t\n"),
        (b"no colon\r\nResponse: Follows\r\nt\n", b"t\n"),
    ],
)
def test_where_the_text_begins(data: bytes, text: bytes) -> None:
    block = find_block(data)
    assert block is not None
    assert block.headers_end == block.text_start
    assert data[block.text_start :] == text


@pytest.mark.parametrize(
    ("header", "text"), [(b"Output: a", b"a"), (b"output:a", b"a"), (b"Output :  a", b" a")]
)
def test_a_first_output_header_is_text(header: bytes, text: bytes) -> None:
    start = b"Response: Follows\r\n"
    data = start + header + b"\r\nb\n"
    block = find_block(data)
    assert block is not None
    assert block.headers_end == len(start)
    assert data[block.text_start :] == text + b"\r\nb\n"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"Response: Follows",
        b"Response: Success\r\nResponse: Follows\r\n",
        b"Event: x\r\nResponse: Follows\r\n",
        b"Action: x\r\nResponse: Follows\r\n",
        b"X: 1\r\n\r\nResponse: Follows\r\n",
        b"X: 1\n\nResponse: Follows\r\n",
        b"Response Follows\r\n",
        b"Response: Follows on\r\n",
    ],
)
def test_no_block(data: bytes) -> None:
    assert find_block(data) is None


def test_an_empty_header_name_ends_nothing() -> None:
    assert find_block(b": x\r\nResponse: Follows\r\n") == Block(24, 24)


@pytest.mark.parametrize(("before", "kind"), [(999, Kind.RESPONSE), (1000, Kind.UNKNOWN)])
def test_what_a_packet_is_must_be_said_soon(before: int, kind: Kind) -> None:
    packet = b"X: 1\r\n" * before + b"Response: Success\r\n"
    assert kind_of(packet) is kind
    assert kind_of(bytearray(packet)) is kind


def finished(pairs: list[tuple[str, str]], step: int) -> tuple[Kind, list[tuple[str, str]]]:
    answer = Answer()
    for start in range(0, len(pairs), step):
        answer.add(pairs[start : start + step])
    return answer.finish()


@pytest.mark.parametrize("step", [1, 2, 5])
def test_output_headers_become_one_in_place_of_the_first(step: int) -> None:
    pairs = [("Response", "Success"), ("OUTPUT", " a"), ("X", "1"), ("Output", ""), ("Output", "b")]
    merged = [("Response", "Success"), ("OUTPUT", " a\n\nb\n"), ("X", "1")]
    assert finished(pairs, step) == (Kind.COMMAND, merged)


@pytest.mark.parametrize("message", ["Command output follows", "command output follows "])
def test_output_that_is_announced_and_empty(message: str) -> None:
    pairs = [("Response", "Success"), ("Message", message)]
    assert finished(pairs, 1) == (Kind.COMMAND, [*pairs, ("Output", "")])


def test_other_responses_stay() -> None:
    pairs = [("Response", "Success"), ("Message", "Output follows"), ("X", "1"), ("X", "2")]
    assert finished(pairs, 2) == (Kind.RESPONSE, pairs)
