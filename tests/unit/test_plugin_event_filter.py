from __future__ import annotations

import logging
import textwrap
from typing import Any

import pytest
import yaml
from amiws_plugins import event_filter
from amiws_plugins._matching import MAX_MATCHED
from amiws_plugins.event_filter import KNOWN_EVENTS, Plugin, Settings
from pydantic import ValidationError

from amiws_gevent.ami import Kind, Message
from amiws_gevent.plugins import PluginContext, ServerInfo
from amiws_gevent.testing import event as event_as_it_is
from amiws_gevent.testing import response

PBX1 = ServerInfo(1, "pbx1", False)
PBX2 = ServerInfo(2, "Pbx2", True)


def event(name: str, **headers: Any) -> Message:
    """An event for everybody, which Asterisk never sends without ``Privilege``."""
    return event_as_it_is(name, **{"Privilege": "call,all", **headers})


def plugin(settings: str) -> Plugin:
    """The plugin with settings as YAML, whose scalars are text as in the program."""
    made = Plugin()
    given = yaml.load(textwrap.dedent(settings), yaml.BaseLoader)
    model = made.amiws_settings().model_validate(given)
    made.amiws_startup(PluginContext("event_filter", model, logging.getLogger("test"), spawn))
    return made


def spawn(*_arguments: object) -> Any:
    raise AssertionError("nothing to spawn")


def passes(made: Plugin, message: Message, server: ServerInfo = PBX1) -> bool:
    answer = made.amiws_filter_message(message, server)
    assert answer in (None, False), "an allow is no answer for the plugins after it"
    return answer is None


def problems(settings: str) -> str:
    with pytest.raises(ValidationError) as caught:
        plugin(settings)
    return "\n".join(
        f"{'.'.join(map(str, error['loc']))}: {error['msg']}" for error in caught.value.errors()
    )


def test_one_line_ends_a_flood() -> None:
    made = plugin('deny: [VarSet, "RTCP*"]')
    assert not passes(made, event("VarSet"))
    assert not passes(made, event("RTCPSent"))
    assert not passes(made, event("RTCPReceived"))
    assert passes(made, event("Hangup"))
    assert passes(made, event("VarSets"))
    assert passes(made, event("XRTCPSent"))


@pytest.mark.parametrize("settings", ["deny: VarSet, RTCP*", "deny: [VarSet, RTCP*]"])
def test_a_list_may_be_written_on_one_line(settings: str) -> None:
    made = plugin(settings)
    assert [passes(made, event(name)) for name in ("VarSet", "RTCPSent", "Hangup")] == [
        False,
        False,
        True,
    ]


def test_with_only_allow_all_other_events_are_dropped() -> None:
    made = plugin("allow: [Hangup, 'Queue*']")
    names = ("Hangup", "QueueMemberStatus", "VarSet", "hangup", "HangupRequest")
    assert [passes(made, event(name)) for name in names] == [True, True, False, True, False]


def test_deny_is_asked_before_allow() -> None:
    made = plugin("{deny: QueueMemberStatus, allow: 'Queue*'}")
    names = ("QueueMemberStatus", "QueueCallerJoin", "Hangup")
    assert [passes(made, event(name)) for name in names] == [False, True, False]


@pytest.mark.parametrize("name", ["VarSet", "VARSET", "varset"])
def test_event_names_in_any_case(name: str) -> None:
    assert not passes(plugin("deny: vArsEt"), event(name))
    assert not passes(plugin("deny: 'vArs?t'"), event(name))


def test_an_event_header_that_is_not_the_first_or_spelt_otherwise() -> None:
    made = plugin("deny: VarSet")
    assert not passes(made, Message(Kind.EVENT, [("Privilege", "x"), ("EVENT", "VarSet")]))
    assert passes(made, Message(Kind.EVENT, [("Privilege", "VarSet"), ("Event", "Hangup")]))
    assert passes(made, Message(Kind.EVENT, []))


OTHERS = [
    Message(Kind.UNKNOWN, [("Text", "VarSet")]),
    Message(Kind.PROMPT, [("Product", "x")]),
    Message(Kind.ACTION, [("Action", "VarSet")]),
    Message(Kind.RESPONSE, [("Response", "Success"), ("Event", "VarSet")]),
    Message(Kind.COMMAND, [("Response", "Success"), ("Output", "x\n")]),
    Message(Kind.QUEUE, [("QueueName", "sales"), ("Calls", 0)]),
]


