"""The dialplan and its applications: where a channel goes that is sent to an extension."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Final

from amiws_gevent.simulator.pbx import places
from amiws_gevent.simulator.pbx.company import CONTEXTS, ECHO_TEST, Pace, Troupe
from amiws_gevent.simulator.pbx.ending import adopt, cancel_dials, end_call
from amiws_gevent.simulator.pbx.masquerade import masquerade
from amiws_gevent.simulator.pbx.model import (
    Call,
    Channel,
    ChannelState,
    Device,
    Dial,
    Member,
    Script,
)
from amiws_gevent.simulator.pbx.switch import Switch
from amiws_gevent.simulator.pbx.talks import Talks

PICKUP: Final = "**"
"""Before the number of a phone that rings, as FreePBX has it."""
PARKING_SPACES: Final = frozenset(map(str, range(places.FIRST_SPACE, places.LAST_SPACE + 1)))
_BREAKS: Final = 0.25
_REASONS: Final = ("Coffee", "Lunch", "Paperwork", "Training", "Rückfrage", "休憩")
_LISTENS: Final = 120
"""Seconds after which even a ChanSpy ends."""
_CONFERENCES: Final = {"confbridge": "ConfBridge", "meetme": "MeetMe"}


class Scripts(Talks):
    """All that channels do by themselves. ``start`` begins a call's script now."""

    def __init__(
        self,
        switch: Switch,
        rng: random.Random,
        pace: Pace,
        troupes: Sequence[Troupe],
        start: Callable[[Call, Script], None],
    ) -> None:
        super().__init__(switch, rng, pace, troupes)
        self._start = start
        phones = [*self.staff, *(phone for troupe in troupes for phone in troupe.phones)]
        self._by_number = {device.number: device for device in phones}
        self._queue_by_number = {queue.number: queue for queue in switch.queues.values()}

    def run_extension(self, call: Call, channel: Channel, context: str, exten: str) -> Script:
        """What the dialplan does for ``exten``: a phone, a queue, a number outside, an echo."""
        channel.goes_to = (context, exten)
        if not self.exists(context, exten):
            return self._no_such_extension(call)
        if exten in PARKING_SPACES:
            return self._retrieve(call, channel, int(exten))
        if exten == places.PARK:
            return self.park(call, channel, "")
        if exten.startswith(PICKUP):
            return self._pick_up_number(call, channel, exten.removeprefix(PICKUP))
        if is_room(exten):
            return self._confer(call, channel, "ConfBridge", exten)
        if exten in self._queue_by_number:
            return self.queue(call, channel, self._queue_by_number[exten])
        if exten in self._by_number:
            return self.dial(call, channel, self.leg(self._by_number[exten], sure=True))
        if exten == ECHO_TEST:
            return self.run_application(call, channel, "Echo", "")
        return self.dial(call, channel, self.trunk_leg(exten, "", sure=True))

    def exists(self, context: str, exten: str) -> bool:
        """Whether the dialplan has ``exten``, in any of its contexts."""
        return context in CONTEXTS and (
            exten in self._queue_by_number
            or exten in self._by_number
            or exten in (ECHO_TEST, places.PARK)
            or exten in PARKING_SPACES
            or exten.removeprefix(PICKUP) in self._by_number
            or is_room(exten)
            or is_outside_number(exten)
        )

    def _no_such_extension(self, call: Call) -> Script:
        yield self.wait(0.05, 0.1)
        end_call(self.switch, call)

    # Breaks

    def has_talked(self, member: Member) -> None:
        """One in four has a break then."""
        if self.rng.random() < _BREAKS and not member.paused:
            self._start(self.switch.new_call(), self._break(member))

    def _break(self, member: Member) -> Script:
        if member in member.queue.members:
            self.switch.pause(member, True, self.rng.choice(_REASONS))
        yield self.wait(15, 60)
        if member in member.queue.members and member.paused:
            self.switch.pause(member, False, "")

    # Applications

    def run_application(self, call: Call, channel: Channel, name: str, data: str) -> Script:
        """An application on an answered channel; those that are not known last a while."""
        first, _, _ = data.partition(",")
        queue = self.switch.queues.get(first)
        device = self.switch.devices.get(first)
        application = name.lower()
        if application == "queue" and queue is not None:
            return self.queue(call, channel, queue)
        if application == "dial" and device is not None:
            return self.dial(call, channel, self.leg(device, sure=True))
        if application in _CONFERENCES and first:
            return self._confer(call, channel, _CONFERENCES[application], first)
        if application == "chanspy":
            return self._listen(call, channel, data)
        if application == "pickupchan":
            return self._pick_up(call, channel, name, data, self._rings_on(first))
        if application == "pickup":
            number = first.partition("@")[0]
            return self._pick_up(call, channel, name, data, self._rings_at(number))
        if application == "parkedcall":
            space = data.rpartition(",")[2]
            return self._retrieve(call, channel, int(space) if space.isdecimal() else 0)
        if application == "park":
            return self.park(call, channel, "")
        return self._any_application(call, channel, name, data)

    def _any_application(self, call: Call, channel: Channel, name: str, data: str) -> Script:
        switch = self.switch
        switch.execute(channel, name, data)
        switch.set_state(channel, ChannelState.UP)
        yield self.wait(10, 30)
        end_call(switch, call)

    def _confer(self, call: Call, channel: Channel, application: str, name: str) -> Script:
        """Until somebody hangs up, or a while."""
        switch = self.switch
        switch.execute(channel, application, name)
        switch.set_state(channel, ChannelState.UP)
        meetme = application == "MeetMe" and switch.style.meetme
        seat = places.join(switch, channel, name, meetme=meetme)
        for talking in (True, False, True, False):
            yield self.wait(4, 9)
            places.talk(switch, seat, talking)
        yield self.wait(5, 20)
        end_call(switch, call, by=channel)

    def _listen(self, call: Call, channel: Channel, data: str) -> Script:
        """ChanSpy of the first channel whose name begins so, as long as there is one."""
        switch, prefix = self.switch, data.partition(",")[0]
        switch.execute(channel, "ChanSpy", data)
        switch.set_state(channel, ChannelState.UP)
        waits = 0
        while waits < _LISTENS:
            heard = call.listens_to
            if heard is not None and switch.channels.get(heard.name) is not heard:
                places.stop_listening(switch, channel)
            elif heard is None and (found := self._begins_with(prefix, channel)) is not None:
                places.listen(switch, channel, found)
            waits += 1
            yield self.wait(0.9, 1.1)
        end_call(switch, call, by=channel)

    def _begins_with(self, prefix: str, without: Channel) -> Channel | None:
        for channel in self.switch.channels.values():
            if channel is not without and prefix and channel.name.startswith(prefix):
                return channel
        return None

    # Parking

    def park(self, call: Call, channel: Channel, parker: str) -> Script:
        """Until the time is over; then the phone of ``parker`` rings, if there is one."""
        switch = self.switch
        switch.execute(channel, "Park", "")
        switch.set_state(channel, ChannelState.UP)
        device = self._device_of(parker)
        parked = places.park(switch, channel, device.name if device else parker or channel.name)
        if parked is None:
            end_call(switch, call)
            return
        yield parked.until - switch.now
        places.unpark(switch, parked, "ParkedCallTimeOut")
        if device is None:
            end_call(switch, call)
            return
        channel.goes_to = ("park-dial", device.name.replace("/", "_"))
        yield from self.dial(call, channel, self.leg(device, sure=True))

    def _device_of(self, parker: str) -> Device | None:
        """Of a phone's name, or of a channel of it."""
        channel = self.switch.channel_named(parker)
        return self.switch.devices.get(parker) if channel is None else channel.device

    def _retrieve(self, call: Call, channel: Channel, space: int) -> Script:
        switch = self.switch
        switch.execute(channel, "ParkedCall", f"{places.LOT},{space}")
        switch.set_state(channel, ChannelState.UP)
        parked = switch.parked.get(space)
        if parked is None:
            yield self.wait(1, 2)
            end_call(switch, call)
            return
        places.unpark(switch, parked, "UnParkedCall", channel)
        adopt(switch, call, parked.channel)
        yield from self.meet(call, channel, parked.channel)

    def meet(self, call: Call, first: Channel, second: Channel) -> Script:
        """Two of one call talk."""
        switch = self.switch
        bridge = switch.new_bridge(first, switch.now)
        switch.connect(bridge, second, first)
        switch.set_connected_line(first, second.caller_number, second.caller_name)
        switch.set_connected_line(second, first.caller_number, first.caller_name)
        yield from self.talk(call, first, second)

    # Pickup

    def _rings_on(self, name: str) -> Dial | None:
        """Of a channel by its name, or the beginning of it."""
        return self._ringing(lambda dial: dial.target.name.startswith(name) and bool(name))

    def _rings_at(self, number: str) -> Dial | None:
        return self._ringing(lambda dial: dial.target.device.number == number and bool(number))

    def _ringing(self, fits: Callable[[Dial], bool]) -> Dial | None:
        """A phone that can be picked up: queues give their callers to their members alone."""
        for call in self.switch.calls.values():
            for dial in call.dials:
                ringing = dial.target.state is ChannelState.RINGING and call.entry is None
                if ringing and dial.caller is not None and fits(dial):
                    return dial
        return None

    def _pick_up_number(self, call: Call, channel: Channel, number: str) -> Script:
        return self._pick_up(call, channel, "Pickup", number, self._rings_at(number))

    def _pick_up(
        self, call: Call, picker: Channel, name: str, data: str, dial: Dial | None
    ) -> Script:
        """``ast_do_pickup``: who picks up answers in the place of who rings."""
        switch = self.switch
        switch.execute(picker, name, data)
        switch.set_state(picker, ChannelState.UP)
        yield self.wait(0.05, 0.1)
        rung = None if dial is None else dial.target.call
        if dial is None or rung is None or dial not in rung.dials or rung is call:
            end_call(switch, call)
            return
        rung.script = None
        adopt(switch, rung, picker)
        self._start(rung, self._picked_up(rung, picker, dial))

    def _picked_up(self, call: Call, picker: Channel, dial: Dial) -> Script:
        switch, rang, caller = self.switch, dial.target, dial.caller
        switch.out.append(
            "Event: Pickup\r\nPrivilege: call,all\r\n"
            f"{picker.headers()}{rang.prefixed('Target')}\r\n"
        )
        if switch.style.stasis:
            place = (rang.context, rang.exten)
            switch.execute(picker, "AppDial", "(Outgoing Line)", at=place)
        else:
            masquerade(switch, rang, picker)
        dial.target = picker
        switch.hangup(rang, 26)
        switch.dial_ended(dial, "ANSWER")
        cancel_dials(switch, call, keep=picker)
        if caller is None:
            end_call(switch, call)
            return
        switch.set_state(caller, ChannelState.UP)
        yield from self.meet(call, caller, picker)


def is_room(exten: str) -> bool:
    """A conference by its number, 800 to 899."""
    return len(exten) == 3 and exten.isascii() and exten.isdigit() and exten.startswith("8")


def is_outside_number(exten: str) -> bool:
    """A number for a trunk: seven to fifteen digits, with or without a leading "+"."""
    digits = exten.removeprefix("+")
    return digits.isascii() and digits.isdigit() and 7 <= len(digits) <= 15
