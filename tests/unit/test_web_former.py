"""Which HA1s were right before."""

from __future__ import annotations

import pytest

from amiws_gevent.web.former import MOST_FORMER, FormerPasswords


def test_what_a_change_took_away() -> None:
    former = FormerPasswords()
    former.users_are("r", {"anna": b"1", "bob": b"1"})
    assert former.ha1s("anna") == ()
    former.users_are("r", {"anna": b"2", "bob": b"1"})
    assert (former.ha1s("anna"), former.ha1s("bob")) == ((b"1",), ())
    former.users_are("r", {"anna": b"2"})
    assert (former.ha1s("anna"), former.ha1s("bob")) == ((b"1",), (b"1",))
    former.users_are("r", {"anna": b"3"})
    assert former.ha1s("anna") == (b"2",)


def test_the_same_users_again_change_nothing() -> None:
    former = FormerPasswords()
    for ha1 in (b"1", b"2", b"2"):
        former.users_are("r", {"anna": ha1})
    assert former.ha1s("anna") == (b"1",)


@pytest.mark.parametrize("moment", [{}, {"bob": b"1"}], ids=["empty", "half"])
def test_who_is_gone_for_the_moment_of_a_writer(moment: dict[str, bytes]) -> None:
    former = FormerPasswords()
    former.users_are("r", {"bob": b"1", "anna": b"1"})
    former.users_are("r", {"bob": b"1", "anna": b"2"})
    former.users_are("r", moment)
    assert former.ha1s("anna") == (b"2", b"1")
    former.users_are("r", {"bob": b"1", "anna": b"2"})
    assert (former.ha1s("anna"), former.ha1s("bob")) == ((b"1",), ())


def test_who_comes_back_with_another_password() -> None:
    former = FormerPasswords()
    for users in ({"anna": b"1"}, {"anna": b"2"}, {}, {"anna": b"3"}, {}):
        former.users_are("r", users)
    assert former.ha1s("anna") == (b"3", b"2")


def test_another_realm_has_others() -> None:
    former = FormerPasswords()
    former.users_are("r", {"anna": b"1"})
    former.users_are("r", {"anna": b"2"})
    former.users_are("s", {"anna": b"3"})
    assert former.ha1s("anna") == ()
    former.users_are("s", {"anna": b"4"})
    assert former.ha1s("anna") == (b"3",)


def test_they_are_bounded() -> None:
    former = FormerPasswords()
    former.users_are("r", {f"u{n}": b"1" for n in range(MOST_FORMER + 2)})
    former.users_are("r", {})
    kept = [n for n in range(MOST_FORMER + 2) if former.ha1s(f"u{n}")]
    assert len(kept) == MOST_FORMER
    assert kept[-1] == MOST_FORMER + 1
