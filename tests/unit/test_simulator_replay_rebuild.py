"""JSON back to AMI: what the parser makes of the bytes is the same JSON."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest

from amiws_gevent.ami import Kind, Message, Parser
from amiws_gevent.simulator.replay.rebuild import CannotRebuild, Outcome, Proof, rebuild
from tests.support.recordings import data_of, json_of, read_back

CAPTURES = Path(__file__).parent.parent / "captures"

QUEUE = {
    "QueueName": "sales: a",
    "Calls": 2,
    "Maxlen": 0,
    "Strategy": "ringall",
    "Holdtime": 3,
    "Talktime": -1,
    "Weight": 0,
    "CallsCompleted": 7,
    "CallsAbandoned": 1,
    "ServiceLevel": "2.7%",
    "ServiceLevelPeriod": 60,
    "MembersCount": 2,
    "CallersCount": 1,
}


def same(kind: Kind, data: dict[str, Any]) -> bytes:
    """The bytes, once it is sure that they are read as the same message."""
    raw = rebuild(kind, data)
    messages = Parser().receive_data(raw) if kind is Kind.PROMPT else read_back(raw)
    assert [(message.kind, data_of(message)) for message in messages] == [(kind, data)]
    assert list(data_of(messages[0])) == list(data)
    assert Proof().outcome(kind, data, raw) is Outcome.SAME
    return raw


@pytest.mark.parametrize("path", sorted(CAPTURES.glob("*.raw*")), ids=lambda path: path.name)
@pytest.mark.slow
def test_each_message_of_a_capture_comes_back(path: Path) -> None:
    capture = path.read_bytes()
    if path.suffix == ".gz":
        capture = gzip.decompress(capture)
    proof = Proof()
    messages = Parser().receive_data(capture)
    assert len(messages) > 300
    for message in messages:
        raw = rebuild(message.kind, data_of(message))
        assert proof.outcome(message.kind, data_of(message), raw) is Outcome.SAME


def test_a_busy_capture_comes_back_byte_for_byte() -> None:
    capture = gzip.decompress((CAPTURES / "asterisk-22.11-busy.raw.gz").read_bytes())
    messages = Parser().receive_data(capture)
    assert b"".join(rebuild(message.kind, message.data()) for message in messages) == capture


def test_an_event_looks_as_asterisk_sends_it() -> None:
    data = {"Event": "Hangup", "Variable": ["a=1", "b=2"], "Empty": "", "ü": "a: b\0\ufffd"}
    assert (
        same(Kind.EVENT, data)
        == (
            "Event: Hangup\r\nVariable: a=1\r\nVariable: b=2\r\nEmpty: \r\nü: a: b\0\ufffd\r\n\r\n"
        ).encode()
    )


def test_repeats_that_were_apart_give_the_same_json() -> None:
    pairs = [("Event", "A"), ("Variable", "1"), ("Value", "x"), ("Variable", "2")]
    message = Message(Kind.EVENT, pairs)
    raw = rebuild(message.kind, data_of(message))
    assert [json_of(read) for read in read_back(raw)] == [json_of(message)]


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        (Kind.ACTION, {"Action": "Ping", "Event": "x"}),
        (Kind.EVENT, {"event": "A", "Response": "Follows", "Output": " leads"}),
        (Kind.EVENT, {"": "no name", " Event": "x", "Event": "A", "X": "cr\rin\r"}),
        (Kind.EVENT, {"Event": "\u2028\x85\x0b", "Event ü": "ends in blanks  "}),
        (Kind.RESPONSE, {"ActionID": "1", "Response": "Error", "Message": "no"}),
        (Kind.PROMPT, {"Product": "Asterisk Call Manager", "Version": "11.0.0"}),
        (Kind.PROMPT, {"Product": "a/b\0", "Version": "1.2"}),
        (Kind.UNKNOWN, {"Text": "SSH-2.0-OpenSSH"}),
        (Kind.UNKNOWN, {"Text": "No such queue: x\nX: 1\n\r\n tail\r"}),
    ],
)
def test_other_messages(kind: Kind, data: dict[str, Any]) -> None:
    same(kind, data)


@pytest.mark.parametrize(
    "output",
    [
        "",
        "\n",
        "one\n",
        "  leads\n\n\nand ends\n\n",
        "Privilege: Command\nActionID: 2\n",
        "ends in cr\r\nnext\r\r\n",
        "Output: x\r\n",
        "--END COMMAND--\n",
        "--END COMMAND-- \n\nEvent: X\n\n",
        "\ufffd\0ü\n",
    ],
)
@pytest.mark.parametrize(
    "head",
    [
        {"Response": "Follows", "Privilege": "Command"},
        {"ActionID": "7", "Response": "follows \t"},
        {"Response": "Follows\r", "ActionID": "7", "Message": "Command output follows"},
        {"Output": "early", "Response": "Follows"},
        {"Response": "Success", "Message": "Command output follows"},
    ],
)
def test_command_output_of_both_eras(head: dict[str, Any], output: str) -> None:
    data = {**head, "Output": output}
    if "Output" in head:
        data["Output"] = [head["Output"], output]
    same(Kind.COMMAND, data)


def test_output_keeps_its_place_among_headers() -> None:
    raw = same(Kind.COMMAND, {"Response": "Error", "output": "a\n\n b\n", "Message": "m"})
    assert raw == b"Response: Error\r\noutput: a\r\noutput: \r\noutput:  b\r\nMessage: m\r\n\r\n"


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"Maxlen": 5},
        {"MembersCount": 0},
        {"CallersCount": 0},
        {"MembersCount": 200, "CallersCount": 100},
        {"QueueName": ""},
        {"QueueName": "a has 1 calls (max 2) in 'x' strategy"},
        {"Calls": -(10**14)},
        {"Strategy": ""},
    ],
)
def test_queues(change: dict[str, Any]) -> None:
    same(Kind.QUEUE, {**QUEUE, **change})


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        (Kind.EVENT, {"Event": "A", "X": "two\nlines"}),
        (Kind.EVENT, {"Event": "A", "X": "  leads"}),
        (Kind.EVENT, {"Event": "A", "X:Y": "1"}),
        (Kind.EVENT, {"Event": "A", "X\nY": "1"}),
        (Kind.EVENT, {"Event": "A", "X": 5}),
        (Kind.EVENT, {"Event": "A", "X": ["one"]}),
        (Kind.COMMAND, {"Response": "Follows", "Output": "no end"}),
        (Kind.COMMAND, {"Response": "Success", "Output": ["a\n", "b\n"]}),
        (Kind.COMMAND, {"Output": "x\n", "Response": "Success", "output": "y\n"}),
    ],
)
def test_what_only_a_plugin_can_have_written_is_sent_nearly_so(
    kind: Kind, data: dict[str, Any]
) -> None:
    raw = rebuild(kind, data)
    assert Proof().outcome(kind, data, raw) is Outcome.CHANGED
    assert len(read_back(raw)) == 1


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        (Kind.EVENT, {}),
        (Kind.EVENT, {"Response": "x"}),
        (Kind.RESPONSE, {"Response": "Follows"}),
        (Kind.UNKNOWN, {"Text": "a\n\nb"}),
        (Kind.UNKNOWN, {"Text": ""}),
        (Kind.UNKNOWN, {"Text": "Event: x"}),
        (Kind.PROMPT, {"Product": "a:b", "Version": "1.0"}),
        (Kind.QUEUE, {**QUEUE, "ServiceLevel": "much"}),
        (Kind.COMMAND, {"Response": "Follows", "Output": "--END COMMAND--\n\nEvent: A\n\n"}),
    ],
)
def test_what_would_be_read_as_something_else_is_known(kind: Kind, data: dict[str, Any]) -> None:
    proof = Proof()
    assert proof.outcome(kind, data, rebuild(kind, data)) is Outcome.WRONG
    good = {"Event": "A"}
    assert proof.outcome(Kind.EVENT, good, rebuild(Kind.EVENT, good)) is Outcome.SAME, "and goes on"


@pytest.mark.parametrize(
    ("kind", "data", "complaint"),
    [
        (Kind.EVENT, {"Event": "A", "X": {}}, "neither text nor a number: {}"),
        (Kind.EVENT, {"Event": "A", "X": None}, "neither text nor a number: None"),
        (Kind.EVENT, {"Event": "A", "X": [True]}, "neither text nor a number: True"),
        (Kind.UNKNOWN, {}, "'Text' is missing"),
        (Kind.PROMPT, {"Product": "x"}, "'Version' is missing"),
        (Kind.QUEUE, {**QUEUE, "Calls": "2"}, "'Calls' is missing or not a number"),
        (Kind.QUEUE, {**QUEUE, "MembersCount": 10**9}, "too many entries: 1000000000 members"),
        (Kind.COMMAND, {"Response": "Follows"}, "has no Output"),
    ],
)
def test_what_has_no_bytes(kind: Kind, data: dict[str, Any], complaint: str) -> None:
    with pytest.raises(CannotRebuild) as caught:
        rebuild(kind, data)
    assert complaint in str(caught.value)


def test_the_order_of_headers_counts() -> None:
    data = {"Event": "A", "X": "1", "Y": "2"}
    other = {"Event": "A", "Y": "2", "X": "1"}
    assert Proof().outcome(Kind.EVENT, other, rebuild(Kind.EVENT, data)) is Outcome.CHANGED
