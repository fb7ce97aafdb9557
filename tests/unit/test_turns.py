from __future__ import annotations

import gevent
from gevent import socket

from amiws_gevent.turns import give_way


def test_a_ready_socket_is_served_before_who_gave_way_goes_on() -> None:
    one, other = socket.socketpair()
    seen: list[str] = []

    def read() -> None:
        seen.append(one.recv(10).decode())

    reader = gevent.spawn(read)
    give_way()  # the reader waits for its socket now
    other.send(b"ready")
    give_way()
    seen.append("back")
    reader.join()
    one.close()
    other.close()
    assert seen == ["ready", "back"]


def test_sleep_0_does_not_look_at_sockets_which_is_why_there_is_give_way() -> None:
    one, other = socket.socketpair()
    served: list[bytes] = []
    reader = gevent.spawn(lambda: served.append(one.recv(10)))
    give_way()
    other.send(b"ready")

    def work() -> bool:
        for _ in range(20):
            gevent.sleep(0)
        return bool(served)

    assert gevent.spawn(work).get() is False
    reader.join()
    one.close()
    other.close()


def test_giving_way_takes_no_time_when_there_is_nothing_to_do() -> None:
    with gevent.Timeout(5):  # libev waits a whole millisecond for a timer of less than one
        for _ in range(5000):
            give_way()
