"""Verdicts and grants: what they show, and what they do not."""

from __future__ import annotations

from amiws_gevent.identity import DIGEST, Identity
from amiws_gevent.web.verdict import NOBODY, Grant, Verdict, refusal, shown


def test_a_grant_shows_no_secret() -> None:
    grant = Grant("anna", DIGEST, b"the secret")
    assert "secret" not in repr(grant).replace("the secret", "X")
    assert "the secret" not in repr(Verdict(200, grant))
    assert grant.identity("192.0.2.1") == Identity("anna", DIGEST, "192.0.2.1")


def test_nobody() -> None:
    assert Verdict(200).grant == NOBODY
    assert Verdict(200).user is None


def test_a_refusal() -> None:
    verdict = refusal(403, "No.", ("Retry-After", "1"))
    assert (verdict.status, verdict.body, verdict.detail) == (403, b"403 No.\n", "No.")
    assert ("Retry-After", "1") in verdict.headers
    assert verdict.user is None


def test_text_of_a_client() -> None:
    assert shown('a"\n\x1b☎') == '"a\\"\\n\\u001b\\u260e"'
    assert len(shown("x" * 1000)) == 202
