"""The table of what is asked."""

from __future__ import annotations

import re
from pathlib import Path

from amiws_gevent.ami.lists import list_form
from amiws_gevent.live.questions import KINDS, LISTED_ONLY, QUESTIONS, READ
from amiws_gevent.state.parts import make_model
from amiws_gevent.state.store import Store

DOCS = Path(__file__).parents[2] / "docs"
DOCUMENTED = (DOCS / "state.md").read_text() + (DOCS / "state-kinds.md").read_text()

MODEL = make_model(Store(), day_of=lambda at: "")
LISTS = {name for part in MODEL.parts for name in part.lists}


def test_the_model_takes_the_answer_of_each_question() -> None:
    asked = {
        question.action.lower() for question in QUESTIONS if question.action != "ExtensionState"
    }
    details = {question.detail.action.lower() for question in QUESTIONS if question.detail}
    assert asked | details <= LISTS


def test_each_list_that_the_model_takes_is_asked_for() -> None:
    asked = {question.action.lower() for question in QUESTIONS}
    details = {question.detail.action.lower() for question in QUESTIONS if question.detail}
    assert LISTS - asked - details == {"iaxpeers"}  # the same as IAXpeerlist, and less


def test_a_list_has_an_end_and_a_single_answer_none() -> None:
    for each in QUESTIONS:
        if each.single or each.action == "ExtensionState":
            assert list_form(each.action).end == ""
        else:
            assert list_form(each.action).end
        if each.detail:
            assert list_form(each.detail.action).end


def test_the_kinds_are_those_of_the_documentation() -> None:
    sections = set(re.findall(r"^## `?(\w+)`?$", DOCUMENTED, re.MULTILINE))
    assert set(KINDS) <= sections
    assert set(READ) <= set(KINDS)
    assert set(LISTED_ONLY) <= set(KINDS)


def test_the_fields_that_only_lists_tell_are_documented() -> None:
    for kind, names in LISTED_ONLY.items():
        section = DOCUMENTED.split(f"## `{kind}`")[1].split("\n## ")[0]
        for name in names:
            assert f"`{name}`" in section, (kind, name)


def test_every_alternative_comes_behind_what_it_stands_for() -> None:
    order = [question.action for question in QUESTIONS]
    for question in QUESTIONS:
        if question.instead_of:
            assert order.index(question.instead_of) < order.index(question.action)


def test_no_kind_is_left_without_a_question_in_any_version() -> None:
    for version in (11, 13, 16, 18, 20, 22, 23):
        actions = [q.action for q in QUESTIONS if q.first <= version <= q.last]
        assert len(actions) == len(set(actions)), "one form of each action a version"
