"""Who has lost messages, with a bound on the names."""

from __future__ import annotations

from amiws_gevent import losses
from amiws_gevent.losses import OTHERS, Losses


def test_messages_count_for_all_and_for_the_user() -> None:
    found = Losses()
    found.add(3, "anna")
    found.add(4, "anna")
    found.add(5)
    assert (found.messages, found.buffers) == (12, 3)
    assert found.by_user == {"anna": 7, "": 5}


def test_no_more_names_than_that_are_kept() -> None:
    found = Losses()
    for number in range(losses.MOST_USERS + 50):
        found.add(1, f"user{number}")
    found.add(1, "user0")
    assert len(found.by_user) == losses.MOST_USERS + 1
    assert found.by_user["user0"] == 2
    assert found.by_user[OTHERS] == 50
    assert sum(found.by_user.values()) == found.messages
