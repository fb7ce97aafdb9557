from __future__ import annotations

import pytest

from amiws_gevent.ami import Kind, Message
from amiws_gevent.ami.lists import (
    begins_list,
    ends_list,
    is_bare_item,
    is_refusal,
    list_form,
)

BARE = (  # Asterisk 11 answers these without EventList
    *("Agents", "DAHDIShowChannels", "DBGet", "IAXpeerlist", "ParkedCalls", "Parkinglots"),
    *("PRIShowSpans", "QueueStatus", "QueueSummary", "SIPpeerstatus", "Status"),
    *("VoicemailUsersList",),
)


def response(**headers: str) -> Message:
    return Message(Kind.RESPONSE, {"Response": "Success", **headers})


def event(name: str, **headers: str) -> Message:
    return Message(Kind.EVENT, {"Event": name, **headers})


@pytest.mark.parametrize("action", BARE)
def test_lists_of_asterisk_11_are_known_by_their_action(action: str) -> None:
    form = list_form(action)
    assert begins_list(form, response(Message="whatever"))
    assert not begins_list(form, Message(Kind.RESPONSE, {"Response": "error"}))


def test_an_action_that_was_always_marked_is_a_list_only_if_marked() -> None:
    """A ``Hangup`` of one channel is answered by one message, of a /regex/ by a list."""
    for action in ("Hangup", "CoreShowChannels", "Made-up"):
        assert not begins_list(list_form(action), response())
        assert begins_list(list_form(action), response(EventList="Start"))
        refused = Message(Kind.RESPONSE, {"Response": "Error", "EventList": "start"})
        assert not begins_list(list_form(action), refused)


def test_the_text_of_an_answer_makes_no_list() -> None:
    assert not begins_list(list_form("QueueAdd"), response(Message="Items will follow"))


@pytest.mark.parametrize(
    ("action", "end"),
    [
        ("VoicemailUsersList", "VoicemailUserEntryComplete"),
        ("voicemailuserslist", "voicemailuserentrycomplete"),
        ("Hangup", "ChannelsHungupListComplete"),
        ("FAXStats", "FAXStats"),
        ("IAXpeers", "PeerlistComplete"),
        ("PJSIPShowRegistrationInboundContactStatuses", "ContactStatusDetailComplete"),
    ],
)
def test_a_list_ends_with_the_event_of_its_action(action: str, end: str) -> None:
    form = list_form(action)
    assert ends_list(form, event(end))
    assert not ends_list(form, event("StatusComplete"))
    assert ends_list(form, event("New", EventList="Complete"))


@pytest.mark.parametrize(
    ("action", "text"),
    [
        ("ConfbridgeListRooms", "No active conferences."),
        ("ConfbridgeList", "No Conference by that name found."),
        ("MeetmeList", "No active conferences."),
        ("PJSIPShowEndpoints", "No endpoints found\n"),
        ("PJSIPShowContacts", "No Contacts found"),
        ("ExtensionStateList", "No dialplan hints are available"),
    ],
)
def test_some_errors_say_that_there_is_nothing_to_list(action: str, text: str) -> None:
    empty = Message(Kind.RESPONSE, {"Response": "Error", "Message": text})
    assert not is_refusal(list_form(action), empty)
    assert not begins_list(list_form(action), empty)
    assert is_refusal(list_form("QueueStatus"), empty)
    denied = Message(Kind.RESPONSE, {"Response": "Error", "Message": "Permission denied"})
    assert is_refusal(list_form(action), denied)


def test_a_success_may_say_so_too() -> None:
    form = list_form("VoicemailUsersList")
    nobody = response(Message="There are no voicemail users currently defined.")
    assert not begins_list(form, nobody)
    assert not is_refusal(form, nobody)


def test_items_without_action_id_are_told_from_news() -> None:
    peers, unknown = list_form("IAXpeers"), list_form("Made-up")
    for form in (peers, unknown):
        assert is_bare_item(form, event("PeerEntry"))
        assert is_bare_item(form, event("peerlistcomplete"))
        assert not is_bare_item(form, event("PeerEntry", Privilege="system,all"))
        assert not is_bare_item(form, response())
    assert not is_bare_item(peers, event("News"))
    assert is_bare_item(unknown, event("News"))


def test_some_actions_have_no_response() -> None:
    names = ("Queues", "IAXNETSTATS", "DataGet", "Ping", "QueueStatus", "No")
    assert [list_form(name).unanswered for name in names] == [True] * 3 + [False] * 3
