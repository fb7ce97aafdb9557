"""How problems are told."""

from __future__ import annotations

from pathlib import Path

import pytest

from amiws_gevent.config import ConfigError, Problem
from amiws_gevent.config.problems import Place, key_path, worded
from amiws_gevent.errors import StartError

FILE = Path("/etc/amiws.yaml")


@pytest.mark.parametrize(
    ("place", "text"),
    [
        ((), ""),
        (("ws_port",), "ws_port"),
        (("limits", "ami_line"), "limits.ami_line"),
        (("amihosts", 1, "port"), "amihosts[1].port"),
        (("amihosts", 0, "event_names", 2), "amihosts[0].event_names[2]"),
        (("limits", "a b\n"), r"limits.'a b\n'"),
        (("x" * 100,), repr("x" * 39 + "…")),
    ],
)
def test_key_path(place: Place, text: str) -> None:
    assert key_path(place) == text


@pytest.mark.parametrize(
    ("problem", "text"),
    [
        (Problem(4, "ws_port", "is odd"), "/etc/amiws.yaml:4: ws_port: is odd"),
        (Problem(4, "", "is odd"), "/etc/amiws.yaml:4: is odd"),
        (Problem(0, "", "is odd"), "/etc/amiws.yaml: is odd"),
    ],
)
def test_a_problem_leaves_out_what_does_not_apply(problem: Problem, text: str) -> None:
    assert problem.told(FILE) == text


def test_an_error_has_one_problem_a_line_in_the_order_of_the_file() -> None:
    error = ConfigError(FILE, [Problem(9, "b", "x"), Problem(3, "a", "y")], ["w"])
    assert str(error) == "/etc/amiws.yaml:3: a: y\n/etc/amiws.yaml:9: b: x"
    assert [problem.line for problem in error.problems] == [3, 9]
    assert error.warnings == ["w"]


def test_it_ends_the_start_as_sysexits_has_it() -> None:
    assert issubclass(ConfigError, StartError)
    assert ConfigError.exit_status == 78


@pytest.mark.parametrize(
    ("kind", "message", "told"),
    [
        ("int_parsing", "Input should be a valid integer", "must be a whole number"),
        (
            "tuple_type",
            "Input should be a valid tuple",
            'must be a list, each item beginning with "- "',
        ),
        ("too_long", "List should have at most 2 items", "must have at most 2 items"),
        ("value_error", "Value error, must be blue", "must be blue"),
    ],
)
def test_what_pydantic_says_is_put_in_words_for_yaml(kind: str, message: str, told: str) -> None:
    assert worded(kind, message) == told
