from __future__ import annotations

import gzip
import logging
import re
import textwrap
import time
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from amiws_plugins import mask
from amiws_plugins._matching import MAX_MATCHED
from amiws_plugins.mask import Plugin, Settings
from amiws_plugins.mask.plans import (
    KNOWN_HEADERS,
    KNOWN_VALUES,
    LINE,
    MOST_CALLERS,
    MOST_CHARACTERS,
    MOST_HEADERS,
    MOST_MENTIONS,
)
from amiws_plugins.mask.styles import shorten
from pydantic import ValidationError

from amiws_gevent.ami import Kind, Message, Parser, encode_message, envelope_prefix
from amiws_gevent.plugins import PluginContext, ServerInfo
from amiws_gevent.testing import event, response

PBX1 = ServerInfo(1, "pbx1", False)
PBX2 = ServerInfo(2, "pbx2", False)
KEY = "key: 0123456789abcdef"
CAPTURES = Path(__file__).parent.parent / "captures"


def plugin(settings: str) -> Plugin:
    """The plugin with settings as YAML, whose scalars are text as in the program."""
    made = Plugin()
    given = yaml.load(textwrap.dedent(settings), yaml.BaseLoader)
    model = made.amiws_settings().model_validate(given)
    made.amiws_startup(PluginContext("mask", model, logging.getLogger("test"), spawn))
    return made


def spawn(*_arguments: object) -> Any:
    raise AssertionError("nothing to spawn")


def masked(made: Plugin, message: Message, server: ServerInfo = PBX1) -> Message:
    """What clients get."""
    before = message.headers
    result = made.amiws_transform_message(message, server)
    assert message.headers == before, "messages are shared"
    if result is None:
        return message
    assert result != message, "None is for what stays"
    assert result.kind is message.kind
    return result


def one(made: Plugin | str, name: str, value: str, event_name: str = "X") -> str | None:
    """One header of an event, as the plugin leaves it."""
    made = plugin(made) if isinstance(made, str) else made
    result = masked(made, event(event_name, (name, value)))
    assert len(result.headers) <= 2
    return result.get(name)


def problems(settings: str) -> str:
    with pytest.raises(ValidationError) as caught:
        plugin(settings)
    return "\n".join(
        f"{'.'.join(map(str, error['loc']))}: {error['msg']}" for error in caught.value.errors()
    )


BOTH = plugin("{callers: last4, dialled: last4}")
REDACTED = plugin("{callers: redact, dialled: redact}")


# Callers in headers of their own


NUMBERS = [
    "CallerIDNum",
    "CallerIDnum",
    "ConnectedLineNum",
    "DestCallerIDNum",
    "DestConnectedLineNum",
    "LocalOneCallerIDNum",
    "LocalTwoConnectedLineNum",
    "TransfererCallerIDNum",
    "OrigTransfererConnectedLineNum",
    "SecondTransfererCallerIDNum",
    "TransfereeCallerIDNum",
    "TransferTargetCallerIDNum",
    "ParkeeCallerIDNum",
    "ParkerCallerIDNum",
    "RetrieverConnectedLineNum",
    "SpyerCallerIDNum",
    "SpyeeCallerIDNum",
    "EffectiveConnectedLineNum",
    "MCallerIDNum",
    "MCallerIDSubaddr",
    "MConnectedIDNum",
    "CallerIDani",
    "CallerIDrdnis",
    "CallerID1",
    "CallerID2",
    "CallerID",
    "Callerid",
    "Source",
    "RemoteStationID",
]


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("15145550199", "*******0199"),
        ("+1 (514) 555-0199", "*************0199"),
        ("alice@example.com", "*************.com"),
        ("302", "302"),
        ("*97", "*97"),
        ("", ""),
        ("<unknown>", "<unknown>"),
        ("Anonymous", "Anonymous"),
    ],
)
def test_numbers_of_callers(name: str, value: str, shown: str) -> None:
    assert one(BOTH, name, value) == shown


@pytest.mark.parametrize(
    "name",
    [
        "CallerIDName",
        "CallerIDname",
        "ConnectedLineName",
        "DestCallerIDName",
        "LocalTwoConnectedLineName",
        "TransfereeCallerIDName",
        "EffectiveConnectedLineName",
        "MCallerIDName",
        "MConnectedIDName",
    ],
)
@pytest.mark.parametrize("value", ["Bob", "Älice <x>", "15145550199", "302", "A\ud800"])
def test_names_of_callers(name: str, value: str) -> None:
    assert one(BOTH, name, value) == "***"
    assert one(BOTH, name, "<unknown>") == "<unknown>"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ('"Bob" <15145550199>', '"***" <*******0199>'),
        ('"Älice <x>" <302>', '"***" <302>'),
        ("Bob <15145550199>", "*** <*******0199>"),
        ("<15145550199>", "<*******0199>"),
        ('"" <15145550199>', '"" <*******0199>'),
        ("15145550199", "*******0199"),
        ('"Bob" <>', '"***" <>'),
        ("<unknown>", "<unknown>"),
        (">", "*"),
    ],
)
def test_name_and_number_in_one(value: str, shown: str) -> None:
    assert one(BOTH, "CallerID", value, "Cdr") == shown


@pytest.mark.parametrize(
    ("settings", "number", "name"),
    [
        ("callers: redact", "***", "***"),
        ("callers: yes", "***", "***"),
        ("callers: Last2", "*********99", "***"),
        ("callers: first3", "151********", "***"),
        ("callers: {numbers: last4}", "*******0199", "***"),
        ("callers: {names: first1}", "***", "B**"),
        ("callers: {numbers: keep, names: redact}", "15145550199", "***"),
        ("callers: {numbers: last4, names: keep}", "*******0199", "Bob"),
        ("{callers: redact, text: hidden}", "hidden", "hidden"),
        ("{callers: last4, fill: _}", "_______0199", "***"),
    ],
)
def test_styles_for_callers(settings: str, number: str, name: str) -> None:
    made = plugin(settings)
    assert one(made, "CallerIDNum", "15145550199") == number
    assert one(made, "CallerIDName", "Bob") == name


