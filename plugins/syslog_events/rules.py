"""Rules, ready to be asked about each event."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from amiws_gevent.ami import Message
from amiws_gevent.plugins import ServerInfo

from .._matching import HeaderCondition, NameSet, Remembered, ServerSet
from .._template import Template
from .defaults import default_rules
from .settings import RuleSettings, Settings
from .text import pairs
from .units import Rate

CONNECTION = "AMIConnection"
"""The name under which rules choose changes of the connection to a server."""

_UNSAID = frozenset({"event", "privilege"})


class Limiter:
    """Lets ``rate.count`` lines pass in each ``rate.seconds`` and counts the others.

    So that a flood of events fills no disk.
    """

    def __init__(self, rate: Rate, clock: Callable[[], float]) -> None:
        self.rate = rate
        self.suppressed = 0
        """Lines held back that nobody was told of yet."""
        self.ends = 0.0
        """When the present time span ends, on the clock."""
        self._clock = clock
        self._passed = 0

    def allow(self) -> bool:
        """Whether one more line may go."""
        if not self.rate.count:
            return True
        now = self._clock()
        if now >= self.ends:
            self.ends = now + self.rate.seconds
            self._passed = 0
        if self._passed < self.rate.count:
            self._passed += 1
            return True
        self.suppressed += 1
        return False

    def take(self) -> int:
        """The lines held back since the last call."""
        taken, self.suppressed = self.suppressed, 0
        return taken


class Rule:
    """One rule of the settings, with what of theirs holds for it."""

    def __init__(
        self,
        chosen: RuleSettings,
        name: str,
        settings: Settings,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self.log = chosen.log
        facility = settings.facility if chosen.facility is None else chosen.facility
        self.priority = facility * 8 + chosen.severity
        """Facility and severity as the number between < and > (RFC 5424, section 6.2.1)."""
        self.facility = facility
        self.limiter = Limiter(chosen.limit or settings.limit, clock)
        self._events = NameSet(chosen.events)
        self._servers = ServerSet(chosen.servers)
        self._conditions = [HeaderCondition(*header) for header in chosen.headers.items()]
        self._template = Template(chosen.template) if chosen.template else None
        self._shown = None if chosen.show is None else NameSet(chosen.show)

    def concerns(self, event: str) -> bool:
        """Whether it is about events of this name."""
        return self._events.fits(event)

    def fits(self, message: Message, server: ServerInfo) -> bool:
        """Whether it is about this event, the name of which it concerns."""
        if not self._servers.fits(server):
            return False
        if not self._conditions:
            return True
        headers = message.headers
        return all(condition.fits(headers) for condition in self._conditions)

    def parameters(self, message: Message) -> list[tuple[str, str]]:
        """The headers that go along, in their order, repeats kept."""
        headers = message.headers
        if self._shown is None:
            return [(name, str(value)) for name, value in headers if name.lower() not in _UNSAID]
        fits = self._shown.fits
        return [(name, str(value)) for name, value in headers if fits(name)]

    def text(
        self,
        message: Message,
        server: ServerInfo,
        parameters: Sequence[tuple[str, str]],
        most: int,
    ) -> str:
        """What the line says: the template's text, or key=value of at most ``most`` bytes."""
        if self._template is not None:
            return self._template.render(message, server)
        return pairs([("event", message.name), ("server", server.name), *parameters], most)


class RuleBook:
    """All rules, the operator's first; the first that fits an event has it."""

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        chosen = [(rule, rule.name or f"rule{n}") for n, rule in enumerate(settings.rules, 1)]
        if settings.defaults:
            chosen += [(rule, rule.name) for rule in default_rules()]
        self.rules = [Rule(rule, name, settings, clock) for rule, name in chosen]
        self.of_event: Remembered[str, tuple[Rule, ...]] = Remembered(self._of_event, 4096)
        """The rules that concern events of a name, by that name as it came."""
        self.of_connection = tuple(rule for rule in self.rules if rule.concerns(CONNECTION))

    def _of_event(self, name: str) -> tuple[Rule, ...]:
        if not name or name.lower() == CONNECTION.lower():  # no server may speak in our name
            return ()
        return tuple(rule for rule in self.rules if rule.concerns(name))


def first_fit(rules: Sequence[Rule], message: Message, server: ServerInfo) -> Rule | None:
    """The rule that makes this event's line; None: it gets none."""
    for rule in rules:
        if rule.fits(message, server):
            return rule if rule.log else None
    return None
