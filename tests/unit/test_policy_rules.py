"""What may be done: actions that are let through, and all forms that must not be.

Each form that the fuzzer (``python -m soak.actions``) has found stands here.
"""

from __future__ import annotations

import pytest

from amiws_gevent.policy.rules import Rules, action_of
from tests.support.policy import action, refusal, rights
from tests.support.policy_fuzz import rights as caller_rights

AGENT = rights(
    do=[
        "QueueStatus",
        {
            "action": "queuepause",
            "with": {
                "Queue": "{user.queues}",
                "Interface": "{user.interface}",
                "paused": "*",
                "Reason": "*",
            },
        },
        {
            "action": "Originate",
            "servers": "pbx1",
            "with": {"Channel": "{user.interface}", "Context": "internal", "Exten": "2??"},
        },
    ],
    interface="PJSIP/204",
    queues=["support", "sales"],
)
CALLER = caller_rights()

PAUSE = {"Queue": "support", "Interface": "PJSIP/204", "Paused": "true"}
CALL = {"Channel": "PJSIP/204", "Context": "internal", "Exten": "205"}


@pytest.mark.parametrize(
    "pairs",
    [
        action("QueuePause", **PAUSE),
        action("QueuePause", ("ActionID", "x,${y}"), **PAUSE),
        action("QUEUEPAUSE", queue="sales", INTERFACE="PJSIP/204"),
        action(" QueuePause", Queue=" support", Interface="\x01PJSIP/204", Reason=""),
        action("Originate", ("Priority", "1"), ("Async", "true"), ("Timeout", "30000"), **CALL),
        action("QueueStatus"),
    ],
)
def test_what_the_role_means(pairs: list[tuple[str, str]]) -> None:
    assert AGENT.may(1, pairs) is None


@pytest.mark.parametrize(
    ("pairs", "told"),
    [
        (
            action("QueuePause", **{**PAUSE, "Interface": "PJSIP/205"}),
            " QueuePause for Interface PJSIP/205",
        ),
        (action("QueuePause", **{**PAUSE, "Queue": "billing"}), " QueuePause for Queue billing"),
        (action("QueuePause", Interface="PJSIP/204"), " QueuePause without Queue"),
        (action("QueuePause", ("Queue", ""), Interface="PJSIP/204"), " QueuePause without Queue"),
        (action("QueuePause", ("Queue", "x"), **PAUSE), " QueuePause with Queue given twice"),
        (action("QueuePause", ("queue", "sales"), **PAUSE), " QueuePause with Queue given twice"),
        (action("QueuePause", ("Penalty", "1"), **PAUSE), " QueuePause for this Penalty"),
        (action("QueueStatus", Queue="support"), " QueueStatus for Queue support"),
        (action("Hangup", Channel="PJSIP/204-0000001f"), " Hangup"),
        (action("Originate", ("Priority", "2"), **CALL), " Originate for this Priority"),
        (action("Originate", ("Timeout", "1e9"), **CALL), " Originate for this Timeout"),
        (action("Originate", ("Application", "System"), **CALL), " Originate for this Application"),
        (action("Originate", Channel="PJSIP/204", Exten="205"), " Originate without Context"),
        (
            action("Originate", ("Context", ""), Channel="PJSIP/204", Exten="205"),
            " Originate without Context",
        ),
        (action("QueuePause\u00a0", **PAUSE), " this action"),
        (action("Queue\u017fause", **PAUSE), " this action"),
        (action("Command", Command="x"), " Command"),
        ([("Action", "QueuePause"), ("Action", "Command")], " what is not one action"),
        ([("Queue", "support")], " what is not one action"),
        (
            action("QueuePause", ("Queu\u0435", "support")),
            " an action with a header whose name is none",
        ),
        (
            action("QueuePause", ("Reason", "a\r\nAction: Command"), **PAUSE),
            " an action with a line end or NUL in Reason",
        ),
        (
            action("QueuePause", ("Reason", "a\0b"), **PAUSE),
            " an action with a line end or NUL in Reason",
        ),
    ],
)
def test_what_it_does_not_mean(pairs: list[tuple[str, str]], told: str) -> None:
    found = AGENT.may(1, pairs)
    assert found is not None
    assert str(found) == f"your roles (agent) do not allow{told}"


def test_servers_of_a_rule() -> None:
    assert AGENT.may(1, action("Originate", **CALL)) is None
    assert str(AGENT.may(2, action("Originate", **CALL))).endswith("do not allow Originate")
    assert AGENT.may(2, action("QueuePause", **PAUSE)) is None


def test_without_servers_a_rule_is_for_those_that_the_role_sees() -> None:
    seen = rights(see={"servers": "pbx1"}, do=["Ping"])
    assert seen.may(1, action("Ping")) is None
    assert seen.may(2, action("Ping")) is not None
    assert rights(do=["Ping"]).may(2, action("Ping")) is None


