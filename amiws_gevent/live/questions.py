"""What a server is asked so that its live model is right: kinds, actions, and what they need.

Classes and versions are those of ``ast_manager_register_xml`` in Asterisk's source, 11 to 23:
of ``main/manager.c``, ``main/manager_bridges.c``, ``apps/``, ``channels/``, ``res/parking/``,
``res/res_manager_*.c`` and ``res/res_pjsip*``. Whether a server has an action, and whether this
AMI user may send it, is told by ListCommands alone; the rest is here to say what is missing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

NEWEST = 99
"""A version that no server has yet."""


class Detail(NamedTuple):
    """What is asked for each item of a list: the action, and the header that names the item."""

    action: str
    header: str


class Question(NamedTuple):
    """An action that tells of some kinds of entities."""

    action: str
    kinds: tuple[str, ...]
    needs: tuple[str, ...] = ()
    """Classes of ``write`` in manager.conf, of which one is enough; that with least power first."""
    module: str = ""
    """Which module of Asterisk has it; "" for its core."""
    first: int = 11
    """The first Asterisk that has it, of those from 11 on."""
    last: int = NEWEST
    instead_of: str = ""
    """Asked only if that action may not be sent."""
    single: bool = False
    """One response is all of the answer, and counts as its item."""
    detail: Detail | None = None


_ANY_REPORT = ("reporting", "system")
_ANY_CALL = ("reporting", "call")

QUESTIONS = (
    Question("CoreSettings", ("server",), _ANY_REPORT, single=True),
    Question("CoreStatus", ("server",), _ANY_REPORT, single=True),
    Question("CoreShowChannels", ("channel", "call"), _ANY_REPORT),
    Question(
        "Status",
        ("channel", "call"),
        ("reporting", "call", "system"),
        instead_of="CoreShowChannels",
    ),
    Question("BridgeList", ("bridge",), first=12),
    Question("QueueStatus", ("queue", "queue_member", "queue_caller"), module="app_queue"),
    Question("Parkinglots", ("parking_lot",), ("call",), "res_parking", first=12),
    Question("ParkedCalls", ("parked_call",), last=11),
    Question("ParkedCalls", ("parked_call",), ("call",), "res_parking", first=12),
    Question(
        "ConfbridgeListRooms",
        ("conference", "participant"),
        ("reporting",),
        "app_confbridge",
        detail=Detail("ConfbridgeList", "Conference"),
    ),
    Question(
        "MeetmeListRooms",
        ("conference", "participant"),
        ("reporting",),
        "app_meetme",
        last=20,
        detail=Detail("MeetmeList", "Conference"),
    ),
    Question("Agents", ("agent",), ("agent",), "chan_agent", last=11),
    Question("Agents", ("agent",), ("agent",), "app_agent_pool", first=12),
    Question("ExtensionStateList", ("hint",), _ANY_CALL, first=13),
    Question("ExtensionState", ("hint",), _ANY_CALL, last=12, instead_of="ExtensionStateList"),
    Question("DeviceStateList", ("device",), _ANY_CALL, "res_manager_devicestate", first=13),
    Question("PresenceStateList", ("presence",), _ANY_CALL, "res_manager_presencestate", first=13),
    Question("SIPpeers", ("peer",), _ANY_REPORT, "chan_sip", last=20),
    Question("IAXpeerlist", ("peer",), _ANY_REPORT, "chan_iax2"),
    Question("PJSIPShowEndpoints", ("endpoint",), ("system",), "res_pjsip", first=12),
    Question("PJSIPShowContacts", ("contact",), ("system",), "res_pjsip", first=16),
    Question(
        "PJSIPShowRegistrationInboundContactStatuses",
        ("contact",),
        ("system",),
        "res_pjsip",
        first=13,
        instead_of="PJSIPShowContacts",
    ),
    Question("SIPshowregistry", ("registration",), _ANY_REPORT, "chan_sip", last=20),
    Question("IAXregistry", ("registration",), _ANY_REPORT, "chan_iax2"),
    Question(
        "PJSIPShowRegistrationsOutbound",
        ("registration",),
        _ANY_REPORT,
        "res_pjsip_outbound_registration",
        first=12,
    ),
    Question("DAHDIShowChannels", ("do_not_disturb",), module="chan_dahdi"),
    Question("VoicemailUsersList", ("mailbox",), _ANY_CALL, "app_voicemail"),
)
"""In the order in which they are asked: what calls need first, and channels ahead of bridges."""

ONE_OF_SEVERAL = (
    "SIPpeers",
    "IAXpeerlist",
    "SIPshowregistry",
    "IAXregistry",
    "PJSIPShowRegistrationsOutbound",
    "ConfbridgeListRooms",
    "MeetmeListRooms",
)
"""Each lists those of one module, of a kind of which others have some as well."""

KINDS = tuple(dict.fromkeys(kind for question in QUESTIONS for kind in question.kinds))

READ: Mapping[str, tuple[str, ...]] = {
    "channel": ("call",),
    "call": ("call",),
    "bridge": ("call",),
    "queue_member": ("agent",),
    "queue_caller": ("agent", "call"),  # call in 11
    "agent": ("agent",),
    "hint": ("call",),
    "device": ("call",),
    "presence": ("call",),
    "peer": ("system",),
    "endpoint": ("system", "call"),
    "contact": ("system",),
    "registration": ("system",),
    "conference": ("call",),
    "participant": ("call",),
    "parked_call": ("call",),
    "do_not_disturb": ("system", "call"),  # of DAHDI, and by the habit of FreePBX
    "mailbox": ("call",),
}
"""By kind, the classes of ``read`` in manager.conf in which its events come. Kinds without events
of their own are not in here."""

LISTED_ONLY: Mapping[str, frozenset[str]] = {
    kind: frozenset(names.split())
    for kind, names in {
        "queue": "strategy max weight",
        "queue_member": "last_call calls_taken login_time answered missed talk_time pause_time",
        "conference": "locked",
        "participant": "marked waiting user",
        "agent": "name talking_to",
        "peer": "description address port dynamic latency raw",
        "endpoint": "aors transport reachable",
        "hint": "presence presence_subtype presence_message",
        "contact": "latency_us user_agent expires raw",
        "mailbox": "name",
        "registration": "name registered_at",
    }.items()
}
"""Fields that no event tells, or not each time, the server's words beside ours, and what is counted
here: that a list has changed them heals nothing."""
