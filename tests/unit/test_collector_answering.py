"""What a collector does with the questions of edges. Whole ways: test_edge_actions.py."""

from __future__ import annotations

from typing import Any

import pytest

from amiws_gevent.collector import answering
from amiws_gevent.crossing import calls
from amiws_gevent.policy import Rights
from tests.support.actions import ALICE, ScriptedLink, asked, settle
from tests.support.answering import CollectorOf
from tests.support.local_bus import LocalReply

QUESTION = calls.encode(
    client=calls.client_members(ALICE),
    request=calls.request_members(asked()),
    rights=Rights.everything.digest,
    server=1,
)


class Asking:
    """One question to a collector of one server."""

    def __init__(self) -> None:
        self.link: Any = ScriptedLink(1)
        self.collector = CollectorOf({1: self.link})
        self.methods = self.collector.methods
        self.answers: list[tuple[bytes | None, bool]] = []
        self.reply = LocalReply(
            "server-1", lambda data, last, _problem: self.answers.append((data, last))
        )

    def ask(self, method: str, data: bytes) -> list[tuple[bytes | None, bool]]:
        self.methods[method](data, self.reply)
        settle()
        return self.answers


def test_an_action_is_answered_with_who_replies_and_the_replies() -> None:
    first, second = Asking().ask(calls.ACTION, QUESTION)
    assert (calls.decode(first[0] or b""), first[1]) == ({"taken": True}, False)
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


def test_a_plugin_is_refused_too_if_there_is_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answering, "MOST", 0)
    ((data, last),) = Asking().ask(calls.ASK, b"{}")
    assert calls.decode(data or b"")["error"][0] == "unreachable"
    assert last


def test_a_report_is_answered_with_what_all_have_in_common() -> None:
    asking = Asking()
    ((data, last),) = asking.ask(calls.REPORT, calls.encode(servers={"1": [7, {"a": 1}]}))
    assert asking.collector.reported == [{"1": [7, {"a": 1}]}]
    assert (calls.decode(data or b""), last) == (asking.collector.common, True)
    asking = Asking()
    asking.collector.common = None
    assert asking.ask(calls.REPORT, calls.encode(servers={})) == [(b"", True)], "not yet"
