"""What stands for numbers in ids."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amiws_gevent.policy.pseudonyms import Pseudonyms

ONE, OTHER = Pseudonyms(b"a" * 32), Pseudonyms(b"b" * 32)

IDS = [
    "Local/0301234567@out-00000001;1",
    "support|Local/0301234567@out",
    "0301234567@default",
    "201|sip:+49301234567@10.0.0.1:5060;transport=tls",
    "SIP/0301234567",
    "1" * 300,
]


@pytest.mark.parametrize("text", IDS)
def test_there_and_back(text: str) -> None:
    made = ONE.within(text)
    assert made != text
    assert "1234567" not in made
    assert ONE.taken_back(made) == text
    assert ONE.within(text) == made  # the same each time
    assert OTHER.within(text) != made  # and another in another run
    assert OTHER.taken_back(made) == made


def test_one_number_has_one_pseudonym_wherever_it_stands() -> None:
    (one,) = (part for part in ONE.within("SIP/0301234567").split("/") if "#" in part)
    assert one in ONE.within("queue|Local/0301234567@out")


@pytest.mark.parametrize("text", ["PJSIP/204-0000001f", "1795371260.16", "support", "", "204@in"])
def test_extensions_and_ids_stay(text: str) -> None:
    assert ONE.within(text) == text


def test_all_telephone_numbers_look_alike() -> None:
    made = {len(ONE.within(number)) for number in ("123456", "0301234567", "+4930123456789")}
    assert len(made) == 1


@pytest.mark.parametrize("text", ["#" + "a" * 48, "#hbfglkadijpo", "#", "#" + "a" * 47, "a#b"])
def test_what_nobody_was_shown_is_left(text: str) -> None:
    assert ONE.taken_back(text) == text


@pytest.mark.parametrize(
    ("form", "number"),
    [
        ("PJSIP/0x{}", "0301234567"),  # as an address in memory
        ("0x0{}", "0301234567"),
        ("x-{};1", "03012345"),  # as the counter of a channel
        ("PJSIP/204-{}", "00301234"),
        ("{}-0000-0000-0000-000000000000", "03012345"),  # as a UUID
        ("00000000-0000-0000-0000-{}", "493012345678"),
        ("1795371260.{}", "301234"),  # as a Uniqueid
        ("15{}.1", "12345678"),
        ("1.{}", "301234"),  # as a figure
        ("{0}@0x{0}", "0301234567"),
    ],
)
def test_a_number_is_not_put_where_it_would_be_seen(form: str, number: str) -> None:
    """Long digits that are no number by their form are shown as they are: also in a refusal."""
    asked = form.format(ONE.within(number))
    assert number in ONE.within(form.format(number))
    assert ONE.taken_back(asked) == asked


@given(st.text("0159x-.;/@af ", max_size=12), st.text("0159x-.;/@af ", max_size=12))
def test_no_number_is_seen_by_what_is_put_round_it(before: str, behind: str) -> None:
    for number in ("301234", "00301234", "15012345", "0301234567", "493012345678", "+4930123456"):
        back = ONE.taken_back(before + ONE.within(number) + behind)
        assert number not in ONE.within(back)


def test_a_pseudonym_cannot_be_changed_into_another() -> None:
    made = ONE.within("0301234567")
    for place in range(1, len(made)):
        other = made[:place] + ("b" if made[place] == "a" else "a") + made[place + 1 :]
        assert ONE.taken_back(other) == other
