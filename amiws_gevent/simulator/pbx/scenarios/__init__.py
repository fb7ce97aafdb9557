"""Whole scenarios with their names: what a person would tell of each, and who does what when.

The first of the list are the calls of recorded sessions of a real server, told in
``tests/captures/scenarios/README.md``. Of those that no capture has each names the place of
Asterisk's source, branch 22, that its events are made of.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from amiws_gevent.simulator.pbx.model import Script
from amiws_gevent.simulator.pbx.scenarios import around, calls, together, transfers
from amiws_gevent.simulator.pbx.stage import Stage
from amiws_gevent.simulator.pbx.style import Style


@dataclass(frozen=True)
class Scenario:
    """``told`` is the story in a person's words."""

    name: str
    told: str
    play: Callable[[Stage], Script]

    def fits(self, style: Style) -> bool:
        """Whether this Asterisk can play it."""
        if self.play in _OF_MEETME:
            return style.meetme
        if self.play is around.branch:
            return bool(style.branch)
        return style.stasis or self.play not in _SINCE_12


_SINCE_12: Final = (transfers.attended_transfer, transfers.merge, around.do_not_disturb)
"""In 11 the features of the PBX join channels in another way, and no device tells of DND."""
_OF_MEETME: Final = (together.meetme,)

_ALL: Final = (
    (calls.basic, "one phone calls another: it rings, both talk, the call ends"),
    (calls.noanswer, "a phone rings until the caller gives up"),
    (calls.busy, "the dialplan plays busy"),
    (calls.congestion, "the dialplan plays congestion"),
    (calls.invalid, "a number that there is not: no channel at all"),
    (calls.ringall, "three phones ring together, one answers, the others stop"),
    (together.queue_answered, "a caller waits in a queue, two agents ring, one answers"),
    (together.queue_abandoned, "both agents have a break, two callers give up"),
    (transfers.blind_transfer, "the caller sends whom he called to a third phone, and is out"),
    (
        transfers.attended_transfer,
        "the caller asks a third first, then connects the two by hanging up",
    ),
    (together.park_and_pick_up, "somebody is parked, and another phone picks him up"),
    (together.conference, "three phones meet in a conference, and talk in turns"),
    (calls.local_channel, "a Local channel stays in the middle of a call"),
    (calls.click_to_call, "the server calls one phone and, when it answers, another"),
    (calls.applications, "three phones hear a tone, an announcement and a mailbox"),
    (calls.pickup, "another phone picks up what rings"),
    (together.spy, "somebody listens to two who talk"),
    (calls.hold, "who was called puts the caller on hold, twice"),
    (transfers.blonde, "a phone transfers a caller to another that still rings"),
    (transfers.phone_transfer, "a phone transfers a caller to another that it talks to"),
    (calls.forward, "a phone forwards its call to another"),
    (transfers.merge, "who asks a third makes three of it, and leaves the two later"),
    (calls.originate_busy, "the server calls a phone that refuses"),
    (calls.originate_refused, "the phone that the server calls answers, whom it wants refuses"),
    (together.parking_timeout, "nobody picks up who is parked: he comes back to who parked him"),
    (around.pause, "a member of a queue has a break, with a reason"),
    (around.unreachable, "a phone cannot be reached for a while"),
    (around.registration, "a carrier rejects the server's registration for a while"),
    (around.branch, "the line to a branch office, by IAX2, is lost for a while"),
    (around.presence, "somebody is away for a while, and says why"),
    (around.do_not_disturb, "a phone wants no calls for a while, and refuses one"),
    (around.messages, "a caller leaves a message, and its owner listens to it"),
    (together.moderated, "who has opened a conference mutes one of the others, and sends him out"),
    (together.meetme, "three phones meet in a conference of MeetMe"),
    (together.agent, "an agent logs in, waits and logs off"),
)

SCENARIOS: Final = {play.__name__: Scenario(play.__name__, told, play) for play, told in _ALL}
"""By name, in the order in which they are listed."""
