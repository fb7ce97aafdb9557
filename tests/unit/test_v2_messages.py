from __future__ import annotations

import json

from amiws_gevent.v2.messages import FROM_SERVER, MESSAGES, Error, Pong, encode
from amiws_gevent.v2.requests import REQUESTS


def test_a_message_has_the_members_that_were_given() -> None:
    assert json.loads(encode(Error(op="error", code="bad_json", message="no"))) == {
        "op": "error",
        "code": "bad_json",
        "message": "no",
    }
    assert encode(Pong(op="pong", id=1, time=2)) == b'{"op":"pong","id":1,"time":2}'


def test_every_message_is_known_by_its_op() -> None:
    for op, model in {**MESSAGES, **REQUESTS}.items():
        assert model.model_json_schema()["properties"]["op"]["const"] == op
    assert FROM_SERVER.validate_python({"op": "pong", "id": "x", "time": 1}) == Pong(
        op="pong", id="x", time=1
    )
