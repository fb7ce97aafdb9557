"""A whole PBX that runs by itself: seeded, without a socket or a clock.

``advance(now)`` lets it live up to that time and returns what it says meanwhile. The same
seed and the same calls of its methods at the same times give the same packets.
"""

from __future__ import annotations

import heapq
import random

from amiws_gevent.simulator.pbx import phones, stories
from amiws_gevent.simulator.pbx.asterisk11 import Elder
from amiws_gevent.simulator.pbx.company import TROUPES, Pace, furnish, furnish_troupes
from amiws_gevent.simulator.pbx.ending import adopt, detach, end_call
from amiws_gevent.simulator.pbx.masquerade import go_to
from amiws_gevent.simulator.pbx.model import Call, Channel, Member, Script
from amiws_gevent.simulator.pbx.originate import Order, originate
from amiws_gevent.simulator.pbx.repertoire import EVERYDAY, Programme, Repertoire
from amiws_gevent.simulator.pbx.scripts import Scripts
from amiws_gevent.simulator.pbx.style import Style
from amiws_gevent.simulator.pbx.switch import Switch


class Simulation:
    """Times are seconds since 1970; ``rate`` is new calls a second (0: only those asked for).

    The calls that come by themselves are those of ``programme``. Raises ValueError for a rate that
    is negative or not finite.
    """

    def __init__(
        self,
        style: Style,
        *,
        started: float,
        seed: int = 1,
        rate: float = 0.5,
        programme: Programme = EVERYDAY,
    ) -> None:
        self._rng = random.Random(f"{style.name} {seed}")
        self.style = style
        self.pace = Pace.for_rate(rate)
        self.switch = Switch(style, self._rng, started)
        furnish(self.switch, self.pace)
        troupes = furnish_troupes(self.switch) if programme.share else []
        phones.furnish(self.switch)
        self.scripts = Scripts(self.switch, self._rng, self.pace, troupes, self.start)
        self._repertoire = Repertoire(programme, self.scripts, self._rng, self.start)
        self._fewest, self._most = self.pace.fewest, self.pace.most
        if programme.share >= 1:  # as they come, and those that wait for a troupe
            self._fewest, self._most = 0, max(self._most, 2 * TROUPES)
        self._agenda: list[tuple[float, int, Call | None]] = []
        self._noted = 0
        self._elder = None if style.stasis else Elder()
        if rate:
            self._note(started, None)

    @property
    def now(self) -> float:
        return self.switch.now

    @property
    def next_due(self) -> float | None:
        """When something happens next; None if nothing will by itself."""
        return self._agenda[0][0] if self._agenda else None

    def advance(self, now: float, limit: int | None = None) -> list[str]:
        """Lives until ``now``; the packets of that time, each whole, in order.

        With a ``limit`` it stops early, at about that many packets: ``self.now`` is then
        less than ``now`` and another call goes on from there. A ``now`` in the past only
        returns what has not been taken yet.
        """
        out, agenda = self.switch.out, self._agenda
        while agenda and agenda[0][0] <= now:
            if limit is not None and len(out) >= limit:
                return self.drain()
            when, _, call = heapq.heappop(agenda)
            self.switch.now = when
            if call is None:
                self._arrive()
            else:
                self._step(call)
            for _ in range(self._fewest - self.switch.generated_calls):
                self._begin_any_call()
        self.switch.now = max(now, self.switch.now)
        return self.drain()

    def drain(self) -> list[str]:
        """What was said since it was last asked for, by ``advance`` or by an action."""
        packets = self.switch.out[:]
        self.switch.out.clear()
        return packets if self._elder is None else self._elder.told(packets)

    # What people ask the PBX to do

    def originate(self, order: Order) -> None:
        """Begins the call; ``order.report`` is called when it is answered or has failed."""
        originate(self.scripts, self.start, order)

    def hang_up(self, channel: Channel, cause: int) -> None:
        """Ends the call of ``channel``, as the action Hangup does."""
        end_call(self.switch, channel.call, cause or 16, by=channel, soft=True)

    def redirect(self, goals: list[tuple[Channel, str, str]]) -> None:
        """Each channel leaves its call and goes to a context and extension."""
        calls = detach(self.switch, [channel for channel, _, _ in goals])
        for call, (channel, context, exten) in zip(calls, goals, strict=True):
            if not self.style.stasis and channel.application.startswith("App"):
                go_to(self.switch, channel)
            self.start(call, self.scripts.run_extension(call, channel, context, exten))

    def bridge(self, first: Channel, second: Channel) -> None:
        """Both leave whom they talk to, and talk to each other."""
        call, _ = detach(self.switch, [first, second])
        adopt(self.switch, call, second)
        self.start(call, self.scripts.meet(call, first, second))

    def park(self, channel: Channel, parker: str) -> None:
        """A channel waits in the parking lot; ``parker`` is the phone that it comes back to."""
        (call,) = detach(self.switch, [channel])
        self.start(call, self.scripts.park(call, channel, parker))

    def pause(self, members: list[Member], paused: bool, reason: str) -> None:
        for member in members:
            self.switch.pause(member, paused, reason)

    def start(self, call: Call, script: Script) -> None:
        """A call begins its script at once, unless it has ended already."""
        if not call.ended:
            call.script = script
            self._step(call)

    # Its own life

    def _note(self, when: float, call: Call | None) -> None:
        self._noted += 1
        heapq.heappush(self._agenda, (when, self._noted, call))

    def _step(self, call: Call) -> None:
        script = call.script
        if script is None:
            return
        pause = next(script, None)
        if pause is not None and call.script is script:
            self._note(self.switch.now + pause, call)
        elif pause is None:
            end_call(self.switch, call)

    def _arrive(self) -> None:
        pace = self.pace
        self._note(self.now + self._rng.uniform(0.4, 1.6) / pace.rate, None)
        if self.switch.generated_calls < self._most:
            self._begin_any_call()

    def _begin_any_call(self) -> None:
        call = self.switch.new_call(generated=True)
        if self._repertoire.takes():
            self.start(call, self._repertoire.next_call(call))
        else:
            self.start(call, stories.any_call(self.scripts, call))

    def quiet(self) -> None:
        """No further call comes by itself: what is under way ends, and then all is quiet."""
        self._fewest = 0
        self._agenda = [entry for entry in self._agenda if entry[2] is not None]
        heapq.heapify(self._agenda)