# Numbers in other headers


@pytest.mark.parametrize("settings", ["callers: last4", "dialled: last4"])
@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("Channel", "Local/9614012@default-0000000a;1", "Local/****012@default-0000000a;1"),
        ("DestChannel", "PJSIP/15145550199-00000001", "PJSIP/*******0199-00000001"),
        ("Channel", "SIP/+4930555019-000000af", "SIP/*******5019-000000af"),
        ("Channel", "Local/+4930-555019@x-1c3f25a1;2", "Local/********5019@x-1c3f25a1;2"),
        ("Channel", "DAHDI/i1/5145550199-1a", "DAHDI/i1/******0199-1a"),
        ("Channel", "Local/5145550199@x-8c3f25a1;2", "Local/******0199@x-8c3f25a1;2"),
        ("Channel", "Local/030-12345678@x-0000000a;2", "Local/030-****5678@x-0000000a;2"),
        ("Device", "Local/961401230791@default", "Local/********0791@default"),
        ("Interface", "Local/01705550199@agents/n", "Local/*******0199@agents/n"),
        ("AppData", "PJSIP/5145550199@t,30,b(5145550198)", "PJSIP/******0199@t,30,b(******0198)"),
        ("AppData", "call +49 (30) 555.01-99 now", "call **************1-99 now"),
        ("ApplicationData", "rec/5145550199-1795371260.1.wav", "rec/******0199-******1260.1.wav"),
        ("Value", "5145550199", "******0199"),
        ("Context", "from-did-5145550199", "from-did-******0199"),
        ("Uniqueid", "call-5145550199", "call-******0199"),
        ("Env", "agi_callerid%3A%205145550199%0A", "agi_callerid%3A%********0199%0A"),
        ("Message", "Extension 5145550199 is busy", "Extension ******0199 is busy"),
        ("Contact", "sip:١٢٣٤٥٦٧٨٩@192.0.2.1:5060", "sip:*****٦٧٨٩@192.0.2.1:5060"),
        ("QueueName", "5145550199", "******0199"),
    ],
)  # fmt: skip
def test_numbers_wherever_they_are(settings: str, name: str, value: str, shown: str) -> None:
    assert one(settings, name, value) == shown


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Uniqueid", "1795371260.16"),
        ("Linkedid", "pbx-north-1795371260.160000"),
        ("Value", "1795371260.16"),
        ("BridgeUniqueid", "b652a143-1f09-4ce1-9fd6-079232440029"),
        ("SessionID", "0x7fb3cc012020"),
        ("Channel", "PJSIP/302-00000008"),
        ("Channel", "Local/301@default-10000000;1"),
        ("AppData", "Local/301@default-00000001,30"),
        ("AppData", "12345"),
        ("CoreMaxLoadAvg", "0.000000"),
        ("LoginTime", "1795371260"),
        ("LastCall", "1795371260"),
        ("EventTV", "2026-11-22T18:14:20.556+0000"),
        ("SentRTP", "4294967295"),
        ("Report0HighestSequence", "1234567"),
        ("RemoteAddress", "IPV4/TCP/192.168.100.200/56624"),
        ("ActionID", "1795371260123"),
        ("Privilege", "call,all"),
    ],
)
def test_other_long_numbers_stay(name: str, value: str) -> None:
    assert one(REDACTED, name, value) == value


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("2125550199.20261122.wav", "***.***.wav"),  # no Uniqueid
        ("030-12345678", "030-***"),  # no counter of a channel
        ("x0x7fb3cc012020", "x0x7fb3cc***"),
        ("b652a143-1f09-4ce1-9fd6-0792324400290", "b652a143-1f09-4ce1-9fd6-***"),
        ("123.000000", "123.***"),
        ("1512345678.1@x", "***.1@x"),
    ],
)
def test_what_only_looks_like_them_is_masked(value: str, shown: str) -> None:
    assert one(REDACTED, "AppData", value) == shown


def test_a_header_whose_name_holds_a_number() -> None:
    message = event("X", ("ChanVariable(SIP/5145550199-00000001)", "a=1"))
    assert masked(BOTH, message).headers[1] == ("ChanVariable(SIP/******0199-00000001)", "a=1")
    made = plugin("{callers: last4, rules: [{headers: 'ChanVariable*', keep_last: 1}]}")
    assert masked(made, message).headers[1] == ("ChanVariable(SIP/******0199-00000001)", "**1")


def test_repeats_keep_their_order() -> None:
    message = event("Status", Variable=["a=5145550199", "b=302", "a=5145550198"])
    result = masked(BOTH, message)
    assert result.getall("Variable") == ["a=******0199", "b=302", "a=******0198"]
    assert result.headers[0] == ("Event", "Status")


@pytest.mark.parametrize(
    ("shortest", "shown"),
    [
        (1, "Local/***@x-***a;***"),
        (4, "Local/***@x-0000000a;1"),
        (5, "Local/2345@x-0000000a;1"),
    ],
)
def test_shortest_number(shortest: int, shown: str) -> None:
    made = plugin(f"{{callers: redact, shortest: {shortest}}}")
    value = "Local/2345@x-0000000a;1"
    expected = shown if shortest > 1 else "Local/***@x-0000000a;***"
    assert one(made, "Channel", value) == expected
    assert one(made, "CallerIDNum", "302") == ("***" if shortest == 1 else "302")


# What was dialled


