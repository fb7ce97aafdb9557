"""From roles and users to rights."""

from __future__ import annotations

import json
from typing import Any

from amiws_gevent.ami import Kind, Message
from amiws_gevent.policy import Rights
from tests.support.policy import action, event, policy, rights

AGENT = {
    "see": [{"queues": "{user.queues}", "numbers": "masked"}],
    "do": [
        {
            "action": "QueuePause",
            "with": {"Queue": "{user.queues}", "Interface": "{user.interface}"},
        }
    ],
}
ROLES = {
    "agent": AGENT,
    "wallboard": {"see": {"kinds": ["queue"], "names": "none"}},
    "administrator": {"see": "everything", "do": "everything"},
    "nothing": {},
}
USERS = {
    "bob": {"roles": ["agent"], "interface": "PJSIP/204", "queues": ["support"]},
    "ann": {"roles": "agent", "interface": "PJSIP/204", "queues": "support"},
    "eve": {"roles": ["agent"], "interface": "PJSIP/205", "queues": ["support"]},
    "sue": {"roles": ["wallboard", "agent"], "interface": "PJSIP/1", "queues": ["sales"]},
    "root": {"roles": ["administrator"]},
    "none": {"roles": ["nothing"]},
}
POLICY = policy(ROLES, users=USERS, tokens={"crm": ("wallboard",)}, anonymous=("wallboard",))


def test_without_roles_everything_is_one_object() -> None:
    for identity in (None, "bob", "token:crm"):
        assert policy(None).rights(identity) is Rights.everything
    everything = Rights.everything
    fields = {"name": "x"}
    assert everything.entity("queue", 1, "x", fields) == ("x", fields)
    message = event("UserEvent", x="y")
    assert everything.message(1, message) is message
    assert everything.reply(1, "Command", [message]) == [message]
    assert everything.may(1, action("Command", Command="core stop now")) is None
    assert everything.may_any("Command")
    assert everything.sees_server(7)
    assert everything.describe() == {"everything": True}
    assert everything.sight.is_whole
    assert everything.sight.classic(1)
    assert everything == everything
    assert everything != POLICY.rights("root")
    assert not policy(None).is_configured
    assert POLICY.is_configured


def test_who_has_no_role_sees_and_may_nothing() -> None:
    for identity in ("stranger", "token:other", "none", "token:bob", ""):
        found = POLICY.rights(identity)
        assert not found.sees_server(1)
        assert found.message(1, event("Hangup")) is None
        assert found.entity("queue", 1, "x", {}) is None
        assert found.may(1, action("Ping")) is not None
    assert str(POLICY.rights("x").may(1, action("Ping"))) == "you have no role that allows Ping"


def test_users_to_whom_the_same_is_allowed_have_the_same_rights() -> None:
    bob, ann, eve = map(POLICY.rights, ("bob", "ann", "eve"))
    assert bob is ann
    assert bob == ann
    assert hash(bob) == hash(ann)
    assert bob != eve
    assert bob.sight is eve.sight  # they see the same: one encoding
    assert POLICY.rights(None) is POLICY.rights("token:crm")


def test_the_rights_of_a_new_policy_are_equal() -> None:
    again = policy(ROLES, users=USERS, anonymous=("wallboard",))
    assert again.rights("bob") == POLICY.rights("bob")
    assert again.rights("bob").sight == POLICY.rights("bob").sight


def test_several_roles_add_up() -> None:
    sue = POLICY.rights("sue")
    assert sue.roles == ("agent", "wallboard")
    assert sue.entity("queue", 1, "support", {"name": "support"}) is not None
    assert sue.entity("call", 1, "x", {"queue": "sales"}) is not None
    assert sue.entity("call", 1, "x", {"queue": "support"}) is None
    assert sue.may_any("queuepause")
    assert not sue.may_any("Hangup")
    assert POLICY.rights("root").may_any("Hangup")


def test_a_refusal() -> None:
    found = POLICY.rights("bob").may(
        1, action("QueuePause", Queue="support", Interface="PJSIP/205")
    )
    assert found is not None
    assert found.text == "your roles (agent) do not allow QueuePause for Interface PJSIP/205"
    assert (found.action, found.header) == ("QueuePause", "Interface")


