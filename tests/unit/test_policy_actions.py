"""The table of actions."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from amiws_gevent.ami.lists import _FORMS as LISTS
from amiws_gevent.policy.actions import (
    DANGEROUS,
    DANGERS,
    FORMS,
    REACHES,
    TAKEN_BACK,
    Holds,
    form_of,
    holds_of,
)

ROLES = (Path(__file__).parent.parent.parent / "docs" / "roles.md").read_text(encoding="utf-8")


def test_every_list_is_of_a_known_action() -> None:
    assert {name.lower() for name in LISTS} <= set(FORMS)


@pytest.mark.parametrize("form", FORMS.values(), ids=lambda form: form.name)
def test_a_form_makes_sense(form: object) -> None:
    assert form in FORMS.values()
    known = form_of(form.name)  # type: ignore[attr-defined]
    assert known is form
    assert known.danger in ("", *DANGERS)
    assert set(known.needs) | set(known.widens) | set(known.harmless) <= set(known.headers)
    assert not set(known.needs) & set(known.widens)
    assert re.search(r"\.c|main/:|apps/|res/", known.source)
    assert len(known.headers) == len({name.lower() for name, _ in known.headers.values()})


def test_whatever_leads_a_call_is_known_to_be_dangerous() -> None:
    """A header that says where a call goes is of no action that counts as harmless."""
    harmless = [form for form in FORMS.values() if not form.danger]
    for form in harmless:
        assert not {holds for _, holds in form.headers.values()} & (REACHES | {Holds.COMMAND})


@pytest.mark.parametrize(
    ("action", "header", "holds"),
    [
        ("Originate", "Channel", Holds.DIAL),
        ("Originate", "PreDialGoSub", Holds.COMMAND),
        ("Originate", "Variable", Holds.ASSIGN),
        ("Originate", "Application", Holds.APPLICATION),
        ("Redirect", "ExtraContext", Holds.CONTEXT),
        ("Redirect", "Channel", Holds.CHANNEL),
        ("QueueAdd", "Interface", Holds.DIAL),
        ("QueuePause", "Interface", Holds.MEMBER),
        ("MixMonitor", "Command", Holds.COMMAND),
        ("MixMonitor", "File", Holds.FILE),
        ("Setvar", "Variable", Holds.VARIABLE),
        ("Status", "Variables", Holds.VARIABLES),
        ("Park", "TimeoutChannel", Holds.DIAL),
        ("Ping", "Whatever", Holds.TEXT),
        ("UpdateConfig", "Var-000000", Holds.NAME),
        ("DongleSendSMS", "Message", Holds.NAME),
    ],
)
def test_what_headers_hold(action: str, header: str, holds: Holds) -> None:
    assert holds_of(form_of(action.upper()), header.lower()) is holds


def test_originate_and_its_like_need_a_place() -> None:
    for name in ("originate", "redirect", "atxfer", "blindtransfer"):
        assert {"context", "exten", "channel"} <= set(FORMS[name].needs)


def test_what_is_dangerous_is_not_taken_back() -> None:
    assert not DANGEROUS & TAKEN_BACK
    assert Holds.TEXT not in TAKEN_BACK


def test_the_page_names_known_actions_only() -> None:
    table = ROLES.partition("### Dangerous actions")[2].partition("## Users")[0]
    rows = [row.split("|")[1] for row in table.splitlines() if row.startswith("| ")][2:]
    headers = {"Application", "Data", "PreDialGoSub", "Variable", "Variables", "Command", "File"}
    words = {word for row in rows for word in re.findall(r"[A-Z][A-Za-z]+", row)} - headers
    unknown = {word for word in words if word.lower() not in FORMS}
    assert unknown == set()
