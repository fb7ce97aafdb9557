from __future__ import annotations

import math

from amiws_gevent.link.holdup import LONGEST, Holdup


def test_nothing_is_waited_for() -> None:
    holdup = Holdup()
    assert holdup.until == 0.0
    holdup.answered(1, 5.0)
    assert holdup.until == 0.0


def test_several_add_up_from_the_first_on() -> None:
    holdup = Holdup()
    holdup.began(1, 20.0, 100.0)
    assert holdup.until == 120.0
    holdup.began(2, 30.0, 110.0)
    assert holdup.until == 150.0


def test_an_answer_takes_its_own_time_away_and_that_of_all_before_it() -> None:
    holdup = Holdup()
    for ping in (3, 5, 6):
        holdup.began(ping, 30.0, 100.0)
    holdup.answered(2, 101.0)
    assert holdup.until == 190.0
    holdup.answered(5, 105.0)
    assert holdup.until == 135.0, "the last has begun now"
    holdup.answered(7, 106.0)
    assert holdup.until == 0.0
    holdup.began(8, 10.0, 200.0)
    assert holdup.until == 210.0


def test_those_that_go_on_and_on_are_bounded_from_the_last_answer_on() -> None:
    holdup = Holdup()
    holdup.began(1, math.inf, 100.0)
    holdup.began(2, 30.0, 100.0 + LONGEST / 2)
    assert holdup.until == 100.0 + LONGEST
    holdup.answered(1, 200.0)
    assert holdup.until == 230.0


def test_it_is_news_once() -> None:
    holdup = Holdup()
    holdup.began(1, 10.0, 0.0)
    assert [holdup.is_news(), holdup.is_news()] == [True, False]
    holdup.began(2, 10.0, 1.0)
    holdup.answered(1, 2.0)
    assert not holdup.is_news(), "it is still the same wait"
    holdup.answered(2, 3.0)
    holdup.began(3, 10.0, 4.0)
    assert holdup.is_news()
