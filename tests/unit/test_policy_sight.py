"""What is seen of entities, events and replies."""

from __future__ import annotations

from typing import Any

import pytest

from amiws_gevent.ami import Kind, Message
from tests.support.policy import action, event, sight

NUMBER = "0301234567"
CALL: dict[str, Any] = {
    "caller": {"number": NUMBER, "name": "Alice", "channel": "1.1"},
    "callee": {"number": "204", "name": "Bob", "channel": "1.2"},
    "queue": "support",
    "dialled": NUMBER,
    "phase": "talking",
    "ringing": [{"number": NUMBER, "name": "Alice", "channel": "1.1"}],
    "way": [{"what": "dialled", "at": 1, "who": NUMBER, "to": "204"}],
    "legs": ["1795371260.16"],
    "invented": "by a plugin",
    "held": [],
    "trunk": None,
}


def test_everything_is_the_same_object() -> None:
    whole = sight({})
    assert whole.is_whole
    assert whole.entity("call", 1, "x", CALL) == ("x", CALL)
    assert whole.entity("call", 1, "x", CALL)[1] is CALL  # type: ignore[index]
    message = event("Hangup", Channel="a")
    assert whole.message(1, message) is message
    assert not whole.is_masked
    assert whole.last({"cause": 16}) == {"cause": 16}


def test_nothing() -> None:
    none = sight()
    assert none.entity("call", 1, "x", CALL) is None
    assert none.entity("server", 0, "1", {}) is None
    assert none.message(1, event("Hangup")) is None
    assert not none.sees_server(0)
    assert not none.sees_server(1)
    assert none.reply(1, "Status", [event("Status", Channel="x")]) == []


@pytest.mark.parametrize(
    ("see", "seen"),
    [
        ({"queues": "support"}, True),
        ({"queues": "s*"}, True),
        ({"queues": "sales"}, False),
        ({"extensions": "204"}, True),
        ({"extensions": "205"}, False),
        ({"queues": "support", "extensions": "204"}, True),
        ({"queues": "support", "extensions": "205"}, False),
        ({"contexts": "internal"}, False),  # a call names none
        ({"kinds": ["call", "queue"]}, True),
        ({"kinds": "queue"}, False),
        ({"servers": "pbx1"}, True),
        ({"servers": "Berlin"}, False),
        ({"servers": ["2", "1"]}, True),
        ({"servers": "nobody"}, False),
    ],
)
def test_limits_of_entities(see: dict[str, Any], seen: bool) -> None:
    assert (sight(see).entity("call", 1, "x", CALL) is not None) is seen


def test_several_add_up() -> None:
    both = sight({"queues": "sales"}, {"extensions": "204", "kinds": "call"})
    assert both.entity("call", 1, "x", CALL) is not None
    assert both.entity("queue", 1, "sales", {"name": "sales"}) is not None
    assert both.entity("queue", 1, "support", {"name": "support"}) is None


def test_a_masked_entity() -> None:
    found = sight({"numbers": "masked", "names": "masked"}).entity("call", 1, "1795371260.16", CALL)
    assert found is not None
    key, fields = found
    assert key == "1795371260.16"
    assert list(fields) == list(CALL)
    assert fields["caller"] == {"number": "******4567", "name": "***", "channel": "1.1"}
    assert fields["callee"] == {"number": "204", "name": "***", "channel": "1.2"}
    assert fields["ringing"] == [fields["caller"]]
    assert fields["way"] == [{"what": "dialled", "at": 1, "who": "******4567", "to": "204"}]
    assert fields["dialled"] == "******4567"
    assert fields["legs"] == ["1795371260.16"]
    assert fields["phase"] == "talking"
    assert fields["invented"] is fields["trunk"] is None
    assert fields["held"] == []
    assert NUMBER in str(CALL)  # the other one stays as it was


