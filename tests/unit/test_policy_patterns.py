"""Patterns, and what they let through."""

from __future__ import annotations

import pytest

from amiws_gevent.policy.actions import Holds
from amiws_gevent.policy.patterns import (
    Texts,
    attributes_of,
    expression,
    is_any,
    is_plain,
    matcher,
    problem,
    resolved,
)

LONG = "2" * 260


def allows(holds: Holds, pattern: str | list[str], value: str) -> bool:
    patterns = [pattern] if isinstance(pattern, str) else pattern
    for each in patterns:
        assert problem(holds, each) is None, each
    return matcher(holds, patterns)(value)


@pytest.mark.parametrize(
    ("pattern", "text", "fits"),
    [
        ("2??", "204", True),
        ("2??", "2045", False),
        ("*", "", True),
        ("[0-9]*", "0a", True),
        ("[!0]*", "0a", False),
        ("[!0]*", "1a", True),
        ("[]a]", "]", True),
        ("[*]", "*", True),
        ("[*]", "x", False),
        ("[a&&b]", "&", True),
        ("a.b", "axb", False),
        ("a[", "a[", True),
    ],
)
def test_as_names_of_files(pattern: str, text: str, fits: bool) -> None:
    assert (expression(pattern).fullmatch(text) is not None) is fits


def test_what_stands_for_itself() -> None:
    assert is_plain("support")
    assert is_plain("a[*]b")
    assert not any(map(is_plain, ("a*", "a?", "[ab]")))
    assert [is_any(pattern) for pattern in ("*", "?*", "a*")] == [True, True, False]


def test_attributes_are_plain_text_in_patterns() -> None:
    assert attributes_of("{user.queues}-{user.site}") == {"queues", "site"}
    given = {"queues": ["sales", "a*"], "site": ["x"]}
    made = resolved(["{user.queues}/{user.site}", "fixed", "{user.none}"], given)
    assert made == ("a[*]/x", "fixed", "sales/x")
    fits = Texts(made).matcher()
    assert [fits(text) for text in ("a*/x", "ab/x", "sales/x", "fixed", "")] == [
        True,
        False,
        True,
        True,
        False,
    ]


@pytest.mark.parametrize(
    ("holds", "pattern", "says"),
    [
        (Holds.DIAL, "*", "must begin with a technology"),
        (Holds.DIAL, "*/204", "must begin with a technology"),
        (Holds.DIAL, "PJSIP/*", "more than any channel"),
        (Holds.DIAL, "PJSIP/201&SIP/2", "without &"),
        (Holds.DIAL, "Local/*@*", "any context"),
        (Holds.DIAL, "Local/1/2@a", "Local/EXTENSION@CONTEXT"),
        (Holds.CHANNEL, "local/1@*", "any context"),
        (Holds.CONTEXT, "*", "name which"),
        (Holds.EXTEN, "**", "name which"),
        (Holds.APPLICATION, "Play*", "one application"),
        (Holds.COMMAND, "*", "write what it may be"),
        (Holds.DATA, "*", "write what it may be"),
        (Holds.FILE, "*", "write what it may be"),
        (Holds.ASSIGN, "*=1", "any variable"),
        (Holds.VARIABLE, "*", "any variable"),
        (Holds.NAME, "a[b", "needs a ]"),
        (Holds.NAME, "[b-a]", "needs a ]"),
        (Holds.NAME, "{user.Name}", "write {user.name}"),
        (Holds.NAME, "a\nb", "control"),
    ],
)
def test_what_a_pattern_cannot_be(holds: Holds, pattern: str, says: str) -> None:
    told = problem(holds, pattern)
    assert told is not None
    assert says in told


@pytest.mark.parametrize(
    "value",
    [
        "PJSIP/204",
        "Local/204@internal",
        "local/204@internal/n",
        "LOCAL/204@internal/nj",
    ],
)
def test_dial_strings_that_are_meant(value: str) -> None:
    assert allows(Holds.DIAL, ["PJSIP/2??", "Local/2??@internal"], value)


