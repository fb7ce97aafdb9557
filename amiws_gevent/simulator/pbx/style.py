"""What differs on the wire between the Asterisk versions that are simulated.

Read from recorded sessions of Asterisk 13.38 and 22.11 (header names, their order, texts)
and from Asterisk's documentation of its events; 11 from its source alone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, Literal

StyleName = Literal["11", "13", "22"]


@dataclass(frozen=True)
class Style:
    """One Asterisk version. The flags say what it does, not what it is called."""

    name: StyleName
    ami_version: str
    asterisk_version: str
    built: str
    stasis: bool
    """Events of 12 and later: bridges, Linkedids, devices. Without it those of ``asterisk11``,
    where a transfer or pickup is a masquerade."""
    meetme: bool
    """``app_meetme`` is there, beside ConfBridge."""
    branch: str
    """Name of a branch office that is reached by IAX2; "" for none."""
    technology: str
    """Channel technology of phones and trunks: the part of a channel's name before "/"."""
    trunks: tuple[str, ...]
    plus: bool
    """The carriers write callers' numbers with a leading "+"."""
    own_numbers: tuple[str, ...]
    command_follows: bool
    """Command output as bare text up to ``--END COMMAND--``, not as ``Output`` headers."""
    queues_action: bool
    """The action ``Queues`` answers with text; later versions do not know it."""
    newexten_class: Literal["call", "dialplan"]
    """The privilege that ``Newexten`` is sent under; it moved between the versions."""
    dial_state: bool
    """``DialState`` tells that a dialled phone rings."""
    incoming_ring: bool
    """An incoming channel is born in state Ring, not Down."""
    member_times: bool
    """Queue members carry LastPause, LoginTime and Wrapuptime."""
    pause_reason_twice: bool
    """``QueueMemberPause`` repeats the reason in a header ``Reason`` at its end."""
    queue_wait_variables: bool
    """``QUEUEWAIT`` and ``QUEUEWAIT_MS`` of a caller in a queue."""
    answer_times_on_queue: bool
    """``ANSWEREDTIME`` and the like after a queue's call too, not only after Dial's."""
    second_service_level: bool
    """``ServicelevelPerf2``, and ``SL2`` in the text of ``queue show``."""
    uptime_in_fully_booted: bool
    processed_calls: bool
    """``CoreProcessedCalls`` in the answer to CoreStatus."""
    sounds_setting: bool
    """``SoundsSearchCustomDir`` in the answer to CoreSettings."""
    language_in_status: bool
    """``Status`` has Language and AccountCode; before, only ``Accountcode``."""
    all_variables: bool
    """``Status`` knows ``AllVariables``."""
    opinion_score: bool
    """RTP statistics end with the media experience scores ``rxmes`` and ``txmes``."""
    wide_tables: bool
    """``core show channels`` has columns of 64 and 32 places, not 20 and 20."""

    @property
    def banner(self) -> str:
        return f"Asterisk Call Manager/{self.ami_version}\r\n"


STYLE_13: Final = Style(
    name="13",
    ami_version="2.10.6",
    asterisk_version="13.38.3",
    built="built by root @ demo on a x86_64 running Linux on 2021-06-17 10:12:44 UTC",
    stasis=True,
    meetme=True,
    branch="branch-oslo",
    technology="SIP",
    trunks=("carrier-west", "carrier-east"),
    plus=False,
    own_numbers=("13035550100", "13035550142", "13035550177"),
    command_follows=True,
    queues_action=True,
    newexten_class="call",
    dial_state=False,
    incoming_ring=False,
    member_times=False,
    pause_reason_twice=True,
    queue_wait_variables=False,
    answer_times_on_queue=False,
    second_service_level=False,
    uptime_in_fully_booted=False,
    processed_calls=False,
    sounds_setting=False,
    language_in_status=False,
    all_variables=False,
    opinion_score=False,
    wide_tables=False,
)

STYLE_22: Final = Style(
    name="22",
    ami_version="11.0.0",
    asterisk_version="22.11.0",
    built="built by root @ demo on a x86_64 running Linux on 2026-05-14 09:30:21 UTC",
    stasis=True,
    meetme=False,
    branch="",
    technology="PJSIP",
    trunks=("trunk-europe", "trunk-world"),
    plus=True,
    own_numbers=("442079460100", "442079460155", "442079460190"),
    command_follows=False,
    queues_action=False,
    newexten_class="dialplan",
    dial_state=True,
    incoming_ring=True,
    member_times=True,
    pause_reason_twice=False,
    queue_wait_variables=True,
    answer_times_on_queue=True,
    second_service_level=True,
    uptime_in_fully_booted=True,
    processed_calls=True,
    sounds_setting=True,
    language_in_status=True,
    all_variables=True,
    opinion_score=True,
    wide_tables=True,
)

STYLE_11: Final = replace(
    STYLE_13,
    name="11",
    ami_version="1.3",
    asterisk_version="11.25.3",
    built="built by root @ demo on a x86_64 running Linux on 2016-12-08 15:20:03 UTC",
    stasis=False,
    branch="branch-lyon",
    trunks=("carrier-north", "carrier-south"),
    own_numbers=("33199000100", "33199000142", "33199000177"),
    newexten_class="dialplan",
)

STYLES: Final = (STYLE_11, STYLE_13, STYLE_22)
_BY_NAME: Final = {style.name: style for style in STYLES}


def style_named(name: StyleName) -> Style:
    """The style of that name. KeyError for another name."""
    return _BY_NAME[name]
