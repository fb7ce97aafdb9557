from __future__ import annotations

import re

import pytest

from amiws_gevent.v2.codes import CODES, RequestError


@pytest.mark.parametrize("code", CODES)
def test_a_code_is_a_plain_word_with_a_meaning_and_a_status(code: str) -> None:
    assert re.fullmatch("[a-z]+(_[a-z]+)*", code)
    assert CODES[code].meaning.endswith(".")
    assert 400 <= CODES[code].status <= 599


def test_an_error_says_what_is_wrong() -> None:
    error = RequestError("bad_json", "no object", 1.5)
    assert (error.code, str(error), error.message, error.retry_after) == (
        "bad_json",
        "no object",
        "no object",
        1.5,
    )