@pytest.mark.parametrize("message", OTHERS, ids=lambda message: message.kind.name)
@pytest.mark.parametrize(
    "settings",
    [
        "deny: '*'",
        "allow: Hangup",
        "{rules: [{deny: '*'}], default: deny}",
        "rules: [{deny: '*', headers: {Text: '*', Response: '*', Product: '*'}}]",
    ],
)
def test_only_events_are_dropped(message: Message, settings: str) -> None:
    made = plugin(settings)
    assert passes(made, message)
    assert not passes(made, event("VarSet", Text="x", Response="x", Product="x"))


@pytest.mark.parametrize(
    "settings",
    [
        "deny: '*'",
        "allow: Hangup",
        "{rules: [{deny: '*'}], default: deny}",
        "rules: [{deny: '*', headers: {Event: '*'}}]",
    ],
)
def test_what_answers_an_action_is_never_dropped(settings: str) -> None:
    made = plugin(settings)
    for answer in (
        event("Status", Privilege="Call", ActionID="1"),
        event("Status", Privilege="Call"),
        event_as_it_is("QueueMember", ActionID="1"),
        event_as_it_is("QueueMember"),
        event_as_it_is("QueueStatusComplete", EventList="Complete", ListItems="1"),
    ):
        assert passes(made, answer), answer
    for news in ("OriginateResponse", "UserEvent", "SIPQualifyPeerDone"):
        assert not passes(made, event(news, ActionID="1")), news


@pytest.mark.parametrize("message", OTHERS, ids=lambda message: message.kind.name)
def test_a_rule_may_name_their_kind(message: Message) -> None:
    made = plugin(f"rules: [{{deny: '*', kind: {message.kind.name.title()}}}]")
    assert not passes(made, message)
    assert all(passes(made, other) for other in OTHERS if other.kind is not message.kind)
    assert passes(made, event("VarSet"))
    assert passes(made, event(""))


def test_a_rule_of_several_kinds_with_headers() -> None:
    made = plugin("rules: [{deny: '*', kind: [event, response], headers: {Message: 'spam*'}}]")
    assert not passes(made, event("X", Message="spam!"))
    assert not passes(made, response(Message="spam"))
    assert passes(made, response(Message="no spam"))
    assert passes(made, Message(Kind.UNKNOWN, [("Message", "spam")]))


def test_the_first_rule_that_fits_wins() -> None:
    made = plugin(
        """
        rules:
        - allow: Hangup
          headers: {Cause: "16"}
        - deny: [Hangup, Newchannel]
        - allow: "*"
        - deny: Newexten
        """
    )
    assert passes(made, event("Hangup", Cause="16"))
    assert not passes(made, event("Hangup", Cause="17"))
    assert not passes(made, event("Newchannel", Cause="16"))
    assert passes(made, event("Newexten"))


def test_rules_come_before_the_one_liners() -> None:
    made = plugin(
        """
        deny: VarSet
        rules:
        - allow: VarSet
          headers: {Variable: KEEP}
        """
    )
    assert passes(made, event("VarSet", Variable="KEEP"))
    assert not passes(made, event("VarSet", Variable="OTHER"))
    assert passes(made, event("Hangup"))


@pytest.mark.parametrize(
    ("settings", "stays"),
    [
        ("deny: A", True),
        ("allow: A", False),
        ("{allow: A, default: allow, deny: C}", True),
        ("{deny: A, default: deny}", False),
        ("rules: [{deny: A}]", True),
        ("rules: [{deny: A}, {allow: C}]", True),
        ("{rules: [{allow: A}], default: deny}", False),
        ("{rules: [{deny: A}], allow: C}", False),
        ("{rules: [{allow: A}], deny: C}", True),
    ],
)
def test_default_for_events_that_no_rule_fits(settings: str, stays: bool) -> None:
    assert passes(plugin(settings), event("B")) is stays


