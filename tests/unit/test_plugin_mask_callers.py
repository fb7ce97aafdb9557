"""Callers and what was dialled: in headers, in texts, and in recorded sessions."""

from __future__ import annotations

import gzip
import re
from functools import cache
from pathlib import Path

import pytest
from amiws_plugins.mask.plans import (
    LINE,
    MOST_CALLERS,
    MOST_CHARACTERS,
    MOST_HEADERS,
    MOST_MENTIONS,
)

from amiws_gevent.ami import Kind, Message, Parser, encode_message, envelope_prefix
from amiws_gevent.testing import event, response
from tests.support.masking import BOTH, KEY, REDACTED, masked, one, plugin

CAPTURES = Path(__file__).parent.parent / "captures"


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
        (">", "***"),
        ("Bob Ray", "***"),
        ("alice@example.com", "***"),
        ("+1 (514) 555-0199", "*************0199"),
        ("*97", "*97"),
    ],
)
def test_name_and_number_in_one(value: str, shown: str) -> None:
    for name in ("CallerID", "Callerid"):
        assert one(BOTH, name, value, "Cdr") == shown


def test_a_name_without_a_number() -> None:
    """Asterisk writes it alone then (``main/callerid.c``, ast_callerid_merge)."""
    names = plugin("{callers: {numbers: keep, names: redact}}")
    numbers = plugin("{callers: {numbers: last4, names: keep}}")
    assert one(names, "CallerID", "Bob Ray", "Cdr") == "***"
    assert one(names, "CallerID", "15145550199", "Cdr") == "15145550199"
    assert one(numbers, "CallerID", "Bob Ray", "Cdr") == "****Ray"  # it may be the number


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
        "      Caller ID: ***\n"
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
