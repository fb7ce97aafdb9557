"""What readers of an event find is what ``read`` finds, of the headers that they read."""

from __future__ import annotations

import random
from typing import Any

import pytest

from amiws_gevent.state.channelnews import (
    News,
    all_news,
    fill,
    news_of_account,
    news_of_dialplan,
    news_of_item,
    news_of_people,
    read,
)

PEOPLE = ("CallerIDNum", "CallerIDName", "ConnectedLineNum", "ConnectedLineName", "Linkedid")
PLACE = ("Context", "Exten")
ALL = ("ChannelStateDesc", "Channel", "AccountCode", *PLACE, *PEOPLE)
READERS: list[tuple[News, tuple[str, ...]]] = [
    (all_news, ALL),
    (news_of_people, PEOPLE),
    (news_of_dialplan, ("Application", *PLACE, "Linkedid")),
    (news_of_account, ("AccountCode", "Linkedid")),
    (news_of_item, (*ALL, "Application", "BridgeId")),
]
BLANK: dict[str, Any] = dict.fromkeys(
    (
        *("name", "state", "account", "context", "exten", "linkedid", "application", "bridge"),
        *("caller_number", "caller_name", "connected_number", "connected_name"),
    )
)
TEXTS = ("", "201", "Anna", "<unknown>", "unknown", r"A \"B\"", r"\\")


def said(rng: random.Random, name: str) -> dict[str, str]:
    """All headers of an event from 12 on."""
    told = {header: rng.choice(TEXTS) for header in (*ALL, "Application", "BridgeId")}
    return {
        **told,
        **{header: rng.choice(("", "(null)", "a", "b")) for header in (*PLACE, "AccountCode")},
        "Channel": name,
        "ChannelStateDesc": rng.choice(("Up", "Ring", "Odd", "")),
        "Application": rng.choice(("", "Dial")),
        "BridgeId": rng.choice(("", "b")),
        "Linkedid": rng.choice(("", "1.0", "1.1")),
    }


def known(values: dict[str, str]) -> dict[str, Any]:
    return {**BLANK, **read(values)}


@pytest.mark.parametrize(("news", "headers"), READERS)
@pytest.mark.parametrize("name", ["SIP/201-1", "Local/201@x-1;1"])
def test_news_are_what_is_told_otherwise(news: News, headers: tuple[str, ...], name: str) -> None:
    rng = random.Random(1)
    for _ in range(2000):
        before, values = known(said(rng, name)), said(rng, name)
        looked_at = (*headers, "Linkedid")
        if (
            news is news_of_dialplan and name.startswith("Local/") and before["state"] != "up"
        ):  # what nobody has told of a half that was not answered yet
            looked_at += PEOPLE
        told = read({header: values[header] for header in looked_at})
        expected = {field: value for field, value in told.items() if before[field] != value}
        assert news(values, before) == expected


@pytest.mark.parametrize(("news", "headers"), READERS)
def test_where_a_header_is_missing_all_others_are_read(
    news: News, headers: tuple[str, ...]
) -> None:
    rng = random.Random(2)
    for missing in headers:
        before, values = known(said(rng, "SIP/201-1")), said(rng, "SIP/201-1")
        del values[missing]
        assert news(values, before) == read(values, before)


def test_a_new_channel_is_filled_with_what_is_told() -> None:
    rng = random.Random(3)
    for number in range(2000):
        values = said(rng, "SIP/201-1")
        for header in ("Application", "BridgeId", *ALL[: number % 2]):
            del values[header]
        made = {**BLANK}
        fill(made, values)
        assert made == known(values)
