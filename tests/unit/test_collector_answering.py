"""What a collector does with the questions of edges. Whole ways: test_edge_actions.py."""

from __future__ import annotations

from typing import Any

import pytest

from amiws_gevent.actions import ActionService
from amiws_gevent.audit.trail import Trail
from amiws_gevent.collector import answering
from amiws_gevent.collector.answering import NO_LEASE, Answering, HeldLinks
from amiws_gevent.crossing import calls
from amiws_gevent.dispatch import Dispatcher
from amiws_gevent.errors import NotConnected
from tests.support.actions import ALICE, ScriptedLink, as_it_is, asked, settle
from tests.support.local_bus import LocalReply

QUESTION = calls.encode(client=calls.client_members(ALICE), request=calls.request_members(asked()))


class Asking:
    """One question to a collector of one server."""

    def __init__(self) -> None:
        self.link: Any = ScriptedLink(1)
        links: dict[int, Any] = {1: self.link}
        made = Answering(ActionService(links, as_it_is), Dispatcher(links), Trail())
        self.methods = made.methods
        self.answers: list[tuple[bytes | None, bool]] = []
        self.reply = LocalReply(
            "program", lambda data, last, _problem: self.answers.append((data, last))
        )

    def ask(self, method: str, data: bytes) -> list[tuple[bytes | None, bool]]:
        self.methods[method](data, self.reply)
        settle()
        return self.answers


def test_an_action_is_answered_with_who_replies_and_the_replies() -> None:
    first, second = Asking().ask(calls.ACTION, QUESTION)
    assert (calls.decode(first[0] or b"")["servers"], first[1]) == ([1], False)
    assert (calls.decode(second[0] or b"")["reply"]["server"], second[1]) == (1, True)


def test_what_is_too_late_or_cancelled_is_not_done() -> None:
    for late in ("expired", "cancelled"):
        asking = Asking()
        setattr(asking.reply, late, True)
        assert asking.ask(calls.ACTION, QUESTION) == []
        assert asking.link.asked == []


def test_too_much_at_once_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answering, "MOST", 0)
    asking = Asking()
    ((data, last),) = asking.ask(calls.ACTION, QUESTION)
    assert calls.decode(data or b"")["problem"][0] == "too_many_actions"
    assert last
    assert Asking().ask(calls.TELL, b"{}") == [(b"", True)]


def test_what_cannot_be_read_is_logged_and_ended(caplog: pytest.LogCaptureFixture) -> None:
    assert Asking().ask(calls.CLASSIC, b"{") == [(b"", True)]
    assert "internal error" in caplog.text


def test_no_link_sends_without_the_lease() -> None:
    sent: list[bytes] = []
    link: Any = ScriptedLink(1)
    link.send = lambda data, holding=0.0: sent.append(data)
    held = True
    links = HeldLinks({1: link}, lambda: held)
    assert (list(links), len(links), 2 in links) == ([1], 1, False)
    links[1].send(b"x")
    assert links[1].ask((("Action", "Ping"),), timeout=1).complete
    held = False
    with pytest.raises(NotConnected, match="lease"):
        links[1].send(b"y")
    with pytest.raises(NotConnected) as caught:
        links[1].ask((("Action", "Ping"),), timeout=1)
    assert str(caught.value) == NO_LEASE
    assert sent == [b"x"]
    assert links[1].host is link.host
