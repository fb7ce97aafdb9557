"""What shipped plugins match by: names, values, expressions, and numbers in texts."""

from __future__ import annotations

import fnmatch
import logging
import re
import time
from typing import Any

import pytest
from amiws_plugins._matching import (
    MAX_MATCHED,
    HeaderCondition,
    NameSet,
    Remembered,
    ValueForm,
    expression_problem,
)
from amiws_plugins.event_filter import Plugin
from amiws_plugins.mask import scans
from hypothesis import given
from hypothesis import strategies as st

from amiws_gevent.ami import Kind, Message
from amiws_gevent.masking.numbers import Numbers
from amiws_gevent.masking.styles import Look, Style, shorten
from amiws_gevent.plugins import PluginContext, ServerInfo

NAMES = st.text(alphabet="abAB*?[]!-1ß", min_size=1, max_size=6)
PLAIN = st.text(alphabet="abAB1ß", max_size=6)


@given(st.lists(NAMES, max_size=5), PLAIN)
def test_names_fit_as_file_names_do_in_any_case(names: list[str], asked: str) -> None:
    expected = any(
        fnmatch.fnmatchcase(asked.casefold(), name.casefold())
        if set(name) & set("*?[")
        else asked.casefold() == name.casefold()
        for name in names
    )
    known = NameSet(names)
    assert known.fits(asked) is expected
    assert known.fits(asked) is expected  # remembered


@given(st.lists(st.integers(0, 50)), st.integers(1, 8))
def test_what_is_remembered_is_right_and_bounded(questions: list[int], limit: int) -> None:
    known = Remembered(lambda number: number * number, limit)
    for question in questions:
        assert known[question] == question * question
        assert len(known) <= limit


def test_long_questions_are_not_kept() -> None:
    known = Remembered(str.upper, 10, longest=3)
    assert (known["abcd"], known["abc"]) == ("ABCD", "ABC")
    assert list(known) == ["abc"]


@given(NAMES, PLAIN)
def test_a_text_fits_as_a_glob_or_exactly(text: str, value: str) -> None:
    fits = ValueForm.model_validate(text).compiled()
    is_glob = bool(set(text) & set("*?["))
    assert fits(value) is (fnmatch.fnmatchcase(value, text) if is_glob else value == text)
    exact = ValueForm.model_validate({"is": text}).compiled()
    assert exact(value) is (value == text)
    folded = ValueForm.model_validate({"is": text, "ignore_case": True}).compiled()
    assert folded(value) is (value.casefold() == text.casefold())


@given(st.lists(st.tuples(st.sampled_from(["A", "a", "B"]), PLAIN), max_size=5), PLAIN)
def test_any_value_of_any_header_of_the_name(pairs: list[tuple[str, str]], wanted: str) -> None:
    condition = HeaderCondition("a", [ValueForm.model_validate({"is": wanted})])
    assert condition.fits(pairs) is any(n in "Aa" and v == wanted for n, v in pairs)


# Expressions

PIECES = st.sampled_from(
    [
        *"ab()[]|*+?{}^$.\\",
        *("(?:", "(?>", "(?P<n>", "(?=", "++", "*+", "{2,}", "{1,9}", "[^]", "\\d"),
    ]
)


@given(st.lists(PIECES, max_size=12).map("".join))
def test_an_expression_compiles_or_is_refused_with_a_reason(pattern: str) -> None:
    problem = expression_problem(pattern)
    if problem is None:
        re.compile(pattern)
    else:
        assert re.match("is not a valid regular expression: |has a repeat inside a repeat", problem)


@given(st.text(max_size=30))
def test_no_text_stops_the_check(pattern: str) -> None:
    expression_problem(pattern)
    expression_problem(f"(?x){pattern}")


@pytest.mark.parametrize(
    "pattern",
    [
        r"(a+)+$",
        r"(a*)*b",
        r"(?:\d+,?)+x",
        r"^(([a-z])+.)+[A-Z]$",
        r"(\w+\s?)*:",
        r"(a{2,}){3,}b",
        r"((a+))+",
        r"(?P<x>[^)(]*\))*x+(?:(?:\s+))*$",
        r"(?i:(a|b+)+)c",
        r"(a+?)+b",
        r"(?#nothing)(a+)+",
        r"([]]+)+b",
        r"(\)+)*b",
        r"(a{1,9}){9}b",
    ],
)
def test_repeats_inside_of_repeats_are_refused(pattern: str) -> None:
    re.compile(pattern)
    assert "possessive" in (expression_problem(pattern) or "")


