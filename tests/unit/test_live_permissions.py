"""What ListCommands tells, and what is inferred from what comes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from amiws_gevent.ami import Kind, Message
from amiws_gevent.live.permissions import (
    Missing,
    Permissions,
    Reading,
    asterisk_version,
    refused,
)
from amiws_gevent.live.questions import KINDS, QUESTIONS

# What Asterisk's core has for everybody with these classes; and with modules.
NONE = ("ListCommands", "BridgeList", "Ping", "QueueStatus", "QueueSummary")
SYSTEM = ("ModuleLoad", "CoreStatus", "CoreSettings", "CoreShowChannels", "Status")
CALL = ("Setvar", "Getvar", "ExtensionState", "ExtensionStateList", "DeviceStateList", "Status")
CALL = (*CALL, "PresenceStateList", "Parkinglots", "ParkedCalls", "VoicemailUsersList")
REPORTING = ("CoreStatus", "CoreSettings", "CoreShowChannels", "Getvar", "ExtensionState", "Status")
REPORTING = (*REPORTING, "ExtensionStateList", "DeviceStateList", "PresenceStateList")
REPORTING = (*REPORTING, "VoicemailUsersList", "ConfbridgeListRooms", "ConfbridgeList")


def needs(permissions: Permissions, version: int | None = 22) -> dict[str, tuple[str, str | None]]:
    return {each.kind: (each.needs, each.manager_conf) for each in permissions.missing(version)}


def test_the_headers_of_the_answer_are_the_actions() -> None:
    headers = [
        ("Response", "Success"),
        ("ActionID", "amiws-gevent-2"),
        ("QueueStatus", "Show queue status.  (Priv: <none>)"),
        ("CoreShowChannels", "List currently active channels.  (Priv: system,reporting,all)"),
    ]
    permissions = Permissions.told_by(Message(Kind.RESPONSE, headers))
    assert permissions.actions == {"queuestatus", "coreshowchannels"}
    assert permissions.may("QueueStatus")
    assert not permissions.may("ActionID")
    assert not permissions.may("Originate")


@pytest.mark.parametrize(
    ("actions", "classes"),
    [
        (
            NONE,
            {"system": False, "call": False, "reporting": False, "agent": False, "command": False},
        ),
        ((*NONE, *SYSTEM), {"system": True, "call": False, "reporting": False}),
        ((*NONE, *CALL), {"system": False, "call": True, "reporting": False}),
        ((*NONE, *REPORTING), {"system": False, "call": False, "reporting": True}),
        ((*NONE, *SYSTEM, *CALL), {"system": True, "call": True, "reporting": None}),
        ((*NONE, *SYSTEM, *CALL, *REPORTING), {"system": True, "call": True, "reporting": True}),
        ((*NONE, "QueuePause"), {"agent": True}),
        (("ListCommands",), {"agent": None}),  # without app_queue nothing tells
        ((*NONE, "Command"), {"command": True}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, dict) else "",
)
def test_a_class_is_known_by_an_action_that_needs_it_alone(
    actions: tuple[str, ...], classes: dict[str, bool | None]
) -> None:
    permissions = Permissions(actions)
    assert {name: permissions.write_class(name) for name in classes} == classes


def test_what_a_class_would_allow_names_it_and_the_line() -> None:
    found = needs(Permissions((*NONE, *REPORTING, "SIPpeers", "QueuePause")))
    assert found["endpoint"] == ("the class system", "write = system")
    assert found["parked_call"] == ("the class call", "write = call")
    assert "channel" not in found
    assert "conference" not in found
    assert "queue" not in found


def test_what_no_class_would_allow_names_the_modules() -> None:
    found = needs(Permissions((*NONE, *SYSTEM, *CALL, *REPORTING)))
    assert found["endpoint"] == ("the module res_pjsip", None)
    assert found["peer"] == ("the module chan_iax2", None)  # chan_sip is gone in 22
    assert needs(Permissions((*NONE, *SYSTEM)), 18)["peer"] == (
        "the module chan_sip or chan_iax2",
        None,
    )


def test_where_it_may_be_the_class_or_the_module_both_are_named() -> None:
    found = needs(Permissions((*NONE, *SYSTEM, *CALL)))
    assert found["conference"] == (
        "the class reporting, or the module app_confbridge",
        "write = reporting",
    )


def test_what_this_version_does_not_have_is_not_missing() -> None:
    for kind in ("bridge", "device", "presence", "endpoint"):
        assert kind not in needs(Permissions(("ListCommands",)), 11)
    assert needs(Permissions(("ListCommands",)), 22)["bridge"] == ("the action BridgeList", None)
    assert "bridge" in needs(Permissions(("ListCommands",)), None)


def test_before_anything_is_known_nothing_is_missing() -> None:
    assert Permissions(None).missing(22) == []
    assert Permissions(None).may("Anything")
    assert Permissions(None).write_class("system") is None


def test_who_may_do_all_misses_nothing() -> None:
    everything = {question.action for question in QUESTIONS} | {"ModuleLoad", "Setvar"}
    for version in (11, 13, 16, 18, 20, 22, 23):
        assert Permissions(everything).missing(version) == []


def test_who_may_nothing_is_told_for_each_kind_but_never_twice() -> None:
    found = Permissions(("ListCommands",)).missing(18)
    kinds = [each.kind for each in found]
    assert kinds == list(KINDS)
    assert all(each.manager_conf for each in found if each.kind in ("channel", "hint", "peer"))


def test_a_refusal_for_lack_of_permission_names_the_class() -> None:
    question = next(q for q in QUESTIONS if q.action == "PJSIPShowEndpoints")
    assert refused(question, "Permission denied") == [
        Missing("endpoint", "the class system", "write = system")
    ]
    [other] = refused(question, "Out of memory")
    assert (other.needs, other.manager_conf) == ("PJSIPShowEndpoints: Out of memory", None)


def test_a_line_is_certain_unless_it_may_be_the_module() -> None:
    found = {each.kind: each.certain for each in Permissions((*NONE, *SYSTEM, *CALL)).missing(22)}
    assert (found["agent"], found["conference"]) == (True, False)


def event(privilege: str | None) -> Message:
    more = [] if privilege is None else [("Privilege", privilege)]
    return Message(Kind.EVENT, [("Event", "X"), *more])


class TestReading:
    """What the user may read, nothing tells but what comes."""

    def test_lists_that_find_what_no_event_told_show_that_a_class_is_missing(self) -> None:
        reading = Reading()
        reading.healed("channel", Reading.ENOUGH)
        assert reading.missing() == []
        reading.saw([event("system,all"), event(None)])
        reading.healed("channel", Reading.ENOUGH)
        [found] = reading.missing()
        assert (found.kind, found.manager_conf) == ("channel", "read = call")

    def test_one_great_difference_puts_it_in_doubt_and_no_more(self) -> None:
        reading = Reading()
        reading.healed("channel", 1000)
        assert reading.missing() == []

    def test_a_few_differences_show_nothing(self) -> None:
        reading = Reading()
        for _ in range(2 * Reading.ENOUGH - 1):
            reading.healed("channel", 1)
        assert reading.missing() == []

    def test_one_event_of_the_class_proves_that_it_is_there(self) -> None:
        reading = Reading()
        for _ in range(3):
            reading.healed("channel", 100)
        assert reading.missing()
        reading.saw([event("call,all")])
        assert reading.missing() == []
        for _ in range(3):
            reading.healed("channel", 100)
        assert reading.missing() == []

    def test_callers_of_queues_come_in_one_of_two_classes(self) -> None:
        reading = Reading()
        for _ in range(3):
            reading.healed("queue_caller", 100)
        reading.saw([event("agent,all")])
        assert reading.missing() == []

    def test_without_a_doubt_no_event_is_looked_at(self) -> None:
        def never() -> Iterator[Message]:
            raise AssertionError
            yield

        reading = Reading()
        reading.saw(never())
        reading.healed("channel", Reading.ENOUGH)
        with pytest.raises(AssertionError):
            reading.saw(never())


@pytest.mark.parametrize(
    ("banner", "version"),
    [
        ("Asterisk Call Manager/1.1", 11),
        ("Asterisk Call Manager/1.3", 11),
        ("Asterisk Call Manager/2.4.0", 12),
        ("Asterisk Call Manager/2.10.6", 13),
        ("Asterisk Call Manager/3.1.0", 14),
        ("Asterisk Call Manager/5.0.6", 16),
        ("Asterisk Call Manager/7.0.3", 18),
        ("Asterisk Call Manager/11.0.0", 22),
        ("no banner", None),
        ("", None),
        ("x/²", None),
    ],
)
def test_the_version_by_the_banner(banner: str, version: int | None) -> None:
    assert asterisk_version(banner) == version