def test_ids_have_pseudonyms_that_are_taken_back() -> None:
    masked = sight({"numbers": "masked"})
    member = {"queue": "support", "interface": f"Local/{NUMBER}@out", "paused": True}
    found = masked.entity("queue_member", 1, f"support|Local/{NUMBER}@out", member)
    assert found is not None
    key, fields = found
    assert NUMBER not in key + str(fields)
    assert key == f"support|{fields['interface']}" == masked.key(f"support|Local/{NUMBER}@out")
    pairs = action("QueuePause", Queue="support", Interface=fields["interface"], Reason="x")
    assert masked.is_masked
    assert dict(masked.take_back(pairs))["Interface"] == f"Local/{NUMBER}@out"
    assert masked.hidden(f"Local/{NUMBER}@out") == fields["interface"]


@pytest.mark.parametrize("header", ["Reason", "CallerID", "Value", "Paused"])
def test_pseudonyms_are_not_taken_back_in_texts(header: str) -> None:
    """A text goes to a phone, or comes back in an event: it would tell the number."""
    masked = sight({"numbers": "masked"})
    pairs = action("QueuePause", **{header: masked.hidden(NUMBER)})
    assert masked.take_back(pairs) == pairs
    sender = action("MessageSend", Destination="pjsip:204", From=masked.hidden(NUMBER))
    assert masked.take_back(sender) == sender
    unknown = action("DongleSendSMS", Number=masked.hidden(NUMBER))
    assert masked.take_back(unknown) == unknown


def test_the_more_of_two_is_shown_and_ids_fit_together() -> None:
    both = sight({"numbers": "masked"}, {"queues": "support", "names": "masked"})
    support = both.entity("call", 1, NUMBER, CALL)
    other = both.entity("call", 1, "x", {**CALL, "queue": "sales"})
    assert support is not None
    assert other is not None
    assert support[1]["caller"]["number"] == NUMBER
    assert support[1]["caller"]["name"] == "Alice"
    assert other[1]["caller"]["number"] == "******4567"
    assert support[0] == both.key(NUMBER) != NUMBER
    assert support[1]["invented"] == "by a plugin"
    assert other[1]["invented"] is None


def test_what_decides_about_an_entity() -> None:
    assert sight({"queues": "a"}).deciding("call") == {"queue"}
    assert sight({"extensions": "a"}, {"queues": "a"}).deciding("call") >= {"queue", "caller"}
    assert sight({"numbers": "masked"}).deciding("call") == frozenset()


def test_kinds() -> None:
    assert sight({"queues": "a"}).kinds() == {
        "server",
        "call",
        "queue",
        "queue_member",
        "queue_caller",
    }
    assert sight({"kinds": ["hint"]}).kinds() == {"server", "hint"}


def test_servers_are_seen_without_figures_of_all_calls() -> None:
    fields = {"name": "pbx1", "calls_by_minute": [1], "rtp_incoming": {}, "healed": {"call": 1}}
    hidden = {**fields, "calls_by_minute": None, "rtp_incoming": None, "healed": None}
    assert sight({"queues": "a"}).entity("server", 0, "1", fields) == ("1", hidden)
    assert sight({"kinds": "queue"}).entity("server", 0, "1", fields) == ("1", hidden)
    assert sight({"numbers": "masked"}).entity("server", 0, "1", fields) == ("1", fields)
    assert sight({"servers": "2"}).entity("server", 0, "1", fields) is None
    assert sight({}).entity("server", 0, "x", fields) is None


def test_last_words() -> None:
    last = {"cause": 16, "merged_into": "1795371260.16", "invented": NUMBER}
    assert sight({}).last(last) is last
    assert sight({"numbers": "masked"}).last(last) == {
        "cause": 16,
        "merged_into": "1795371260.16",
    }