@pytest.mark.parametrize(
    ("server", "first", "second"),
    [
        ("pbx1", False, True),
        ("PBX1", False, True),
        ("pbx2", True, False),
        ("'pbx*'", False, False),
        ("1", False, True),
        ("[2, other]", True, False),
        ("[12]", True, True),
        ("'[12]'", False, False),
    ],
)
def test_rules_of_some_servers(server: str, first: bool, second: bool) -> None:
    made = plugin(f"rules: [{{deny: VarSet, server: {server}}}]")
    for _ in range(2):  # decided on, then remembered
        assert passes(made, event("VarSet"), PBX1) is first
        assert passes(made, event("VarSet"), PBX2) is second
        assert passes(made, event("Hangup"), PBX1)


def test_a_server_that_a_reload_renames_is_decided_on_anew() -> None:
    made = plugin("rules: [{deny: VarSet, server: pbx1}]")
    assert not passes(made, event("VarSet"), ServerInfo(1, "pbx1", False))
    assert passes(made, event("VarSet"), ServerInfo(1, "other", False))
    assert not passes(made, event("VarSet"), ServerInfo(1, "pbx1", False))


@pytest.mark.parametrize(
    ("form", "value", "fits"),
    [
        ("'0049*'", "00493055", True),
        ("'0049*'", "+0049", False),
        ("'0049*'", "0049", True),
        ("from-x", "from-x", True),
        ("from-x", "from-xy", False),
        ("from-x", "From-X", False),
        ("'From-?'", "from-x", False),
        ("'[ab]'", "b", True),
        ("{is: '0049*'}", "0049*", True),
        ("{is: '0049*'}", "00493055", False),
        ("{is: [a, b]}", "b", True),
        ("{is: ''}", "", True),
        ("'*'", "", True),
        ("{is: From-X, ignore_case: true}", "fROM-x", True),
        ("{glob: 'From-*', ignore_case: yes}", "fROM-x", True),
        ("{regex: '^from'}", "from-x", True),
        ("{regex: '^from'}", "xfrom", False),
        ("{regex: 'rom'}", "from-x", True),
        ("{regex: 'ROM'}", "from-x", False),
        ("{regex: 'ROM', ignore_case: true}", "from-x", True),
        ("{regex: [^a, ^b]}", "bc", True),
        ("{is: a, regex: ^b}", "bc", True),
        ("[a, 'b*', {regex: c$}]", "bx", True),
        ("[a, 'b*', {regex: c$}]", "xc", True),
        ("[a, 'b*', {regex: c$}]", "x", False),
    ],
)
def test_what_a_value_must_be(form: str, value: str, fits: bool) -> None:
    made = plugin(f"rules: [{{deny: X, headers: {{H: {form}}}}}]")
    assert passes(made, event("X", H=value)) is not fits


def test_header_names_in_any_case_and_as_globs() -> None:
    made = plugin("rules: [{deny: X, headers: {'*CallerIDNum': '0049*'}}]")
    assert not passes(made, event("X", callerIDnum="00491"))
    assert not passes(made, event("X", CallerIDNum="1", DestCallerIDNum="00491"))
    assert passes(made, event("X", CallerIDName="00491"))


def test_any_value_of_a_header_that_repeats() -> None:
    made = plugin("rules: [{deny: X, headers: {Variable: 'a=*'}}]")
    assert not passes(made, event("X", Variable=["b=1", "a=2", "c=3"]))
    assert passes(made, event("X", Variable=["b=1", "c=3"]))


def test_a_missing_header_fits_nothing() -> None:
    for form in ("'*'", "{is: ''}", "{regex: ''}"):
        made = plugin(f"rules: [{{deny: X, headers: {{H: {form}}}}}]")
        assert passes(made, event("X"))
        assert not passes(made, event("X", H=""))


def test_all_headers_of_a_rule_must_fit() -> None:
    made = plugin("rules: [{deny: X, headers: {A: '1', B: '2'}, server: pbx1}]")
    assert not passes(made, event("X", A="1", B="2"))
    assert passes(made, event("X", A="1", B="3"))
    assert passes(made, event("X", A="1"))
    assert passes(made, event("X", A="1", B="2"), PBX2)


def test_a_number_of_the_queues_text_is_compared_as_text() -> None:
    made = plugin("rules: [{deny: '*', kind: queue, headers: {Calls: '3'}}]")
    assert not passes(made, Message(Kind.QUEUE, [("QueueName", "a"), ("Calls", 3)]))
    assert passes(made, Message(Kind.QUEUE, [("QueueName", "a"), ("Calls", 4)]))


