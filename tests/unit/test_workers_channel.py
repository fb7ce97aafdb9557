"""Questions and answers over a socket pair."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gevent
import pytest
from gevent import socket
from gevent.event import Event

from amiws_gevent.errors import ListenError
from amiws_gevent.workers import channel as module
from amiws_gevent.workers.channel import Channel, ChannelLost, NoAnswer, Refusal
from tests.support.patience import WAIT


class Ends:
    """Two ends; the other one answers with ``methods``."""

    def __init__(self) -> None:
        self.methods: dict[str, Any] = {"double": lambda data: data * 2}
        one, self.socket = socket.socketpair()
        self.channel = Channel(one, {"here": lambda data: [data]})
        self.other = Channel(self.socket, self.methods)
        self.channel.start()

    def ask(self, method: str, data: Any = None) -> Any:
        return self.channel.ask(method, data, timeout=WAIT)


@pytest.fixture
def ends() -> Iterator[Ends]:
    made = Ends()
    yield made
    made.channel.close()
    made.other.close()


def test_both_ends_ask(ends: Ends) -> None:
    ends.other.start()
    assert ends.ask("double", "x" * 200_000) == "x" * 400_000
    assert ends.other.ask("here", {"a": None}, timeout=WAIT) == [{"a": None}]
    assert ends.channel.received == 2


def test_who_takes_long_holds_up_nobody(ends: Ends) -> None:
    done = Event()
    ends.methods["wait"] = lambda _: done.wait()
    ends.other.start()
    waiting = gevent.spawn(ends.ask, "wait")
    assert ends.ask("double", 2) == 4
    assert not waiting.ready()
    done.set()
    assert waiting.get(timeout=WAIT) is True


def test_a_refusal_has_text_and_status(ends: Ends) -> None:
    def refuse(_data: Any) -> None:
        raise ListenError("the port is taken")

    ends.methods["refuse"] = refuse
    ends.other.start()
    with pytest.raises(Refusal, match="the port is taken") as caught:
        ends.ask("refuse")
    assert caught.value.exit_status == 71


@pytest.mark.parametrize(("method", "text"), [("fault", "division by zero"), ("none", "'none'")])
def test_a_fault_is_told_at_both_ends(
    ends: Ends, method: str, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    ends.methods["fault"] = lambda _: 1 / 0
    ends.other.start()
    with pytest.raises(Refusal, match=f"internal error: .*{text}") as caught:
        ends.ask(method)
    assert caught.value.exit_status == 70
    assert "internal error in the answer" in caplog.text


def test_no_answer_and_one_that_is_late(ends: Ends) -> None:
    with pytest.raises(NoAnswer, match=r"no answer within 0\.001 s"):
        ends.channel.ask("double", 1, timeout=0.001)
    ends.other.start()  # and answers, when nobody waits any more
    assert ends.ask("double", 2) == 4
    assert ends.channel.received == 2


def test_the_other_end_goes_while_it_is_asked(ends: Ends) -> None:
    asking = gevent.spawn(ends.ask, "double")
    gevent.sleep(0)
    ends.socket.close()
    with pytest.raises(ChannelLost):
        asking.get(timeout=WAIT)
    assert ends.channel.lost.is_set()
    with pytest.raises(ChannelLost):
        ends.ask("double")


def test_who_does_not_read_is_not_waited_for(ends: Ends, monkeypatch: pytest.MonkeyPatch) -> None:
    asking = [gevent.spawn(ends.channel.ask, "double", "x" * 10_000, timeout=WAIT)]
    while len(asking) < 3 * module.MOST_WAITING and not asking[-1].ready():
        asking.append(gevent.spawn(ends.channel.ask, "double", "x" * 10_000, timeout=WAIT))
        gevent.sleep(0)
    with pytest.raises(ChannelLost, match="does not read"):
        asking[-1].get(timeout=WAIT)
    gevent.killall(asking)


def test_what_was_said_last_goes_out_before_the_end(ends: Ends) -> None:
    ends.other.start()
    asked, done = Event(), Event()
    ends.methods["last"] = lambda _: asked.set() or (done.wait() and "bye")
    asking = gevent.spawn(ends.ask, "last")
    assert asked.wait(WAIT)
    closing = gevent.spawn(ends.other.close, WAIT)
    gevent.sleep(0)
    done.set()
    assert asking.get(timeout=WAIT) == "bye"
    closing.get(timeout=WAIT)


def test_what_is_no_message_is_the_end(ends: Ends) -> None:
    ends.socket.sendall(b"\xff\xff\xff\xff")
    assert ends.channel.lost.wait(WAIT)