@pytest.mark.parametrize(
    ("see", "message", "seen"),
    [
        ({"queues": "support"}, event("QueueCallerJoin", Queue="support"), True),
        ({"queues": "support"}, event("QueueCallerJoin", Queue="sales"), False),
        ({"queues": "support"}, event("Hangup", Channel="x"), False),
        ({"extensions": "204"}, event("Newstate", CallerIDNum="204"), True),
        ({"extensions": "204"}, event("CEL", CallerIDnum="204"), True),
        ({"extensions": "204"}, event("VarSet", Variable="204"), False),
        ({"contexts": "in"}, event("Newexten", Context="in"), True),
        ({"events": ["Queue*", "hangup"]}, event("Hangup"), True),
        ({"events": ["Queue*"]}, event("Hangup"), False),
        ({"servers": "2"}, event("Hangup"), False),
        ({"numbers": "masked"}, event("Hangup"), True),
        ({"numbers": "masked"}, event("UserEvent", UserEvent="x"), False),
        ({"numbers": "masked"}, event("VarSet", Value="x"), False),
        ({"numbers": "masked"}, event("SomethingNew", Channel="x"), False),
        ({"names": "none"}, event("AsyncAGIStart", Env="x"), False),
    ],
)
def test_limits_of_events(see: dict[str, Any], message: Message, seen: bool) -> None:
    assert (sight(see).message(1, message) is not None) is seen


def test_a_masked_event() -> None:
    message = event(
        "Newexten",
        Channel=f"Local/{NUMBER}@out-00000001;1",
        CallerIDNum=NUMBER,
        CallerIDName="Alice",
        ConnectedLineNum="<unknown>",
        Exten="204",
        AppData=f"PJSIP/{NUMBER}@trunk",
        Uniqueid="1795371260.16",
        ChannelState="6",
        Invented=NUMBER,
    )
    masked = sight({"numbers": "masked", "names": "none"})
    found = masked.message(1, message)
    assert found is not None
    assert found.kind is Kind.EVENT
    assert dict(found.headers) == {
        "Event": "Newexten",
        "Channel": masked.key(f"Local/{NUMBER}@out-00000001;1"),
        "CallerIDNum": "******4567",
        "ConnectedLineNum": "<unknown>",
        "Exten": "204",
        "Uniqueid": "1795371260.16",
        "ChannelState": "6",
    }


def test_events_of_plugins() -> None:
    """Server 0 is seen by all who see anything; what a plugin says is not known."""
    said = event("QueueAlarm", Plugin="alarm", Queue="support")
    assert sight({}).message(0, said) is said
    assert sight({"servers": "1"}).message(0, said) is said
    assert sight({"queues": "support"}).message(0, said) is said
    assert sight({"queues": "sales"}).message(0, said) is None
    assert sight({"numbers": "masked"}).message(0, said) is None


def test_other_messages_are_for_the_classic_socket() -> None:
    answer = Message(Kind.RESPONSE, {"Response": "Success"})
    assert sight({}).message(1, answer) is answer
    assert sight({"queues": "a"}).message(1, answer) is None
    assert sight({"queues": "a", "classic": "yes"}).message(1, answer) is answer
    assert [sight({"servers": "1"}).classic(server) for server in (1, 2)] == [True, False]


def test_the_reply_of_a_list() -> None:
    messages = [
        Message(Kind.RESPONSE, {"Response": "Success", "EventList": "start", "Extra": "x"}),
        event("QueueParams", Queue="support", Calls="3"),
        event("QueueParams", Queue="sales", Calls="9"),
        event("QueueStatusComplete", EventList="Complete", ListItems="2"),
    ]
    found = sight({"queues": "support"}).reply(1, "QueueStatus", messages)
    assert [dict(message.headers) for message in found] == [
        {"Response": "Success", "EventList": "start"},
        {"Event": "QueueParams", "Queue": "support", "Calls": "3"},
        {"Event": "QueueStatusComplete", "EventList": "Complete"},
    ]
    assert sight({}).reply(1, "QueueStatus", messages) == messages