def test_a_regular_expression_sees_the_beginning_of_a_long_value() -> None:
    made = plugin("rules: [{deny: X, headers: {H: {regex: b}}}]")
    assert not passes(made, event("X", H="a" * (MAX_MATCHED - 1) + "b"))
    assert passes(made, event("X", H="a" * MAX_MATCHED + "b"))


def test_memory_is_bounded_however_many_names_come() -> None:
    made = plugin("rules: [{deny: 'a*', server: pbx1}]")
    for number in range(3 * KNOWN_EVENTS):
        assert not passes(made, event(f"a{number}"))
        assert passes(made, event(f"b{number}"))
    assert len(made._known) == 1
    assert len(made._known[1].events) <= KNOWN_EVENTS


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ("{}", "drops nothing: give deny, allow or rules"),
        ("default: deny", "drops nothing: give deny, allow or rules"),
        ("rules: [{allow: A}]", "with rules that only allow, set default: deny"),
        ("{allow: A, default: allow}", "with rules that only allow, set default: deny"),
        ("rules: [{server: pbx1}]", "rules.0: Value error, must have either deny or allow"),
        ("rules: [{deny: A, allow: B}]", "rules.0: Value error, must have either deny or allow"),
        ("rules: [{deny: A, kind: response}]", 'the name must be "*"'),
        ("rules: [{deny: A, kind: []}]", "kind: is empty"),
        ("rules: [{deny: A, kind: responses}]", "rules.0.kind.0"),
        ("deny: []", "deny: Value error, has an empty name"),
        ("deny: 'A,,B'", "deny: Value error, has an empty name"),
        ("deny: [{A: B}]", "deny: Value error, must be a name or a list of names"),
        ("rules: [{deny: A, server: []}]", "rules.0.server: Value error, has an empty name"),
        ("rules: [{deny: A, server: [[]]}]", "rules.0.server: Value error, must be a name"),
        ("rules: [{deny: A, headers: {H: {}}}]", "rules.0.headers.H.0"),
        ("rules: [{deny: A, headers: {H: {ignore_case: true}}}]", "must have is, glob or regex"),
        ("rules: [{deny: A, headers: {H: {regexp: a}}}]", "rules.0.headers.H.0.regexp"),
        (
            "rules: [{deny: A, headers: {H: [[a]]}}]",
            'must be a text ("" for an empty one), or have is',
        ),
        ("rules: [{deny: A, headers: {H: {regex: '('}}}]", "is not a valid regular expression"),
        ("rules: [{deny: A, headers: {H: {regex: '[[a]'}}}]", "is not a valid regular expression"),
        (r"rules: [{deny: A, headers: {H: {regex: '(\d+)*$'}}}]", "a repeat inside a repeat"),
        ("{deny: A, default: drop}", "default: Input should be 'allow' or 'deny'"),
        ("{deny: A, denny: B}", "denny: Extra inputs are not permitted"),
    ],
)
def test_wrong_settings_say_what_to_change(settings: str, said: str) -> None:
    assert said in problems(settings)


def test_the_manual_holds() -> None:
    manual = textwrap.dedent((event_filter.__doc__ or "").partition("one line of")[0])
    blocks = [block for block in manual.split("\n\n") if block.startswith("    ")]
    assert len(blocks) == 3
    first, second, third = (yaml.load(textwrap.dedent(block), yaml.BaseLoader) for block in blocks)
    for entry in (first["plugins"][0], second[0], third[0]):
        Settings.model_validate(entry["event_filter"])
    made = plugin(yaml.dump(third[0]["event_filter"]))
    assert passes(made, event("Hangup", CallerIDNum="00493055", Channel="PJSIP/trunk-1"))
    assert not passes(made, event("Hangup"), ServerInfo(7, "x", False))
    assert not passes(
        made, event("X", Channel="PJSIP/trunk-1", Context="from-b", DestCallerIDName="TESTING")
    )
    assert passes(made, event("X", Channel="PJSIP/trunk-1", Context="from-b"))
    assert not passes(made, Message(Kind.PROMPT, [("Product", "x")]))
