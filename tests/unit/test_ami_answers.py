from __future__ import annotations

import pytest

from amiws_gevent.ami import BROADCASTS, Kind, Message, is_answer, may_be_answer


def event(*pairs: tuple[str, str]) -> Message:
    return Message(Kind.EVENT, pairs)


@pytest.mark.parametrize("kind", [Kind.RESPONSE, Kind.COMMAND, Kind.QUEUE])
def test_some_kinds_are_answers_all_of_them(kind: Kind) -> None:
    assert is_answer(Message(kind, []))
    assert may_be_answer(Message(kind, []))


@pytest.mark.parametrize("kind", [Kind.PROMPT, Kind.UNKNOWN, Kind.ACTION])
def test_some_kinds_never_are(kind: Kind) -> None:
    for message in (Message(kind, []), Message(kind, [("ActionID", "1")])):
        assert not is_answer(message)
        assert not may_be_answer(message)


@pytest.mark.parametrize("name", ["ActionID", "actionid", "ACTIONID"])
def test_an_event_with_an_action_id_is_one_whatever_its_privilege(name: str) -> None:
    for privilege in ([], [("Privilege", "Call")], [("Privilege", "call,all")]):
        message = event(("Event", "Status"), *privilege, (name, "1"))
        assert is_answer(message)
        assert may_be_answer(message)


@pytest.mark.parametrize("name", ["OriginateResponse", "USEREVENT", "SIPQualifyPeerDone"])
def test_what_goes_to_all_sessions_is_none_in_spite_of_its_action_id(name: str) -> None:
    assert name.lower() in BROADCASTS
    message = event(("Event", name), ("Privilege", "call,all"), ("ActionID", "1"))
    assert not is_answer(message)
    assert not may_be_answer(message)


def test_an_item_without_action_id_is_told_by_its_privilege() -> None:
    for privilege in ([], [("Privilege", "Call")], [("privilege", "System")]):
        item = event(("Event", "PeerEntry"), *privilege)
        assert not is_answer(item)
        assert may_be_answer(item)
    for text in ("call,all", "call", "system,all", "<none>", ""):
        assert not may_be_answer(event(("Event", "Hangup"), ("Privilege", text)))


@pytest.mark.parametrize("repeats", [[], [("ChanVariable", "a"), ("ChanVariable", "b")]])
def test_headers_are_found_in_any_case_and_beside_such_as_repeat(
    repeats: list[tuple[str, str]],
) -> None:
    news = [("Event", "Hangup"), ("pRIVILEGe", "call,all"), *repeats]
    assert not may_be_answer(event(*news))
    assert is_answer(event(*news, ("aCTIONiD", "1")))
    assert may_be_answer(event(*news, ("aCTIONiD", "1")))
    assert not is_answer(event(*news, ("ActionIDs", "1"), ("Action", "x"), ("ID", "y")))


@pytest.mark.parametrize("repeats", [[], [("ChanVariable", "a"), ("ChanVariable", "b")]])
def test_of_several_privileges_the_first_counts(repeats: list[tuple[str, str]]) -> None:
    of_item, of_news = ("privilege", "Call"), ("Privilege", "call,all")
    assert may_be_answer(event(("Event", "Status"), of_item, of_news, *repeats))
    assert not may_be_answer(event(("Event", "Status"), of_news, of_item, *repeats))