DIALLED = ["Exten", "DestExten", "LocalOneExten", "TransfererExten", "Extension", "DNID"]


@pytest.mark.parametrize("name", [*DIALLED, "CallerIDdnid", "DialString", "Dialstring"])
def test_dialled(name: str) -> None:
    for value in ("s", "h", "302", "*98", "_X."):
        assert one(BOTH, name, value) == value
    assert one(BOTH, name, "915145550199") == "********0199"
    assert one("dialled: redact", name, "PJSIP/15145550199@trunk") == "PJSIP/***@trunk"
    assert one("callers: redact", name, "915145550199") == "915145550199"


def test_dialled_alone_leaves_the_callers_headers() -> None:
    made = plugin("dialled: redact")
    assert one(made, "CallerIDNum", "15145550199") == "15145550199"
    assert one(made, "CallerIDName", "Bob 15145550199") == "Bob 15145550199"


def test_callers_alone_leave_what_was_dialled_but_for_themselves() -> None:
    message = event(
        "Newexten", CallerIDNum="15145550199", Exten="915145550199", DestExten="915145550198"
    )
    result = masked(plugin("callers: last4"), message)
    assert result.get("Exten") == "9*******0199"
    assert result.get("DestExten") == "915145550198"


# The message's own callers in its texts


@pytest.mark.parametrize("name", ["AppData", "ApplicationData", "Data", "Value", "UserField"])
def test_own_callers_in_texts(name: str) -> None:
    message = event("X", CallerIDName="Bob Ray", CallerIDNum="alice", ConnectedLineName="Bob")
    message = Message(
        message.kind, [*message.headers, (name, "Bob Ray, Bob, alice, Eve 5145550199")]
    )
    result = masked(BOTH, message)
    assert result.get(name) == "***, ***, ***ce, Eve ******0199"


def test_a_caller_inside_of_a_longer_number_does_not_leave_its_ends() -> None:
    message = event("X", CallerIDNum="15145550199", AppData="915145550199,15145550199")
    assert masked(REDACTED, message).get("AppData") == "***,***"


def test_own_callers_are_no_part_of_channel_names() -> None:
    message = event("X", CallerIDName="PJSIP", Channel="PJSIP/302-00000001", AppData="PJSIP/302")
    result = masked(BOTH, message)
    assert result.get("Channel") == "PJSIP/302-00000001"
    assert result.get("AppData") == "***/302"


def test_own_callers_in_a_user_event() -> None:
    message = event("UserEvent", CallerIDName="Bob Ray", Note="for Bob Ray", Other="Bo")
    assert masked(BOTH, message).get("Note") == "for ***"
    assert masked(BOTH, event("Other", *message.headers[1:])).get("Note") == "for Bob Ray"


def test_a_mask_is_not_masked_again() -> None:
    made = plugin(f"{{callers: hash, {KEY}, shortest: 1}}")
    message = event("X", CallerIDName="Bob Ray", AppData="Bob Ray")
    result = masked(made, message)
    assert result.get("AppData") == result.get("CallerIDName") != "Bob Ray"


def test_a_removed_caller_is_not_told_by_a_text() -> None:
    made = plugin("{callers: last4, rules: [{headers: CallerIDName, action: remove}]}")
    result = masked(made, event("X", CallerIDName="Bob Ray", AppData="for Bob Ray"))
    assert result.headers[1:] == (("AppData", "for ***"),)


# More than it looks through


def of_many_callers(count: int) -> Message:
    callers = [(f"A{number}CallerIDName", f"name {number:05}") for number in range(count)]
    texts = [("AppData", "for name 00001"), ("AppData", "for nobody"), ("AppData", "")]
    return Message(Kind.EVENT, [("Event", "X"), *callers, *texts])


def test_as_many_callers_as_it_looks_for() -> None:
    result = masked(BOTH, of_many_callers(MOST_CALLERS))
    assert result.getall("AppData") == ["for ***", "for nobody", ""]


def test_texts_of_a_message_that_names_more_are_redacted() -> None:
    result = masked(BOTH, of_many_callers(MOST_CALLERS + 1))
    assert result.getall("AppData") == ["***", "***", ""]


def test_very_many_callers_in_very_many_texts() -> None:
    """9,000 of each took 7 s, these ended in a RecursionError."""
    count = 450
    callers = [(f"A{number}CallerIDName", f"name {number:05}") for number in range(count)]
    text = ", ".join(value for _, value in callers)
    message = Message(Kind.EVENT, [("Event", "X"), *callers, *[("AppData", text)] * count])
    result = masked(BOTH, message)
    assert {value for _, value in result.headers[1:]} == {"***"}
    assert [name for name, _ in result.headers] == [name for name, _ in message.headers]


def test_texts_that_name_callers_too_often_are_redacted() -> None:
    def texts(*mentions: int) -> list[str]:
        pairs = [("AppData", "Bob Ray " * count + "Eve") for count in mentions]
        message = Message(Kind.EVENT, [("Event", "X"), ("CallerIDName", "Bob Ray"), *pairs])
        return masked(BOTH, message).getall("AppData")

    half = MOST_MENTIONS // 2
    assert texts(half, half, 0) == ["*** " * half + "Eve"] * 2 + ["Eve"]
    assert texts(half, half + 1, 0) == ["*** " * half + "Eve", "***", "***"]


def output(text: str, *more: tuple[str, str]) -> Message:
    return Message(Kind.COMMAND, [("Response", "Success"), ("Output", text), *more])


