"""Roles in the file: every mistake with key and line."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from amiws_gevent.config.roles import located
from tests.support.config import ONE_HOST, load, problems

ROOT = Path(__file__).parent.parent.parent

AGENT = """\
roles:
  agent:
    see:
      queues: "{user.queues}"
    do:
    - QueueStatus
    - action: QueuePause
      with: {Queue: "{user.queues}", Interface: "{user.interface}"}
users:
  bob: {roles: agent, interface: PJSIP/204, queues: [support]}
"""


def test_a_sound_file(tmp_path: Path) -> None:
    settings = load(tmp_path, AGENT + ONE_HOST).settings
    assert settings.roles is not None
    assert [rule.action for rule in settings.roles["agent"].do] == ["QueueStatus", "QueuePause"]
    assert settings.users["bob"].queues == ("support",)
    assert hash(settings) == hash(load(tmp_path, AGENT + ONE_HOST).settings)


def test_without_the_keys(tmp_path: Path) -> None:
    settings = load(tmp_path, ONE_HOST).settings
    assert settings.roles is None
    assert settings.users == {}
    assert settings.anonymous_roles == ()


def test_variables_stand_for_values(tmp_path: Path) -> None:
    text = AGENT.replace("[support]", '"${Q}"')
    assert load(tmp_path, text + ONE_HOST, {"Q": "sales"}).settings.users["bob"].queues == (
        "sales",
    )


def test_each_mistake_has_its_line(tmp_path: Path) -> None:
    text = """\
roles:
  agent:
    see:
      quueues: a
      numbers: some
    do:
    - action: Originate
      with:
        Chanel: x
    - action: QueuePause
      with: {Queue: "a[", Penalty: x}
    dos: x
users:
  bob:
    roles: [agnet]
  eve:
    interfce: x
"""
    assert problems(tmp_path, text + ONE_HOST) == [
        '4: roles.agent.see.quueues: unknown key; did you mean "queues"?',
        "5: roles.agent.see.numbers: must be whole, masked or none, not 'some'",
        "7: roles.agent.do[0].action: Originate needs Channel under `with:`: say which",
        "7: roles.agent.do[0].action: Originate needs Context under `with:`: say which",
        "7: roles.agent.do[0].action: Originate needs Exten under `with:`: say which",
        (
            "9: roles.agent.do[0].with.Chanel: is no header of Originate; there are Channel, "
            "Exten, Context, Priority, Timeout, Async, CallerID, Account, Variable, Application, "
            "Data, EarlyMedia, Codecs, ChannelId, OtherChannelId, PreDialGoSub"
        ),
        (
            "11: roles.agent.do[1].with.Penalty: is no header of QueuePause; there are Interface, "
            "Queue, Paused, Reason"
        ),
        (
            "11: roles.agent.do[1].with.Queue: 'a[' is not a pattern: [ needs a ] behind it, and "
            "ranges from low to high"
        ),
        '12: roles.agent.dos: unknown key; did you mean "do"?',
        "15: users.bob.roles: there is no role 'agnet'; did you mean \"agent\"?",
        "16: users.eve.roles: is missing",
        '17: users.eve.interfce: unknown key; did you mean "interface"?',
    ]


def test_an_attribute_that_a_user_lacks(tmp_path: Path) -> None:
    text = AGENT.replace("interface: PJSIP/204, ", "") + "anonymous_roles: agent\n"
    assert problems(tmp_path, text + ONE_HOST) == [
        "10: users.bob.roles: the role agent needs the attribute interface, which is missing",
        "11: anonymous_roles: the role agent needs the attribute interface, which is missing",
        "11: anonymous_roles: the role agent needs the attribute queues, which is missing",
    ]


def test_an_attribute_under_attributes(tmp_path: Path) -> None:
    text = AGENT.replace("user.queues", "user.site").replace(
        "queues: [support]", "attributes: {site: x}"
    )
    assert load(tmp_path, text + ONE_HOST).settings.users["bob"].values["site"] == ("x",)
    found = problems(tmp_path, text.replace("{site: x}", "{site: }") + ONE_HOST)
    assert found[-1].endswith("the role agent needs the attribute site, which is missing")


def test_who_has_roles_where_there_are_none(tmp_path: Path) -> None:
    text = """\
