"""What of entities and events is known, for roles to which callers are masked; no more is shown.

Fields as in docs/state.md and docs/state-kinds.md, headers as in the manager events of Asterisk 11
to 23. What is free text (``AppData``, the value of a variable, output) is in neither table, since
it may name anybody.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping

from amiws_gevent.ami.eventnames import EVENT_NAMES
from amiws_gevent.masking.headers import PARTS, Part
from amiws_gevent.matching import NameSet, Remembered


class Shown(enum.Enum):
    """What a field or header is, if callers are masked."""

    PLAIN = enum.auto()
    """A figure, a time, a word of a vocabulary."""
    ID = enum.auto()
    """It names something, and a number may be part of the name."""
    NUMBER = enum.auto()
    EXTEN = enum.auto()
    """What was dialled: an extension, or a number."""
    NAME = enum.auto()
    BOTH = enum.auto()
    """A number, or ``"Name" <number>``."""


Fields = Mapping[str, "Shown | Fields"]
"""By field; a mapping is for the mapping, or each in the list, that the field has."""


def _fields(plain: str = "", ids: str = "", **others: Shown | Fields) -> Fields:
    return {
        **dict.fromkeys(plain.split(), Shown.PLAIN),
        **dict.fromkeys(ids.split(), Shown.ID),
        **others,
    }


_SINCE = "since server_since"
_NUMBER, _NAME, _EXTEN = Shown.NUMBER, Shown.NAME, Shown.EXTEN
_PERSON = _fields(ids="channel", number=_NUMBER, name=_NAME)
_WAY = _fields(
    "what at server_at how cause text",
    "queue conference application slot",
    **dict.fromkeys(("who", "by", "of", "to"), _NUMBER),
)

FIELDS: Mapping[str, Fields] = {
    "channel": _fields(
        "state created server_created answered server_answered hold hangup_cause",
        "uniqueid name context application account linkedid bridge",
        caller_number=_NUMBER,
        caller_name=_NAME,
        connected_number=_NUMBER,
        connected_name=_NAME,
        exten=_EXTEN,
    ),
    "bridge": _fields("type technology creator created server_created", "name members"),
    "call": _fields(
        f"phase {_SINCE} created server_created answered server_answered",
        "trunk application queue conference parking legs merged",
        **dict.fromkeys(("caller", "callee", "called", "ringing", "held"), _PERSON),
        dialled=_EXTEN,
        listens_to=_NUMBER,
        way=_WAY,
    ),
    "queue": _fields(
        "strategy max weight waiting day entered answered answered_in_level service_level "
        "abandoned longest_wait incomplete counted_since",
        "name",
        last_abandoned=_fields("position wait at", "uniqueid", number=_NUMBER, name=_NAME),
    ),
    "queue_member": _fields(
        "state status paused paused_since in_call calls_taken last_call penalty membership "
        "ring_in_use login_time answered missed talk_time pause_time",
        "queue interface name state_interface",
    ),
    "queue_caller": _fields(f"position {_SINCE}", "queue channel", number=_NUMBER, name=_NAME),
    "hint": _fields(
        f"state status presence presence_subtype {_SINCE}", "context hint", exten=_EXTEN
    ),
    "device": _fields(f"state status {_SINCE}", "device"),
    "presence": _fields(f"state subtype {_SINCE}", "provider"),
    "do_not_disturb": _fields(f"on {_SINCE}", "device", number=_EXTEN),
    "peer": _fields(
        f"technology status raw registered port dynamic latency cause rejected {_SINCE}",
        "name address",
    ),
    "endpoint": _fields(f"transport state device_state reachable {_SINCE}", "name aors"),
    "contact": _fields(f"user_agent status raw latency_us expires {_SINCE}", "aor uri endpoint"),
    "registration": _fields(
        f"technology status raw cause registered_at {_SINCE}", "username domain name"
    ),
    "conference": _fields(f"application parties locked muted recording {_SINCE}", "name"),
    "participant": _fields(
        f"user admin marked waiting muted talking {_SINCE}",
        "conference channel uniqueid",
        number=_NUMBER,
        name=_NAME,
    ),
    "parking_lot": _fields("first last timeout", "name"),
    "parked_call": _fields(
        f"space {_SINCE} until", "lot channel uniqueid parker", number=_NUMBER, name=_NAME
    ),
    "mailbox": _fields("waiting new old", "mailbox"),
    "agent": _fields(f"state logged_in {_SINCE}", "agent name channel uniqueid talking_to"),
    "server": _fields(
        "product ami_version version system_name started reloaded started_local reloaded_local "
        "booted shutting_down connection connection_reason connection_since last_event name ssl "
        "sync sync_reason missing healed calls_by_minute rtp_incoming rtp_outgoing"
    ),
}
"""By kind."""

COUNTS = frozenset({"calls_by_minute", "rtp_incoming", "rtp_outgoing", "healed"})
"""Fields of a server that are made of all calls: a role that is limited does not have them."""

LAST: Fields = _fields("cause cause_text ended", "merged_into")
"""Last words of any kind."""

_PLAIN_HEADERS = """
    Event EventList ListItems Items Privilege Timestamp SequenceNumber
    AMAFlags Abandoned Admin AnswerTime Available BillableSeconds BridgeNumChannels
    BridgeTechnology BridgeType BridgeVideoSourceMode BridgeCreator BridgeState Bridgetype
    CID-CallingPres Callers Calls CallsTaken Cause Cause-txt TechCause ChannelState ChannelStateDesc
    ChannelType Completed Count DialStatus Direction Disposition Duration DurationMs EndTime
    EventName EventTime HoldTime InCall IsExternal Language LastCall LastPause LastReload
    LocalOptimization Locked LoggedIn LoginTime LongestHoldTime Marked Max Membership Muted New Old
    NewMessages OldMessages OriginalPosition ParkingDuration ParkingSpace ParkingTimeout Parties
    Paused Penalty PeerStatus Position Priority Response RingInUse RingTime Seconds
    ServiceLevel ServicelevelPerf ServicelevelPerf2 StartTime State Status StatusText Strategy
    SubEvent Subtype Success TalkTime Talking TalkingStatus Time TimeToHangup Total TransferMethod
    TransferType Type UsingPassword Wait Waiting Weight Wrapuptime LoggedInTime Logintime
    Permanent Restart Shutdown Uptime Usernum UserNumber Role Contacts DeviceState ActiveChannels
    RoundtripUsec ContactStatus RegExpire Port Activity Creation Readformat Writeformat
    Nativeformats Callgroup Pickupgroup
