from __future__ import annotations

import json
import math
import time

import pytest

from amiws_gevent.ami import (
    ActionError,
    Kind,
    Message,
    encode_action,
    encode_message,
    envelope_prefix,
    error_response,
    holding_time,
    parse_client_action,
)
from amiws_gevent.ami.actions import SessionActionError, client_action


def sent(text: str | bytes) -> bytes:
    return encode_action(parse_client_action(text).headers)


def refused(text: str | bytes) -> ActionError:
    with pytest.raises(ActionError) as caught:
        parse_client_action(text)
    return caught.value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"Action": "Ping"}', b"Action: Ping\r\n\r\n"),
        (
            b'{"action":"Ping","ActionID":"p\\u00e9"}',
            b"action: Ping\r\nActionID: p\xc3\xa9\r\n\r\n",
        ),
        ('{"X": "1", "Action": "A"}', b"X: 1\r\nAction: A\r\n\r\n"),
        (
            '{"Action": "Originate", "Variable": ["a=1", "b=2", 3, true, null]}',
            (
                b"Action: Originate\r\nVariable: a=1\r\nVariable: b=2\r\nVariable: 3\r\n"
                b"Variable: true\r\n\r\n"
            ),
        ),
        ('{"Action": "A", "Variable": [], "N": null}', b"Action: A\r\n\r\n"),
        (
            '{"Action":"A","T":true,"F":false,"I":-0,"B":12345678901234567890,"E":1.50E+2}',
            (
                b"Action: A\r\nT: true\r\nF: false\r\nI: -0\r\nB: 12345678901234567890\r\n"
                b"E: 1.50E+2\r\n\r\n"
            ),
        ),
        (
            r'{"Action":"A","Q":"a\"b\\c\/d\te","U":"\u00e9\ud83d\udc08"}',
            'Action: A\r\nQ: a"b\\c/d\te\r\nU: é🐈\r\n\r\n'.encode(),
        ),
        (
            '{"Action":"A","Variable":"a","Variable":"b"}',
            b"Action: A\r\nVariable: a\r\nVariable: b\r\n\r\n",
        ),
        ('{"Action":"A","V":"a: b:c","E":""}', b"Action: A\r\nV: a: b:c\r\nE: \r\n\r\n"),
        ('{"Action":"A","V":" lead and end "}', b"Action: A\r\nV:  lead and end \r\n\r\n"),
        (
            '{"Action":"A","V":"\u2028\u0085\\u000b"}',
            "Action: A\r\nV: \u2028\u0085\x0b\r\n\r\n".encode(),
        ),
        (
            '{"Action":"A","ChanVariable(SIP/x)":"1","In ner":"2"}',
            b"Action: A\r\nChanVariable(SIP/x): 1\r\nIn ner: 2\r\n\r\n",
        ),
        (' {"Action": "CoreStatus", "AMIServerID": 1}\n', b"Action: CoreStatus\r\n\r\n"),
    ],
)
def test_exact_bytes(text: str | bytes, expected: bytes) -> None:
    assert sent(text) == expected


@pytest.mark.parametrize(
    ("member", "server_id"),
    [
        ('"AMIServerID": 1', 1),
        ('"amiserverid": "12"', 12),
        ('"AMISERVERID": 0', 0),
        ('"AMIServerID": -5', -5),
        ('"AMIServerID": null', None),
        ('"X": "AMIServerID"', None),
    ],
)
def test_server_id(member: str, server_id: int | None) -> None:
    action = parse_client_action(f'{{"Action": "Ping", {member}}}')
    assert action.server_id == server_id
    assert all(name.lower() != "amiserverid" for name, _ in action.headers)


