from __future__ import annotations

import math
from typing import Any

import pytest

from amiws_gevent.actions.problems import ActionProblem
from amiws_gevent.actions.request import ActionRequest, parse_request
from amiws_gevent.ami import ClientAction


def request(given: Any = None, **more: Any) -> ActionRequest:
    action = {"Action": "QueueStatus"} if given is None else given
    return parse_request({"server": 1, "action": action, **more})


def refused(given: Any = None, **more: Any) -> ActionProblem:
    with pytest.raises(ActionProblem) as caught:
        request(given, **more)
    assert "\n" not in caught.value.message
    return caught.value


def test_the_least_that_can_be_asked() -> None:
    assert request() == ActionRequest(
        servers=(1,),
        name="QueueStatus",
        headers=(("Action", "QueueStatus"),),
        action_id=None,
        timeout=10.0,
        wait=False,
        idempotency_key=None,
    )


def test_members_of_no_meaning_here_are_passed_over() -> None:
    assert request(op="action", id=7, colour="red") == request()


@pytest.mark.parametrize(
    ("given", "servers"),
    [
        ("all", None),
        (3, (3,)),
        ("3", (3,)),
        ([2, 1, "2", 1], (2, 1)),
        (0, (0,)),
        (-1, (-1,)),
    ],
)
def test_servers(given: Any, servers: Any) -> None:
    assert request(server=given).servers == servers


@pytest.mark.parametrize(
    "given", [None, [], "ALL", "", "one", 1.0, True, [True], [[1]], ["all"], {}, "1" * 16, "\u0661"]
)
def test_what_names_no_server(given: Any) -> None:
    problem = refused(server=given)
    assert (problem.code, problem.status) == ("bad_request", 400)
    assert '"server"' in problem.message


def test_values_of_headers() -> None:
    made = request({"Action": "A", "Text": "x", "Whole": 7, "Part": 1.5, "Yes": True, "No": False})
    assert made.headers[1:] == (
        ("Text", "x"),
        ("Whole", "7"),
        ("Part", "1.5"),
        ("Yes", "true"),
        ("No", "false"),
    )
    repeated = request({"Action": "A", "Variable": ["a=1", 2, True, None], "None": None})
    assert repeated.headers[1:] == (("Variable", "a=1"), ("Variable", "2"), ("Variable", "true"))


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"Action": ""},
        {"Action": 7},
        {"Action": ["Ping"]},
        {"Action": "A", "action": "B"},
        {"Action": "A", "V": "x\r\nAction: Logoff"},
        {"Action": "A", "V": "x\nAction: Logoff"},
        {"Action": "A", "V": "x\0"},
        {"Action": "A", "V": ["fine", "x\n"]},
        {"Action": "A", "V\r\nX": "x"},
        {"Action": "A", "V: x": "x"},
        {"Action": "A", "": "x"},
        {"Action": "A", "V": {"a": 1}},
        {"Action": "A", "V": [["a"]]},
        {"Action": "A", "V": "\ud800"},
        {"Action": "A", "V": math.nan},
        {"Action": "A", "V": math.inf},
        {"Action": "A", "V": "x" * 1024},
        {"Action": "A", "V": ["x"] * 127},  # there is no room for our ActionID
        {"Action": "Originate", "V": ["x"] * 126},  # nor for Async
        {"Action": "A", "ActionID": "x\ny"},
        {"Action": "A", "AMIServerID": 1},
        [],
        "Ping",
        None,
        {1: "Ping"},
    ],
)
def test_what_must_not_reach_a_server(given: Any) -> None:
    with pytest.raises(ActionProblem) as caught:
        parse_request({"server": 1, "action": given})
    assert caught.value.code == "bad_request"


@pytest.mark.parametrize("value", [1, "1", [1], True, "all"])
def test_who_writes_the_server_as_for_the_classic_socket_is_told_where_it_goes(value: Any) -> None:
    problem = refused({"Action": "A", "amiServerID": value})
    assert problem.code == "bad_request"
    assert problem.message == 'the action has an "AMIServerID"; name servers in "server"'


