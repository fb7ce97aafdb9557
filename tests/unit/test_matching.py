"""Names and globs; answers that are remembered."""

from __future__ import annotations

import pytest

from amiws_gevent.matching import NameSet, Remembered, is_glob


@pytest.mark.parametrize(
    ("names", "name", "fits"),
    [
        (["Hangup"], "hangup", True),
        (["Hangup"], "Hangup2", False),
        (["Queue*", "Dial"], "QueueMemberStatus", True),
        (["Queue*", "Dial"], "dial", True),
        (["DTMF[BE]*"], "DTMFEnd", True),
        (["?"], "ab", False),
        ([], "a", False),
    ],
)
def test_names_and_globs_in_any_case(names: list[str], name: str, fits: bool) -> None:
    assert NameSet(names).fits(name) is fits


def test_what_is_a_glob() -> None:
    assert [is_glob(text) for text in ("a*", "a?", "[a]", "a", "")] == [True] * 3 + [False] * 2


def test_an_answer_is_asked_for_once_until_there_are_too_many() -> None:
    asked: list[str] = []

    def answer(text: str) -> int:
        asked.append(text)
        return len(text)

    known = Remembered(answer, 2, longest=3)
    assert [known[text] for text in ("a", "a", "bb", "long")] == [1, 1, 2, 4]
    assert asked == ["a", "bb", "long"]
    assert known["ccc"] == 3
    assert known["a"] == 1  # the first was forgotten with the third
    assert asked == ["a", "bb", "long", "ccc", "a"]
    assert known["long"] == 4
    assert asked[-1] == "long"  # too long to keep
