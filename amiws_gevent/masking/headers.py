"""Which headers of Asterisk 1.8 to 23 hold callers' numbers and names, and which do not.

Taken from the manager events of those versions. The headers of a channel come with
prefixes (``Dest``, ``LocalOne``, ``LocalTwo``, ``Transferer``, ``OrigTransferer``,
``SecondTransferer``, ``Transferee``, ``TransferTarget``, ``Parkee``, ``Parker``, ``Retriever``,
``Spyer``, ``Spyee``, ``Source``, ``Target``, ``From``, ``To``): hence the globs. All names are
case-folded.
"""

from __future__ import annotations

import enum


class Part(enum.Enum):
    """What a header holds, as far as callers are concerned."""

    NUMBER = enum.auto()
    """A caller's number and nothing else."""
    NAME = enum.auto()
    """A caller's name and nothing else."""
    BOTH = enum.auto()
    """A number, or ``"Name" <number>``."""
    DIALLED = enum.auto()
    """What was dialled: an extension, a dial string."""
    TEXT = enum.auto()
    """Free text, in which the message's own callers may be named again."""
    VALUE = enum.auto()
    """The value of the variable that the header ``Variable`` names."""
    NOTHING = enum.auto()
    """Other numbers: times, counters, states."""


PARTS: tuple[tuple[Part, tuple[str, ...]], ...] = (
    (
        Part.NUMBER,
        (
            "*calleridnum",
            "*connectedlinenum",
            "*connectedidnum",  # MCID
            "*calleridsubaddr",
            "*connectedidsubaddr",
            "calleridani",  # CEL
            "calleridrdnis",
            "callerid1",  # Bridge, up to Asterisk 11
            "callerid2",
            "source",  # Cdr
            "remotestationid",  # FAXStatus, ReceiveFAX, SendFAX
        ),
    ),
    (Part.NAME, ("*calleridname", "*connectedlinename", "*connectedidname")),
    (Part.BOTH, ("*callerid", "clid")),  # Cdr, FAXStatus, SIPshowpeer, Newcallerid of old
    (
        Part.DIALLED,
        (
            "*exten",
            "extension",
            "dnid",
            "calleriddnid",
            "*dialstring",
            "destination",  # Cdr; of Dial up to Asterisk 11 it is a channel
        ),
    ),
    (Part.VALUE, ("value",)),
    (
        Part.TEXT,
        (
            "appdata",
            "applicationdata",
            "data",  # Status
            "lastdata",  # Cdr
            "variable",
            "*chanvariable*",
            "extra",  # CEL
            "userfield",
            "env",  # AsyncAGIStart
            "command",  # AGIExecStart
            "result",
            "message",
            "text",  # what is of kind UNKNOWN
            "output",
        ),
    ),
    (
        Part.NOTHING,
        (
            "privilege",
            "*channelstate",
            "*channelstatedesc",
            "*language",
            "*priority",
            "eventlist",
            "listitems",
            "items",
            "sequencenumber",
            "*time",
            "*timestamp",
            "*tv",
            "lastcall",
            "lastpause",
            "lastreload",
            "loggedintime",
            "uptime",
            "ssrc",
            "sentntp",  # RTCPSent, RTCPReceived
            "sentrtp",
            "sentpackets",
            "sentoctets",
            "report[0-9]*",
            "roundtripusec",  # ContactStatus
            "challenge",
            "corecurrentcalls",
            "coreprocessedcalls",
            "core*filehandles",
        ),
    ),
)

CALLER_VARIABLES = ("callerid*", "connectedline*", "redirecting*", "cdr(clid)", "cdr(src)")
"""Functions of the dialplan that set a caller; ``…name…`` among them sets a name."""

STATISTICS = ("rtp*qos*", "txjitter", "rxjitter")
"""Variables whose long numbers are of the media stream."""

UNSAID = frozenset(
    {
        "",
        "<unknown>",
        "unknown",
        "anonymous",
        "restricted",
        "unavailable",
        "withheld",
        "private",
        "<none>",
        "(null)",
        "(none)",
        "none",
        "n/a",
        "(n/a)",
    }
)
"""What servers write where there is no number or name: it stays, it says nothing."""
