"""What the simulated PBX answers to actions: true to its state, in the words of Asterisk.

Texts and the order of checks are those of manager.c; headers and their order those of recorded
sessions of 13.38 and 22.11.
"""

from __future__ import annotations

import time
from typing import Final

from amiws_gevent.simulator.pbx import console
from amiws_gevent.simulator.pbx.deeds import Deeds
from amiws_gevent.simulator.pbx.listanswers import ListAnswers
from amiws_gevent.simulator.pbx.orders import Later, Orders
from amiws_gevent.simulator.pbx.simulation import Simulation
from amiws_gevent.simulator.serving.requests import Request, id_line, refuse, respond

SESSION_ACTIONS: Final = dict.fromkeys(("Challenge", "Events", "Login", "Logoff", "Ping"), "")
"""What a session does by itself; here only for the list of commands."""


class Answers:
    """Carries out the actions of logged-in sessions on one simulation."""

    def __init__(self, simulation: Simulation, name: str) -> None:
        self._simulation = simulation
        self._switch = simulation.switch
        self._style = simulation.style
        self._name = name
        self._orders = Orders(simulation)
        handlers = {
            "Command": (self._command, "command"),
            "CoreSettings": (self._core_settings, "system,reporting"),
            "CoreStatus": (self._core_status, "system,reporting"),
            "ListCommands": (self._list_commands, ""),
            "ModuleLoad": (self._module_load, "system"),
        }
        handlers |= ListAnswers(simulation).handlers() | Deeds(simulation).handlers()
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
            return self._orders.take(request, later)
        return self._handlers[action](request)

    def knows(self, request: Request) -> bool:
        action = request.get("Action").lower()
        return action == "originate" or action in self._handlers

    def _core_status(self, request: Request) -> str:
        started = time.gmtime(self._switch.started)
        date, clock = time.strftime("%Y-%m-%d", started), time.strftime("%H:%M:%S", started)
        tail = (
            f"CoreStartupDate: {date}\r\nCoreStartupTime: {clock}\r\n"
            f"CoreReloadDate: {date}\r\nCoreReloadTime: {clock}\r\n"
            f"CoreCurrentCalls: {self._switch.calls_up}\r\n"
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
