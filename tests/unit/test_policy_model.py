"""Roles and users as the file has them: what is taken, and what is wrong with the rest."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from amiws_gevent.policy.model import ANY_ACTION, Role, Rule, See, User, is_dangerous


def problems(model: type[Any], given: Any) -> list[tuple[str, str]]:
    """Places and what is wrong there."""
    with pytest.raises(ValidationError) as caught:
        model.model_validate(given)
    return [(".".join(map(str, one["loc"])), one["msg"]) for one in caught.value.errors()]


def rule(action: str, **headers: Any) -> Rule:
    return Rule.model_validate({"action": action, "with": headers})


def test_words_for_everything() -> None:
    role = Role.model_validate({"see": "Everything", "do": "everything"})
    assert role.see == (See(),)
    assert [each.action for each in role.do] == [ANY_ACTION]


def test_one_stands_for_a_list() -> None:
    role = Role.model_validate(
        {"see": {"queues": "a"}, "do": ["Ping", {"action": "Hangup", "with": {"Channel": "*"}}]}
    )
    assert role.see == (See(queues=("a",)),)
    assert role.do == (Rule(action="Ping"), rule("Hangup", Channel="*"))
    assert Role.model_validate({"do": "Ping"}).do == (Rule(action="Ping"),)


def test_a_role_is_a_value() -> None:
    given = {"see": {"queues": ["a"]}, "do": [{"action": "Hangup", "with": {"Channel": "*"}}]}
    one, other = Role.model_validate(given), Role.model_validate(given)
    assert one == other
    assert hash(one) == hash(other)


def test_attributes_that_a_role_uses() -> None:
    role = Role.model_validate(
        {
            "see": [{"queues": "{user.queues}"}, {"contexts": ["x", "{user.site}-in"]}],
            "do": [{"action": "Hangup", "with": {"Channel": "{user.interface}"}}],
        }
    )
    assert role.attributes == {"queues", "site", "interface"}


def test_attributes_that_a_user_has() -> None:
    user = User.model_validate(
        {"roles": "agent", "queues": "a", "extension": ["1", "2"], "attributes": {"site": "x"}}
    )
    assert user.values == {"queues": ("a",), "extension": ("1", "2"), "site": ("x",)}


@pytest.mark.parametrize(
    ("model", "given", "place", "says"),
    [
        (Role, {"se": {}}, "se", "Extra"),
        (Role, {"see": {"quueues": "x"}}, "see.0.quueues", "Extra"),
        (Role, {"see": "all"}, "see", "must be `everything`"),
        (See, {"queues": []}, "queues", "is empty"),
        (See, {"queues": [["a"]]}, "queues", "a text or a list"),
        (See, {"queues": ["x"] * 300}, "queues", "more than 256"),
        (See, {"queues": "a[b"}, "queues", "needs a ]"),
        (See, {"kinds": ["calls"]}, "kinds", "is no kind; there are"),
        (See, {"events": ["Hangupp"]}, "events", "is no event"),
        (See, {"numbers": "some"}, "numbers", "whole, masked or none"),
        (See, {"classic": "maybe"}, "classic", "yes or no"),
        (Rule, {}, "action", "required"),
        (Rule, {"action": "Or iginate"}, "action", "name of an action"),
        (Rule, {"action": "Queue*"}, "action", "name of an action"),
        (
            Rule,
            {"action": "Hangup", "with": {"Channel": "x", "Chanel": "x"}},
            "with.Chanel",
            "is no header of Hangup; there are Channel, Cause",
        ),
        (Rule, {"action": "Ping", "with": {"X": "x"}}, "with.X", "which has none"),
        (Rule, {"action": "Ping", "with": {"ActionID": "x"}}, "with.ActionID", "cannot be limited"),
        (Rule, {"action": "X", "with": {"a b": "x"}}, "with.a b", "no name of a header"),
        (
            Rule,
            {"action": "Hangup", "with": {"Channel": "*", "channel": "*"}},
            "with.channel",
            "given twice",
        ),
        (Rule, {"action": "Hangup"}, "action", "Hangup needs Channel under `with:`"),
        (
            Rule,
            {"action": "Hangup", "with": {"Channel": ["*", ""]}},
            "with.Channel",
            "must be there",
        ),
        (Rule, {"action": "*", "with": {"Channel": "x"}}, "with", "beside any action"),
        (User, {"roles": "a b"}, "roles", "names of roles"),
        (User, {"roles": "a", "interface": "a\nb"}, "interface", "a text or a list"),
        (User, {"roles": "a", "colour": "red"}, "colour", "Extra"),
    ],
)
def test_what_is_wrong(model: type[Any], given: Any, place: str, says: str) -> None:
    found = problems(model, given)
    assert [where for where, _ in found] == [place]
    assert says in found[0][1]


@pytest.mark.parametrize("action", ["Originate", "Redirect", "Atxfer", "BlindTransfer"])
def test_what_leads_calls_must_say_where(action: str) -> None:
    told = [says for _, says in problems(Rule, {"action": action})]
    assert f"{action} needs Context under `with:`: say which" in told
    assert f"{action} needs Exten under `with:`: say which" in told
    channel = "PJSIP/*x"
    given = {"action": action, "with": {"Channel": channel, "Context": "*", "Exten": "*"}}
    places = [place for place, says in problems(Rule, given) if "name which" in says]
    assert places == ["with.Context", "with.Exten"]


def test_all_mistakes_at_once() -> None:
    found = problems(
        Role,
        {"see": {"kinds": "x", "numbers": "y"}, "do": [{"action": "Ping", "with": {"A": "b"}}]},
    )
    assert len(found) == 3


@pytest.mark.parametrize(
    ("made", "dangerous"),
    [
        (rule("Ping"), False),
        (rule("QueuePause", Queue="a", Interface="b"), False),
        (rule("Hangup", Channel="*"), False),
        (rule("Status", Channel="*"), False),
        (rule("Status", Variables="CUSTOMER"), True),
        (rule("Originate", Channel="PJSIP/1", Context="a", Exten="1"), True),
        (
            rule(
                "UpdateConfig", SrcFilename="a", DstFilename="a", Reload="x", **{"Var-000000": "x"}
            ),
            True,
        ),
        (rule("DongleSendSMS", Number="*"), True),
    ],
)
def test_what_is_dangerous(made: Rule, dangerous: bool) -> None:
    assert is_dangerous(made) is dangerous