def test_lines_past_what_it_looks_through_are_redacted() -> None:
    line = "PJSIP/15145550199@trunk " + "." * 95 + "\n"
    lines = MOST_CHARACTERS // (len(line) + LINE)
    assert lines == 5000
    hidden = line.replace("15145550199", "***")
    assert masked(REDACTED, output(line * lines)).get("Output") == hidden * lines
    result = masked(REDACTED, output(line * (lines + 9), ("X", "a" * 300), ("Y", "1514555")))
    more = (("Output", hidden * lines + "***"), ("X", "***"), ("Y", "***"))
    assert result.headers[1:] == more


def test_a_line_past_it_is_redacted_as_a_whole() -> None:
    assert masked(REDACTED, output("a" * MOST_CHARACTERS + "1")).get("Output") == "***"
    assert masked(REDACTED, output("a" * MOST_CHARACTERS)).get("Output") == "a" * MOST_CHARACTERS


def test_headers_past_it_are_left_out() -> None:
    pairs = [("Response", "Success"), *[(f"Line-{n:06}", "1514555") for n in range(MOST_HEADERS)]]
    result = masked(REDACTED, Message(Kind.RESPONSE, pairs))
    assert [name for name, _ in result.headers] == [name for name, _ in pairs[:-1]]
    assert {value for _, value in result.headers[1:]} == {"***"}
    same = Message(Kind.RESPONSE, [("Response", "Success"), *[("X", "1")] * MOST_HEADERS])
    assert masked(REDACTED, same).headers == same.headers[:-1]


@pytest.mark.parametrize(
    ("data", "shown"),
    [
        ("CALLERID(name)=Bob", "CALLERID(name)=***"),
        ("CALLERID(num)=15145550199", "CALLERID(num)=*******0199"),
        ("CALLERID(num)=302", "CALLERID(num)=302"),
        ('CALLERID(all)="Bob" <15145550199>', 'CALLERID(all)="***" <*******0199>'),
        ("CONNECTEDLINE(name,i)=Bob", "CONNECTEDLINE(name,i)=***"),
        ("REDIRECTING(from-name)=Bob", "REDIRECTING(from-name)=***"),
        ("a=1,CALLERID(name)=Bob", "a=1,CALLERID(name)=***"),
    ],
)
def test_callers_that_the_dialplan_sets(data: str, shown: str) -> None:
    assert one(BOTH, "AppData", data) == shown


@pytest.mark.parametrize("kind", [Kind.COMMAND, Kind.UNKNOWN])
def test_callers_in_output_of_commands(kind: Kind) -> None:
    text = (
        "           Name: PJSIP/15145550199-00000001\n"
        "      Caller ID: alice.smith\n"
        " Caller ID Name: Bob Ray\n"
        "Eff. Connected Line ID Name: Eve\n"
        "Connected Line ID: (N/A)\n"
        "  Callerid     : \"Bob\" <302>\n"
        "    DNID Digits: 915145550199\n"
        "\n"
        "CALLERID(name)=Bob Ray\n"
        "level 1: clid=x\n"
    )  # fmt: skip
    name = "Output" if kind is Kind.COMMAND else "Text"
    result = masked(BOTH, Message(kind, [("Response", "Success"), (name, text)])).get(name)
    assert result == (
        "           Name: PJSIP/*******0199-00000001\n"
        "      Caller ID: *******mith\n"
        " Caller ID Name: ***\n"
        "Eff. Connected Line ID Name: ***\n"
        "Connected Line ID: (N/A)\n"
        "  Callerid     : \"***\" <302>\n"
        "    DNID Digits: ********0199\n"
        "\n"
        "CALLERID(name)=***\n"
        "level 1: clid=x\n"
    )  # fmt: skip


def test_queues() -> None:
    message = Message(Kind.QUEUE, [("QueueName", "5145550199"), ("Calls", 1234567), ("Weight", 0)])
    result = masked(REDACTED, message)
    assert result.headers == (("QueueName", "***"), ("Calls", 1234567), ("Weight", 0))


def test_the_banner_and_answers_stay_what_they_are() -> None:
    for message in (
        Message(Kind.PROMPT, [("Product", "Asterisk Call Manager"), ("Version", "11.0.0")]),
        response("Success", ActionID="15145550199", Message="Channels will follow"),
        event("FullyBooted", Privilege="system,all", Uptime="1234567"),
        event("Empty"),
        Message(Kind.EVENT, []),
    ):
        assert masked(REDACTED, message) is message


# Variables


PINS = plugin("variables: [PIN, '*PASSWORD*', 'CARD*']")


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        ("PIN", True),
        ("pin", True),
        ("__PIN", True),
        ("MYPASSWORD2", True),
        ("CARDNUMBER", True),
        ("GLOBAL(PIN)", True),
        ("SHARED(PIN,PJSIP/1-1)", True),
        ("HASH(x,PIN)", True),
        ("PINS", False),
        ("MYCARD", False),
        ("DIALSTATUS", False),
    ],
)
def test_variables_in_all_their_forms(name: str, secret: bool) -> None:
    shown = "***" if secret else "1234"
    result = masked(PINS, event("VarSet", Variable=name, Value="1234"))
    assert result.headers == (("Event", "VarSet"), ("Variable", name), ("Value", shown))
    answer = masked(PINS, response("Success", Variable=name, Value="1234"))
    assert answer.get("Value") == shown
    backward = masked(PINS, event("VarSet", Value="1234", Variable=name))
    assert backward.get("Value") == shown
    status = masked(PINS, event("Status", Variable=["A=1", f"{name}=1234", "B=2"]))
    assert status.getall("Variable") == ["A=1", f"{name}={shown}", "B=2"]
    for header in ("ChanVariable", "DestChanVariable", "ChanVariable(SIP/x-1)", "AppData"):
        assert one(PINS, header, f"{name}=1234") == f"{name}={shown}"
    output = Message(Kind.COMMAND, [("Output", f"Variables:\n{name}=1234\n x=1 \n")])
    assert masked(PINS, output).get("Output") == f"Variables:\n{name}={shown}\n x=1 \n"


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("AppData", "A=1,PIN=12,34,B=2", "A=1,PIN=***"),
        ("AppData", "x,s,1(PIN = 12)", "x,s,1(PIN =***"),
        ("AppData", "PIN=", "PIN="),
        ("AppData", "SPIN=12", "SPIN=12"),
        ("AppData", "a.PIN=12", "a.PIN=12"),
        ("Command", 'SET VARIABLE PIN "12 34"', "SET VARIABLE PIN ***"),
        ("Command", 'set variable "PIN" 12 CARD=3', 'set variable "PIN" ***'),
        ("Command", "CARD=3 SET VARIABLE PIN 12", "CARD=***"),
        ("Command", "SET VARIABLE A 12", "SET VARIABLE A 12"),
        ("Command", "EXEC Set PIN=12", "EXEC Set PIN=***"),
        ("Line-000001-000003", "password=geheim", "password=***"),
        ("Value", "PIN=12", "PIN=***"),
    ],
)
def test_variables_inside_of_texts(name: str, value: str, shown: str) -> None:
    assert one(PINS, name, value) == shown