def test_name_and_action_id() -> None:
    action = parse_client_action('{"Action": " Ping\\t", "actionid": "\\u0001 x "}')
    assert action.name == "Ping"
    assert action.action_id == "x "  # as Asterisk reads it and sends it back
    assert parse_client_action('{"Action": "Ping"}').action_id is None
    assert parse_client_action('{"Action": "Ping", "ActionID": 7}').action_id == "7"
    assert parse_client_action('{"Action": "P", "ActionID": ["a", "b"]}').action_id == "a"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "not valid JSON"),
        ("{", "not valid JSON"),
        ('{"Action": "Ping"} x', "not valid JSON: Extra data at character 20"),
        ("{'Action': 'Ping'}", "not valid JSON"),
        ('{"Action": "Ping", "X": NaN}', "NaN is not a JSON number"),
        ('{"Action": "Ping", "X": -Infinity}', "-Infinity is not a JSON number"),
        ('{"Action": "Ping", "X": "a\nb"}', "not valid JSON"),
        ("\ufeff{}", "not valid JSON"),
        (b'{"Action": "\xff"}', "not UTF-8"),
        ('{"Action": "Ping"}'.encode("utf-16"), "not UTF-8"),
        ('{"Action": "Ping"}'.encode("utf-32-le"), "not valid JSON"),
        ("[" * 100_000, "nested too deeply"),
        ('{"a":' * 100_000, "nested too deeply"),
        ("[]", "not a JSON object"),
        ('[{"Action": "Ping"}]', "not a JSON object"),
        ('"Action"', "not a JSON object"),
        ("null", "not a JSON object"),
        ("5", "not a JSON object"),
        ("{}", 'no "Action"'),
        ('{"AMIServerID": 1}', 'no "Action"'),
        ('{"Action": null}', 'no "Action"'),
        ('{"Actions": "Ping"}', 'no "Action"'),
        ('{"Action": ""}', "is empty"),
        ('{"Action": " \\t\\u0001"}', "is empty"),
        ('{"Action": 5}', "must be a string"),
        ('{"Action": true}', "must be a string"),
        ('{"Action": ["Ping"]}', "must be a string"),
        ('{"Action": {}}', "must be a string"),
        ('{"Action": "Ping", "Action": "Ping"}', "more than once"),
        ('{"Action": "Ping", "ACTION": "Logoff"}', "more than once"),
        ('{"Action": "A", "X": {"a": 1}}', '"X" holds an object'),
        ('{"Action": "A", "X": {}}', '"X" holds an object'),
        ('{"Action": "A", "X": [{}]}', '"X" holds an object'),
        ('{"Action": "A", "X": [["a"]]}', '"X" holds a list in a list'),
        ('{"Action": "A", "X:": "1"}', "holds a colon"),
        ('{"Action": "A", "Action: Logoff": ""}', "holds a colon"),
        ('{"Action": "A", "": "1"}', "begins or ends with a blank"),
        ('{"Action": "A", " ": "1"}', "begins or ends with a blank"),
        ('{"Action": "A", " X": "1"}', "begins or ends with a blank"),
        ('{"Action": "A", "X\\t": "1"}', "begins or ends with a blank"),
        ('{"Action": "A", "\\u0001X": "1"}', "begins or ends with a blank"),
        ('{"Action": "A", "AMIServerID\\u00a0": 1}', "begins or ends with a blank"),
        ('{"Action": "A", "AMIServerID": true}', "must be the number of a server"),
        ('{"Action": "A", "AMIServerID": 1.0}', "must be the number of a server"),
        ('{"Action": "A", "AMIServerID": 1e0}', "must be the number of a server"),
        ('{"Action": "A", "AMIServerID": ""}', "must be the number of a server"),
        ('{"Action": "A", "AMIServerID": "1\\n"}', "must be the number of a server"),
        ('{"Action": "A", "AMIServerID": "\u0661"}', "must be the number of a server"),
        ('{"Action": "A", "AMIServerID": "all"}', "must be the number of a server"),
        ('{"Action": "A", "AMIServerID": [1]}', "must be the number of a server"),
        ('{"Action": "A", "AMIServerID": []}', "must be the number of a server"),
        ('{"Action": "A", "AMIServerID": {}}', "must be the number of a server"),
        ('{"Action": "A", "AMIServerID": %s}' % ("9" * 5000), "must be the number of a server"),
        ('{"Action": "A", "AMIServerID": 1, "amiserverid": 1}', "more than once"),
        ('{"Action": "A", "X": "\\ud800"}', "half a surrogate pair"),
        ('{"Action": "A", "\\udc00X": "1"}', "half a surrogate pair"),
        ('{"Action": "\\ud800"}', "half a surrogate pair"),
    ],
)
def test_refused(text: str | bytes, reason: str) -> None:
    assert reason in refused(text).message


BREAKS = ["\\n", "\\r", "\\r\\n", "\\u000a", "\\u000A", "\\u000d", "\\u000D", "\\u0000"]


