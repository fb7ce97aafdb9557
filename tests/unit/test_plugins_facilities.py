"""What plugins are given: answers as plain data, and what there is without a program."""

from __future__ import annotations

import pytest

from amiws_gevent.ami import Kind, Message
from amiws_gevent.plugins.facilities import UNKNOWN_SERVER, Answer, AskError, NoFacilities


@pytest.mark.parametrize(
    ("answer", "ok"),
    [
        (Answer(1, Message(Kind.RESPONSE, {"Response": "Success"})), True),
        (Answer(1, None, complete=False, reason="no answer within 10 s"), False),
        (Answer(1, Message(Kind.RESPONSE, {"Response": "Error"}), refusal="No such queue"), False),
    ],
)
def test_an_answer_is_ok_if_it_is_whole_and_no_refusal(answer: Answer, ok: bool) -> None:
    assert answer.ok is ok


def test_without_a_program_nothing_is_there_and_nothing_raises_but_a_question() -> None:
    nobody = NoFacilities()
    with pytest.raises(AskError, match="server 3") as raised:
        nobody.ask(3, {"Action": "Ping"}, timeout=1, wait=False)
    assert raised.value.code == UNKNOWN_SERVER
    assert nobody.publish(Message(Kind.EVENT, {"Event": "Mine"})) is False
    assert not list(nobody.entities(1))
    assert not nobody.state.servers
    assert not nobody.state.of(1, "queue")
    assert nobody.state.get(1, "queue", "a") is None
    nobody.show_anew()
