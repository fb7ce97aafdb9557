from __future__ import annotations

import re
import textwrap
import time
from pathlib import Path

import pytest
import yaml
from amiws_plugins import mask
from amiws_plugins._matching import MAX_MATCHED
from amiws_plugins.mask import Plugin, Settings
from amiws_plugins.mask.plans import KNOWN_HEADERS, KNOWN_VALUES
from pydantic import ValidationError

from amiws_gevent.ami import Kind, Message
from amiws_gevent.masking.styles import shorten
from amiws_gevent.plugins import ServerInfo
from amiws_gevent.testing import event, response
from tests.support.masking import KEY, PBX1, REDACTED, masked, one, plugin

PBX2 = ServerInfo(2, "pbx2", False)


def problems(settings: str) -> str:
    with pytest.raises(ValidationError) as caught:
        plugin(settings)
    return "\n".join(
        f"{'.'.join(map(str, error['loc']))}: {error['msg']}" for error in caught.value.errors()
    )


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