@pytest.mark.parametrize(
    ("name", "headers"),
    [
        ("Originate", {"Channel": "Local/666@evil", "Context": "internal", "Exten": "205"}),
        ("Originate", {**CALL, "Context": "Internal"}),
        ("Originate", {**CALL, "Exten": "900"}),
        ("Originate", {**CALL, "Variable": "CUSTOMER=1,SHELL(id)=2"}),
        ("Originate", {**CALL, "PreDialGoSub": "evil,s,1"}),
        ("Originate", {**CALL, "OtherChannelId": "x"}),
        ("Redirect", {"Channel": "PJSIP/204-00000001", "Exten": "205"}),
        ("Redirect", {**CALL, "ExtraChannel": "PJSIP/1-00000001", "ExtraContext": "evil"}),
        ("Redirect", {**CALL, "ExtraPriority": "7"}),
        ("Atxfer", {"Channel": "PJSIP/204-00000001", "Exten": "205"}),
        ("BlindTransfer", {"Channel": "PJSIP/204-00000001", "Exten": "205"}),
        ("BlindTransfer", {**CALL, "Channel": "/PJSIP.*/"}),
        ("Hangup", {"Channel": "/.*/"}),
        ("Hangup", {"Channel": "PJSIP/205-00000001"}),
        ("QueueAdd", {"Queue": "support", "Interface": "Local/204@evil/n"}),
        ("QueueAdd", {"Queue": "", "Interface": "PJSIP/204"}),
        ("Park", {"Channel": "PJSIP/204-00000001", "TimeoutChannel": "Local/1@evil"}),
        ("Park", {"Channel": "PJSIP/204-00000001", "Channel2": "Local/1@evil"}),
        ("MixMonitor", {"Channel": "PJSIP/204-00000001", "File": "calls/a.wav,b,id"}),
        ("MixMonitor", {"Channel": "PJSIP/204-00000001", "Command": "id"}),
        ("MixMonitor", {"Channel": "PJSIP/204-00000001", "Options": "b,id"}),
        ("ConfbridgeStartRecord", {"Conference": "1", "RecordFile": "calls/a,,id"}),
        ("Setvar", {"Variable": "CUSTOMER", "Value": "A"}),  # a global one, without a channel
        ("Setvar", {"Channel": "PJSIP/204-00000001", "Variable": "SHELL(id)", "Value": "A"}),
        ("Setvar", {"Channel": "PJSIP/204-00000001", "Variable": "CUSTOMER", "Value": "${EVIL}"}),
        ("Getvar", {"Channel": "PJSIP/204-00000001", "Variable": "SHELL(id)"}),
        ("Status", {"Variables": "CUSTOMER,SHELL(id)"}),
        ("Command", {"Command": "module load x"}),
        ("UpdateConfig", {"SrcFilename": "manager.conf", "DstFilename": "manager.conf"}),
        ("DBPut", {"Family": "a", "Key": "b", "Val": "c"}),
    ],
)
def test_forms_that_get_past_a_word_list(name: str, headers: dict[str, str]) -> None:
    assert refusal(CALLER, name, **headers)


@pytest.mark.parametrize("name", ["Originate ", "Originate\t", "\u00a0Originate", "Or\u0131ginate"])
def test_names_that_only_seem_to_be_an_action(name: str) -> None:
    assert refusal(CALLER, name, **CALL)


def test_a_header_that_repeats() -> None:
    assert refusal(CALLER, "Originate", ("context", "evil"), **CALL)
    assert refusal(CALLER, "Originate", ("Variable", "EVIL=1"), **CALL, Variable="CUSTOMER=1")
    assert not refusal(
        CALLER, "Originate", ("Variable", "SOURCE=crm"), **CALL, Variable="CUSTOMER=1"
    )
    assert refusal(
        CALLER, "Setvar", ("Variable", "CUSTOMER"), Channel="PJSIP/1", Variable="CUSTOMER"
    )


def test_an_action_that_nobody_knows_needs_all_that_the_rule_names() -> None:
    sms = rights(do=[{"action": "DongleSendSMS", "with": {"Device": "dongle0", "Number": "0*"}}])
    assert not refusal(sms, "DongleSendSMS", Device="dongle0", Number="0171")
    assert refusal(sms, "DongleSendSMS", Device="dongle0").endswith("without Number")
    assert refusal(sms, "DongleSendSMS", Device="dongle0", Number="0171", Message="x")


def test_any_action() -> None:
    everything = rights(do="everything")
    assert not refusal(everything, "Command", Command="core stop now")
    assert not refusal(everything, "Originate", ("Variable", "a=1"), ("Variable", "b=1"))
    assert refusal(everything, "Command", ("Command", "a\nb"))
    one = rights(do=[{"action": "*", "servers": "30"}])
    assert one.may(30, action("Ping")) is None
    assert one.may(1, action("Ping")) is not None


def test_the_secret_is_not_in_the_refusal() -> None:
    told = refusal(AGENT, "QueuePause", ("Reason", "a\nhunter2"), **PAUSE)
    assert "hunter2" not in told
    assert "hunter2" not in refusal(CALLER, "Command", Command="hunter2")
    long = refusal(AGENT, "QueuePause", Queue="x" * 500, Interface="PJSIP/204")
    assert len(long) < 200
    assert "\x07" not in refusal(AGENT, "QueuePause", Queue="\x07x", Interface="y")


def test_equal_rules_are_one() -> None:
    one = rights(do=[{"action": "PING"}, "Ping", "ping"]).describe()["do"]
    assert one == [{"action": "Ping", "with": {}}]
    assert Rules([]).failure(1, action("Ping")) is not None


def test_the_action_as_asterisk_reads_it() -> None:
    assert action_of([("x", "y"), ("ACTION", " \x01Ping ")]) == "Ping "
    assert action_of([]) == ""