"""
_ID_HEADERS = """
    ActionID AccountCode PeerAccount OldAccountCode Agent Aor Aors AOR Application LastApplication
    BridgeID BridgeName BridgeUniqueid Bridge BridgedChannel Channel Channel1 Channel2 Clone
    Conference Context DestinationChannel DestinationContext Device Endpoint
    EndpointName Forward From To FromChannel Hint Interface StateInterface Location
    Linkedid LinkedID Mailbox Meetme MemberName MusicClass Class Newname Oldname Original
    ObjectName ObjectType ParkerDialString ParkingLot Peer Presentity Queue QueueName Name
    SwapUniqueid SystemName TalkingToChan Uniqueid UniqueID Uniqueid1 Uniqueid2 DestUniqueid
    SrcUniqueid DestUniqueId SourceUniqueid URI Uri Username Domain DAHDIChannel Technology User
    Id
"""
_PREFIXES = (
    "dest",
    "transferer",
    "localone",
    "localtwo",
    "origtransferer",
    "secondtransferer",
    "transferee",
    "transfertarget",
    "parkee",
    "parker",
    "retriever",
    "spyer",
    "spyee",
    "source",
    "target",
    "from",
    "to",
    "orig",
    "second",
)
"""Of the channels and bridges of an event that has several."""

_PARTS = {
    Part.NUMBER: Shown.NUMBER,
    Part.NAME: Shown.NAME,
    Part.BOTH: Shown.BOTH,
    Part.DIALLED: Shown.EXTEN,
}
_CALLERS = tuple((_PARTS[part], NameSet(names)) for part, names in PARTS if part in _PARTS)
_KNOWN = {
    **dict.fromkeys(_PLAIN_HEADERS.lower().split(), Shown.PLAIN),
    **dict.fromkeys(_ID_HEADERS.lower().split(), Shown.ID),
}
_RTP = re.compile(r"report\d*[a-z]*|rtt|ssrc|sent[a-z]+|pt|(txjitter|rxjitter)")

EVENTS: frozenset[str] = frozenset(name.casefold() for name in EVENT_NAMES) - {
    "userevent",
    "varset",
    "asyncagiexec",
    "asyncagistart",
    "asyncagi",
    "agiexec",
    "agiexecstart",
    "agiexecend",
    "mcid",
    "cel",
    "testevent",
    "dbgetresponse",
    "dbgettreeresponse",
    "listdialplan",
    "authdetail",
    "authlist",
    "voicemailpasswordchange",
    "invalidpassword",
    "challengeresponsefailed",
    "receivefax",
    "sendfax",
    "faxstatus",
    "jabberevent",
    "minivoicemail",
    "dataget",
}
"""Folded names of the events of which something is shown. The others have hardly more than free
text, which the dialplan or the other side has written."""


def _shown(folded: str) -> Shown | None:
    known = _KNOWN.get(folded)
    if known is not None:
        return known
    for shown, names in _CALLERS:
        if names.fits(folded):
            return shown
    for prefix in _PREFIXES:
        if folded.startswith(prefix) and folded[len(prefix) :] in _KNOWN:
            return _KNOWN[folded[len(prefix) :]]
    return Shown.PLAIN if _RTP.fullmatch(folded) else None


_HEADERS: Remembered[str, Shown | None] = Remembered(lambda name: _shown(name.lower()), 4096)


def header(name: str) -> Shown | None:
    """What a header of an event is; None: nobody knows, so it is not shown."""
    return _HEADERS[name]