def test_headers_of_a_user_event_are_variables() -> None:
    message = event("UserEvent", UserEvent="Pay", pin="1234", Amount="5")
    assert masked(PINS, message).headers[2:] == (("pin", "***"), ("Amount", "5"))
    assert masked(PINS, event("Other", pin="1234")).get("pin") == "1234"


def test_variables_by_rule() -> None:
    made = plugin(
        f"""
        {KEY}
        variables: "*"
        rules:
        - variables: SAFE*
          action: keep
        - variables: ACCOUNT
          keep_last: 2
        - variables: TOKEN
          action: hash
          server: pbx2
        - variables: TOKEN
          text: "-"
          events: VarSet
        """
    )

    def value(name: str, server: ServerInfo = PBX1, event_name: str = "VarSet") -> str | None:
        return masked(made, event(event_name, Variable=name, Value="123456"), server).get("Value")

    assert value("SAFE1") == "123456"
    assert value("ACCOUNT") == "****56"
    assert value("OTHER") == "***"
    assert value("TOKEN") == "-"
    assert value("TOKEN", event_name="X") == "***"
    hashed = value("TOKEN", PBX2) or ""
    assert re.fullmatch("#[a-p]{12}", hashed)
    # In a text that may hold more than the one value nothing is shown.
    assert one(made, "AppData", "ACCOUNT=123456") == "ACCOUNT=****56"
    assert one(made, "AppData", "x ACCOUNT=123456") == "x ACCOUNT=***"
    assert one(made, "AppData", "ACCOUNT=12,B=345678") == "ACCOUNT=***"


@pytest.mark.parametrize("action", ["keep", "redact", "remove", "last4"])
def test_what_is_done_with_the_name_of_a_variable_does_not_show_its_value(action: str) -> None:
    made = plugin(f"{{variables: PIN, rules: [{{headers: Variable, action: {action}}}]}}")
    assert masked(made, event("VarSet", Variable="PIN", Value="1234")).get("Value") == "***"


def test_statistics_of_the_media_stay_and_other_variables_are_searched() -> None:
    quality = "ssrc=1684369163;themssrc=1041398340;lp=0;rxjitter=0.000011"
    for name in ("RTPAUDIOQOS", "RTPAUDIOQOSBRIDGED"):
        statistics = event("VarSet", Variable=name, Value=quality)
        assert masked(REDACTED, statistics) is statistics
    other = masked(REDACTED, event("VarSet", Variable="X", Value=quality)).get("Value")
    assert other == "ssrc=***;themssrc=***;lp=0;rxjitter=0.000011"
    number = masked(REDACTED, event("VarSet", Variable="CALLERID(num)", Value="alice"))
    assert number.get("Value") == "***"


# Cards


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("4111111111111111", "***"),
        ("4111 1111 1111 1111", "***"),
        ("3782-822463-10005", "***"),
        ("pay,4111111111111111,12/29", "pay,***,12/29"),
        ("12 4111111111111111 022", "12 *** 022"),
        ("4111111111111111 5500000000000004", "*** ***"),
        ("4111111111111112", "4111111111111112"),
        ("4111  1111 1111 1111", "4111  1111 1111 1111"),
        ("15145550199", "15145550199"),
        ("1795371260.16", "1795371260.16"),
        ("0000000000000000", "0000000000000000"),
        ("4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1", "4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1"),
        ("x" * 5000 + "4111111111111111", "x" * 5000 + "***"),
    ],
)
def test_cards(value: str, shown: str) -> None:
    made = plugin("cards: true")
    for name in ("AppData", "Value", "Variable", "Exten", "CallerIDNum", "Digits"):
        assert one(made, name, value) == shown
    output = Message(Kind.COMMAND, [("Output", f"a\n{value}\n")])
    assert masked(made, output).get("Output") == f"a\n{shown}\n"
    unknown = Message(Kind.UNKNOWN, [("Text", value)])
    assert masked(made, unknown).get("Text") == shown


def test_styles_of_cards() -> None:
    assert one("cards: last4", "Value", "n 4111 1111 1111 1234") == "n 4111 1111 1111 1234"
    assert one("cards: last4", "Value", "n 4111 1111 1111 1111") == "n ***************1111"
    made = plugin(f"{{cards: hash, {KEY}}}")
    assert one(made, "Value", "4111 1111 1111 1111") == one(made, "Value", "4111111111111111")


# Rules


