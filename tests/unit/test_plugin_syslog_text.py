"""Templates and key=value."""

from __future__ import annotations

import pytest
from amiws_plugins._template import Template
from amiws_plugins.syslog_events.text import pairs

from amiws_gevent.ami import Kind, Message
from amiws_gevent.plugins import ServerInfo

SERVER = ServerInfo(7, "pbx1", False)


def render(template: str, **headers: str) -> str:
    return Template(template).render(Message(Kind.EVENT, {"Event": "X", **headers}), SERVER)


def test_fields_are_headers_and_the_server() -> None:
    assert (
        render("{Peer} is {peerstatus} on {server_name} ({server_id})", Peer="a", PeerStatus="b")
        == "a is b on pbx1 (7)"
    )


def test_names_of_headers_may_hold_much() -> None:
    headers = {"Cause-txt": "busy", "ChanVariable(SIP/x)": "1", "a.b[0]": "2", "x!r": "3"}
    text = "{Cause-txt} {ChanVariable(SIP/x)} {a.b[0]} {x!r} { Cause-txt }"
    assert render(text, **headers) == "busy 1 2 3 busy"


def test_what_is_missing_or_empty_reads_as_a_dash() -> None:
    assert render("<{A}{B}>", B="") == "<-->"


def test_of_a_header_that_repeats_the_first_counts() -> None:
    message = Message(Kind.EVENT, [("Event", "X"), ("V", "1"), ("V", "2")])
    assert Template("{V}").render(message, SERVER) == "1"


def test_braces() -> None:
    assert render("{{{A}}} {{}}", A="1") == "{1} {}"


def test_a_value_is_not_a_template() -> None:
    assert render("{A}", A="{B}{server_name}", B="x") == "{B}{server_name}"


@pytest.mark.parametrize("field", ["Peer.__class__", "0", "Peer[0]", "Peer!r", "__init__"])
def test_fields_reach_nothing_but_headers(field: str) -> None:
    assert render("{" + field + "}", Peer="x") == "-"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a {b", "has a { without its partner at '{b'"),
        ("a} b", "has a } without its partner at '} b'"),
        ("{a{b}}", "has a { without its partner"),
        ("{}", "has an empty field"),
        ("{ }", "has an empty field"),
        ("{Peer:>10}", "has a colon"),
    ],
)
def test_wrong_templates(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        Template(text)
    assert said in str(caught.value)


def test_pairs_are_quoted_where_they_have_to_be() -> None:
    items = [
        ("a", "1"),
        ("b", "two words"),
        ("c", 'say "x" \\ y'),
        ("d", ""),
        ("e", "k=v"),
        ("f", "li\nne\x1b"),
        ("g", "é€"),
        ("h", "\u2028"),
    ]
    assert pairs(items, 1000) == (
        'a=1 b="two words" c="say \\"x\\" \\\\ y" d="" e="k=v" f="li\\nne\\x1b" g=é€ h="\\u2028"'
    )


def test_names_of_pairs_cannot_end_them() -> None:
    assert pairs([("a b=c", "1"), ('"', "2"), ("", "3"), ("é", "4")], 1000) == "a_b_c=1 _=2 _=3 _=4"


def test_pairs_that_do_not_fit_are_left_out_whole() -> None:
    items = [("a", "1"), ("long", "x" * 100), ("b", "€" * 9)]
    assert pairs(items, 30) == "a=1 ..."
    assert pairs(items, 40) == "a=1 b=€€€€€€€€€ ..."
    assert pairs(items, 500) == f"a=1 long={'x' * 100} b=€€€€€€€€€"
    assert pairs([("a", "\x00" * 8)], 30) == "..."
    assert pairs([], 30) == ""