@pytest.mark.parametrize(
    "name", ["Login", "LOGOFF", " Logoff", "\x01logoff", "Challenge", "Events", "Filter\u2003"]
)
def test_what_would_change_the_session_of_all(name: str) -> None:
    problem = refused({"Action": name})
    assert (problem.code, problem.status) == ("action_refused", 403)


def test_as_many_headers_as_there_is_room_for() -> None:
    assert len(request({"Action": "A", "V": ["x"] * 126}).headers) == 127


def test_the_clients_action_id_is_kept_and_not_sent() -> None:
    made = request({"Action": "A", "ActionID": " mine", "actionid": "other", "X": "y"})
    assert made.action_id == "mine"
    assert made.headers == (("Action", "A"), ("X", "y"))
    assert request({"Action": "A", "ActionID": "x" * 1000}).action_id == "x" * 1000
    assert request({"Action": "A", "ActionID": "amiws-gevent-1"}).action_id == "amiws-gevent-1"


class TestOriginate:
    """Without Async it would block the session that all clients share."""

    @pytest.mark.parametrize("given", [{}, {"Async": "false"}, {"async": False}, {"ASYNC": [0, 1]}])
    def test_it_is_always_sent_with_async(self, given: dict[str, Any]) -> None:
        made = request({"Action": " originate", "Channel": "SIP/1", **given})
        assert made.headers == (
            ("Action", " originate"),
            ("Channel", "SIP/1"),
            ("Async", "true"),
        )

    @pytest.mark.parametrize(
        ("timeout", "seconds"),
        [
            ({}, 35.0),
            ({"Timeout": 45_000}, 50.0),
            ({"Timeout": 0}, 300.0),
            ({"Timeout": 3_600_000}, 300.0),
            ({"Timeout": "soon"}, 5.0),
            ({"Timeout": 45_000, "Async": True}, 50.0),
        ],
    )
    def test_the_default_follows_how_long_it_rings(
        self, timeout: dict[str, Any], seconds: float
    ) -> None:
        made = request({"Action": "Originate", **timeout}, wait=True)
        assert (made.wait, made.timeout) == (True, seconds)
        assert request({"Action": "Originate", **timeout}).timeout == 10.0

    def test_what_the_client_says_counts(self) -> None:
        assert request({"Action": "Originate"}, wait=True, timeout=200).timeout == 200.0

    def test_others_cannot_be_waited_for(self) -> None:
        assert refused({"Action": "Ping"}, wait=True).code == "bad_request"
        assert not request({"Action": "Ping"}, wait=False).wait
        for given in (1, "true", []):
            assert refused({"Action": "Originate"}, wait=given).code == "bad_request"


@pytest.mark.parametrize("given", [0.05, 1, 60])
def test_a_time_limit(given: float) -> None:
    assert request(timeout=given).timeout == given


@pytest.mark.parametrize("given", [0, -1, 60.1, math.nan, math.inf, "5", True, []])
def test_what_is_no_time_limit(given: Any) -> None:
    problem = refused(timeout=given)
    assert problem.code == "bad_request"
    assert '"timeout"' in problem.message


def test_idempotency_keys() -> None:
    assert request(idempotency_key="x" * 255).idempotency_key == "x" * 255
    for given in ("", "x" * 256, 7, ["a"]):
        assert refused(idempotency_key=given).code == "bad_request"


def test_what_hooks_of_plugins_get() -> None:
    made = request({"Action": "Originate", "ActionID": "7", "Channel": "SIP/1"})
    action = made.client_action(2)
    assert action == ClientAction(
        "Originate",
        2,
        "7",
        (
            ("Action", "Originate"),
            ("Channel", "SIP/1"),
            ("Async", "true"),
            ("ActionID", "7"),
        ),
    )
    assert action.action_ids == ("7",)
    assert request().client_action(None).headers == (("Action", "QueueStatus"),)


def test_a_header_by_its_name() -> None:
    made = request({"Action": "A", "ChannelId": "x-1"})
    assert (made.header("channelid"), made.header("other")) == ("x-1", None)
