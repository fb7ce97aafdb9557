from __future__ import annotations

import json
from typing import Any

import pytest

from amiws_gevent.dispatch import Dispatcher
from amiws_gevent.hub import CLASSIC, V2, Hub
from amiws_gevent.pages import ENDS, Pages, cause_of_close
from amiws_gevent.web.frames import text_frames


class FakeClient:
    """As much of a WebSocketClient as `Pages` uses."""

    def __init__(self, subprotocol: str | None = None, user: str | None = None) -> None:
        self.address = "192.0.2.7:5000"
        self.user = user
        self.subprotocol = subprotocol
        self.told: list[Any] = []

    def send_text(self, text: bytes | str) -> None:
        self.told.append(json.loads(text))


@pytest.fixture
def hub() -> Hub:
    return Hub(text_frames, limit=1 << 20)


@pytest.fixture
def pages(hub: Hub) -> Pages:
    return Pages(hub, Dispatcher({}))


def opened(pages: Pages, client: FakeClient) -> Any:
    pages.opened(client)  # type: ignore[arg-type]
    return client


def test_a_page_is_subscribed_to_its_view_from_coming_to_going(pages: Pages, hub: Hub) -> None:
    classic, v2 = opened(pages, FakeClient()), opened(pages, FakeClient("amiws.v2"))
    assert (hub.count(CLASSIC), hub.count(V2)) == (1, 1)
    pages.closed(classic, 1000, "")
    assert (hub.count(CLASSIC), hub.count(V2)) == (0, 1)
    pages.closed(v2, 1000, "")
    pages.closed(v2, 1000, "")
    assert (hub.count(CLASSIC), hub.count(V2)) == (0, 0)


def test_an_action_that_cannot_be_sent_is_answered_to_its_page_alone(pages: Pages) -> None:
    asking, other = opened(pages, FakeClient()), opened(pages, FakeClient())
    pages.received(asking, "nonsense")
    (answer,) = asking.told
    assert answer["data"]["Response"] == "Error"
    assert other.told == []


def test_who_came_and_why_who_went_is_counted(pages: Pages) -> None:
    clients = [opened(pages, FakeClient()) for _ in range(4)]
    clients += [opened(pages, FakeClient("amiws.v2"))]
    ends = [(1013, "too slow: 9 bytes wait"), (1001, ""), (1001, "bye"), (4711, "own"), (1006, "")]
    for client, (code, reason) in zip(clients, ends, strict=True):
        pages.closed(client, code, reason)
        pages.closed(client, code, reason)
    assert pages.opened_pages == {CLASSIC: 4, V2: 1}
    assert pages.closed_pages == {
        ("1013", "too slow"): 1,
        ("1001", "going away"): 2,
        ("other", "other"): 1,
        ("1006", "connection lost"): 1,
    }


def test_what_pages_send_makes_few_causes() -> None:
    causes = {cause_of_close(code, f"reason {code}") for code in range(70_000)}
    causes.add(cause_of_close(1006, "no byte came for 63 s"))
    assert causes == set(ENDS)
    assert len(ENDS) == 13


def test_a_page_that_fell_silent_is_told_from_one_that_was_cut_off() -> None:
    assert cause_of_close(1006, "no byte came for 63 s") == ("1006", "silent")
    assert cause_of_close(1006, "connection lost: Connection reset by peer") == (
        "1006",
        "connection lost",
    )
    assert cause_of_close(1000, "no byte came for 63 s") == ("1000", "normal")