@pytest.mark.parametrize(
    ("rule", "shown"),
    [
        ("", "***"),
        ("action: redact", "***"),
        ("text: gone", "gone"),
        ("text: ''", ""),
        ("action: keep", "MemberNine"),
        ("action: last4", "******Nine"),
        ("action: first2", "Me********"),
        ("keep_last: 4", "******Nine"),
        ("keep_first: 2, keep_last: 2", "Me******ne"),
        ("keep_first: 9, keep_last: 9", "Membe*****"),
        ("keep_last: 99", "*****rNine"),
        ("action: remove", None),
    ],
)
def test_actions_of_rules(rule: str, shown: str | None) -> None:
    assert one(f"rules: [{{headers: MemberName, {rule}}}]", "MemberName", "MemberNine") == shown
    if shown is not None:
        assert one(f"rules: [{{headers: MemberName, {rule}}}]", "MemberName", "") == ""


def test_the_first_rule_that_names_a_header_decides() -> None:
    made = plugin(
        """
        callers: redact
        rules:
        - headers: [Queue, Channel]
          action: keep
        - headers: "*Channel"
          action: last4
        - headers: Channel
        """
    )
    assert one(made, "CHANNEL", "PJSIP/15145550199-00000001") == "PJSIP/15145550199-00000001"
    assert one(made, "DestChannel", "PJSIP/15145550199-00000001") == "*" * 22 + "0001"
    assert one(made, "Queue", "15145550199") == "15145550199"
    assert one(made, "CallerIDNum", "15145550199") == "***"


def test_rules_of_some_events_and_servers() -> None:
    made = plugin("rules: [{headers: Digit, events: 'DTMF*', server: [pbx2, 7]}]")
    assert masked(made, event("DTMFEnd", Digit="5"), PBX2).get("Digit") == "***"
    seven = ServerInfo(7, "x", True)
    assert masked(made, event("dtmfbegin", Digit="5"), seven).get("Digit") == "***"
    assert masked(made, event("DTMFEnd", Digit="5"), PBX1).get("Digit") == "5"
    assert masked(made, event("X", Digit="5"), PBX2).get("Digit") == "5"
    answer = response("Success", Digit="5")
    assert masked(made, answer, PBX2) is answer
    renamed = ServerInfo(2, "renamed", False)
    assert masked(made, event("DTMFEnd", Digit="5"), renamed).get("Digit") == "5"


def test_a_rule_without_events_is_for_all_kinds() -> None:
    made = plugin("rules: [{headers: [Secret, Calls]}]")
    for kind in Kind:
        assert masked(made, Message(kind, [("Secret", "x"), ("Calls", 3)])).headers == (
            ("Secret", "***"),
            ("Calls", "***"),
        )


@pytest.mark.parametrize("action", ["redact", "remove"])
def test_what_a_message_is_and_who_asked_is_never_masked(action: str) -> None:
    made = plugin(f"rules: [{{headers: '*', action: {action}}}]")
    message = event("X", ActionID="a", Response="Success", Other="b")
    rest = (("Other", "***"),) if action == "redact" else ()
    assert masked(made, message).headers == (*message.headers[:3], *rest)


def test_patterns_apply_in_their_order_and_before_all_else() -> None:
    made = plugin(
        r"""
        cards: redact
        rules:
        - pattern: "token=(\\S+)"
          text: "-"
        - headers: "App*"
          pattern: "[A-Z]{2}\\d{2}[A-Z0-9]{11,30}"
          keep_last: 4
        - pattern: secret
          action: remove
          ignore_case: yes
        - headers: AppKept
          action: keep
        """
    )
    text = "token=abc IBAN DE89370400440532013000 SecreT 4111111111111111"
    assert one(made, "AppData", text) == "token=- IBAN ******************3000  ***"
    assert one(made, "AppKept", text) == "token=- IBAN ******************3000  4111111111111111"
    assert one(made, "Other", text) == "token=- IBAN DE89370400440532013000  ***"
    assert one(made, "Event2", "token=a\ntoken=b") == "token=-\ntoken=-"


def test_pattern_with_check_digit() -> None:
    made = plugin(r"rules: [{headers: A, pattern: '\d{13,16}', luhn: true, keep_last: 4}]")
    assert (
        one(made, "A", "4111111111111111 4111111111111112") == "************1111 4111111111111112"
    )


def test_a_group_that_takes_no_part_leaves_the_match_to_be_masked() -> None:
    assert one("rules: [{pattern: 'a(b)|c'}]", "A", "ab c") == "a*** ***"


def test_a_line_too_long_for_an_expression_is_redacted_unseen() -> None:
    made = plugin("rules: [{headers: Output, pattern: x}]")
    long = "a" * (MAX_MATCHED + 1)
    message = Message(Kind.COMMAND, [("Output", f"{long}\n{long[1:]}\nxa\n")])
    assert masked(made, message).get("Output") == f"***\n{long[1:]}\n***a\n"


# Hashes and their key


def test_hashes() -> None:
    made = plugin(f"{{callers: hash, dialled: hash, {KEY}}}")
    hashed = one(made, "CallerIDNum", "15145550199") or ""
    assert re.fullmatch("#[a-p]{12}", hashed)
    assert one(made, "DestCallerIDNum", "+1 (514) 555-0199") == hashed
    assert one(made, "Channel", "PJSIP/15145550199-00000001") == f"PJSIP/{hashed}-00000001"
    assert one(made, "Exten", "15145550199") == hashed
    assert one(made, "CallerIDNum", "15145550198") != hashed
    assert one(made, "CallerIDName", "Bob") != one(made, "CallerIDName", "bob")
    assert re.fullmatch("#[a-p]{12}", one(made, "CallerIDName", "A\ud800") or "")
    again = plugin(f"{{callers: hash, {KEY}}}")
    assert one(again, "CallerIDNum", "15145550199") == hashed
    other = plugin("{callers: hash, key: 0123456789abcdeX}")
    assert one(other, "CallerIDNum", "15145550199") != hashed
    longer = plugin(f"{{callers: hash, {KEY}, hash_length: 64}}")
    assert (one(longer, "CallerIDNum", "15145550199") or "").startswith(hashed)


