"""What of an action an audit does not keep."""

from __future__ import annotations

import pytest

from amiws_gevent.audit.redaction import REMOVED, is_secret_name, redacted


@pytest.mark.parametrize(
    "name",
    [
        "Secret",
        "secret",
        "Password",
        "AuthSecret",
        "sip_password",
        "VM_PASSWORD",
        "PIN",
        "userPin",
        "Key",
        "ApiKey",
        "api_key",
        "remotesecret",
        "md5secret",
        "Passphrase",
        "HASH(x,token)",
        "OTP",
        "auth",
        "md5_cred",
        "MD5CRED",
    ],
)
def test_names_of_secrets(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "Channel",
        "Monkey",
        "Pinning",
        "Queue",
        "Keyword",
        "Spanish",
        "Interface",
        "CALLERID(num)",
        "Author",
    ],
)
def test_other_names(name: str) -> None:
    assert not is_secret_name(name)


def one(action: str, **headers: str) -> dict[str, str | list[str]]:
    return dict(redacted(action, [("Action", action), *headers.items()]))


def test_the_name_of_the_action_is_no_argument_and_repeats_are_listed() -> None:
    headers = [("Action", "X"), ("Variable", "A=1"), ("Queue", "q"), ("Variable", "PIN=2")]
    assert redacted("X", [*headers, ("Variable", "C=3")]) == {
        "Variable": ["A=1", f"PIN={REMOVED}", "C=3"],
        "Queue": "q",
    }


def test_secrets_by_the_name_of_the_header() -> None:
    assert one("Login", Username="a", Secret="s", Key="k", ActionID="pin") == {
        "Username": "a",
        "Secret": REMOVED,
        "Key": REMOVED,
        "ActionID": "pin",
    }


def test_variables() -> None:
    given = "A=1,__VM_PASSWORD=a,b,C=3"
    assert one("Originate", Variable=given)["Variable"] == f"A=1,__VM_PASSWORD={REMOVED},C=3"
    assert one("Getvar", Variable="PASSWORD") == {"Variable": "PASSWORD"}
    assert one("Setvar", Variable="SIP_PASSWORD", Value="x")["Value"] == REMOVED
    assert one("Setvar", Variable="LANGUAGE", Value="de")["Value"] == "de"


def test_entries_of_the_database_are_named_and_their_secrets_are_not_told() -> None:
    assert one("DBPut", Family="cf", Key="204", Val="0170")["Val"] == "0170"
    assert one("DBPut", Family="pins", Key="204", Val="1234") == {
        "Family": "pins",
        "Key": "204",
        "Val": REMOVED,
    }


def test_what_changes_a_configuration() -> None:
    given = {
        "Var-000000": "secret",
        "Value-000000": "x",
        "Var-000001": "context",
        "Value-000001": "office",
    }
    assert one("UpdateConfig", **given) == given | {"Value-000000": REMOVED}


def test_digits_and_passwords_of_applications() -> None:
    assert one("PlayDTMF", Channel="SIP/1", Digit="5")["Digit"] == REMOVED
    assert one("Originate", Application="Authenticate", Data="1234")["Data"] == REMOVED
    assert one("Originate", Application="Playback", Data="hello")["Data"] == "hello"


@pytest.mark.parametrize(
    ("command", "kept"),
    [
        ("core show channels", "core show channels"),
        ("dialplan set global VM_PASSWORD 12 34", f"dialplan set global VM_PASSWORD {REMOVED}"),
        ("database put pins 204 1234", f"database put pins {REMOVED}"),
        ("x secret=abc def", f"x secret={REMOVED}"),
        ('x "secret=abc def"', f"x secret={REMOVED}"),
        ("manager show user pin", "manager show user pin"),
    ],
)
def test_commands(command: str, kept: str) -> None:
    assert one("Command", Command=command)["Command"] == kept
