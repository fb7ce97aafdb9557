"""Tokens of programs: made, hashed, found again."""

from __future__ import annotations

import hashlib

import pytest

from amiws_gevent.config import ApiToken
from amiws_gevent.web.tokens import Tokens, bearer_of, hash_of, make_token


def test_each_token_is_new_and_long() -> None:
    made = {make_token() for _ in range(100)}
    assert len(made) == 100
    assert all(token.startswith("amiws_") and len(token) >= 6 + 43 for token in made)


def test_the_hash_is_that_of_the_characters() -> None:
    assert hash_of("amiws_x") == "sha256:" + hashlib.sha256(b"amiws_x").hexdigest()
    assert hash_of("\xe9") != hash_of("e")
    assert hash_of("\u20ac") == hash_of("?")  # no header holds it


def test_a_token_leads_to_its_name() -> None:
    one, two = make_token(), make_token()
    tokens = Tokens(
        [ApiToken(name="crm", hash=hash_of(one)), ApiToken(name="b", hash=hash_of(two).upper())]
    )
    assert tokens
    assert (tokens.user(one), tokens.user(two)) == ("token:crm", "token:b")
    assert [tokens.user(wrong) for wrong in ("", one[:-1], one + "x", hash_of(one))] == [None] * 4
    assert tokens.hash("token:crm") == hash_of(one).encode()
    assert tokens.hash("crm") is None


def test_without_tokens_there_are_none() -> None:
    assert not Tokens(())
    assert Tokens(()).user("") is None


@pytest.mark.parametrize(
    ("header", "token"),
    [
        ("Bearer abc", "abc"),
        ("bearer  abc ", "abc"),
        ("BEARER\tabc", None),
        ("Bearer", ""),
        ("Bearer a, Bearer b", "a, Bearer b"),
        ("Basic abc", None),
        ('Digest username="x"', None),
        ("", None),
        (None, None),
    ],
)
def test_the_token_of_a_header(header: str | None, token: str | None) -> None:
    assert bearer_of(header) == token