def test_key_file(tmp_path: Path) -> None:
    file = tmp_path / "mask.key"
    file.write_text("0123456789abcdef\n")
    made = plugin(f"{{callers: hash, key_file: {file}}}")
    first = one(made, "CallerIDNum", "15145550199")
    assert first == one(f"{{callers: hash, {KEY}}}", "CallerIDNum", "15145550199")
    file.write_text("another key of 16 letters or more")
    assert one(made, "CallerIDNum", "15145550199") == first
    made.amiws_reload()
    second = one(made, "CallerIDNum", "15145550199")
    assert second != first
    file.unlink()
    with pytest.raises(ValueError, match=r"key_file: .*No such file"):
        made.amiws_reload()
    assert one(made, "CallerIDNum", "15145550199") == second


def test_the_key_is_not_shown(tmp_path: Path) -> None:
    settings = Settings.model_validate({"callers": "hash", "key": "0123456789abcdef"})
    assert "0123456789abcdef" not in repr(settings)
    assert "geheim" not in problems("{callers: hash, key: geheim}")
    file = tmp_path / "key"
    file.write_text("geheim")
    assert "geheim" not in problems(f"{{callers: hash, key_file: {file}}}")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ("{}", "masks nothing: give callers, dialled, cards, variables or rules"),
        ("callers: keep", "masks nothing"),
        ("callers: laast4", "callers.numbers: Value error, must be redact, hash, keep"),
        ("callers: {number: last4}", "callers.number: Extra inputs"),
        ("callers: last0", "must be redact, hash, keep"),
        ("callers: remove", "must be redact, hash, keep"),
        ("cards: [a]", "cards: Value error, must be redact"),
        (
            "callers: hash",
            "key_file: is missing: hash needs it (openssl rand -hex 32 > FILE)",
        ),
        ("rules: [{headers: A, action: hash}]", "key_file: is missing: hash needs it"),
        (f"{{callers: hash, {KEY}, key_file: /x}}", "either key or key_file"),
        ("{callers: hash, key: short}", "key: must have at least 16 characters"),
        ("{callers: hash, key_file: ''}", "key_file: Value error, must be a path"),
        (
            "{callers: hash, key_file: /nonexistent/key}",
            "key_file: /nonexistent/key: No such file or directory",
        ),
        (
            "{callers: last4, fill: '0'}",
            "fill: Value error, must be one character that is neither a letter",
        ),
        ("{callers: last4, fill: '**'}", "fill: Value error, must be one character"),
        ("{callers: last4, shortest: 0}", "shortest: Input should be greater than or equal to 1"),
        ("rules: [{action: redact}]", "rules.0: Value error, must say what it masks"),
        ("rules: [{headers: A, variables: B}]", "either headers or variables"),
        ("rules: [{variables: A, pattern: B}]", "a rule for variables cannot have"),
        ("rules: [{variables: A, action: remove}]", "a rule for variables cannot have"),
        ("rules: [{headers: [A, actionid]}]", "headers: actionid cannot be masked"),
        (
            "rules: [{headers: A, action: hide}]",
            "rules.0.action: Value error, must be redact, remove",
        ),
        ("rules: [{headers: A, action: hash, keep_last: 4}]", "either action or keep_first"),
        ("rules: [{headers: A, keep_last: 0}]", "leave them out to redact"),
        ("rules: [{headers: A, keep_last: -1}]", "rules.0.keep_last"),
        ("rules: [{headers: A, keep_last: 4, text: b}]", "text: needs action: redact"),
        ("rules: [{headers: A, luhn: true}]", "luhn and ignore_case need a pattern"),
        ("rules: [{pattern: a, action: keep}]", "action: keep is for whole headers"),
        ("rules: [{pattern: '(a)(b)'}]", "pattern: has several groups"),
        (
            "rules: [{pattern: '(a'}]",
            "rules.0.pattern: Value error, is not a valid regular",
        ),
        ("rules: [{pattern: '(a*b*)*c'}]", "a repeat inside a repeat"),
    ],
)
def test_wrong_settings_say_what_to_change(settings: str, said: str) -> None:
    assert said in problems(settings)


def test_it_is_required() -> None:
    assert Plugin.REQUIRED is True


@pytest.mark.parametrize("length", range(12))
def test_never_more_than_half_is_shown(length: int) -> None:
    value = "abcdefghijkl"[:length]
    for first in range(13):
        for last in range(13):
            short = shorten(value, first, last, "*")
            assert len(short) == length
            assert short.count("*") >= length / 2
            assert all(sign in ("*", value[place]) for place, sign in enumerate(short))


# Faults: floods of names, of values, and values that are huge


def test_memory_is_bounded_whatever_comes() -> None:
    made = plugin("callers: last4")
    for number in range(KNOWN_VALUES + KNOWN_HEADERS):
        message = event(
            f"E{number}", (f"Header{number}", "1"), ("Channel", f"X/{5145550000 + number}")
        )
        masked(made, message)
    masker = made._masker
    assert all(len(memory) <= KNOWN_VALUES for memory in masker._memories.values())
    assert len(masker._scopes) == 1
    for scope in masker._scopes.values():
        assert len(scope.plans) <= KNOWN_HEADERS
    before = sum(map(len, masker._memories.values()))
    masked(made, event("X", Channel="5145550199" * 1000))
    assert sum(map(len, masker._memories.values())) <= before


