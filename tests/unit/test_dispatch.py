from __future__ import annotations

import json
import logging
from typing import Any

import pytest

from amiws_gevent.config import AmiHost
from amiws_gevent.dispatch import Dispatcher
from amiws_gevent.errors import AmiwsError, NotConnected, SendBufferFull
from amiws_gevent.plugins.api import ClientInfo
from amiws_gevent.runtime.log import LogLimiter
from tests.support.clock import Clock
from tests.support.hosts import ami_host

ALICE = ClientInfo("127.0.0.1:5001", "alice", "classic")
BOB = ClientInfo("127.0.0.1:5002", "bob", "classic")


class FakeLink:
    def __init__(self, host: AmiHost, error: AmiwsError | None = None) -> None:
        self.host = host
        self.error = error
        self.sent: list[bytes] = []
        self.holding: list[float] = []

    def send(self, data: bytes, *, holding: float = 0.0) -> None:
        if self.error is not None:
            raise self.error
        self.sent.append(data)
        self.holding.append(holding)


def setup(*errors: AmiwsError | None) -> tuple[Dispatcher, list[FakeLink]]:
    links = [
        FakeLink(ami_host(id=number, name=f"pbx{number}", ssl=number == 2), error)
        for number, error in enumerate(errors, 1)
    ]
    return Dispatcher({link.host.id: link for link in links}), links


def dispatch(dispatcher: Dispatcher, action: Any, client: ClientInfo = ALICE) -> list[Any]:
    text = action if isinstance(action, str) else json.dumps(action)
    answers: list[bytes] = []
    dispatcher.dispatch(text, client=client, answer=answers.append)
    return [json.loads(answer) for answer in answers]


def test_to_all_or_to_one() -> None:
    dispatcher, (one, two) = setup(None, None)
    assert dispatch(dispatcher, {"Action": "Ping"}) == []
    assert dispatch(dispatcher, {"Action": "CoreStatus", "AMIServerID": 2}) == []
    assert one.sent == [b"Action: Ping\r\n\r\n"]
    assert two.sent == [b"Action: Ping\r\n\r\n", b"Action: CoreStatus\r\n\r\n"]
    assert (dispatcher.sent, dispatcher.refused) == (3, 0)


def test_a_server_that_cannot_take_it_is_told_by_name_and_the_others_get_it() -> None:
    dispatcher, (one, _, _) = setup(
        None, NotConnected("pbx2 is not connected"), SendBufferFull("x")
    )
    answers = dispatch(dispatcher, {"Action": "Ping", "ActionID": "7"})
    assert one.sent == [b"Action: Ping\r\nActionID: 7\r\n\r\n"]
    assert answers[0] == {
        "type": 4,
        "server_id": 2,
        "server_name": "pbx2",
        "ssl": True,
        "data": {"Response": "Error", "ActionID": "7", "Message": "pbx2 is not connected"},
    }
    assert answers[1]["server_id"] == 3
    assert (dispatcher.sent, dispatcher.refused) == (1, 2)


def test_an_unknown_server_is_an_error_that_lists_the_known() -> None:
    dispatcher, _ = setup(None, None)
    (answer,) = dispatch(dispatcher, {"Action": "Ping", "AMIServerID": 5, "ActionID": "a"})
    assert (answer["server_id"], answer["server_name"]) == (0, "amiws-gevent")
    assert "no such server" in answer["data"]["Message"]
    assert "1, 2" in answer["data"]["Message"]
    assert answer["data"]["ActionID"] == "a"


def test_a_refused_action_reaches_no_server(caplog: pytest.LogCaptureFixture) -> None:
    dispatcher, (one,) = setup(None)
    (answer,) = dispatch(dispatcher, '{"Action": "A", "V": "x\\nAction: B"}')
    assert answer["data"]["Response"] == "Error"
    assert one.sent == []
    assert dispatcher.refused == 1


def test_a_link_learns_what_an_action_may_hold_up() -> None:
    dispatcher, (one,) = setup(None)
    originate = {"Action": "Originate", "Timeout": 45000}
    dispatch(dispatcher, originate)
    dispatch(dispatcher, {**originate, "Async": True})
    dispatch(dispatcher, {"Action": "Ping"})
    assert one.holding == [45.0, 0.0, 0.0]


@pytest.mark.parametrize("given", ["amiws-gevent-1", "\tamiws-gevent-"])
def test_action_ids_that_would_pass_for_ours_are_refused(given: str) -> None:
    dispatcher, (one,) = setup(None)
    for headers in ({"ActionID": given}, {"ActionID": "mine", "actionid": given}):
        (answer,) = dispatch(dispatcher, {"Action": "A", **headers})
        assert 'begins with "amiws-gevent-"' in answer["data"]["Message"]
        assert answer["data"]["ActionID"] == headers["ActionID"].lstrip()
    assert (one.sent, dispatcher.refused) == ([], 2)


def test_wrong_actions_have_a_line_a_minute_for_each_client(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    clock = Clock()
    dispatcher = Dispatcher({}, LogLimiter(60, clock))
    for _ in range(1000):
        dispatch(dispatcher, "no action")
        dispatch(dispatcher, "no action", client=BOB)
    clock.now += 60
    dispatch(dispatcher, "no action")
    assert dispatcher.refused == 2001
    lines = caplog.messages
    assert [line.partition(" refused: ")[0] for line in lines] == [
        f"action of {ALICE}",
        f"action of {BOB}",
        f"action of {ALICE}",
    ]
    assert lines[-1].endswith(" (999 more like it were not logged)")


def test_a_server_that_is_not_connected_has_a_line_a_minute(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    down = NotConnected("not connected")
    dispatcher, _ = setup(*[down] * 6)
    for action in ("CoreSettings", "CoreStatus", "CoreShowChannels"):
        for client in (ALICE, BOB):
            assert len(dispatch(dispatcher, {"Action": action}, client=client)) == 6
    assert dispatcher.refused == 36
    assert caplog.messages == [
        f"action CoreSettings of {ALICE} not sent to pbx{number}: not connected"
        for number in range(1, 7)
    ]
