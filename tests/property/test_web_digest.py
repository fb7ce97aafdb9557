"""Digest: whatever a client sends is a login, or is refused; a nonce count is good once."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amiws_gevent.web.digest import (
    NC_WINDOW,
    BadAuthorization,
    DigestLogin,
    NonceTable,
    parse_authorization,
    quote,
)
from amiws_gevent.web.htdigest import parse_htdigest

REALM = "call centre"
USER = "anna"
HA1 = hashlib.md5(b"anna:call centre:one").hexdigest().encode()

# What WSGI can hand over: any byte but CR and LF, as a character.
wsgi_text = st.text(st.characters(max_codepoint=255, exclude_characters="\r\n"))
printable = st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"))
names = st.from_regex(r"[a-z][a-z0-9*_-]{0,10}", fullmatch=True)
counts = st.one_of(st.integers(1, 3 * NC_WINDOW), st.integers(1, 0xFFFFFFFF))


def make_login() -> DigestLogin:
    return DigestLogin(REALM, {USER: HA1}.get, NonceTable(clock=lambda: 1000.0))


def new_nonce(login: DigestLogin) -> str:
    return parse_authorization(login.challenges()[0])["nonce"]


def sign(nonce: str, count: int, target: str, method: str = "GET") -> dict[str, str]:
    ha2 = hashlib.md5(f"{method}:{target}".encode("latin-1")).hexdigest()
    text = f"{HA1.decode()}:{nonce}:{count:08x}:cnonce:auth:{ha2}"
    return {
        "username": USER,
        "realm": REALM,
        "nonce": nonce,
        "uri": target,
        "qop": "auth",
        "nc": f"{count:08x}",
        "cnonce": "cnonce",
        "response": hashlib.md5(text.encode("latin-1")).hexdigest(),
    }


def write(parameters: dict[str, str]) -> str:
    parts = []
    for name, value in parameters.items():
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        parts.append(f'{name}="{escaped}"')
    return "Digest " + ", ".join(parts)


@given(wsgi_text, wsgi_text)
def test_no_header_is_an_error(header: str, target: str) -> None:
    login = make_login()
    for text in (header, "Digest " + header, 'Digest username="' + header + '"'):
        outcome = login.verify("GET", target, text)
        assert outcome.user is None
        assert not outcome.stale


@given(st.dictionaries(names, printable, max_size=12))
def test_what_is_written_is_read(parameters: dict[str, str]) -> None:
    assert parse_authorization(write(parameters)) == parameters


@given(st.lists(st.tuples(names, printable), min_size=2, max_size=8))
def test_a_name_that_comes_twice_is_refused(pairs: list[tuple[str, str]]) -> None:
    header = "Digest " + ", ".join(f"{name}={quote('x')}" for name, _ in [*pairs, pairs[0]])
    with pytest.raises(BadAuthorization, match="twice"):
        parse_authorization(header)


@given(st.sampled_from(sorted(sign("n", 1, "/"))), printable)
def test_any_other_value_is_refused(name: str, value: str) -> None:
    login = make_login()
    right = sign(new_nonce(login), 1, "/")
    wrong = {**right, name: value}
    if value.lower() != right[name].lower():
        assert login.verify("GET", "/", write(wrong)).user is None
    assert login.verify("GET", "/", write(right)).user == USER


@given(printable.map(lambda text: "/" + text))
def test_any_target(target: str) -> None:
    login = make_login()
    header = write(sign(new_nonce(login), 1, target))
    assert login.verify("GET", target + "x", header).user is None
    assert login.verify("GET", target, header).user == USER


@given(st.lists(counts, max_size=60))
def test_a_count_is_good_at_most_once(sent: list[int]) -> None:
    """And at least once, while it is within the window of the highest."""
    login = make_login()
    nonce = new_nonce(login)
    taken: set[int] = set()
    for count in sent:
        outcome = login.verify("GET", "/", write(sign(nonce, count, "/")))
        expected = count not in taken and count > max(taken, default=0) - NC_WINDOW
        if expected:
            assert outcome.user == USER
            taken.add(count)
        else:
            assert outcome.user is None
            assert outcome.stale


@given(st.integers(1, 6), st.lists(st.tuples(st.integers(0, 9), st.integers(1, 4)), max_size=60))
def test_a_full_table_never_takes_a_replay(size: int, sent: list[tuple[int, int]]) -> None:
    now = [1000.0]
    nonces = NonceTable(clock=lambda: now[0], size=size)
    login = DigestLogin(REALM, {USER: HA1}.get, nonces)
    issued = []
    for _ in range(10):
        now[0] += 0.01
        issued.append(new_nonce(login))
    taken: set[tuple[int, int]] = set()
    for number, count in sent:
        outcome = login.verify("GET", "/", write(sign(issued[number], count, "/")))
        assert len(nonces) <= size
        if outcome.user is not None:
            assert (number, count) not in taken
            taken.add((number, count))
        else:
            assert outcome.stale


@given(st.binary(max_size=300))
def test_no_htdigest_file_is_an_error(content: bytes) -> None:
    users, bad_lines = parse_htdigest(content, REALM)
    assert len(users) + len(bad_lines) <= content.count(b"\n") + 1
    assert all(len(ha1) == 32 for ha1 in users.values())