@pytest.mark.parametrize(
    "piece",
    [
        *("1", "1 ", "4 ", "41 ", "+1", "+1 ", "1.", "-00"),
        *("a", "a ", "a=", "=", "PIN(", " ", "(", "<", '"'),
        *("Caller ID: ", "SET VARIABLE "),
    ],
)
@pytest.mark.slow
def test_a_huge_value_takes_time_in_proportion(piece: str) -> None:
    made = plugin("{callers: last4, dialled: last4, cards: redact, variables: PIN*}")

    def seconds(size: int) -> float:
        text = (piece * size)[:size]
        start = time.process_time()
        for name in ("AppData", "Output", "CallerID", "Exten"):
            one(made, name, text)
        return time.process_time() - start

    small = min(seconds(20_000) for _ in range(3))
    large = min(seconds(160_000) for _ in range(2))
    assert large < 0.05 + 8 * 5 * small  # squares would be 64 times as long


# The acceptance: recorded sessions


@cache
def recorded(name: str) -> list[Message]:
    data = (CAPTURES / name).read_bytes()
    if name.endswith(".gz"):
        data = b"Asterisk Call Manager/11.0.0\r\n" + gzip.decompress(data)
    parser = Parser()
    return parser.receive_data(data) + parser.receive_eof()


BUSY = "asterisk-22.11-busy.raw.gz"
SESSIONS = ["asterisk-13.38.raw", "asterisk-18.raw", "asterisk-22.11.raw", BUSY]
CALLER_HEADERS = ("CallerIDNum", "CallerIDName", "ConnectedLineNum", "ConnectedLineName")


def json_of(message: Message) -> str:
    return encode_message(envelope_prefix(message.kind, 1, "pbx", False), message).decode()


@pytest.mark.parametrize("name", SESSIONS)
@pytest.mark.parametrize("style", ["redact", "last4", f"hash, dialled: hash, {KEY}"])
@pytest.mark.slow
def test_no_caller_of_a_recorded_session_is_left(name: str, style: str) -> None:
    messages = recorded(name)
    callers = {
        value
        for message in messages
        for header, value in message.headers
        if header.endswith(CALLER_HEADERS) and isinstance(value, str)
    }
    numbers = {value for value in callers if re.fullmatch(r"\d{6,}", value)}
    names = {value for value in callers if not re.fullmatch(r"\d+|<unknown>|", value)}
    assert len(numbers) >= (1000 if name == BUSY else 2)
    assert names
    settings = f"callers: {style}" if "dialled" in style else f"callers: {style}, dialled: {style}"
    made = plugin(f"{{{settings}}}")
    for message in messages:
        result = masked(made, message)
        text = json_of(result)
        assert not numbers_in(text) & numbers, text
        # MemberName and the like are agents', not callers'.
        spoken = [value for header, value in result.headers if not is_agents(header)]
        assert not any(str(value) in names for value in spoken), text
        if name == BUSY:
            assert "Caller " not in text


def numbers_in(text: str) -> set[str]:
    """All texts of 6 to 15 digits, also inside of longer ones."""
    found = set()
    for digits in set(re.findall(r"\d{6,}", text)):
        for start in range(len(digits)):
            found.update(digits[start:end] for end in range(start + 6, start + 16))
    return found


def is_agents(header: str) -> bool:
    return header in ("MemberName", "Name", "Output") or header.startswith("Line-")


@pytest.mark.parametrize("name", SESSIONS)
@pytest.mark.slow
def test_all_else_of_a_recorded_session_is_left_as_it_is(name: str) -> None:
    made = plugin("{callers: last4, dialled: last4}")
    touched = re.compile(r"(CallerID|ConnectedLine)(Num|Name)$|Exten|Channel|Device|DialString")
    ids: dict[str, str] = {}
    for message in recorded(name):
        result = masked(made, message)
        assert [header for header, _ in result.headers] == [header for header, _ in message.headers]
        for (header, old), (_, new) in zip(message.headers, result.headers, strict=True):
            if not touched.search(header):
                assert new == old, (header, message)
            if header == "Channel":  # clients tell channels apart as before
                assert ids.setdefault(str(new), str(old)) == old


@pytest.mark.parametrize("name", SESSIONS)
@pytest.mark.slow
def test_callers_can_still_be_told_apart_by_hash(name: str) -> None:
    made = plugin(f"{{callers: hash, dialled: hash, {KEY}}}")
    seen: dict[str, str] = {}
    for message in recorded(name):
        number = message.get("CallerIDNum")
        if number:
            assert seen.setdefault(number, masked(made, message).get("CallerIDNum") or "")
            assert seen[number] == masked(made, message).get("CallerIDNum")
    assert len(set(seen.values())) == len(seen)


def test_the_manual_holds(tmp_path: Path) -> None:
    manual = (mask.__doc__ or "").split("\n\n")
    blocks = [textwrap.dedent(block) for block in manual if block.startswith("    ")]
    parsed = [yaml.load(block, yaml.BaseLoader) for block in blocks if "mask:" in block]
    key = tmp_path / "mask.key"
    key.write_text("0123456789abcdef")
    short, long = parsed[0]["plugins"][0]["mask"], parsed[1][0]["mask"]
    assert len(parsed) == 2
    short_one = plugin(yaml.dump(short))
    assert one(short_one, "CallerIDNum", "15145550199") == "*******0199"
    assert long["key_file"] == "/etc/amiws/mask.key"
    made = plugin(yaml.dump({**long, "key_file": str(key)}))
    assert one(made, "Queue", "15145550199") == "15145550199"
    assert one(made, "PeerAccountCode", "x") is None
    assert one(made, "MemberName", "Jo Anderson") == "Jo*******on"
    assert one(made, "Digit", "5", "DTMFEnd") == "-"
    assert one(made, "AppData", "IBAN DE89370400440532013000 x") == (
        "IBAN ******************3000 x"
    )