@pytest.mark.parametrize("sign", BREAKS)
@pytest.mark.parametrize(
    "text",
    [
        '{"Action": "Ping%s"}',
        '{"Action": "%sPing"}',
        '{"Action": "Ping", "X": "a%sAction: Logoff"}',
        '{"Action": "Ping", "X": ["ok", "%s"]}',
        '{"Action": "Ping", "%s": "x"}',
        '{"Action": "Ping", "X%sAction": "Logoff"}',
        '{"Action": "Ping", "X%s": "x"}',
        '{"Action": "Ping", "ActionID": "1%s"}',
        '{"Action": "Ping", "ActionID": ["1", "%s"]}',
        '{"Action": "Ping", "AMIServerID": "1%s"}',
        '{"Action": "Ping", "AMIServerID%s": 1}',
        '{"Action%s": "Logoff", "Action": "Ping"}',
    ],
)
def test_no_line_end_or_nul_in_any_spelling(text: str, sign: str) -> None:
    refused(text % sign)


@pytest.mark.parametrize("sign", ["\u560a", "\u560d", "\u0a0a", "\u0d0a", "\u2029", "\x85"])
def test_signs_whose_bytes_hold_a_line_end_elsewhere_are_harmless_in_utf8(sign: str) -> None:
    data = sent(json.dumps({"Action": "A", "X": sign}))
    assert data.count(b"\n") == data.count(b"\r") == data.count(b"\r\n") == 3


@pytest.mark.parametrize(
    "name", ["Login", "Logoff", "Challenge", "Events", "Filter", "WaitEvent", "LOGOFF", "logoff"]
)
@pytest.mark.parametrize("blanks", ["%s", " %s", "%s ", "\\u0001%s", "\\t%s\\u000b", "\\u00a0%s"])
def test_actions_that_change_the_shared_session(name: str, blanks: str) -> None:
    error = refused('{"Action": "%s", "ActionID": "x"}' % (blanks % name))
    assert "session that all clients share" in error.message
    assert error.action_id == "x"


@pytest.mark.parametrize(
    ("headers", "action_id"),
    [
        ('"ActionID": "x"', "x"),
        ('"actionid": " x\\n"', " x\n"),
        ('"ActionID": 5', "5"),
        ('"ActionID": ["x", "y"]', "x"),
        ('"ActionID": null', None),
        ('"ActionID": []', None),
        ('"ActionID": {}', None),
        ('"X": "1"', None),
    ],
)
def test_the_action_id_is_kept_for_the_answer(headers: str, action_id: str | None) -> None:
    assert refused(f'{{"Action": "", {headers}}}').action_id == action_id


def test_line_limit_counts_name_and_line_end_in_bytes() -> None:
    for sign in ("x", "é"):
        width = len(sign.encode())
        room = (1024 - len("X: \r\n")) // width
        text = json.dumps({"Action": "A", "X": sign * room}, ensure_ascii=False)
        longest = max(sent(text).split(b"\r\n"), key=len)
        assert 1022 - width < len(longest) <= 1022
        error = refused(json.dumps({"Action": "A", "X": sign * (room + 1), "ActionID": "i"}))
        assert "at most 1024" in error.message
        assert error.action_id == "i"
    assert "at most 1024" in refused(json.dumps({"Action": "A", "x" * 1021: ""})).message


def test_header_limit_counts_what_is_sent() -> None:
    values = [str(number) for number in range(127)]
    data = sent(json.dumps({"AMIServerID": 1, "Action": "A", "V": values}))
    assert data.count(b"\r\n") == 129
    error = refused(json.dumps({"Action": "A", "V": [*values, "one more"]}))
    assert "129 headers" in error.message
    assert "at most 128" in error.message


@pytest.mark.parametrize(
    "text",
    [
        json.dumps({"Action": "A", "X" + " " * 200_000 + "Y": ""}),
        json.dumps({"Action": "\x01\u00a0" * 100_000 + "x"}),
        json.dumps({"Action": "A", "V": [""] * 80_000}),
        "[" * 250_000 + "]" * 250_000,
        json.dumps({"A": 1})[:-1] + "," + '"AMIServerID":1,' * 15_000 + '"Action":"A"}',
    ],
    ids=["blanks in a name", "blanks in the action", "values", "depth", "server ids"],
)
def test_a_refusal_is_cheap_and_short(text: str) -> None:
    started = time.process_time()
    error = refused(text)
    assert time.process_time() - started < 1
    assert len(error.message) < 300


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("X", "1")],
        [("Action", "")],
        [("Action", "A"), ("action", "B")],
        [("Action", "A\r\nAction: Logoff")],
        [("Action", "A"), ("X\n", "1")],
        [("Action", "A"), ("X", "1\n")],
        [("Action", "A"), ("X: y", "1")],
        [("Action", "A"), ("", "1")],
        [("Action", "A"), ("X", "x" * 1020)],
        [("Action", "A")] + [("X", "1")] * 128,
    ],
)
def test_encode_checks_whatever_it_is_given(headers: list[tuple[str, str]]) -> None:
    with pytest.raises(ActionError):
        encode_action(iter(headers))


