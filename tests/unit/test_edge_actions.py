"""Actions of an edge's clients, over a local bus, with a collector of scripted links."""

from __future__ import annotations

import json
from typing import Any

import gevent
import pytest

from amiws_gevent.access import CHANGED
from amiws_gevent.actions import ActionProblem
from amiws_gevent.actions.limits import ActionLimits
from amiws_gevent.audit.trail import Trail
from amiws_gevent.bus.api import UNKNOWN, UNREACHABLE
from amiws_gevent.collector.actions import OTHER_ROLES
from amiws_gevent.collector.answering import LATE
from amiws_gevent.config import Limits
from amiws_gevent.crossing import calls
from amiws_gevent.edge.actions import AWAY, LOST, RemoteActions, RemoteDispatcher
from amiws_gevent.plugins.api import ServerInfo
from amiws_gevent.plugins.manager import Plugins
from amiws_gevent.policy import Rights
from tests.support.actions import ALICE, BOB, ScriptedLink, Told, answered, asked, item, settle
from tests.support.answering import CollectorOf
from tests.support.greenlets import until
from tests.support.local_bus import LocalCalls
from tests.support.policy import rights


class _Infos:
    def __init__(self, *servers: int) -> None:
        self.infos = {one: ServerInfo(one, f"pbx{one}", False) for one in servers}


class Setup:
    """One edge, and a collector of these links."""

    def __init__(self, *links: ScriptedLink, limits: ActionLimits | None = None) -> None:
        self.links: dict[int, Any] = {link.host.id: link for link in links}
        self.bus = LocalCalls()
        self.rights = Rights.everything
        self.collector = collector = CollectorOf(self.links)
        self.actions, self.dispatcher = collector.actions, collector.dispatcher
        self.bus.serve(collector.methods)
        infos = _Infos(*self.links)
        self.infos = infos.infos
        limits = ActionLimits() if limits is None else limits
        options: dict[str, Any] = {
            "rights_of": lambda _identity: self.rights,
            "audit": Trail(),
        }
        self.edge = RemoteActions(infos, self.bus, action_limits=limits, **options)
        self.classic = RemoteDispatcher(infos, self.bus, limits=ActionLimits(), **options)

    def dispatch(self, text: str, authorize: Any = lambda _action: None) -> list[dict[str, Any]]:
        answers: list[bytes] = []
        self.classic.dispatch(text, client=ALICE, authorize=authorize, answer=answers.append)
        settle()
        return [json.loads(answer)["data"] for answer in answers]


def test_replies_come_from_all_servers_to_who_asked() -> None:
    setup = Setup(ScriptedLink(1), ScriptedLink(2))
    told, other = Told(), Told()
    submission = setup.edge.submit(
        asked({"Action": "Ping", "ActionID": "mine"}, "all"), ALICE, told
    )
    setup.edge.submit(asked({"Action": "Ping"}, 2), BOB, other)
    assert (submission.servers, submission.replies) == ((1, 2), 2)
    assert sorted(reply.server for reply in told.wait(2)) == [1, 2]
    assert told.counts == [2, 2]
    assert {reply.action_id for reply in told.replies} == {"mine"}
    assert [reply.server for reply in other.wait(1)] == [2]
    assert setup.edge.at_work == setup.actions.at_work == 0
    assert (setup.edge.sent, setup.edge.outcomes) == (3, {"answered": 3})


def test_what_an_edge_sends_is_the_request_of_its_client() -> None:
    setup = Setup(ScriptedLink(1))
    request = asked(
        {"Action": "Originate", "Channel": "SIP/1", "Variable": ["a=1", "b=2"]},
        [1],
        wait=True,
        timeout=7,
        idempotency_key="k",
    )
    told = Told()
    setup.edge.submit(request, ALICE, told)
    told.wait(1)
    assert calls.request_of(calls.decode(setup.bus.asked[0][1])["request"]) == request
    assert setup.links[1].asked == [(request.headers, 7.0, True)]
    told = Told()
    setup.edge.submit(request, ALICE, told)
    assert told.wait(1)
    assert len(setup.links[1].asked) == 1, "the key holds for all edges"


