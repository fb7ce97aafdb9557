"""What clients have the simulated PBX do with channels, queues and conferences, and its answers.

Texts and the order of checks are those of manager.c, app_queue.c, app_confbridge.c and
res_parking.
"""

from __future__ import annotations

from collections.abc import Callable

from amiws_gevent.simulator.pbx import listings, places, queueing
from amiws_gevent.simulator.pbx.ending import end_call
from amiws_gevent.simulator.pbx.model import (
    Channel,
    Device,
    DeviceState,
    Member,
    Queue,
    Seat,
)
from amiws_gevent.simulator.pbx.orders import number_in
from amiws_gevent.simulator.pbx.simulation import Simulation
from amiws_gevent.simulator.serving.requests import Request, refuse, respond


class Deeds:
    """Actions that change something, or ask for one channel; ``handlers`` has each with the
    classes it needs."""

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation
        self._switch = simulation.switch

    def handlers(self) -> dict[str, tuple[Callable[[Request], str], str]]:
        """By the action's name."""
        handlers: dict[str, tuple[Callable[[Request], str], str]] = {
            "Bridge": (self._bridge, "call"),
            "ConfbridgeKick": (self._confbridge_kick, "call"),
            "ConfbridgeMute": (lambda request: self._confbridge_mute(request, True), "call"),
            "ConfbridgeUnmute": (lambda request: self._confbridge_mute(request, False), "call"),
            "Getvar": (self._getvar, "call,reporting"),
            "Hangup": (self._hangup, "system,call"),
            "MuteAudio": (self._mute_audio, "system"),
            "Park": (self._park, "call"),
            "QueueAdd": (self._queue_add, "agent"),
            "QueuePause": (self._queue_pause, "agent"),
            "QueueRemove": (self._queue_remove, "agent"),
            "Redirect": (self._redirect, "call"),
            "Setvar": (self._setvar, "call"),
        }
        if self._switch.style.meetme:
            handlers["MeetmeMute"] = (lambda request: self._meetme_mute(request, True), "call")
            handlers["MeetmeUnmute"] = (lambda request: self._meetme_mute(request, False), "call")
        return handlers

    def _channel(self, request: Request) -> Channel | None:
        return self._switch.channel_named(request.get("Channel"))

    def _hangup(self, request: Request) -> str:
        if not request.get("Channel"):
            return refuse(request, "No channel specified")
        channel = self._channel(request)
        if channel is None:
            return refuse(request, "No such channel")
        cause = request.get("Cause")
        valid = cause.isascii() and cause.isdigit() and int(cause) <= 127
        self._simulation.hang_up(channel, int(cause) if valid else 0)
        return respond(request, "Success", "Channel Hungup")

    def _redirect(self, request: Request) -> str:
        for name in ("Channel", "Context", "Exten", "Priority"):
            if not request.get(name):
                return refuse(request, f"{name} not specified")
        if number_in(request.get("Priority")) < 1:
            return refuse(request, "Priority is invalid")
        channel = self._channel(request)
        if channel is None:
            return refuse(request, f"Channel does not exist: {request.get('Channel')}")
        context, exten = request.get("Context"), request.get("Exten")
        goals = [(channel, context, exten)]
        extra = request.get("ExtraChannel")
        if extra:
            second = self._switch.channels.get(extra)
            if second is None or second is channel:
                return refuse(request, f"ExtraChannel does not exist: {extra}")
            context, exten = request.get("ExtraContext") or context, request.get("ExtraExten")
            goals.append((second, context, exten or request.get("Exten")))
        self._simulation.redirect(goals)
        return respond(request, "Success", f"{'Dual ' if extra else ''}Redirect successful")

    def _getvar(self, request: Request) -> str:
        name = request.get("Variable")
        if not name:
            return refuse(request, "No variable specified")
        variables = self._switch.globals
        if request.get("Channel"):
            channel = self._channel(request)
            if channel is None:
                return refuse(request, "No such channel")
            variables = listings.readable_variables(channel)
        tail = f"Variable: {name}\r\nValue: {variables.get(name, '')}\r\n"
        return respond(request, "Success", tail=tail)

    def _setvar(self, request: Request) -> str:
        name = request.get("Variable")
        if not name:
            return refuse(request, "No variable specified")
        channel = None
        if request.get("Channel"):
            channel = self._channel(request)
            if channel is None:
                return refuse(request, "No such channel")
        self._switch.set_variable(channel, name, request.get("Value"))
        return respond(request, "Success", "Variable Set")

    def _queue_pause(self, request: Request) -> str:
        interface = request.get("Interface")
        if not (interface and request.get("Paused")):
            return refuse(request, "Need 'Interface' and 'Paused' parameters.")
        members: list[Member] = [
            member
            for queue in self._switch.queues.values()
            if request.get("Queue").lower() in ("", queue.name)
            for member in queue.members
            if interface in (member.interface, member.device.name)
        ]
        if not members:
            return refuse(request, "Interface not found")
        paused = request.flag("Paused")
        self._simulation.pause(members, paused, request.get("Reason"))
        word = "paused" if paused else "unpaused"
        return respond(request, "Success", f"Interface {word} successfully")

    def _queue_add(self, request: Request) -> str:
        queue, interface = self._switch.queues.get(request.get("Queue")), request.get("Interface")
        if not request.get("Queue"):
            return refuse(request, "'Queue' not specified.")
        if not interface:
            return refuse(request, "'Interface' not specified.")
        if queue is None:
            return refuse(request, "Unable to add interface to queue: No such queue")
        if _member(queue, interface) is not None:
            return refuse(request, "Unable to add interface: Already there")
        device = self._device(request, interface)
        member = Member(queue, device, int(self._switch.now), membership="dynamic")
        if device.name != interface:
            member.through = interface
        member.penalty = max(0, number_in(request.get("Penalty") or "0"))
        queueing.add(self._switch, member, request.flag("Paused"))
        return respond(request, "Success", "Added interface to queue")

    def _device(self, request: Request, interface: str) -> Device:
        """Whose state a member has; an interface that there is not cannot be reached."""
        state = request.get("StateInterface") or interface
        number = interface.partition("/")[2].partition("@")[0]
        found = self._switch.devices.get(state) or self._switch.hints.get(number)
        if found is not None:
            return found
        label = request.get("MemberName") or interface
        return Device(state, "", label, "", reachable=False, state=DeviceState.UNAVAILABLE)

    def _queue_remove(self, request: Request) -> str:
        queue = self._switch.queues.get(request.get("Queue"))
        if not (request.get("Queue") and request.get("Interface")):
            return refuse(request, "Need 'Queue' and 'Interface' parameters.")
        if queue is None:
            return refuse(request, "Unable to remove interface from queue: No such queue")
        member = _member(queue, request.get("Interface"))
        if member is None:
            return refuse(request, "Unable to remove interface: Not there")
        if member.membership != "dynamic":
            return refuse(request, "Member not dynamic")
        queueing.remove(self._switch, member)
        return respond(request, "Success", "Removed interface from queue")

    # Bridges, parking, conferences

    def _bridge(self, request: Request) -> str:
        names = [request.get("Channel1"), request.get("Channel2")]
        if not all(names):
            return refuse(request, "Missing channel parameter in request")
        channels = [self._switch.channel_named(name) for name in names]
        for place, channel in enumerate(channels, 1):
            if channel is None:
                return refuse(request, f"Channel{place} does not exists")
        first, second = channels
        if first is None or second is None or first is second:
            return refuse(request, "Can't bridge a channel with itself")
        self._simulation.bridge(first, second)
        return respond(request, "Success", "Channels have been bridged")

    def _park(self, request: Request) -> str:
        if not request.get("Channel"):
            return refuse(request, "Channel not specified")
        channel = self._channel(request)
        if channel is None:
            return refuse(request, f"Channel does not exist: {request.get('Channel')}")
        lot = request.get("Parkinglot") or places.LOT
        if lot != places.LOT:
            return refuse(request, f"Could not find parking lot: {lot}")
        self._simulation.park(channel, request.get("TimeoutChannel") or request.get("Channel2"))
        return respond(request, "Success", "Park successful")

    def _mute_audio(self, request: Request) -> str:
        """No event tells of it (res_mutestream.c)."""
        if not request.get("Channel"):
            return refuse(request, "Channel not specified")
        if not request.get("State"):
            return refuse(request, "State not specified")
        if request.get("Direction") not in ("in", "out", "all"):
            return refuse(request, "Direction not specified")
        if self._channel(request) is None:
            return refuse(request, "Channel not found.")
        return respond(request, "Success")

    def _seat(self, request: Request) -> Seat | str:
        """Whom ConfbridgeMute and its like mean, or what is wrong."""
        conference = self._switch.conferences.get(request.get("Conference"))
        if not request.get("Conference"):
            return "No Conference name provided."
        if not request.get("Channel"):
            return "No channel name provided."
        if not self._switch.conferences:
            return "No active conferences."
        if conference is None or conference.bridge is None:
            return "No Conference by that name found."
        for seat in conference.seats:
            if seat.channel.name.startswith(request.get("Channel")):
                return seat
        return "No Channel by that name found in Conference."

    def _confbridge_mute(self, request: Request, muted: bool) -> str:
        seat = self._seat(request)
        if isinstance(seat, str):
            return refuse(request, seat)
        places.mute(self._switch, seat, muted)
        return respond(request, "Success", "User muted" if muted else "User unmuted")

    def _confbridge_kick(self, request: Request) -> str:
        seat = self._seat(request)
        if isinstance(seat, str):
            return refuse(request, seat)
        end_call(self._switch, seat.channel.call, by=seat.channel, soft=True)
        return respond(request, "Success", "User kicked")

    def _meetme_mute(self, request: Request, muted: bool) -> str:
        name, number = request.get("Meetme"), request.get("Usernum")
        if not name:
            return refuse(request, "Meetme conference not specified")
        if not number:
            return refuse(request, "Meetme user number not specified")
        conference = self._switch.conferences.get(name)
        if conference is None or conference.bridge is not None:
            return refuse(request, "Meetme conference does not exist")
        for seat in conference.seats:
            if str(seat.number) == number:
                places.mute(self._switch, seat, muted)
                return respond(request, "Success", "User muted" if muted else "User unmuted")
        return refuse(request, "User number not found")


def _member(queue: Queue, interface: str) -> Member | None:
    return next((member for member in queue.members if member.interface == interface), None)