def test_encode_takes_the_actions_that_clients_may_not_send() -> None:
    assert encode_action([("Action", "Logoff")]) == b"Action: Logoff\r\n\r\n"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Timeout": "45000"}, 45.0),
        ({}, 30.0),
        ({"Timeout": ""}, 30.0),
        ({"Timeout": "\t1500 ms"}, 1.5),
        ({"Timeout": "+20000.9"}, 20.0),
        ({"Timeout": "0"}, math.inf),
        ({"Timeout": "-1"}, math.inf),
        ({"Timeout": "soon"}, 0.0),
        ({"Timeout": "45000", "Async": "\u0001 tRue"}, 0.0),
        ({"ASYNC": "yes"}, 0.0),
        ({"async": "Y"}, 0.0),
        ({"Async": "t"}, 0.0),
        ({"Async": "1"}, 0.0),
        ({"Async": "on"}, 0.0),
        ({"Async": "true "}, 30.0),
        ({"Async": "false"}, 30.0),
        ({"Async": "2"}, 30.0),
        ({"Async": ""}, 30.0),
        ({"Variable": "Async: true"}, 30.0),
    ],
)
def test_how_long_an_originate_holds_up_the_session(
    headers: dict[str, str], seconds: float
) -> None:
    """As Asterisk reads ``Async`` (ast_true) and ``Timeout`` (sscanf)."""
    assert holding_time([("Action", " oriGinate"), *headers.items()]) == seconds


def test_the_first_of_two_headers_counts() -> None:
    twice = [("Action", "Originate"), ("Async", "no"), ("Async", "yes"), ("Timeout", "1000")]
    assert holding_time(iter(twice)) == 1.0


def test_other_actions_hold_up_nothing() -> None:
    assert holding_time([("Action", "Park"), ("Timeout", "45000")]) == 0.0


def test_encode_keeps_the_action_id_in_its_error() -> None:
    with pytest.raises(ActionError) as caught:
        encode_action([("Action", "A"), ("ActionID", "7"), ("X", "\n")])
    assert caught.value.action_id == "7"
    assert str(caught.value) == caught.value.message
    assert "line feed" in caught.value.message


def test_error_response_has_the_shape_of_asterisk_s_own() -> None:
    assert error_response("no such server", "x") == Message(
        Kind.RESPONSE,
        [("Response", "Error"), ("ActionID", "x"), ("Message", "no such server")],
    )
    assert error_response("why", None).headers == (("Response", "Error"), ("Message", "why"))


def test_an_error_can_always_be_told_as_json() -> None:
    error = refused('{"Action": "A", "ActionID": "\\ud800", "\\udfff": "1"}')
    answer = error_response(error.message, error.action_id)
    encoded = encode_message(envelope_prefix(answer.kind, 1, "pbx", False), answer)
    assert json.loads(encoded.decode())["data"]["ActionID"] == "\ufffd"


class TestMembers:
    """The same of a decoded object, whose numbers are Python's."""

    def test_numbers(self) -> None:
        action = client_action({"Action": "A", "W": 7, "P": 0.5, "E": 1e300, "L": [1, 2.0]}.items())
        assert action.headers[1:] == (
            ("W", "7"),
            ("P", "0.5"),
            ("E", "1e+300"),
            ("L", "1"),
            ("L", "2.0"),
        )

    @pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
    def test_what_is_no_number(self, number: float) -> None:
        for value in (number, [number]):
            with pytest.raises(ActionError, match="a number that is none"):
                client_action({"Action": "A", "X": value}.items())

    @pytest.mark.parametrize("name", [7, True, 1.5])
    def test_the_name_is_text(self, name: object) -> None:
        with pytest.raises(ActionError, match='"Action" must be a string'):
            client_action([("Action", name)])

    def test_what_is_refused_whatever_its_form_can_be_told(self) -> None:
        with pytest.raises(SessionActionError):
            client_action([("Action", " Logoff")])
        with pytest.raises(ActionError) as caught:
            client_action([("Action", "")])
        assert not isinstance(caught.value, SessionActionError)