@pytest.mark.parametrize(
    "pattern",
    [
        r"^PJSIP/trunk",
        r"(?:\d++,?)+x",
        r"(?>a+)+b",
        r"(a++)*b",
        r"(?:\d[ -]?){13,19}",
        r"(?:[0-9a-f]{1,4}:){7}",
        r"[(+*]+[)]*",
        r"\(+\)+\++",
        r"(ab)+c+",
        r"a+(b|c)+d*",
        r"(?=a+)b+",
        r"(a{1,3}){2}",
        r"x{}+y{,}",
        r"(?x) a+ # (b",
        r"(?x) a+ # b)",
    ],
)
def test_other_expressions_are_taken_and_fast(pattern: str) -> None:
    assert expression_problem(pattern) is None
    for text in ("a" * MAX_MATCHED, "1,2," * (MAX_MATCHED // 4), "ab" * (MAX_MATCHED // 2)):
        start = time.process_time()
        re.compile(pattern).search(text)
        assert time.process_time() - start < 1


# The filter against its manual, spelt out


CONDITIONS = st.dictionaries(
    st.sampled_from(["h", "G*"]), st.sampled_from(["1", "2*", "*"]), max_size=2
)
RULES = st.lists(
    st.fixed_dictionaries(
        {"names": st.lists(st.sampled_from(["A", "B*", "*", "ab"]), min_size=1, max_size=2)},
        optional={
            "server": st.sampled_from(["pbx1", "pbx*", "2", "none"]),
            "headers": CONDITIONS,
            "drops": st.booleans(),
        },
    ),
    min_size=1,
    max_size=5,
)
SERVERS = st.sampled_from([ServerInfo(1, "pbx1", False), ServerInfo(2, "pbx2", False)])
HEADERS = st.lists(
    st.tuples(st.sampled_from(["H", "h", "G1", "I"]), st.sampled_from(["", "1", "22"])), max_size=4
)
EVENTS = st.sampled_from(["A", "a", "B", "Bc", "AB", ""])


def fits(text: str, value: str) -> bool:
    return fnmatch.fnmatchcase(value, text)


def expected_drop(rules: Any, default: bool, server: ServerInfo, name: str, pairs: Any) -> bool:
    for rule in rules:
        wanted = rule.get("server", "*")
        if (
            any(fits(one.lower(), name.lower()) for one in rule["names"])
            and (fits(wanted, server.name) or wanted == str(server.id))
            and all(
                any(fits(header.lower(), key.lower()) and fits(value, have) for key, have in pairs)
                for header, value in rule.get("headers", {}).items()
            )
        ):
            return bool(rule.get("drops", True))
    return default


@given(RULES, st.booleans(), st.lists(st.tuples(SERVERS, EVENTS, HEADERS), max_size=6))
def test_the_first_rule_that_fits_wins(rules: Any, default: bool, messages: Any) -> None:
    written = [
        {("deny" if rule.get("drops", True) else "allow"): rule["names"]}
        | {key: rule[key] for key in ("server", "headers") if key in rule}
        for rule in rules
    ]
    rest = {} if default else {"deny": "never"}  # allows alone are no sense without a deny
    plugin = Plugin()
    settings = plugin.amiws_settings().model_validate(
        {"rules": written, "default": "deny" if default else "allow", **rest}
    )
    context = PluginContext("event_filter", settings, logging.getLogger("test"), lambda *_: None)  # type: ignore[arg-type, return-value]
    plugin.amiws_startup(context)
    for server, name, pairs in messages:
        message = Message(Kind.EVENT, [("Event", name), *pairs, ("Privilege", "call,all")])
        dropped = plugin.amiws_filter_message(message, server) is False
        assert dropped is expected_drop(rules, default, server, name, message.headers)


# Numbers, cards and callers in texts

DIGITS = st.text(alphabet="0123456789", min_size=1, max_size=25)
AROUND = st.text(alphabet="abgxyz/@:;,=&()<> \né", max_size=8)


@given(AROUND, DIGITS, AROUND, st.integers(1, 15))
def test_no_long_number_is_left_in_a_text(
    before: str, digits: str, after: str, shortest: int
) -> None:
    numbers = Numbers(shortest, lambda _value: "#")
    shown = "#" if len(digits) >= shortest else digits
    assert numbers.within(f"{before}{digits}{after}") == f"{before}{shown}{after}"


@given(st.text(alphabet="0123456789-./+ ;@xaf", max_size=40))
def test_what_is_left_of_digits_has_a_form_that_is_no_number(text: str) -> None:
    left = Numbers(6, lambda _value: "#").within(text)
    for run in re.finditer(r"\d{6,}", left):
        context = left[max(0, run.start() - 12) : run.end() + 1]
        uniqueid = re.search(r"1[5-9]\d{8}\.\d{1,7}$", left)
        assert uniqueid or re.search(r"0x[0-9a-f]+|-[0-9a-f]{8}|\d{1,2}\.\d{6}", context), left


@given(st.text(max_size=30), st.integers(0, 40), st.integers(0, 40))
def test_shortened_values_hide_half(value: str, first: int, last: int) -> None:
    short = shorten(value, first, last, "\x00")
    assert len(short) == len(value)
    shown = sum(sign != "\x00" for sign in short)
    assert shown <= min(len(value) // 2, first + last)
    assert all(new in ("\x00", old) for new, old in zip(short, value, strict=True))


@given(st.text(max_size=30))
def test_a_hash_holds_no_digit_and_nothing_of_the_value(value: str) -> None:
    hashed = Look(key=b"k" * 16).mask(Style("hash"))(value)
    assert re.fullmatch("#[a-p]{12}" if value else "", hashed)


@given(st.text(alphabet="0123456789", min_size=12, max_size=18), st.sampled_from(["", " ", "-"]))
def test_a_card_number_has_one_right_check_digit(digits: str, between: str) -> None:
    rights = [last for last in "0123456789" if scans.is_luhn(digits + last)]
    assert len(rights) == 1
    card = "4" + digits[1:]
    card += next(last for last in "0123456789" if scans.is_luhn(card + last))
    groups = [card[:4], card[4:8], card[8:12], card[12:]]
    written = between.join(groups)
    hide = scans.cards(lambda _value: "#")
    assert hide(f"a {written}, b") == "a #, b"
    wrong = "a" + card[:-1] + str((int(card[-1]) + 1) % 10)
    assert hide(wrong) == wrong


@given(
    st.lists(st.text(alphabet="abc", min_size=1, max_size=4), max_size=4, unique=True),
    st.text(alphabet="abcd ", max_size=20),
)
def test_own_callers_are_gone_from_a_text(callers: list[str], text: str) -> None:
    found = sorted(((one, "#") for one in callers), key=lambda pair: -len(pair[0]))
    result = scans.own_callers(text, found, str.upper)
    assert not any(one in result for one in callers)
    assert result.replace("#", "").isupper() or not result.replace("#", "").strip()