def test_what_the_collector_refuses_is_a_problem() -> None:
    setup = Setup(ScriptedLink(1))
    setup.links.clear()
    with pytest.raises(ActionProblem) as caught:
        setup.edge.submit(asked(), ALICE, Told())
    assert caught.value.code == "unknown_server"
    assert setup.edge.refused == {"unknown_server": 1}


def test_what_the_edge_refuses_is_not_asked() -> None:
    setup = Setup(ScriptedLink(1))
    setup.rights = rights(do=[])
    with pytest.raises(ActionProblem) as caught:
        setup.edge.submit(asked(), ALICE, Told())
    assert caught.value.code == "not_allowed"
    setup.rights = Rights.everything
    setup.edge.plugins = Plugins()
    setup.edge.plugins.authorize_action = lambda *_: "no"  # type: ignore[method-assign]
    with pytest.raises(ActionProblem):
        setup.edge.submit(asked(), ALICE, Told())
    assert setup.bus.asked == []


def test_a_collector_that_has_other_roles_sends_nothing() -> None:
    """Its reply would show what these show: all, where the edge was reloaded before it."""
    items = [item("QueueParams", Queue=queue) for queue in ("support", "sales")]
    setup = Setup(ScriptedLink(1, answered(items=items)))
    setup.rights = rights({"queues": "support"}, [{"action": "QueueStatus"}])
    request = asked({"Action": "QueueStatus"})
    for other in (Rights.everything, rights({"queues": "s*"}, [{"action": "QueueStatus"}])):
        setup.collector.rights = other
        with pytest.raises(ActionProblem) as caught:
            setup.edge.submit(request, ALICE, Told())
        assert (caught.value.code, caught.value.message) == ("not_allowed", OTHER_ROLES)
        assert caught.value.retry_after
    assert setup.links[1].asked == []
    setup.collector.rights = rights({"queues": "support"}, [{"action": "QueueStatus"}])
    told = Told()
    setup.edge.submit(request, ALICE, told)
    assert [[one["Queue"] for one in reply.items] for reply in told.wait(1)] == [["support"]]


def test_a_collector_that_cannot_be_reached() -> None:
    setup = Setup(ScriptedLink(1), ScriptedLink(2))
    setup.bus.problem = UNREACHABLE
    told = Told()
    setup.edge.submit(asked({"Action": "Ping"}, "all"), ALICE, told)
    told.wait(2)
    assert told.outcomes == ["unreachable", "unreachable"]
    assert {(reply.reason, reply.retry_after) for reply in told.replies} == {(AWAY, 1.0)}


def test_a_collector_that_is_lost_before_it_says_anything() -> None:
    setup = Setup(ScriptedLink(1))
    setup.bus.problem = UNKNOWN
    told = Told()
    setup.edge.submit(asked(), ALICE, told)
    assert [(reply.outcome, reply.reason) for reply in told.wait(1)] == [("unknown", LOST)]


def test_a_collector_that_is_lost_amid_the_replies() -> None:
    slow = ScriptedLink(2)
    slow.open.clear()
    setup = Setup(ScriptedLink(1), slow)
    told = Told()
    setup.edge.submit(asked({"Action": "Ping"}, "all"), ALICE, told)
    told.wait(1)
    (of_slow,) = [one for one in setup.bus.replies if one.lease == "server-2"]
    of_slow.fail(UNKNOWN)
    told.wait(2)
    assert told.outcomes == ["answered", "unknown"]
    slow.open.set()


def test_each_server_is_asked_of_the_collector_that_has_it() -> None:
    setup = Setup(ScriptedLink(1), ScriptedLink(2))
    told = Told()
    setup.edge.submit(asked({"Action": "Ping"}, "all", idempotency_key="k"), ALICE, told)
    told.wait(2)
    assert [one.lease for one in setup.bus.replies] == ["server-1", "server-2"]
    again = Told()
    setup.edge.submit(asked({"Action": "Ping"}, "all", idempotency_key="k"), ALICE, again)
    again.wait(2)
    assert [len(link.asked) for link in setup.links.values()] == [1, 1]
    with pytest.raises(ActionProblem, match="key"):
        setup.edge.submit(asked({"Action": "Ping"}, 2, idempotency_key="k"), ALICE, Told())


