from __future__ import annotations

import json

from amiws_gevent.ami import Kind, Message
from amiws_gevent.config import AmiHost
from amiws_gevent.pipeline import Batch, Envelope, Pipeline, Source
from amiws_gevent.routing import wrap
from tests.support.hosts import ami_host


def event(name: str, *more: tuple[str, str]) -> Message:
    return Message(Kind.EVENT, [("Event", name), *more])


def process(host: AmiHost, *messages: Message) -> list[Envelope]:
    batches: list[Batch] = []
    Pipeline(batches.append).process(Source(host), messages)
    assert len(batches) <= 1, "one batch a read"
    return list(batches[0]) if batches else []


def test_one_batch_in_order_with_the_five_keys() -> None:
    host = ami_host(id=3, name="pbx-ü", ssl=True)
    envelopes = process(host, event("A"), Message(Kind.PROMPT, [("Product", "x")]), event("B"))
    parsed = [json.loads(envelope.json) for envelope in envelopes]
    assert list(parsed[0]) == ["type", "server_id", "server_name", "ssl", "data"]
    assert [(p["type"], p["server_id"], p["server_name"], p["ssl"]) for p in parsed] == [
        (3, 3, "pbx-ü", True),
        (1, 3, "pbx-ü", True),
        (3, 3, "pbx-ü", True),
    ]
    assert [p["data"] for p in parsed] == [{"Event": "A"}, {"Product": "x"}, {"Event": "B"}]


def test_event_names_hold_back_events_alone() -> None:
    host = ami_host(event_names=frozenset({"hangup", "newchannel"}))
    answer = Message(Kind.RESPONSE, [("Response", "Success"), ("Event", "VarSet")])
    kept = process(host, event("Hangup"), event("VarSet"), event("HANGUP"), event("Hang"), answer)
    assert [json.loads(e.json)["data"] for e in kept] == [
        {"Event": "Hangup"},
        {"Event": "HANGUP"},
        {"Response": "Success", "Event": "VarSet"},
    ]


def test_a_batch_of_nothing_is_not_published() -> None:
    assert process(ami_host(event_names=frozenset({"hangup"})), event("VarSet")) == []


def test_an_answer_to_a_v2_page_names_it_and_is_restored() -> None:
    action_id = dict(wrap([("Action", "Ping"), ("ActionID", "p")], "TOKEN"))["ActionID"]
    answer = Message(Kind.RESPONSE, [("Response", "Success"), ("ActionID", action_id)])
    plain = Message(Kind.RESPONSE, [("Response", "Success"), ("ActionID", "p")])
    first, second = process(ami_host(), answer, plain)
    assert (first.requester, second.requester) == ("TOKEN", None)
    assert first.json == second.json


def test_text_that_only_looks_wrapped_changes_nothing() -> None:
    name = event("A", ("CallerIDName", '"ActionID":"amiws-v2/x/y"'))
    (envelope,) = process(ami_host(), name)
    assert envelope.requester is None
    assert json.loads(envelope.json)["data"]["CallerIDName"] == '"ActionID":"amiws-v2/x/y"'


def test_what_a_server_sends_is_counted_by_kind_before_anything_is_held_back() -> None:
    source = Source(ami_host(event_names=frozenset({"hangup"})))
    pipeline = Pipeline(lambda batch: None)
    pipeline.process(source, [Message(Kind.PROMPT, [("Product", "x")]), event("Hangup")])
    pipeline.process(source, [event("VarSet"), event("VarSet"), Message(Kind.QUEUE, [])])
    assert source.received == [0, 1, 0, 3, 0, 0, 1]
    assert Source(ami_host()).received == [0] * 7
