"""What the simulated PBX answers to actions: true to its state, in the words of Asterisk.

Texts and the order of checks are those of manager.c and app_queue.c; headers and their
order those of recorded sessions of 13.38 and 22.11.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable
from typing import Final

from amiws_gevent.simulator.pbx import console, listings
from amiws_gevent.simulator.pbx.model import Channel, Member
from amiws_gevent.simulator.pbx.originate import ANSWERED, Order
from amiws_gevent.simulator.pbx.simulation import Simulation
from amiws_gevent.simulator.serving.requests import Request, id_line, refuse, respond

Later = Callable[[str], None]
Handler = Callable[[Request], str]

SESSION_ACTIONS: Final = dict.fromkeys(("Challenge", "Events", "Login", "Logoff", "Ping"), "")
"""What a session does by itself; here only for the list of commands."""

_CALLER_ID: Final = re.compile(r'\s*"?(?P<name>[^"<]*?)"?\s*<(?P<number>[^>]*)>\s*\Z')


class Answers:
    """Carries out the actions of logged-in sessions on one simulation."""

    def __init__(self, simulation: Simulation, name: str) -> None:
        self._simulation = simulation
        self._switch = simulation.switch
        self._style = simulation.style
        self._name = name
        handlers: dict[str, tuple[Handler, str]] = {
            "BridgeList": (self._bridge_list, ""),
            "Command": (self._command, "command"),
            "CoreSettings": (self._core_settings, "system,reporting"),
            "CoreShowChannels": (self._core_show_channels, "system,reporting"),
            "CoreStatus": (self._core_status, "system,reporting"),
            "DeviceStateList": (self._device_state_list, "call,reporting"),
            "Getvar": (self._getvar, "call,reporting"),
            "Hangup": (self._hangup, "system,call"),
            "ListCommands": (self._list_commands, ""),
            "ModuleLoad": (self._module_load, "system"),
            "QueuePause": (self._queue_pause, "agent"),
            "QueueStatus": (self._queue_status, ""),
            "QueueSummary": (self._queue_summary, ""),
            "Redirect": (self._redirect, "call"),
            "Setvar": (self._setvar, "call"),
            "Status": (self._status, "system,call,reporting"),
        }
        if self._style.queues_action:
            handlers["Queues"] = (self._queues, "")
        self._handlers = {action.lower(): handler for action, (handler, _) in handlers.items()}
        self._privileges = {action: classes for action, (_, classes) in handlers.items()}
        self._privileges |= SESSION_ACTIONS | {"Originate": "originate"}

    def answer(self, request: Request, later: Later) -> str | None:
        """The answer, or None for an Originate that is answered through ``later``.

        Until then the session takes no other action, as with Asterisk. An action that is
        not known is for the caller: see ``knows``.
        """
        action = request.get("Action").lower()
        if action == "originate":
            return self._originate(request, later)
        return self._handlers[action](request)

    def knows(self, request: Request) -> bool:
        action = request.get("Action").lower()
        return action == "originate" or action in self._handlers

    # The server

    def _core_status(self, request: Request) -> str:
        started = time.gmtime(self._switch.started)
        date, clock = time.strftime("%Y-%m-%d", started), time.strftime("%H:%M:%S", started)
        tail = (
            f"CoreStartupDate: {date}\r\nCoreStartupTime: {clock}\r\n"
            f"CoreReloadDate: {date}\r\nCoreReloadTime: {clock}\r\n"
            f"CoreCurrentCalls: {len(self._switch.calls)}\r\n"
        )
        if self._style.processed_calls:
            tail += f"CoreProcessedCalls: {self._switch.calls_begun}\r\n"
        return respond(request, "Success", tail=tail)

    def _core_settings(self, request: Request) -> str:
        tail = (
            f"AMIversion: {self._style.ami_version}\r\n"
            f"AsteriskVersion: {self._style.asterisk_version}\r\nSystemName: {self._name}\r\n"
            "CoreMaxCalls: 0\r\nCoreMaxLoadAvg: 0.000000\r\nCoreRunUser: \r\nCoreRunGroup: \r\n"
            "CoreMaxFilehandles: 0\r\nCoreRealTimeEnabled: No\r\nCoreCDRenabled: Yes\r\n"
            "CoreHTTPenabled: Yes\r\n"
        )
        if self._style.sounds_setting:
            tail += "SoundsSearchCustomDir: No\r\n"
        return respond(request, "Success", tail=tail)

    def _list_commands(self, request: Request) -> str:
        lines = []
        for action in sorted(self._privileges, key=str.lower):
            classes = self._privileges[action]
            lines.append(f"{action}:  (Priv: {classes + ',all' if classes else '<none>'})\r\n")
        return respond(request, "Success", tail="".join(lines))

    def _module_load(self, request: Request) -> str:
        """There are no modules; but that it may be asked tells that the user has its class."""
        return refuse(request, "Could not load module.")

    def _command(self, request: Request) -> str:
        command = request.get("Command")
        if not command:
            return refuse(request, "No command provided")
        text, known = console.run(self._simulation, command)
        if self._style.command_follows:
            return (
                f"Response: Follows\r\nPrivilege: Command\r\n{id_line(request)}"
                f"{text}--END COMMAND--\r\n\r\n"
            )
        lines = text.removesuffix("\n").split("\n")
        tail = "".join(f"Output: {line}\r\n" for line in lines)
        kind = "Success" if known else "Error"
        return respond(request, kind, "Command output follows", tail)

    # Lists

    def _list(
        self, request: Request, message: str, items: Iterable[str], end: str, count: bool = False
    ) -> str:
        """An answer in many packets. Each item is an event without its blank line."""
        identity = id_line(request)
        events = list(items)
        total = f"ListItems: {len(events)}\r\n"
        if count:
            total += f"Items: {len(events)}\r\n"
        return (
            f"Response: Success\r\n{identity}EventList: start\r\nMessage: {message}\r\n\r\n"
            + "".join(f"{event}\r\n" for event in events)
            + f"Event: {end}\r\n{identity}EventList: Complete\r\n{total}\r\n"
        )

    def _core_show_channels(self, request: Request) -> str:
        identity, now = id_line(request), self._simulation.now
        items = [listings.core_show_channel(c, identity, now) for c in self._channels()]
        return self._list(request, "Channels will follow", items, "CoreShowChannelsComplete")

    def _status(self, request: Request) -> str:
        channels = self._channels()
        if request.get("Channel"):
            channel = self._channel(request)
            if channel is None:
                return refuse(request, "No such channel")
            channels = [channel]
        names = [name for name in request.get("Variables").split(",") if name]
        every = self._style.all_variables and request.flag("AllVariables")
        items = []
        for channel in channels:
            variables = {name: channel.variables.get(name, "") for name in names}
            if every:
                variables |= channel.variables
            items.append(
                listings.status(
                    channel, self._style, variables, id_line(request), self._simulation.now
                )
            )
        return self._list(request, "Channel status will follow", items, "StatusComplete", True)

    def _queue_status(self, request: Request) -> str:
        items: list[str] = []
        for queue in self._switch.queues.values():
            if request.get("Queue").lower() in ("", queue.name):
                items += listings.queue_status(
                    queue,
                    self._style,
                    request.get("Member"),
                    id_line(request),
                    self._simulation.now,
                )
        return self._list(request, "Queue status will follow", items, "QueueStatusComplete")

    def _queue_summary(self, request: Request) -> str:
        items = [
            listings.queue_summary(queue, id_line(request), self._simulation.now)
            for queue in self._switch.queues.values()
            if request.get("Queue").lower() in ("", queue.name)
        ]
        return self._list(request, "Queue summary will follow", items, "QueueSummaryComplete")

    def _queues(self, request: Request) -> str:
        """Plain text without any header, and two blank lines at its end: Asterisk up to 13."""
        text = console.queue_show(self._simulation, request.get("Queue"))
        return text.replace("\n", "\r\n") + "\r\n\r\n"

    def _bridge_list(self, request: Request) -> str:
        items = [
            f"Event: BridgeListItem\r\n{id_line(request)}{bridge.headers()}"
            for bridge in self._switch.bridges.values()
        ]
        return self._list(request, "Bridge listing will follow", items, "BridgeListComplete")

    def _device_state_list(self, request: Request) -> str:
        items = [
            f"Event: DeviceStateChange\r\n{id_line(request)}"
            f"Device: {device.name}\r\nState: {device.state.name}\r\n"
            for device in self._switch.devices.values()
        ]
        end = "DeviceStateListComplete"
        return self._list(request, "Device State Changes will follow", items, end)

    # Channels

    def _channels(self) -> list[Channel]:
        return list(self._switch.channels.values())

    def _channel(self, request: Request) -> Channel | None:
        """By its name in any case, or by its unique id, as ``ast_channel_get_by_name``."""
        name = request.get("Channel")
        found = self._switch.channels.get(name)
        if found is None:
            lowered = name.lower()
            for channel in self._switch.channels.values():
                if channel.name.lower() == lowered or channel.uniqueid == name:
                    return channel
        return found

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
        if _number(request.get("Priority")) < 1:
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

    # Queues

    def _queue_pause(self, request: Request) -> str:
        interface = request.get("Interface")
        if not (interface and request.get("Paused")):
            return refuse(request, "Need 'Interface' and 'Paused' parameters.")
        members: list[Member] = [
            member
            for queue in self._switch.queues.values()
            if request.get("Queue").lower() in ("", queue.name)
            for member in queue.members
            if member.device.name == interface
        ]
        if not members:
            return refuse(request, "Interface not found")
        paused = request.flag("Paused")
        self._simulation.pause(members, paused, request.get("Reason"))
        word = "paused" if paused else "unpaused"
        return respond(request, "Success", f"Interface {word} successfully")

    # Originate

    def _originate(self, request: Request, later: Later) -> str | None:
        error = self._originate_error(request)
        if error:
            return refuse(request, error)
        if request.flag("Async"):
            self._simulation.originate(self._order(request, self._announcer(request)))
            return respond(request, "Success", "Originate successfully queued")

        def report(reason: int, _channel: Channel | None) -> None:
            if reason == ANSWERED:
                later(respond(request, "Success", "Originate successfully queued"))
            else:
                later(refuse(request, "Originate failed"))

        self._simulation.originate(self._order(request, report))
        return None

    def _originate_error(self, request: Request) -> str:
        """In manager.c's order; empty if the order can be tried."""
        get = request.get
        context, exten, priority = get("Context"), get("Exten"), get("Priority")
        if not get("Channel"):
            return "Channel not specified"
        if priority and _number(priority) < 0:
            return "Invalid priority"
        if get("Timeout") and _number(get("Timeout")) < 0:
            return "Invalid timeout"
        if "/" not in get("Channel"):
            return "Invalid channel"
        placed = bool(exten and context and _number(priority) > 0)
        if placed and not self._simulation.scripts.exists(context, exten):
            return "Extension does not exist."
        if not (placed or get("Application") or request.flag("Async")):
            return "Originate with 'Exten' requires 'Context' and 'Priority'"
        return ""

    def _order(self, request: Request, report: Callable[[int, Channel | None], None]) -> Order:
        number, name = parse_caller_id(request.get("CallerID"))
        variables = []
        for header in request.getall("Variable"):
            for pair in header.split(","):
                variable, sign, value = pair.partition("=")
                if variable and sign:
                    variables.append((variable, value))
        return Order(
            channel=request.get("Channel"),
            context=request.get("Context"),
            exten=request.get("Exten"),
            application=request.get("Application"),
            data=request.get("Data"),
            timeout=_number(request.get("Timeout") or "30000") / 1000,
            number=number,
            name=name,
            account=request.get("Account"),
            variables=tuple(variables),
            uniqueid=request.get("ChannelId"),
            report=report,
        )

    def _announcer(self, request: Request) -> Callable[[int, Channel | None], None]:
        """Tells the end of an asynchronous Originate to all, as OriginateResponse."""

        def report(reason: int, channel: Channel | None) -> None:
            get = request.get
            number, name = parse_caller_id(get("CallerID"))
            uniqueid = channel.uniqueid if channel else "<unknown>"
            if get("Application"):
                goal = f"Application: {get('Application')}\r\nData: {get('Data')}\r\n"
            else:
                goal = f"Context: {get('Context')}\r\nExten: {get('Exten')}\r\n"
            self._switch.out.append(
                f"Event: OriginateResponse\r\nPrivilege: call,all\r\n{id_line(request)}"
                f"Response: {'Success' if reason == ANSWERED else 'Failure'}\r\n"
                f"Channel: {channel.name if channel else get('Channel')}\r\n{goal}"
                f"Reason: {reason}\r\nUniqueid: {uniqueid}\r\n"
                f"CallerIDNum: {number or '<unknown>'}\r\n"
                f"CallerIDName: {name or '<unknown>'}\r\n\r\n"
            )

        return report


def parse_caller_id(text: str) -> tuple[str, str]:
    """Number and name of ``"Name" <number>``, ``Name <number>``, a number, or a name alone."""
    match = _CALLER_ID.match(text)
    if match:
        return match["number"].strip(), match["name"].strip()
    stripped = text.strip().strip('"')
    if stripped.removeprefix("+").isdigit():
        return stripped, ""
    return "", stripped


def _number(text: str) -> int:
    """A number as sscanf reads it, -1 if there is none."""
    match = re.match(r"\s*([+-]?[0-9]{1,9})", text)
    return int(match[1]) if match else -1