@pytest.mark.parametrize(
    "value",
    [
        "Local/204@evil",
        "Local/204",  # the context default
        "Local/204@internal@evil",
        "Local/204@internal/n@evil",
        "Local/204@internal/n/x@evil",
        "Local/2/4@internal",
        "Local/@internal",
        "Local/204@internal ",
        "Local/204@internal-00000001;1",  # of a channel that is there, but dialled a context
        "Local/204@internal;1",
        "Local/204@Internal",
        "L\u043ecal/204@internal",
        "\uff2cocal/204@internal",
        "Local/204@\u0456nternal",
        "Local/2\u0660\u0664@internal",
        f"Local/{LONG}@internal",
        "PJSIP/204&Local/204@evil",
        "PJSIP/204,20",
        "PJSIP/2/4",
        "PJSIP/2@4",
        "PJSIP/2:4",
        "pjsip/204",
        "SIP/204",
        "PJSIP/${EXTEN}",
        "PJSIP/2\t4",
        "",
    ],
)
def test_dial_strings_that_are_not(value: str) -> None:
    assert not allows(Holds.DIAL, ["PJSIP/2??", "Local/2??@internal"], value)


def test_a_context_that_asterisk_would_cut_is_refused() -> None:
    context = "a" * 80
    assert not matcher(Holds.CONTEXT, ["a*"])(context)
    assert not matcher(Holds.EXTEN, ["2*"])("2" * 80)
    assert not matcher(Holds.DIAL, ["Local/2*@a*"])(f"Local/2@{context}")


def test_the_context_of_a_local_channel_without_one() -> None:
    assert allows(Holds.DIAL, "Local/2??", "Local/204")
    assert allows(Holds.DIAL, "Local/2??@default", "Local/204")
    assert not allows(Holds.DIAL, "Local/2??@default", "Local/204@other")


@pytest.mark.parametrize(
    ("pattern", "value", "fits"),
    [
        ("PJSIP/204", "PJSIP/204-0000001f", True),
        ("PJSIP/204", "PJSIP/204", True),
        ("PJSIP/204", "PJSIP/204-lobby-0000001f", False),
        ("PJSIP/204", "PJSIP/204-0000001f-0000001f", False),
        ("IAX2/204", "IAX2/204-11947", True),
        ("*", "PJSIP/kunde.example.com-0000001f", True),
        ("*", "1795371260.16", True),
        ("*", "Local/204@internal-00000003;1", False),
        ("*", "LOCAL/204@internal-00000003;1", False),
        ("*", "/PJSIP.*/", False),
        ("*", "/.*/", False),
        ("Local/*@internal", "Local/204@internal-00000003;1", True),
        ("Local/*@internal", "Local/204@evil-00000003;1", False),
        ("Local/204@internal/n", "Local/204@internal-00000003;2", True),
        ("Local/*@internal", "Local/204@internal-x-00000003;1", False),
    ],
)
def test_channels_that_are_there(pattern: str, value: str, fits: bool) -> None:
    assert allows(Holds.CHANNEL, pattern, value) is fits


@pytest.mark.parametrize(
    ("pattern", "value", "fits"),
    [
        ("PJSIP/204", "PJSIP/204", True),
        ("PJSIP/204", "PJSIP/204-0000001f", False),
        ("*", "Local/204@internal/n", False),
        ("Local/204@internal/n", "Local/204@internal", True),
        ("*", "lOCAL/204@internal/n", False),
        ("*", "PJSIP/\u0662", False),
    ],
)
def test_members(pattern: str, value: str, fits: bool) -> None:
    assert allows(Holds.MEMBER, pattern, value) is fits


@pytest.mark.parametrize(
    ("pattern", "name", "fits"),
    [
        ("CUSTOMER*", "CUSTOMER_NO", True),
        ("CUSTOMER*", "_CUSTOMER", False),
        ("CUSTOMER*", "__CUSTOMER", False),
        ("__CUSTOMER", "__CUSTOMER", True),
        ("[_C]*", "__CUSTOMER", False),
        ("S*", "SHELL(id)", False),
        ("CHANNEL(*)", "CHANNEL(name)", False),
        ("CHANNEL(name)", "CHANNEL(name)", True),
        ("T*", "TRANSFER_CONTEXT", False),
        ("M*", "MONITOR_EXEC", False),
        ("D*", "DYNAMIC_FEATURES", False),
        ("TRANSFER_CONTEXT", "TRANSFER_CONTEXT", True),
        ("CUSTOMER*", "CUSTOMER\u212a", False),
        ("CUSTOMER*", "customer", False),
        ("a*", "a b", False),
    ],
)
def test_names_of_variables(pattern: str, name: str, fits: bool) -> None:
    assert allows(Holds.VARIABLE, pattern, name) is fits