def test_a_refusal_does_not_tell_the_number_of_a_pseudonym() -> None:
    bob = POLICY.rights("bob")
    shown = bob.sight.key("Local/0301234567@out")
    pairs = bob.take_back(action("QueuePause", Queue="support", Interface=shown))
    assert ("Interface", "Local/0301234567@out") in pairs
    told = str(bob.may(1, pairs))
    assert "0301234567" not in told
    assert told.endswith("for Interface Local/#@out")  # nor which pseudonym a number has


def test_what_clients_are_told() -> None:
    told = POLICY.rights("bob").describe()
    assert json.loads(json.dumps(told)) == told
    assert told == {
        "everything": False,
        "roles": ["agent"],
        "audit": False,
        "see": [{"numbers": "masked", "names": "whole", "queues": ["support"]}],
        "do": [
            {
                "action": "QueuePause",
                "with": {"Interface": ["PJSIP/204"], "Queue": ["support"]},
            }
        ],
    }
    assert POLICY.rights("root").describe()["do"] == [{"action": "*", "with": {}}]
    limited = rights(see={"servers": ["pbx*"], "events": "Dial", "kinds": "call"}, do=["Ping"])
    assert limited.describe()["see"][0]["servers"] == [1, 30]
    assert limited.describe()["do"] == [{"action": "Ping", "servers": [1, 30], "with": {}}]


def test_one_role_that_reads_the_audit_suffices() -> None:
    given = {"agent": {"do": ["Ping"]}, "auditor": {"audit": "yes"}}
    users = {name: {"roles": name} for name in given} | {"both": {"roles": list(given)}}
    plain, auditor, both = map(policy(given, users=users).rights, ("agent", "auditor", "both"))
    assert [each.reads_audit for each in (plain, auditor, both)] == [False, True, True]
    assert [each.describe()["audit"] for each in (plain, auditor, both)] == [False, True, True]
    assert Rights.everything.reads_audit
    assert POLICY.rights("root").reads_audit
    assert POLICY.rights("root").describe()["audit"]
    assert not POLICY.rights("x").reads_audit


def test_rights_with_and_without_the_audit_are_not_equal() -> None:
    """A reload that changes it closes clients, so that `hello` tells them."""
    users = {"bob": {"roles": "auditor"}}
    with_it = policy({"auditor": {"audit": "yes", "do": "Ping"}}, users=users).rights("bob")
    without = policy({"auditor": {"do": "Ping"}}, users=users).rights("bob")
    assert with_it != without
    assert not with_it.does_as(without)
    assert with_it.sight == without.sight


def test_rights_pass_on_to_the_sight() -> None:
    bob = POLICY.rights("bob")
    fields = {"queue": "support", "dialled": "0301234567"}
    assert bob.entity("call", 1, "x", fields) == bob.sight.entity("call", 1, "x", fields)
    message = event("QueueCallerJoin", Queue="support")
    assert bob.message(1, message) == bob.sight.message(1, message)
    answer = [Message(Kind.RESPONSE, {"Response": "Success", "x": "y"})]
    assert bob.reply(1, "Ping", answer) == bob.sight.reply(1, "Ping", answer)
    assert bob.sees_server(1)
    assert bob != "bob"


def test_a_refusal_does_not_tell_a_number_that_has_the_form_of_none() -> None:
    bob = POLICY.rights("bob")
    shown = bob.sight.key("0301234567")
    asked = action("QueuePause", Queue="support", Interface=f"PJSIP/0x{shown}")
    assert "0301234567" not in str(bob.may(1, bob.take_back(asked)))


def test_a_digest_is_that_of_equal_rights_in_other_processes() -> None:
    rules = [
        {"action": "QueuePause", "servers": ["1", "2"], "with": {"Queue": ["a", "b"]}},
        {"action": "Ping"},
    ]

    def made(see: Any, do: Any, key: bytes, **role: Any) -> str:
        roles = {"agent": {"see": see, "do": do, **role}}
        found = policy(roles, users={"bob": {"roles": "agent"}}, key=key).rights("bob")
        return found.digest

    see = {"queues": ["a", "b"], "servers": ["2", "1"]}
    one = made(see, rules, bytes(32))
    assert one == made({**see, "queues": ["b", "a"]}, rules[::-1], bytes(range(32)))
    others = [
        made({**see, "classic": True}, rules, bytes(32)),
        made({**see, "replies": "Getvar"}, rules, bytes(32)),
        made(see, rules[:1], bytes(32)),
        made(see, rules, bytes(32), audit=True),
        Rights.everything.digest,
    ]
    assert len({one, *others}) == 6
