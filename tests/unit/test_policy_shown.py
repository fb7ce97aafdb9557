"""What is known of entities and events, and so is shown where callers are masked."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from amiws_gevent.ami.eventnames import EVENT_NAMES
from amiws_gevent.masking.headers import PARTS, Part
from amiws_gevent.policy import shown
from amiws_gevent.policy.shown import EVENTS, FIELDS, Shown, header
from amiws_gevent.state.dimensions import ATTRIBUTES

DOCS = Path(__file__).parent.parent.parent / "docs"

# Free text, which may name anybody.
WITHHELD = {
    ("queue_member", "reason"),
    ("hint", "presence_message"),
    ("presence", "message"),
    ("peer", "description"),
    ("mailbox", "name"),
}


def documented() -> set[tuple[str, str]]:
    """Kind and field, as the two pages have them."""
    found = set()
    for page in ("state.md", "state-kinds.md"):
        text = (DOCS / page).read_text(encoding="utf-8")
        for section in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
            kind = section.partition("\n")[0].strip("`")
            table = section.partition("| field |")[2].partition("\n\n")[0]
            for row in table.splitlines() if kind in FIELDS else ():
                cell = row.split("|")[1] if "|" in row else ""
                found |= {(kind, field) for field in re.findall(r"`(\w+)`", cell)}
    return found


def test_every_kind_is_known() -> None:
    assert set(FIELDS) == set(ATTRIBUTES)


def test_every_documented_field_is_known_or_withheld() -> None:
    fields = documented()
    assert len(fields) > 120
    unknown = {(kind, field) for kind, field in fields if field not in FIELDS[kind]}
    assert unknown == WITHHELD


def test_every_field_that_is_a_caller_is_masked() -> None:
    """By its name: no number or name of a person is plain."""
    callers = re.compile(r"(.*_)?number|(caller|connected)_name|dialled|exten|listens_to")
    wrong = {
        (kind, field)
        for kind, fields in FIELDS.items()
        for field, what in fields.items()
        if callers.fullmatch(field) and what in (Shown.PLAIN, Shown.ID)
    }
    assert wrong == set()


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("CallerIDNum", Shown.NUMBER),
        ("DestConnectedLineName", Shown.NAME),
        ("CallerID", Shown.BOTH),
        ("Exten", Shown.EXTEN),
        ("DestExten", Shown.EXTEN),
        ("DialString", Shown.EXTEN),
        ("Channel", Shown.ID),
        ("DestChannel", Shown.ID),
        ("TransfererUniqueid", Shown.ID),
        ("Interface", Shown.ID),
        ("channelstate", Shown.PLAIN),
        ("LocalOneContext", Shown.ID),
        ("Report0FractionLost", Shown.PLAIN),
        ("AppData", None),
        ("Value", None),
        ("Variable", None),
        ("ChanVariable(x)", None),
        ("Reason", None),
        ("PausedReason", None),
        ("Digit", None),
        ("Message", None),
        ("Secret", None),
        ("DestWhatever", None),
    ],
)
def test_headers(name: str, what: Shown | None) -> None:
    assert header(name) is what


def test_no_header_with_free_text_is_known() -> None:
    texts = [name for part, names in PARTS if part in (Part.TEXT, Part.VALUE) for name in names]
    known = [name for name in texts if "*" not in name and header(name) is not None]
    assert known == []


def test_events() -> None:
    assert {name.casefold() for name in EVENT_NAMES} > EVENTS
    assert "hangup" in EVENTS
    assert not {"userevent", "varset", "asyncagistart", "cel", "authdetail"} & EVENTS


def test_counts_and_last_words() -> None:
    assert set(FIELDS["server"]) >= shown.COUNTS
    assert shown.LAST["merged_into"] is Shown.ID