def test_one_collector_that_is_away_is_no_problem_of_the_others() -> None:
    setup = Setup(ScriptedLink(1), ScriptedLink(2))
    setup.bus.away = {"server-1"}
    told = Told()
    submission = setup.edge.submit(asked({"Action": "Ping"}, "all"), ALICE, told)
    told.wait(2)
    assert submission.replies == 2
    outcomes = {reply.server: (reply.outcome, reply.reason) for reply in told.replies}
    assert outcomes == {1: ("unreachable", AWAY), 2: ("answered", "")}


def test_what_one_collector_refuses_is_unreachable_if_another_does_not() -> None:
    setup = Setup(ScriptedLink(1), ScriptedLink(2))
    del setup.links[2]
    setup.infos[2] = ServerInfo(2, "pbx2", False)
    told = Told()
    setup.edge.submit(asked({"Action": "Ping"}, "all"), ALICE, told)
    told.wait(2)
    outcomes = {reply.server: reply.outcome for reply in told.replies}
    assert outcomes == {1: "answered", 2: "unreachable"}


def test_what_is_late_is_not_sent() -> None:
    setup = Setup(ScriptedLink(1))
    setup.bus.expires = True
    told = Told()
    setup.edge.submit(asked(), ALICE, told)
    assert [(one.outcome, one.reason) for one in told.wait(1)] == [("unreachable", LATE)]
    assert setup.links[1].asked == []


def test_limits_count_at_the_edge_once_for_all_servers() -> None:
    limits = ActionLimits(Limits.model_validate({"actions_at_work": 1}))
    slow = ScriptedLink(2)
    slow.open.clear()
    setup = Setup(ScriptedLink(1), slow, limits=limits)
    told = Told()
    setup.edge.submit(asked({"Action": "Ping"}, "all"), ALICE, told)
    told.wait(1)
    with pytest.raises(ActionProblem) as caught:
        setup.edge.submit(asked(), ALICE, Told())
    assert caught.value.code == "too_many_actions"
    slow.open.set()
    told.wait(2)
    settle()
    setup.edge.submit(asked(), ALICE, Told())


def test_a_client_that_leaves_is_forgotten_by_the_collector_too() -> None:
    slow = ScriptedLink(1)
    slow.open.clear()
    setup = Setup(slow)
    told = Told()
    submission = setup.edge.submit(asked(), ALICE, told)
    until(lambda: setup.actions.at_work)
    submission.cancel()
    until(lambda: not setup.actions.at_work)
    assert setup.edge.at_work == 0
    assert told.replies == []


def test_no_answer_is_shown_by_rights_of_before() -> None:
    slow = ScriptedLink(1)
    slow.open.clear()
    setup = Setup(slow)
    told = Told()
    setup.edge.submit(asked(), ALICE, told)
    setup.rights = rights(do=[])
    slow.open.set()
    (reply,) = told.wait(1)
    assert (reply.reason, reply.response) == (CHANGED, None)


def test_a_classic_action_is_sent_by_the_collector() -> None:
    setup = Setup(ScriptedLink(1))
    sent: list[bytes] = []
    setup.links[1].send = lambda data, holding=0.0: sent.append(data)
    assert setup.dispatch('{"Action": "Ping", "ActionID": "1"}') == []
    assert sent == [b"Action: Ping\r\nActionID: 1\r\n\r\n"]
    assert (setup.classic.sent, setup.dispatcher.sent) == (1, 1)


def test_errors_of_a_classic_action_come_to_who_sent_it() -> None:
    setup = Setup(ScriptedLink(1))
    assert setup.dispatch('{"Action": "Logoff"}')[0]["Response"] == "Error"
    assert "no" in setup.dispatch('{"Action": "Ping"}', lambda _: "no")[0]["Message"]
    assert setup.bus.asked == []
    setup.links.clear()
    (answer,) = setup.dispatch('{"Action": "Ping", "AMIServerID": 1, "ActionID": "7"}')
    assert (answer["Response"], answer["ActionID"]) == ("Error", "7")
    for problem, why in ((UNREACHABLE, AWAY), (UNKNOWN, LOST)):
        setup.bus.problem = problem
        (answer,) = setup.dispatch('{"Action": "Ping", "ActionID": "8"}')
        assert (answer["Message"], answer["ActionID"]) == (why, "8")
    gevent.sleep(0)
