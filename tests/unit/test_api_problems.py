"""Codes of problems, and the answers that have them."""

from __future__ import annotations

import json

import flask
import pytest

from amiws_gevent.actions import PROBLEMS
from amiws_gevent.api.problems import CODES, Problem
from amiws_gevent.v2.codes import CODES as SHARED
from amiws_gevent.web.problem import CODES as OF_STATUS


def test_each_code_of_actions_has_the_status_that_they_say() -> None:
    assert {code: CODES[code].status for code in PROBLEMS} == dict(PROBLEMS)


def test_codes_mean_the_same_in_amiws_v2() -> None:
    assert all(CODES[code] == info for code, info in SHARED.items() if code in CODES)


def test_what_is_refused_before_the_api_has_a_meaning_there() -> None:
    known = {code: status for status, code in OF_STATUS.items()}
    told = {code: CODES[code].status for code in known if code in CODES}
    assert told.items() <= known.items()
    assert known.keys() - told.keys() == {"conflict"}


@pytest.mark.parametrize(
    ("retry_after", "header"), [(None, None), (0.1, "1"), (1.0, "1"), (2.2, "3")]
)
def test_an_answer(retry_after: float | None, header: str | None) -> None:
    with flask.Flask("x").app_context():
        response = Problem("too_many_actions", "later", retry_after).response()
    assert response.status_code == 429
    assert response.headers.get("Retry-After") == header
    assert response.headers["Cache-Control"] == "no-store"
    assert json.loads(response.data)["code"] == "too_many_actions"
