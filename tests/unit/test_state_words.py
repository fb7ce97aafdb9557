from __future__ import annotations

import pytest

from amiws_gevent.state import words


@pytest.mark.parametrize(
    ("name", "device"),
    [
        ("IAX2/201-11947", "201"),
        ("PJSIP/trunk-out-0000001f", "trunk-out"),
        ("DAHDI/i1/0301234-5", "i1/0301234"),
        ("DAHDI/1-1", "1"),
        ("Local/203@from-phones-00000003;1", "203"),
        ("SIP/203-00000001<ZOMBIE>", "203"),
        ("SIP/203", "203"),
        ("odd", "odd"),
    ],
)
def test_a_channel_is_named_after_its_device(name: str, device: str) -> None:
    assert words.device_of(name) == device


@pytest.mark.parametrize(
    ("dial_string", "device", "number"),
    [
        ("pbx@203/203", "trunk", "203"),
        ("pbx@203/203", "203", None),
        ("+4930123@trunk", "trunk", "+4930123"),
        ("trunk/030123", "trunk", "030123"),
        ("trunk/sip:030123@host", "trunk", "030123"),
        ("anna", "anna", None),
        ("", "anna", None),
    ],
)
def test_a_dial_string_names_a_number_or_none(
    dial_string: str, device: str, number: str | None
) -> None:
    assert words.dialled_number(dial_string, device) == number


def test_halves_of_local_channels_have_one_base() -> None:
    assert words.local_base("Local/203@a-00000003;1") == "Local/203@a-00000003"
    assert words.local_base("Local/203@a-00000003;2") == "Local/203@a-00000003"
    assert words.local_base("CBAnn/1-00000004;1") is None
    assert words.local_base("Local/203@a") is None


@pytest.mark.parametrize(
    ("linkedid", "age"),
    [
        ("1795370144.2", (1795370144, 2)),
        ("pbx-A-1795370144.10", (1795370144, 10)),
        ("mine", None),
        ("1.2.3", None),
        ("", None),
    ],
)
def test_the_age_of_a_linkedid_is_a_number(linkedid: str, age: tuple[int, int] | None) -> None:
    assert words.age(linkedid) == age


def test_states_are_words_of_ours() -> None:
    assert words.state_word("Dialing Offhook") == "dialing_off_hook"
    assert words.state_word("Something New") == "something new"


def test_numbers_and_times_that_are_none_are_none() -> None:
    assert [words.number(text) for text in ("16", "-1", "", "x", None)] == [
        16,
        -1,
        None,
        None,
        None,
    ]
    assert words.milliseconds("inf") is None
    assert words.milliseconds("nan") is None
    assert words.milliseconds(None) is None


def test_extensions_of_asterisk_s_own_are_not_dialled() -> None:
    assert [words.extension(text) for text in ("203", "s", "", None)] == ["203", None, None, None]


def test_outside_numbers_are_long() -> None:
    assert [words.is_outside(text) for text in ("+49", "0301234", "203")] == [True, True, False]


def test_a_text_is_unescaped_as_in_c() -> None:
    assert words.unescaped(r"a\nb\\n\'\"") == "a\nb\\n'\""
    assert words.filled("(null)") is None


@pytest.mark.parametrize(
    ("interface", "number"),
    [
        ("PJSIP/201", "201"),
        ("SIP/+4930123", "+4930123"),
        ("Local/203@from-queue/n", "203"),
        ("PJSIP/anna", None),
        ("PJSIP/201@trunk", None),
        ("DAHDI/1", None),
        ("Agent/201", None),
        ("Queue:201", None),
        ("201", None),
        ("", None),
    ],
)
def test_a_phone_is_named_by_its_number_or_has_none(interface: str, number: str | None) -> None:
    assert words.number_of(interface) == number
