"""A live model that hears a simulated PBX, held to the lists that the same PBX answers with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from amiws_gevent.ami import Kind, Message, Parser
from amiws_gevent.ami.lists import begins_list, ends_list, is_refusal, list_form
from amiws_gevent.simulator.pbx.answers import Answers
from amiws_gevent.simulator.pbx.simulation import Simulation
from amiws_gevent.simulator.serving.requests import Request
from tests.support.fed import Fed
from tests.support.kinds import UNTOLD, Fact
from tests.support.state import World

KINDS: Mapping[str, tuple[str, ...]] = {
    "CoreShowChannels": ("channel",),
    "Status": ("channel",),
    "BridgeList": ("bridge",),
    "QueueStatus": ("queue", "queue_member", "queue_caller"),
    "ParkedCalls": ("parked_call",),
    "Parkinglots": ("parking_lot",),
    "ConfbridgeListRooms": ("conference",),
    "ConfbridgeList": ("participant",),
    "Agents": ("agent",),
    "ExtensionStateList": ("hint",),
    "DeviceStateList": ("device",),
    "SIPpeers": ("peer",),
    "PJSIPShowEndpoints": ("endpoint",),
    "PJSIPShowContacts": ("contact",),
    "SIPshowregistry": ("registration",),
    "PJSIPShowRegistrationsOutbound": ("registration",),
    "IAXpeerlist": ("peer",),
    "PresenceStateList": ("presence",),
    "MeetmeListRooms": ("conference",),
    "MeetmeList": ("participant",),
    "VoicemailUsersList": ("mailbox",),
}
PASSING = ("channel", "call", "bridge", "queue_caller", "parked_call", "conference", "participant")

_NOT_IN_LIST = {
    "channel": {"created", "server_created"},
    "bridge": {"created", "server_created"},
    "queue_member": {"paused_since", "calls_taken", "last_call"},  # events tell these late
    "peer": {"cause", "rejected", "registered", "raw"},
    "endpoint": {"reachable", "device_state"},
    "participant": {"marked", "waiting", "user"},
    "contact": {"raw"},
    "registration": {"registered_at"},
    "parking_lot": set(),
    "agent": {"logged_in"},
}
_SILENT_IN_11: Mapping[str, set[str]] = {
    "channel": {"connected_number", "connected_name"},  # lists alone
    "queue_member": {"reason"},  # events alone, and so all below
    "parked_call": {"uniqueid"},
    "agent": {"uniqueid"},
    "participant": {"uniqueid", "admin", "talking", "muted"},
}
_CALLER = {"caller_number", "caller_name"}
_OF_EVENTS_ONLY = {"answered", "server_answered", "hold", "hangup_cause", "account", "technology"}

_NOTHING: Mapping[str, set[str]] = {}
_BANNER = b"Asterisk Call Manager/11.0.0\r\n"


class Listener:
    """Hears all that a simulation says, and asks it for lists."""

    def __init__(self, simulation: Simulation) -> None:
        self.simulation = simulation
        self.fed = World()
        self._answers = Answers(simulation, "test")
        self._parser = _parser()

    def hear(self, packets: Sequence[str]) -> None:
        if packets:
            self.fed.feed(*self._parser.receive_data("".join(packets).encode()))

    def ask(self, action: str, *headers: str) -> list[Message]:
        """The items of a list; fails if the answer is none."""
        request = Request((f"Action: {action}", "ActionID: q", *headers))
        text = self._answers.answer(request, lambda late: None)
        assert text is not None
        response, *items = _parser().receive_data(text.encode())
        form = list_form(action)
        assert not is_refusal(form, response), text
        if not begins_list(form, response):
            return []
        assert ends_list(form, items[-1])
        return items[:-1]

    def actions(self) -> list[str]:
        """The lists that ListCommands says this PBX has."""
        answer = self._answers.answer(Request(("Action: ListCommands",)), lambda late: None)
        assert answer is not None
        names = {line.partition(":")[0] for line in answer.split("\r\n")}
        return [action for action in KINDS if action in names]

    def learn(self) -> None:
        """The first lists: what there was before this listener."""
        for action in self.actions():
            self.fed.list(action, *self.listed(action), after=0)

    def listed(self, action: str) -> list[Message]:
        if action != "ConfbridgeList":
            return self.ask(action)
        rooms = self.ask("ConfbridgeListRooms")
        return [
            item
            for room in rooms
            for item in self.ask(action, f"Conference: {room.get('Conference')}")
        ]

    def differences(self) -> list[str]:
        """What the model has otherwise than the lists say."""
        other, kinds = World(), set[str]()
        for action in self.actions():
            other.list(action, *self.listed(action))
            kinds.update(KINDS[action])
        silent = {} if self.simulation.style.stasis else _SILENT_IN_11
        return unlike(self.fed, other, kinds, silent)

    def left(self) -> list[tuple[str, str]]:
        """What is there although nobody calls."""
        return [(kind, key) for kind in PASSING for key in self.fed.store.keys(kind)]


def unlike(
    ours: Fed, listed: Fed, kinds: Iterable[str], silent: Mapping[str, set[str]] = _NOTHING
) -> list[str]:
    """What a model has otherwise than one that was given lists alone.

    Of what is ``silent`` events or lists do not tell.
    """
    found = []
    for kind in sorted(kinds):
        without = silent.get(kind, set())
        known, told = set(_facts(ours, kind, without)), set(_facts(listed, kind, without))
        found += [f"the list says {fact}" for fact in told - known]
        found += [f"the model says {fact}" for fact in known - told]
    return found


def _facts(fed: Fed, kind: str, silent: set[str]) -> Iterable[Fact]:
    left_out = UNTOLD | _NOT_IN_LIST.get(kind, set()) | _OF_EVENTS_ONLY | silent
    for key, fields in fed.store.of(kind).items():
        here = left_out
        if kind == "channel" and silent and fields["name"].startswith("Local/"):
            here = left_out | _CALLER  # of whom no event tells
        elif kind == "participant" and (silent or fields["conference"].startswith("meetme|")):
            key, here = fields["channel"], left_out | {"uniqueid", "admin"}
        for name, value in fields.items():
            if name not in here:
                yield Fact(kind, key, name, _hashable(value))


def _hashable(value: Any) -> Any:
    return tuple(sorted(value)) if isinstance(value, list) else value


def _parser() -> Parser:
    parser = Parser()
    (banner,) = parser.receive_data(_BANNER)
    assert banner.kind is Kind.PROMPT
    return parser
