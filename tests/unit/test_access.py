"""Who may see and do what now: cached rights, the classic socket, who sees all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from amiws_gevent import access
from amiws_gevent.access import Access, everything, seen
from amiws_gevent.config import Settings
from amiws_gevent.identity import DIGEST, TOKEN, Identity
from amiws_gevent.policy import Rights
from tests.support.hosts import ami_host

ROLES: dict[str, Any] = {
    "all": {"see": "everything", "do": "everything"},
    "look": {"see": "everything"},
    "first": {"see": {"servers": "pbx1"}, "do": [{"action": "Ping"}]},
    "queue": {"see": {"queues": "{user.queues}"}},
    "open": {"see": {"queues": "support", "classic": True}},
    "masked": {"see": [{"numbers": "masked"}]},
    "auditor": {"audit": "yes"},
    "audited": {"see": "everything", "audit": "no"},
}
USERS = {name: {"roles": name, "queues": ["support"]} for name in ROLES} | {
    "both": {"roles": ["look", "masked"]}
}


def settings(**more: Any) -> Settings:
    hosts = tuple(ami_host(id=number, name=f"pbx{number}") for number in (1, 2))
    return Settings(amihosts=hosts, web_root=Path("/"), **more)


def using(**more: Any) -> Access:
    made, given = Access(), settings(**more)
    made.use(made.prepare(given), [host.id for host in given.amihosts])
    return made


def who(name: str | None, kind: str = DIGEST) -> Identity:
    return Identity(name, kind, "192.0.2.1")


@pytest.fixture
def roles() -> Access:
    return using(roles=ROLES, users=USERS, anonymous_roles=["first"])


def test_before_the_first_configuration_nobody_may_do_anything() -> None:
    made = Access()
    for identity in (who(None), who("all"), who("token:x", TOKEN)):
        assert made.classic_refusal(identity)
        assert made.rights_of(identity).may(1, [("Action", "Ping")]) is not None


def test_without_roles_all_have_the_one_that_is_tested_with_is() -> None:
    made = using()
    assert made.rights_of(who("x")) is Rights.everything is everything(who("x"))
    assert made.classic_refusal(who("x")) == ""
    assert made.classic_servers(Rights.everything) is None
    assert made.may_read_audit(who(None))
    targets = {1: "a"}
    assert seen(Rights.everything, targets) is targets


def test_rights_are_made_once_and_anew_for_another_configuration(roles: Access) -> None:
    before = roles.rights_of(who("all"))
    assert roles.rights_of(who("all")) is before
    roles.use(roles.prepare(settings(roles=ROLES, users=USERS)), [1, 2])
    assert roles.rights_of(who("all")) == before
    roles.use(roles.prepare(settings(roles=ROLES, users={})), [1, 2])
    assert roles.rights_of(who("all")) != before


def test_pseudonyms_stay_over_a_reload(roles: Access) -> None:
    hidden = roles.rights_of(who("masked")).sight.hidden("PJSIP/0170123456")
    roles.use(roles.prepare(settings(roles=ROLES, users=USERS)), [1, 2])
    assert roles.rights_of(who("masked")).sight.hidden("PJSIP/0170123456") == hidden
    assert "0170123456" not in hidden


def test_any_number_of_users_is_not_kept(roles: Access, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access, "_MOST_KNOWN", 3)
    for number in range(10):
        assert roles.rights_of(who(f"user {number}")).roles == ()
    assert len(roles._known) <= 3


@pytest.mark.parametrize(
    ("user", "servers"),
    [
        ("all", None),
        ("look", None),
        ("open", None),
        ("first", {1}),
        (None, {1}),
        ("queue", set()),
        ("masked", set()),
        ("nobody", set()),
        ("both", None),
    ],
)
def test_the_servers_of_the_classic_socket(
    roles: Access, user: str | None, servers: set[int] | None
) -> None:
    assert roles.classic_servers(roles.rights_of(who(user))) == servers
    refused = roles.classic_refusal(who(user))
    assert bool(refused) is (servers == set())
    if refused:
        assert refused.endswith("connect with the subprotocol amiws.v2")


@pytest.mark.parametrize(
    ("user", "whole"),
    [("all", True), ("look", True), ("first", False), ("queue", False), ("both", False)],
)
def test_who_sees_all(roles: Access, user: str, whole: bool) -> None:
    assert roles.sees_all(who(user)) is whole


def test_the_audit_is_for_whose_role_says_so_and_for_who_sees_and_does_all(roles: Access) -> None:
    users = (*ROLES, "both", None, "x")
    assert [user for user in users if roles.may_read_audit(who(user))] == ["all", "auditor"]


def test_who_reads_the_audit_may_nothing_else(roles: Access) -> None:
    rights = roles.rights_of(who("auditor"))
    assert rights.may(1, [("Action", "Ping")]) is not None
    assert not rights.sees_server(1)
    assert roles.classic_refusal(who("auditor"))
    assert not roles.sees_all(who("auditor"))


def test_servers_that_are_seen(roles: Access) -> None:
    targets = {1: "a", 2: "b"}
    assert seen(roles.rights_of(who("first")), targets) == {1: "a"}
    assert seen(roles.rights_of(who("nobody")), targets) == {}
    assert roles.roles_of(who("first")) == ("first",)
