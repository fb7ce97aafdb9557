"""Problem documents."""

from __future__ import annotations

import json
from http import HTTPStatus

import pytest

from amiws_gevent.web.problem import CODES, is_api, problem_bytes


def test_a_document_has_what_rfc_9457_names_and_a_code() -> None:
    assert json.loads(problem_bytes(404, "no such kind")) == {
        "type": "/api/v1/#not_found",
        "title": "Not Found",
        "status": 404,
        "detail": "no such kind",
        "code": "not_found",
    }
    told = json.loads(problem_bytes(400, "x", "bad_filter", retry_after=2.5))
    assert (told["code"], told["type"], told["retry_after"]) == (
        "bad_filter",
        "/api/v1/#bad_filter",
        2.5,
    )


def test_a_status_without_a_word_of_its_own() -> None:
    assert json.loads(problem_bytes(418, "x"))["code"] == "http_error"


def test_codes_are_of_statuses_and_different() -> None:
    assert len(set(CODES.values())) == len(CODES)
    assert all(HTTPStatus(status) >= 400 for status in CODES)


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("/api/", True),
        ("/api/v1/state", True),
        ("/api", False),
        ("/apix/", False),
        ("//api/", True),
        ("///api/v1/state", True),
        ("/x/api/", False),
        ("", False),
    ],
)
def test_what_belongs_to_the_api(path: str, found: bool) -> None:
    assert is_api(path) is found