def test_replies_that_are_not_known_items() -> None:
    value = Message(Kind.RESPONSE, {"Response": "Success", "Variable": "X", "Value": NUMBER})
    output = Message(Kind.COMMAND, {"Response": "Success", "Output": NUMBER})
    for see in ({"queues": "a"}, {"numbers": "masked"}, {"kinds": "call"}):
        for answer in (value, output):
            (found,) = sight(see).reply(1, "Getvar", [answer])
            assert dict(found.headers) == {"Response": "Success"}
    named = sight({"queues": "a", "replies": ["getvar", "Database*"]})
    assert named.reply(1, "GetVar", [value]) == [value]
    assert named.reply(1, "Command", [output]) != [output]


def test_a_single_event_is_no_end() -> None:
    """Of a FAXSession the one event that comes is all: an item, not the end of nothing."""
    session = event("FAXSession", Channel="PJSIP/205-00000001", FileName="/x")
    assert sight({"extensions": "204"}).reply(1, "FAXSession", [session]) == []
    assert sight({}).reply(1, "FAXSession", [session]) == [session]


def test_what_became_of_an_originate_is_told_to_who_asked() -> None:
    told = event(
        "OriginateResponse",
        Response="Success",
        Channel=f"Local/{NUMBER}@out-00000001;1",
        Reason="4",
        Uniqueid="1795371260.16",
        CallerIDNum=NUMBER,
        Exten=NUMBER,
    )
    masked = sight({"queues": "support", "numbers": "masked"})
    (found,) = masked.reply(1, "Originate", [told])
    assert dict(found.headers) == {
        "Event": "OriginateResponse",
        "Response": "Success",
        "Channel": masked.key(f"Local/{NUMBER}@out-00000001;1"),
        "Reason": "4",
        "Uniqueid": "1795371260.16",
    }
    assert masked.message(1, told) is None


def test_who_may_act_is_told_whether_it_was_done() -> None:
    done = Message(Kind.RESPONSE, {"Response": "Success", "Value": "x"})
    (found,) = sight({"servers": "2"}).reply(1, "Ping", [done])
    assert dict(found.headers) == {"Response": "Success"}


def test_an_error_has_no_number() -> None:
    answer = Message(Kind.RESPONSE, {"Response": "Error", "Message": f"No such channel {NUMBER}"})
    masked = sight({"numbers": "masked"})
    (found,) = masked.reply(1, "Hangup", [answer])
    assert found.get("Message") == "No such channel #"


def test_an_error_does_not_tell_which_pseudonym_a_number_has() -> None:
    """Servers repeat what they were asked: with it, the number of a pseudonym could be found."""
    answer = Message(
        Kind.RESPONSE,
        {"Response": "Error", "Message": f"Unable to retrieve endpoint {NUMBER}", "ActionID": "x"},
    )
    masked = sight({"numbers": "masked"})
    (found,) = masked.reply(1, "PJSIPShowEndpoint", [answer])
    assert masked.key(NUMBER) not in str(found.headers)


def test_what_somebody_wrote_to_his_presence_is_no_message_of_the_server() -> None:
    """Asterisk has two headers of that name, ``main/manager.c``, action_presencestate."""
    answer = Message(
        Kind.RESPONSE,
        [
            ("Response", "Success"),
            ("Message", "Presence State"),
            ("State", "away"),
            ("Message", "Call Alice"),
            ("PresenceMessage", "Call Alice"),
        ],
    )
    for see in ({"queues": "a"}, {"names": "masked"}):
        (found,) = sight(see).reply(1, "PresenceState", [answer])
        assert list(found.headers) == [("Response", "Success"), ("Message", "Presence State")]


def test_equal_sights() -> None:
    one, other = sight({"queues": ["a", "b"]}, {}), sight({}, {"queues": ["b", "a"]}, {})
    assert one == other
    assert hash(one) == hash(other)
    assert one != sight({})
    assert one != "sight"
