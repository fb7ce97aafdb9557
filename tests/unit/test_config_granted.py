"""The policy of a configuration, and what is told of its roles."""

from __future__ import annotations

from pathlib import Path

from amiws_gevent.config import load_settings, policy_of, role_report
from amiws_gevent.config.granted import lacking
from amiws_gevent.policy import Rights
from tests.support.config import ONE_HOST, load, warnings, write
from tests.support.policy import KEY, action

ROLES = f"""\
roles:
  admin: {{see: everything, do: everything}}
  agent:
    see: {{servers: pbx1, queues: support}}
    do:
    - QueueStatus
    - action: MixMonitor
      with: {{File: "a*"}}
    - action: Originate
      with: {{Channel: PJSIP/1, Context: a, Exten: "1"}}
    - action: Redirect
      with: {{Channel: "*", Context: a, Exten: "1"}}
    - DongleShowDevices
    - action: Status
      with: {{Variables: CUSTOMER}}
  empty: {{}}
  lost:
    see: [{{servers: nowhere}}]
    do: [{{action: Ping, servers: [gone]}}]
users:
  root: {{roles: admin}}
anonymous_roles: agent
api_tokens:
- name: crm
  hash: sha256:{"0" * 64}
  roles: agent
{ONE_HOST}"""


def test_the_policy(tmp_path: Path) -> None:
    made = policy_of(load(tmp_path, ROLES).settings, KEY)
    assert made.rights("root").roles == ("admin",)
    assert made.rights("token:crm") is made.rights(None)
    assert made.rights(None).may(1, action("QueueStatus")) is None
    assert not made.rights("crm").roles
    assert policy_of(load(tmp_path, ONE_HOST).settings, KEY).rights("x") is Rights.everything


def test_what_means_nothing(tmp_path: Path) -> None:
    assert warnings(tmp_path, ROLES) == [
        "16: roles.empty: shows and allows nothing",
        "18: roles.lost.see: names no server of amihosts: 'nowhere'",
        "19: roles.lost.do: names no server of amihosts: 'gone'",
    ]


def test_a_role_for_an_audit_that_there_is_not(tmp_path: Path) -> None:
    roles = "roles:\n  auditor: {audit: yes}\n  other: {see: everything, audit: no}\n"
    (told,) = warnings(tmp_path, roles + ONE_HOST)
    assert told.startswith("2: roles.auditor.audit: there is no audit to read")
    audit = "audit: {file: audit.jsonl, key_file: keys/audit.key}\n"
    assert not [text for text in warnings(tmp_path, roles + audit + ONE_HOST) if "roles" in text]


def test_what_a_role_reads_in_the_audit(tmp_path: Path) -> None:
    roles = (
        "roles:\n  auditor: {audit: yes}\n  other: {see: {queues: a}}\n"
        "audit: {file: audit.jsonl, key_file: keys/audit.key}\n"
    )
    assert role_report(load(tmp_path, roles + ONE_HOST).settings) == [
        "role auditor: reads the audit trail: all actions of all users, with whole numbers"
    ]


def test_what_is_dangerous(tmp_path: Path) -> None:
    assert role_report(load(tmp_path, ROLES).settings) == [
        "role admin: allows every action with all headers: who has it controls the PBX",
        "role agent: allows MixMonitor: can run programs on the server",
        "role agent: allows Originate, Redirect: leads a call to where it says",
        "role agent: allows DongleShowDevices: not an action of Asterisk that this program knows",
        "role agent: allows Status: some headers that it allows can run or read more",
    ]
    assert role_report(load(tmp_path, ONE_HOST).settings) == []


def test_what_the_ami_user_may_not_send(tmp_path: Path) -> None:
    settings = load_settings(write(tmp_path, ROLES), environ={}, base=tmp_path).settings
    may = {"QueueStatus", "Status"}.__contains__
    assert lacking(settings, 1, may) == [
        "DongleShowDevices",
        "MixMonitor (write = system)",
        "Originate (write = originate)",
        "Redirect (write = call)",
    ]
    assert lacking(settings, 2, may) == []
    assert lacking(load(tmp_path, ONE_HOST).settings, 1, may) == []


def test_a_classic_socket_that_shows_what_a_role_hides(tmp_path: Path) -> None:
    roles = (
        "roles:\n"
        "  whole: {see: {classic: yes}}\n"
        "  part: {see: [{queues: a}, {queues: support, classic: yes}]}\n"
        "  masked: {see: {numbers: masked, classic: yes}}\n"
    )
    told = "opens the classic socket, which shows all of a server, whatever the rest hides"
    assert role_report(load(tmp_path, roles + ONE_HOST).settings) == [
        f"role part: {told}",
        f"role masked: {told}",
    ]