users:
  bob: {roles: agent}
anonymous_roles: [agent]
api_tokens:
- name: crm
  hash: sha256:%s
  roles: [agent]
""" % ("0" * 64)
    told = "needs roles at the top, which says what they may see and do"
    assert problems(tmp_path, text + ONE_HOST) == [
        f"2: users.bob.roles: {told}",
        f"3: anonymous_roles: {told}",
        f"7: api_tokens[0].roles: {told}",
    ]


def test_roles_of_tokens(tmp_path: Path) -> None:
    token = f"api_tokens:\n- name: crm\n  hash: sha256:{'0' * 64}\n  roles: [ROLE]\n"
    text = AGENT.replace("{user.queues}", "a").replace("{user.interface}", "b") + token
    assert load(tmp_path, text.replace("ROLE", "agent") + ONE_HOST).settings.api_tokens[
        0
    ].roles == ("agent",)
    assert "no role 'admin'" in problems(tmp_path, text.replace("ROLE", "admin") + ONE_HOST)[0]


def test_what_is_no_mapping_at_all(tmp_path: Path) -> None:
    for text in (
        "roles: x\n",
        "roles: [a]\n",
        "users: [a]\n",
        "roles:\n  agent: x\n",
        "roles:\n  agent:\n    do: {x: y}\n",
    ):
        assert problems(tmp_path, text + ONE_HOST)


def test_a_file_that_holds_itself(tmp_path: Path) -> None:
    (found,) = problems(tmp_path, f"roles:\n  a: &a\n    see: *a\n{ONE_HOST}")
    assert found == "1: roles: has a list or mapping that contains itself"


def test_a_few_lines_that_are_a_billion_values(tmp_path: Path) -> None:
    lines = ["x-a:", "- &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"- &a{n + 1} [{', '.join([f'*a{n}'] * 10)}]" for n in range(9)]
    text = "\n".join([*lines, "roles:", "  a: {see: {queues: *a9}}", ONE_HOST])
    (found,) = problems(tmp_path, text)
    assert found.endswith("roles: has more than 100,000 values")


def test_places_of_one_for_a_list() -> None:
    raw = {"roles": {"a": {"see": {"queues": 1}, "do": [{"action": "x"}]}}}
    assert located(raw, ("roles", "a", "see", 0, "queues")) == ("roles", "a", "see", "queues")
    assert located(raw, ("roles", "a", "do", 0, "action")) == ("roles", "a", "do", 0, "action")
    assert located(raw, ("roles", "b", "[key]")) == ("roles", "b")


def test_the_roles_of_the_sample(tmp_path: Path) -> None:
    text = (ROOT / "etc" / "amiws-annotated.yaml").read_text(encoding="utf-8")
    part = text.partition("# --- Roles")[2].partition("\n# --- Monitoring")[0]
    lines = [line for line in part.splitlines()[1:] if re.match(r" *#[- a-z_]", line)]
    plain = "\n".join(re.sub(r"^( *)#(?! )", r"\1", line) for line in lines if "# " not in line[:8])
    assert list(yaml.safe_load(plain)["roles"]) == [
        "administrator",
        "supervisor",
        "operator",
        "agent",
        "wallboard",
        "auditor",
    ]
    plain = plain.replace(
        "bob:", "sue:\n    roles: [supervisor, operator]\n    interface: PJSIP/200\n  bob:"
    )
    result = load(tmp_path, plain + "\naudit: {file: a.jsonl, key_file: ../a.key}\n" + ONE_HOST)
    assert result.warnings == []
    assert set(result.settings.users) == {"alice", "sue", "bob"}
