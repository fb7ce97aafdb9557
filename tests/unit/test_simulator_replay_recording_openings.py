"""The beginning of a session: its banner and login are found, and nothing else is lost."""

from __future__ import annotations

import pytest

from amiws_gevent.simulator.replay.recording import (
    ACCEPTED,
    BANNER,
    LOGIN_WITHIN,
    Opening,
    Packet,
    Role,
    with_openings,
)

HELLO = Packet(b"Hello/1.0\r\n", 1.0, Role.BANNER)
LOGIN = Packet(b"Response: Success\r\nMessage: Authentication accepted\r\n\r\n", 2.0, Role.ACCEPTED)
CHALLENGE = Packet(b"Response: Success\r\nChallenge: 1\r\n\r\n", 2.0, Role.CHALLENGE)
A, B, C = (Packet(b"Event: %b\r\n\r\n" % name, 3.0) for name in (b"A", b"B", b"C"))
OPENING = Opening(HELLO.data, b"", LOGIN.data, 1.0)


# A recording that begins behind the banner gets one.
BEHIND = Opening(BANNER, b"", LOGIN.data, 2.0)


@pytest.mark.parametrize(
    ("packets", "found"),
    [
        ([], []),
        ([A, B], [A, B]),
        ([HELLO], [Opening(HELLO.data, time=1.0)]),
        ([HELLO, LOGIN, A], [OPENING, A]),
        ([HELLO, CHALLENGE, LOGIN, A], [OPENING, A]),
        ([HELLO, A, B, LOGIN, C], [OPENING._replace(early=A.data + B.data), C]),
        ([HELLO, A, B], [Opening(HELLO.data, time=1.0), A, B]),
        ([HELLO, CHALLENGE, A], [Opening(HELLO.data, time=1.0), CHALLENGE, A]),
        ([A, HELLO, LOGIN, B, HELLO, LOGIN, C], [A, OPENING, B, OPENING, C]),
        ([HELLO, A, HELLO, LOGIN, B], [Opening(HELLO.data, time=1.0), A, OPENING, B]),
        ([HELLO, HELLO, HELLO], [Opening(HELLO.data, time=1.0)] * 3),
        ([LOGIN, A], [BEHIND, A]),
        ([A, LOGIN, B], [A, BEHIND, B]),
        ([HELLO, LOGIN, LOGIN], [OPENING, BEHIND]),
    ],
)
def test_openings(packets: list[Packet], found: list[Packet | Opening]) -> None:
    assert list(with_openings(iter(packets))) == found


def test_a_login_far_behind_is_not_that_of_the_banner() -> None:
    packets = [HELLO, *[A] * (LOGIN_WITHIN - 1), LOGIN]
    assert next(with_openings(iter(packets))) == OPENING._replace(early=A.data * (LOGIN_WITHIN - 1))
    packets.insert(1, A)
    without = Opening(HELLO.data, time=1.0)
    assert list(with_openings(iter(packets))) == [without, *packets[1:-1], BEHIND]


def test_the_answer_of_a_recording_without_one() -> None:
    assert Opening().accepted == ACCEPTED == LOGIN.data