def test_several_names_of_variables() -> None:
    assert allows(Holds.VARIABLES, "CUSTOMER*", "CUSTOMER,CUSTOMERS")
    assert not allows(Holds.VARIABLES, "CUSTOMER*", "CUSTOMER,SHELL(id)")


@pytest.mark.parametrize(
    "value", ["", "CUSTOMER=1", "CUSTOMER=a b (c)", "SOURCE=crm", "CUSTOMER=1,SOURCE=crm"]
)
def test_assignments_that_are_meant(value: str) -> None:
    assert allows(Holds.ASSIGN, ["CUSTOMER*", "SOURCE=crm"], value)


@pytest.mark.parametrize(
    "value",
    [
        "EVIL=1",
        "CUSTOMER=1,EVIL=2",
        'CUSTOMER="1,EVIL=2"',
        "CUSTOMER=(1,EVIL=2)",
        r"CUSTOMER=1\,EVIL=2",
        "CUSTOMER=1, CUSTOMER=2",
        "CUSTOMER=1|EVIL=2",
        "__CUSTOMER=1",
        "SOURCE=evil",
        "CUSTOMER",
        "=1",
        "CUSTOMER=${SHELL(id)}",
        "CUSTOMER=$[1+1]",
        "SHELL(id)=1",
        "FILE(/etc/x)=1",
        "CUSTOMER_CONTEXT=1",
    ],
)
def test_assignments_that_are_not(value: str) -> None:
    assert not allows(Holds.ASSIGN, ["CUSTOMER*", "SOURCE=crm"], value)


@pytest.mark.parametrize(
    ("holds", "pattern", "value", "fits"),
    [
        (Holds.APPLICATION, "Playback", "playback", True),
        (Holds.APPLICATION, "Playback", "System", False),
        (Holds.APPLICATION, "Playback", "Playbac\u212a", False),
        (Holds.DATA, "hello-*", "hello-world", True),
        (Holds.DATA, "hello-*", "hello-world,x", False),
        (Holds.DATA, "hello-*", "hello-${SHELL(id)}", False),
        (Holds.COMMAND, "queue show *", "queue show support", True),
        (Holds.COMMAND, "queue show *", "queue show x; id", False),
        (Holds.COMMAND, "queue show *", "queue show $(id)", False),
        (Holds.COMMAND, "queue show *", "QUEUE show x", False),
        (Holds.FILE, "calls/*.wav", "calls/a.wav", True),
        (Holds.FILE, "calls/*.wav", "calls/../a.wav", False),
        (Holds.FILE, "calls/*.wav", "calls/a,b,id.wav", False),
        (Holds.FILE, "calls/..", "calls/..", True),  # written so
        (Holds.OPTIONS, "*b", "ab", True),
        (Holds.OPTIONS, "*b", "r(x)b", False),
        (Holds.TEXT, "*", "Mittag, bis 1\u00bd", True),
        (Holds.TEXT, "*", "${SHELL(id)}", False),
        (Holds.TEXT, "${X}", "${X}", True),
        (Holds.TEXT, "*", "a\x85b", False),
        (Holds.NAME, "s*", "s\u00fcd", True),
        (Holds.NAME, "*", "Local/1@evil", False),
        (Holds.NAME, "*", "x&LOCAL/1@evil", False),
        (Holds.NAME, "Local/1@x", "Local/1@x", True),
        (Holds.NAME, "*", "nonlocal/1", True),
        (Holds.NAME, "sales", "s\u0430les", False),
        (Holds.NUMBER, "*", "-1.5", True),
        (Holds.NUMBER, "*", "1,2", False),
        (Holds.EXTEN, "0[1-9]*", "0301234", True),
        (Holds.EXTEN, "0[1-9]*", "030&1", False),
        (Holds.EXTEN, "[!x]*", "&1", False),
        (Holds.PRIORITY, "1", "1", True),
    ],
)
def test_other_values(holds: Holds, pattern: str, value: str, fits: bool) -> None:
    assert allows(holds, pattern, value) is fits


def test_texts_forget_when_there_are_too_many() -> None:
    fits = Texts(("a*",)).matcher()
    assert all(fits(f"a{number}") for number in range(10_010))
    assert not fits("b")
