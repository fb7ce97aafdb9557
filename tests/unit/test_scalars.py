"""How much of a value a message may show."""

from __future__ import annotations

import pytest

from amiws_gevent.scalars import SHOWN_LENGTH, Scalar, names_secret, shown


def test_a_scalar_is_its_text() -> None:
    scalar = Scalar("5038")
    assert scalar == "5038"
    assert scalar.written == "5038"
    assert not scalar.replaced


def test_a_scalar_knows_that_it_was_replaced() -> None:
    assert Scalar("x", "${A}").replaced
    assert not Scalar("${A}", "${A}").replaced


def test_values_are_quoted_and_escaped() -> None:
    assert shown("a\nb\x1b[0m") == r"'a\nb\x1b[0m'"
    assert shown(7) == "'7'"


def test_long_values_are_shortened() -> None:
    text = shown("x" * 1000)
    assert len(text) == SHOWN_LENGTH + 2
    assert text.endswith("…'")
    assert shown("x" * SHOWN_LENGTH) == repr("x" * SHOWN_LENGTH)
    assert len(shown("x" * 1000, 120)) == 122


def test_lists_and_mappings_are_only_named() -> None:
    assert shown(["secret"]) == "a list"
    assert shown(frozenset({"secret"})) == "a list"
    assert shown({"secret": 1}) == "a mapping"


def test_what_the_environment_holds_is_not_shown() -> None:
    assert shown(Scalar("hunter2", "${PASSWORD}")) == "what '${PASSWORD}' stands for"


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("admin:hunter2@10.0.0.1", "'admin:…@10.0.0.1'"),
        ("https://u:hunter2@host/x", "'https://u:…@host/x'"),
        ("https://u:hunt@er2@host", "'https://u:…@host'"),
        ("https://host:8000/@x", "'https://host:8000/@x'"),
        ("a@b", "'a@b'"),
        ("10.0.0.1:5038", "'10.0.0.1:5038'"),
    ],
)
def test_a_password_before_a_host_is_not_shown(text: str, seen: str) -> None:
    assert shown(text) == seen


def test_keys_of_secrets() -> None:
    for key in ("secret", "Secret", "ami_secret", "password", "db-passwd", "api_key", "token"):
        assert names_secret(key), key
    for key in ("secret_file", "auth_file", "ssl_key", "tokens_seen", "passenger", "key", ""):
        assert not names_secret(key), key
