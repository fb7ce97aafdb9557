"""What rights say of an action, and to whom it may go."""

from __future__ import annotations

import pytest

from amiws_gevent.actions import ActionProblem
from amiws_gevent.actions.permission import check, reachable, taken_back
from amiws_gevent.policy import Rights
from tests.support.policy import rights

PING = (("Action", "Ping"),)


def test_without_roles_nothing_is_looked_at() -> None:
    headers = (("Action", "Ping"), ("Action", "Ping"))
    assert taken_back(Rights.everything, headers) is headers
    check(Rights.everything, [1, 2], headers)
    assert reachable(Rights.everything, {}) == {}


def test_each_server_is_asked_about() -> None:
    first = rights({"servers": "pbx1"}, [{"action": "Ping"}])
    check(first, [1], PING)
    check(first, [], PING)
    with pytest.raises(ActionProblem, match=r"your roles \(agent\) do not allow Ping") as caught:
        check(first, [1, 2], PING)
    assert caught.value.code == "not_allowed"


def test_pseudonyms_become_numbers_again() -> None:
    masked = rights({"numbers": "masked"}, [])
    shown = masked.sight.hidden("PJSIP/0170123456-0001")
    headers = (("Action", "Hangup"), ("Channel", shown))
    assert dict(taken_back(masked, headers))["Channel"] == "PJSIP/0170123456-0001"


def test_servers_that_are_not_seen_are_not_there() -> None:
    first = rights({"servers": "pbx1"}, [])
    assert reachable(first, {1: "a", 2: "b"}) == {1: "a"}
    with pytest.raises(ActionProblem) as caught:
        reachable(rights(), {1: "a"})
    assert caught.value.code == "not_allowed"
