"""The action Originate: from its headers to an order, and what it is answered with."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from amiws_gevent.simulator.pbx.model import Channel
from amiws_gevent.simulator.pbx.originate import ANSWERED, Order, response_event
from amiws_gevent.simulator.pbx.simulation import Simulation
from amiws_gevent.simulator.serving.requests import Request, id_line, refuse, respond

Later = Callable[[str], None]

_CALLER_ID: Final = re.compile(r'\s*"?(?P<name>[^"<]*?)"?\s*<(?P<number>[^>]*)>\s*\Z')


class Orders:
    """Takes orders of clients for one simulation."""

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation
        self._switch = simulation.switch

    def take(self, request: Request, later: Later) -> str | None:
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
        if priority and number_in(priority) < 0:
            return "Invalid priority"
        if get("Timeout") and number_in(get("Timeout")) < 0:
            return "Invalid timeout"
        if "/" not in get("Channel"):
            return "Invalid channel"
        placed = bool(exten and context and number_in(priority) > 0)
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
            timeout=number_in(request.get("Timeout") or "30000") / 1000,
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
            order = self._order(request, report)
            self._switch.out.append(response_event(id_line(request), order, reason, channel))

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


def number_in(text: str) -> int:
    """A number as sscanf reads it, -1 if there is none."""
    match = re.match(r"\s*([+-]?[0-9]{1,9})", text)
    return int(match[1]) if match else -1
