"""Which rule makes an event's line, and of what."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from amiws_plugins.syslog_events.rules import Limiter, Rule, RuleBook, first_fit
from amiws_plugins.syslog_events.settings import Settings
from amiws_plugins.syslog_events.units import Rate

from amiws_gevent.ami import Kind, Message, Parser
from amiws_gevent.plugins import ServerInfo
from tests.support.clock import Clock

CAPTURES = Path(__file__).parent.parent / "captures"
PBX1 = ServerInfo(1, "pbx1", False)
BRANCH = ServerInfo(7, "Branch-South", True)


def book(*rules: dict[str, Any], **given: Any) -> RuleBook:
    given.setdefault("defaults", bool(not rules))
    return RuleBook(Settings.model_validate({"rules": list(rules), **given}))


def event(name: str, **headers: str) -> Message:
    return Message(Kind.EVENT, {"Event": name, "Privilege": "call,all", **headers})


def find(book: RuleBook, message: Message, server: ServerInfo = PBX1) -> Rule | None:
    return first_fit(book.of_event[message.name], message, server)


def name(book: RuleBook, message: Message, server: ServerInfo = PBX1) -> str | None:
    rule = find(book, message, server)
    return rule and rule.name


def test_the_first_rule_that_fits_has_the_event() -> None:
    rules = book(
        {"events": "Hangup", "headers": {"Cause": ["34", "38"]}, "name": "trunk"},
        {"events": ["hang*", "Newchannel"]},
        {"events": "*", "servers": ["branch-*"]},
    )
    assert name(rules, event("Hangup", Cause="38")) == "trunk"
    assert name(rules, event("Hangup", Cause="16")) == "rule2"
    assert name(rules, event("HANGUPREQUEST")) == "rule2"
    assert name(rules, event("VarSet")) is None
    assert name(rules, event("VarSet"), BRANCH) == "rule3"


def test_a_rule_may_say_that_there_is_no_line() -> None:
    rules = book(
        {"events": "PeerStatus", "headers": {"Peer": "SIP/soft*"}, "log": False}, defaults=True
    )
    soft = event("PeerStatus", Peer="SIP/soft1", PeerStatus="Unreachable")
    assert name(rules, soft) is None
    assert name(rules, soft.replace("Peer", "SIP/1")) == "peer_unreachable"


def test_all_headers_have_to_fit() -> None:
    rules = book({"events": "A", "headers": {"x": "1", "Y": {"regex": "^2"}}})
    assert name(rules, event("A", X="1", Y="22")) == "rule1"
    assert name(rules, event("A", X="1", Y="12")) is None
    assert name(rules, event("A", X="1")) is None


def test_servers_are_named_or_numbered() -> None:
    assert name(book({"events": "A", "servers": "7"}), event("A"), BRANCH) == "rule1"
    assert name(book({"events": "A", "servers": "7"}), event("A"), PBX1) is None


def test_names_of_events_cannot_fill_the_memory() -> None:
    rules = book({"events": "A"})
    for number in range(10_000):
        assert rules.of_event[f"Forged{number}"] == ()
    assert len(rules.of_event) <= 4096
    assert name(rules, event("A")) == "rule1"


def test_no_server_speaks_in_our_name() -> None:
    rules = book({"events": "*"}, defaults=True)
    assert rules.of_event["AMIConnection"] == ()
    assert rules.of_event["amiconnection"] == ()
    assert rules.of_event[""] == ()
    names = [rule.name for rule in rules.of_connection]
    assert names == ["rule1", "connection_lost", "connection_up"]


def test_priority_is_facility_and_severity() -> None:
    rules = book(
        {"events": "A", "severity": "crit", "facility": "auth"}, {"events": "B"}, facility="daemon"
    )
    assert find(rules, event("A")).priority == 4 * 8 + 2  # type: ignore[union-attr]
    assert find(rules, event("B")).priority == 3 * 8 + 5  # type: ignore[union-attr]


def parameters(rule: dict[str, Any], message: Message) -> list[tuple[str, str]]:
    (made,) = book({"events": "*", **rule}).rules
    return made.parameters(message)


def test_headers_that_go_along() -> None:
    message = Message(
        Kind.EVENT,
        [("Event", "A"), ("Privilege", "x"), ("V", "1"), ("Channel", "c"), ("v", "2"), ("W", "")],
    )
    assert parameters({}, message) == [("V", "1"), ("Channel", "c"), ("v", "2"), ("W", "")]
    assert parameters({"show": "channel, V"}, message) == [("V", "1"), ("Channel", "c"), ("v", "2")]
    assert parameters({"show": ["C*", "Event"]}, message) == [("Event", "A"), ("Channel", "c")]
    assert parameters({"show": "none"}, message) == []


def text(rule: dict[str, Any], message: Message, most: int = 1000) -> str:
    (made,) = book({"events": "*", **rule}).rules
    return made.text(message, PBX1, made.parameters(message), most)


def test_the_text_is_a_template_or_pairs() -> None:
    message = event("Hangup", Channel="PJSIP/1", **{"Cause-txt": "Normal Clearing"})
    assert text({"template": "{Channel}: {Cause-txt}"}, message) == "PJSIP/1: Normal Clearing"
    assert (
        text({}, message) == 'event=Hangup server=pbx1 Channel=PJSIP/1 Cause-txt="Normal Clearing"'
    )
    assert text({"show": "none"}, message) == "event=Hangup server=pbx1"
    assert text({}, message, 30) == "event=Hangup server=pbx1 ..."


NOTICED = [
    (event("PeerStatus", PeerStatus="Unreachable"), "peer_unreachable", 4),
    (event("PeerStatus", PeerStatus="Lagged"), "peer_unreachable", 4),
    (event("PeerStatus", PeerStatus="Reachable"), "peer_changed", 5),
    (event("PeerStatus", PeerStatus="Unregistered"), "peer_changed", 5),
    (event("PeerStatus", PeerStatus="Registered"), None, 0),
    (event("ContactStatus", ContactStatus="Unreachable"), "contact_unreachable", 4),
    (event("ContactStatus", ContactStatus="NonQualified"), "contact_changed", 5),
    (event("ContactStatus", ContactStatus="Removed"), "contact_changed", 5),
    (event("ContactStatus", ContactStatus="Updated"), None, 0),
    (event("DeviceStateChange", State="UNAVAILABLE"), "device_unavailable", 5),
    (event("DeviceStateChange", State="INUSE"), None, 0),
    (event("Registry", Status="Rejected"), "registration_failed", 3),
    (event("Registry", Status="Failed"), "registration_failed", 3),
    (event("Registry", Status="Timeout"), "registration_failed", 3),
    (event("Registry", Status="Unregistered"), "registration_ended", 4),
    (event("Registry", Status="Registered"), None, 0),
    (event("InvalidPassword", Severity="Error"), "security", 4),
    (event("FailedACL", Severity="Informational"), "security_notice", 5),
    (event("ChallengeResponseFailed"), "security", 4),
    (event("SuccessfulAuth", Severity="Informational"), None, 0),
    (event("ChallengeSent", Severity="Informational"), None, 0),
    (event("FullyBooted"), "booted", 5),
    (event("Shutdown", Shutdown="Cleanly"), "shutdown", 5),
    (event("Reload", Module="All"), "reloaded", 5),
    (event("Newchannel"), None, 0),
]


@pytest.mark.parametrize(("message", "wanted", "severity"), NOTICED)
def test_what_is_noticed_out_of_the_box(
    message: Message, wanted: str | None, severity: int
) -> None:
    rule = find(book(), message)
    assert (rule and rule.name) == wanted
    if rule is not None:
        assert rule.priority == 16 * 8 + severity


def test_default_rules_have_names_of_their_own() -> None:
    names = [rule.name for rule in book().rules]
    assert len(set(names)) == len(names)
    assert all(names)
    assert book(defaults=False).rules == []


@pytest.mark.parametrize("capture", ["asterisk-13.38.raw", "asterisk-18.raw", "asterisk-22.11.raw"])
def test_of_a_session_of_calls_only_trouble_is_noticed(capture: str) -> None:
    rules = book()
    events = [m for m in Parser().receive_data((CAPTURES / capture).read_bytes()) if m.name]
    noticed = {(m.name, found) for m in events if (found := name(rules, m))}
    assert noticed == {("FullyBooted", "booted"), ("RequestBadFormat", "security")}


def test_no_hash_or_challenge_is_shown() -> None:
    secrets = {"ReceivedHash": "a", "Challenge": "b", "ExpectedResponse": "c", "Response": "d"}
    message = event("ChallengeResponseFailed", AccountID="101", Severity="Error", **secrets)
    rule = find(book(), message)
    assert rule is not None
    assert rule.parameters(message) == [("AccountID", "101"), ("Severity", "Error")]


def test_so_many_pass_and_the_others_are_counted() -> None:
    clock = Clock()
    limiter = Limiter(Rate(3, 60), clock)
    assert [limiter.allow() for _ in range(5)] == [True, True, True, False, False]
    assert limiter.suppressed == 2
    assert limiter.ends == 1060.0
    clock.now = 1059.9
    assert not limiter.allow()
    clock.now = 1060.0
    assert limiter.allow()
    assert limiter.ends == 1120.0
    assert limiter.take() == 3
    assert limiter.take() == 0
    assert limiter.suppressed == 0


def test_the_span_begins_with_a_line() -> None:
    clock = Clock()
    limiter = Limiter(Rate(1, 60), clock)
    clock.now = 5000.0
    assert limiter.allow()
    clock.now = 5059.0
    assert not limiter.allow()


def test_without_a_limit_all_pass() -> None:
    limiter = Limiter(Rate(0, 0), Clock())
    assert all(limiter.allow() for _ in range(10_000))
    assert limiter.take() == 0
