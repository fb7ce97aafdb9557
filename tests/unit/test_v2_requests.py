"""What a client may send, and what it is told of all else."""

from __future__ import annotations

import json
from typing import Any

import pytest

from amiws_gevent.feeds.positions import LONGEST
from amiws_gevent.v2.codes import CODES, RequestError
from amiws_gevent.v2.requests import (
    MAX_DEPTH,
    REQUESTS,
    Resume,
    Subscribe,
    check,
    id_of,
    load_object,
)

SUBSCRIBE = {"op": "subscribe", "id": 1, "streams": ["state"]}
ACTION = {"op": "action", "id": 1, "server": 1, "action": {"Action": "Ping"}}


def nested(depth: int) -> str:
    """An object with lists within each other, so many in all."""
    lists = depth - 1
    return '{"a":' + "[" * lists + "]" * lists + "}"


def refusal(function: Any, given: Any) -> RequestError:
    with pytest.raises(RequestError) as raised:
        function(given)
    assert raised.value.code in CODES
    return raised.value


def test_an_object_is_read() -> None:
    text = '{"op": "ping", "id": "\\u00e9\\ud83d\\ude00", "more": [{"x": 1.5}, null]}'
    assert load_object(text) == {"op": "ping", "id": "é😀", "more": [{"x": 1.5}, None]}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nonsense",
        '{"op": "ping"} {}',
        "[]",
        '"ping"',
        "null",
        "1",
        '{"op": "ping", "op": "ping"}',
        '{"op": "action", "action": {"Action": "A", "Action": "B"}}',
        '{"id": NaN}',
        '{"id": -Infinity}',
        '{"id": 1e999}',
        '{"id": %s}' % ("9" * 5000),
        '{"id": "\\ud83d"}',
        '{"\\udc00": 1}',
        "[" * 100_000,
        '{"a":' * 100_000,
        nested(MAX_DEPTH + 1),
        "\ufeff{}",
    ],
    ids=lambda text: text[:20],
)
def test_all_else_is_refused(text: str) -> None:
    assert refusal(load_object, text).code == "bad_json"


def test_the_deepest_that_is_read() -> None:
    load_object(nested(MAX_DEPTH))


def test_what_is_refused_is_not_repeated() -> None:
    """Texts of errors may be logged: they hold no value of the client."""
    for text in ('{"secret": x}', '["secret"]', '{"secret": 1, "secret": 2}'):
        assert "secret" not in refusal(load_object, text).message
    for given in (
        {"op": "secret", "id": 1},
        {**SUBSCRIBE, "streams": ["secret"]},
        {**SUBSCRIBE, "filters": {"queue": {"secret": 1}}},
        {**ACTION, "server": "secret"},
        {**ACTION, "action": {"secret": {"secret": "secret"}}},
    ):
        assert "secret" not in refusal(check, given).message


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({"id": "x"}, "x"),
        ({"id": -5}, -5),
        ({"id": ""}, ""),
        ({"id": "x" * 64}, "x" * 64),
        ({"id": "x" * 65}, None),
        ({"id": 2**53 - 1}, 2**53 - 1),
        ({"id": 2**53}, None),
        ({"id": True}, None),
        ({"id": 1.0}, None),
        ({"id": None}, None),
        ({"id": ["x"]}, None),
        ({}, None),
    ],
)
def test_the_id_of_an_answer(given: dict[str, Any], found: object) -> None:
    assert id_of(given) == found
    assert type(id_of(given)) is type(found)


@pytest.mark.parametrize(
    "given",
    [
        SUBSCRIBE,
        {**SUBSCRIBE, "streams": ["events", "state"], "filters": None},
        {**SUBSCRIBE, "filters": {"server": [1, 2], "kind": "queue", "event": None, "new": 1}},
        {**SUBSCRIBE, "op": "resume", "position": ""},
        {**SUBSCRIBE, "op": "resume", "position": "x" * LONGEST},
        {"op": "unsubscribe", "id": "", "subscription": "s-1"},
        {"op": "ping", "id": 0, "more": {"x": [1]}},
        ACTION,
        {**ACTION, "server": "all", "timeout": 5, "wait": True, "idempotency_key": "k"},
        {**ACTION, "server": [1, 2], "action": {"Action": "A", "B": [1, "x", None], "C": 1.5}},
    ],
)
def test_requests_in_their_form(given: dict[str, Any]) -> None:
    assert type(check(given)) is REQUESTS[given["op"]]


def test_what_a_request_says() -> None:
    found = check({**SUBSCRIBE, "op": "resume", "position": "p"})
    assert isinstance(found, Resume)
    assert (found.id, found.streams, found.position) == (1, ["state"], "p")
    plain = check(SUBSCRIBE)
    assert isinstance(plain, Subscribe)
    assert plain.filters is None


@pytest.mark.parametrize(
    ("given", "code", "place"),
    [
        ({}, "unknown_op", ""),
        ({"op": "Ping", "id": 1}, "unknown_op", ""),
        ({"op": ["ping"], "id": 1}, "unknown_op", ""),
        ({"op": None, "id": 1}, "unknown_op", ""),
        ({"op": "ping"}, "bad_request", "id"),
        ({"op": "ping", "id": "x" * 65}, "bad_request", "id"),
        ({"op": "subscribe", "id": 1}, "bad_request", "streams"),
        ({**SUBSCRIBE, "streams": []}, "bad_request", "streams"),
        ({**SUBSCRIBE, "streams": "state"}, "bad_request", "streams"),
        ({**SUBSCRIBE, "streams": ["news"]}, "bad_request", "streams"),
        ({**SUBSCRIBE, "filters": []}, "bad_request", "filters"),
        ({**SUBSCRIBE, "filters": {"server": "1"}}, "bad_filter", "filters.server"),
        ({**SUBSCRIBE, "filters": {"server": True}}, "bad_filter", "filters.server"),
        ({**SUBSCRIBE, "filters": {"queue": [["a"]]}}, "bad_filter", "filters.queue"),
        ({**SUBSCRIBE, "op": "resume"}, "bad_request", "position"),
        ({**SUBSCRIBE, "op": "resume", "position": 5}, "bad_request", "position"),
        (
            {**SUBSCRIBE, "op": "resume", "position": "x" * (LONGEST + 1)},
            "bad_request",
            "position",
        ),
        ({"op": "unsubscribe", "id": 1}, "bad_request", "subscription"),
        ({"op": "unsubscribe", "id": 1, "subscription": None}, "bad_request", "subscription"),
        ({**ACTION, "server": "1"}, "bad_request", "server"),
        ({**ACTION, "server": 1.0}, "bad_request", "server"),
        ({**ACTION, "action": "Ping"}, "bad_request", "action"),
        ({**ACTION, "action": {"Action": {}}}, "bad_request", "action"),
        ({**ACTION, "timeout": 0}, "bad_request", "timeout"),
        ({**ACTION, "timeout": "5"}, "bad_request", "timeout"),
        ({**ACTION, "wait": 1}, "bad_request", "wait"),
        ({**ACTION, "idempotency_key": 1}, "bad_request", "idempotency_key"),
    ],
)
def test_a_wrong_request_is_told_which_member_is_wrong(
    given: dict[str, Any], code: str, place: str
) -> None:
    error = refusal(check, given)
    assert (error.code, error.message.partition(": ")[0] if place else "") == (code, place)
    json.dumps(error.message).encode()
