"""What the page knows of the servers, and when it asks them."""

from __future__ import annotations

from typing import Any

from tests.browser import scenes
from tests.browser.steps import (
    Play,
    Step,
    answer,
    channel_list,
    message,
    only_server,
    receive,
)


def test_opening_asks_all_servers(play: Play) -> None:
    sent = play([(0, "opened", None)])["sent"]
    assert [action["Action"] for action in sent] == [
        "CoreSettings",
        "CoreStatus",
        "CoreShowChannels",
    ]
    assert all(action["ActionID"].startswith("page-test-") for action in sent)
    assert len({action["ActionID"] for action in sent}) == 3
    assert all("AMIServerID" not in action for action in sent)


def test_answers_tell_version_and_start(play: Play) -> None:
    result = play(
        [
            answer("page-test-settings-all-1", AMIversion="2.10.6", AsteriskVersion="13.38.3"),
            answer("a", CoreStartupDate="2026-11-22", CoreStartupTime="17:55:01"),
        ]
    )
    server = only_server(result)
    assert (server["state"], server["version"]) == ("connected", "13.38.3")
    assert (server["amiVersion"], server["startedAt"]) == ("2.10.6", "2026-11-22 17:55")


def test_a_banner_means_forget_and_ask_again(play: Play) -> None:
    banner = message(1, {"Product": "Asterisk Call Manager", "Version": "11.0.0"}, 7)
    calls = [(0.0, "receive", message(3, event, 7)) for event in scenes.rings()]
    result = play([*calls, (1, "receive", banner)])
    assert only_server(result)["calls"] == []
    assert only_server(result)["amiVersion"] == "11.0.0"
    assert [action["AMIServerID"] for action in result["sent"]] == [7, 7, 7]
    again = channel_list("page-test-list-7-3", scenes.CALLER, scenes.CALLEE, at=2)
    relisted = [(at, step, {**(sent or {}), "server_id": 7}) for at, step, sent in again]
    result = play([*calls, (1, "receive", banner), *relisted])
    assert (only_server(result)["active"], only_server(result)["started"]) == (1, 1)


def refusal(action_id: str, text: str, at: float, server_id: int = 1) -> Step:
    data = {"Response": "Error", "ActionID": action_id, "Message": text}
    return (at, "receive", message(4, data, server_id))


def test_a_refusal_of_our_question_means_not_connected(play: Play) -> None:
    steps: list[Step] = [(0, "opened", None), *receive(*scenes.rings())]
    lost = refusal("page-test-status-1-4", "pbx1 is not connected: refused", 9000)
    server = only_server(play([*steps, lost]))
    assert (server["state"], server["reason"]) == ("lost", "pbx1 is not connected: refused")
    assert server["calls"] == []
    back = only_server(play([*steps, lost, *receive({"Event": "FullyBooted"}, at=9500)]))
    assert (back["state"], back["reason"]) == ("connected", "")


def test_refusals_that_mean_something_else(play: Play) -> None:
    heard = receive({"Event": "FullyBooted"})
    others = refusal("another-page", "pbx1 is not connected", 9000)
    assert only_server(play([*heard, others]))["state"] == "connected"
    busy = refusal("page-test-list-1-4", "takes actions too slowly", 1000)
    server = only_server(play([*heard, busy]))
    assert server["state"] == "connected"
    assert "takes actions too slowly" in server["notice"]
    denied = refusal("page-test-list-all-4", "Permission denied", 9000)
    server = only_server(play([*heard, denied]))
    assert server["state"] == "connected"
    assert "Permission denied" in server["notice"]


def test_a_server_that_is_no_longer_configured_goes(play: Play) -> None:
    gone = refusal("page-test-status-1-4", "AMIServerID 1: no such server", 9000, server_id=0)
    result = play([(0, "opened", None), *receive({"Event": "FullyBooted"}), gone])
    assert result["servers"] == []


def test_errors_about_no_server_make_none(play: Play) -> None:
    stray = refusal("", "not a JSON object", 0, server_id=0)
    assert play([(0, "opened", None), stray])["servers"] == []


def test_a_quiet_server_is_asked_and_one_that_is_mute_shows_so(play: Play) -> None:
    heard = [(0.0, "opened", None), *receive({"Event": "FullyBooted"})]
    assert len(play([*heard, (6000, "due", None)])["sent"]) == 3
    asked = play([*heard, (6001, "due", None), (6251, "due", None)])
    (question,) = asked["sent"][3:]
    assert (question["Action"], question["AMIServerID"]) == ("CoreStatus", 1)
    assert only_server(asked)["state"] == "connected"
    mute = play([*heard, (6001, "due", None), (26_002, "due", None)])
    assert only_server(mute)["state"] == "silent"
    assert len(mute["sent"]) == 5  # and asked again
    answered = [*heard, (6001, "due", None), answer("x", 20_000), (26_000, "due", None)]
    assert only_server(play(answered))["state"] == "connected"


def test_now_and_then_the_list_is_asked_for(play: Play) -> None:
    busy: list[Step] = [(0, "opened", None)]
    for second in range(1, 125):
        busy += receive({"Event": "FullyBooted"}, at=second * 1000)
        busy.append((second * 1000, "due", None))
    (question,) = play(busy)["sent"][3:]
    assert (question["Action"], question["AMIServerID"]) == ("CoreShowChannels", 1)


def test_a_closed_socket_leaves_nothing_certain(play: Play) -> None:
    steps: list[Step] = [(0, "opened", None), *receive(*scenes.rings()), (1000, "closed", None)]
    server = only_server(play([*steps, (60_000, "due", None)]))
    assert (server["state"], server["active"]) == ("unknown", 1)
    assert len(play([*steps, (60_000, "due", None)])["sent"]) == 3  # nobody to ask
    reopened = play([*steps, (2000, "opened", None), *channel_list("page-test-list-all-6", at=2)])
    assert (only_server(reopened)["state"], only_server(reopened)["active"]) == ("connected", 0)


def test_what_is_no_message_is_passed_over(play: Play) -> None:
    nothing: list[Any] = [None, 7, {}, {"type": 3}, {"type": 3, "data": None}]
    assert play([(0, "receive", stray) for stray in nothing])["servers"] == []
