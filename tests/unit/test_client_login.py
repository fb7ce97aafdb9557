"""Logins of the client, held to what the program's own gate takes."""

from __future__ import annotations

import hashlib

import pytest

from amiws_gevent.client.login import ClientError, Login
from amiws_gevent.web.digest import DigestLogin, NonceTable

TARGET = "/ws?slow=close"


def digest_login(user: str, realm: str, password: str) -> DigestLogin:
    hashed = hashlib.md5(f"{user}:{realm}:{password}".encode(), usedforsecurity=False).hexdigest()
    return DigestLogin(realm, {user: hashed.encode()}.get, NonceTable())


@pytest.mark.parametrize(
    ("user", "realm", "password"),
    [("anna", "pbx", "s3cret"), ("jürgen", 'a "b" \\ c', "pässwort, mit Komma=")],
)
def test_the_program_takes_it(user: str, realm: str, password: str) -> None:
    server = digest_login(user, realm, password)
    headers = Login(user, password).answer(["Basic realm=x", server.challenges()[0]], TARGET)
    assert headers is not None
    given = headers["Authorization"]
    assert server.verify("GET", TARGET, given).user == user


def test_a_wrong_password_is_refused() -> None:
    server = digest_login("anna", "pbx", "s3cret")
    headers = Login("anna", "wrong").answer([server.challenges()[0]], TARGET)
    assert headers is not None
    given = headers["Authorization"]
    assert server.verify("GET", TARGET, given).user is None


@pytest.mark.parametrize(
    "challenge", ["", "Digest", "Basic realm=x", 'Digest algorithm=SHA-256, nonce="n", realm="r"']
)
def test_challenges_that_cannot_be_answered(challenge: str) -> None:
    if challenge == "Digest":  # says nothing, and is answered all the same: the server decides
        assert Login("anna", "s3cret").answer([challenge], "/") is not None
    else:
        assert Login("anna", "s3cret").answer([challenge], "/") is None
    assert Login().answer([challenge], "/") is None


def test_a_token_goes_with_the_first_request() -> None:
    assert Login(token="t0ken").first() == {"Authorization": "Bearer t0ken"}
    assert Login("anna", "s3cret").first() == {}


def test_secrets_are_not_shown() -> None:
    assert "s3cret" not in repr(Login("anna", "s3cret", "s3cret"))


def test_errors_have_their_code() -> None:
    error = ClientError("too_many_actions", "wait", 1.5)
    assert (error.code, str(error), error.retry_after) == ("too_many_actions", "wait", 1.5)
