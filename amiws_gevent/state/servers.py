"""The server itself: what it is, since when it runs, whether it is connected, how it does.

Origin: ``main/manager.c`` and ``main/asterisk.c`` (FullyBooted, which says since when from 16
on; CoreStatus, CoreSettings; Reload), ``res/res_rtp_asterisk.c`` (11) and
``main/rtp_engine.c`` (RTCPSent, RTCPReceived).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Final

from amiws_gevent.ami import Message
from amiws_gevent.state.headers import fraction, text, whole
from amiws_gevent.state.part import Part, Steps, TakeList
from amiws_gevent.state.store import Store

SERVER: Final = "server"
PERIOD: Final = 10_000
"""How often, in milliseconds, it is told what changes all the time."""

MINUTE: Final = 60_000
MINUTES: Final = 10

_BANNER: Final = re.compile(r"(.*)/([\w.]+)\s*$")
_ASTERISK: Final = "Asterisk Call Manager"
_CLOCK: Final = 8
"""RTP's units in a millisecond for audio of 8 kHz, of which jitter is taken to be: the events
do not name the codec."""


class Reports:
    """What the reports of one minute come to; each is added up at once, and none is kept."""

    __slots__ = ("count", "delay", "delays", "jitter", "jitters", "lost", "worst")

    def __init__(self) -> None:
        self.count = self.jitters = self.delays = 0
        self.lost = self.worst = self.jitter = self.delay = 0.0

    def add(self, other: Reports) -> None:
        """Those of another minute too."""
        self.count += other.count
        self.lost += other.lost
        self.worst = max(self.worst, other.worst)
        self.jitter += other.jitter
        self.jitters += other.jitters
        self.delay += other.delay
        self.delays += other.delays


class Quality:
    """The reports on one direction of the sound, of this minute and the one before."""

    def __init__(self) -> None:
        self._minutes: dict[int, Reports] = {}

    def add(self, minute: int, lost: float, jitter: float | None, delay: float | None) -> None:
        """One report: the share lost in percent, jitter and round trip in milliseconds."""
        reports = self._minutes.get(minute)
        if reports is None:
            reports = self._minutes[minute] = Reports()
        reports.count += 1
        reports.lost += lost
        reports.worst = max(reports.worst, lost)
        if jitter is not None:
            reports.jitter += jitter
            reports.jitters += 1
        if delay is not None:
            reports.delay += delay
            reports.delays += 1

    def fields(self, minute: int) -> dict[str, Any]:
        """Means and the worst, as one field of the server."""
        kept = (minute - 1, minute)
        self._minutes = {at: reports for at, reports in self._minutes.items() if at in kept}
        all_of_it = Reports()
        for reports in self._minutes.values():
            all_of_it.add(reports)
        return {
            "reports": all_of_it.count,
            "lost_percent": _mean(all_of_it.lost, all_of_it.count),
            "worst_lost_percent": round(all_of_it.worst, 2) if all_of_it.count else None,
            "jitter_ms": _mean(all_of_it.jitter, all_of_it.jitters),
            "round_trip_ms": _mean(all_of_it.delay, all_of_it.delays),
        }


class ServersPart(Part):
    """The kind ``server``: one entity, whose key is ``key``.

    What comes with each read, or for each call, is put by a tick, and by the next one after
    ``PERIOD`` has passed. Of the store nothing is used but ``get`` and ``put``, so anything
    that has these can stand for it.
    """

    kinds: ClassVar[tuple[str, ...]] = (SERVER,)

    def __init__(self, store: Store, key: str = "server") -> None:
        super().__init__(store)
        self._key = key
        self._told: int | None = None  # when a tick has put something
        self._heard: int | None = None
        self._calls: dict[int, int] = {}  # by minute
        self._incoming, self._outgoing = Quality(), Quality()

    @property
    def events(self) -> Mapping[str, Callable[[Message], None]]:
        return {
            "fullybooted": self._booted,
            "reload": self._reloaded,
            "shutdown": self._shut_down,
            "rtcpsent": self._rtcp_sent,
            "rtcpreceived": self._rtcp_received,
        }

    @property
    def lists(self) -> Mapping[str, TakeList]:
        """Both are answered by one response, which is the only item."""
        return {"corestatus": self._status, "coresettings": self._settings}

    # -- what the side of the link says ------------------------------------------------

    def connection_changed(self, state: str, reason: str | None, now: int) -> None:
        """The link has come into another state, for a reason if it is a bad one."""
        known = self._known()
        self._put(
            connection=state,
            connection_reason=reason,
            connection_since=now if known.get("connection") != state else known["connection_since"],
        )

    def greeted(self, banner: str) -> None:
        """The server's first line, such as ``Asterisk Call Manager/11.0.0``."""
        found = _BANNER.match(banner)
        product, version = found.groups() if found else (banner.strip(), None)
        self._put(product="Asterisk" if product == _ASTERISK else product, ami_version=version)

    def heard(self, now: int) -> None:
        """Something was read from it."""
        self._heard = now

    def call_started(self, at: int, by: int = 1) -> None:
        """A call began at that time; ``by`` is -1 to take back one that is part of another."""
        minute = at // MINUTE
        self._calls[minute] = self._calls.get(minute, 0) + by

    def tick(self) -> None:
        if self._told is not None and 0 <= self.now - self._told < PERIOD:
            return
        self._told = self.now
        minute = self.now // MINUTE
        first = minute - MINUTES + 1
        # Minutes to come are of a clock that was set back since: they would be counted again.
        self._calls = {at: calls for at, calls in self._calls.items() if first <= at <= minute}
        self._put(
            last_event=self._heard,
            calls_by_minute=[self._calls.get(at, 0) for at in range(minute, first - 1, -1)],
            rtp_incoming=self._incoming.fields(minute),
            rtp_outgoing=self._outgoing.fields(minute),
        )

    # -- events ----------------------------------------------------------------------

    def _booted(self, message: Message) -> None:
        uptime, reloaded = whole(message, "Uptime"), whole(message, "LastReload")
        fields: dict[str, Any] = {"booted": True, "shutting_down": None}
        if uptime is not None:
            fields["started"] = self._ago(uptime, "started")
        if reloaded is not None:
            fields["reloaded"] = self._ago(reloaded, "reloaded")
        self._put(**fields)

    def _ago(self, seconds: int, field: str) -> int:
        """A time so long ago; the one that is known if it differs by the rounding only."""
        then = self.now - 1000 * seconds
        known = self._known().get(field)
        return known if known is not None and abs(known - then) < 2000 else then

    def _reloaded(self, message: Message) -> None:
        """From 13 on with Status 0 or "Success", if it was; 11 tells of some parts only."""
        self._put(reloaded=self.now)

    def _shut_down(self, message: Message) -> None:
        restart = text(message, "Restart") == "True"
        self._put(shutting_down="restart" if restart else "stop", booted=False)

    def _rtcp_sent(self, message: Message) -> None:
        """What the server tells others of the sound that it gets."""
        self._add(self._incoming, message)

    def _rtcp_received(self, message: Message) -> None:
        """What others tell the server of the sound that they get from it."""
        self._add(self._outgoing, message)

    def _add(self, quality: Quality, message: Message) -> None:
        minute = self.now // MINUTE
        delay = fraction(message, "RTT")
        delay = None if delay is None else 1000 * delay
        if not message.has("ReportCount"):
            _add_old(quality, minute, message, delay)
            return
        for number in range(whole(message, "ReportCount") or 0):
            lost = whole(message, f"Report{number}FractionLost")
            jitter = whole(message, f"Report{number}IAJitter")
            if lost is not None:
                in_ms = None if jitter is None else jitter / _CLOCK
                quality.add(minute, 100 * lost / 256, in_ms, delay)

    # -- answers ---------------------------------------------------------------------

    def _status(self, items: Sequence[Message], asked: int) -> Steps:
        """The times are the server's own, of a zone that it does not tell."""
        for item in items:
            self._put(
                started_local=_local(item, "CoreStartup"), reloaded_local=_local(item, "CoreReload")
            )
            yield

    def _settings(self, items: Sequence[Message], asked: int) -> Steps:
        for item in items:
            self._put(
                version=text(item, "AsteriskVersion"),
                system_name=text(item, "SystemName"),
                ami_version=text(item, "AMIversion"),
            )
            yield

    def _put(self, **fields: Any) -> None:
        made = {} if self._known() else _SERVER
        self.store.put(SERVER, self._key, **{**made, **fields})

    def _known(self) -> Mapping[str, Any]:
        return self.store.get(SERVER, self._key) or {}


# What is null until something says it.
_SERVER: Final[Mapping[str, Any]] = dict.fromkeys(
    (
        "product",
        "version",
        "ami_version",
        "system_name",
        "started",
        "started_local",
        "reloaded",
        "reloaded_local",
        "booted",
        "shutting_down",
        "connection",
        "connection_reason",
        "connection_since",
        "last_event",
        "calls_by_minute",
        "rtp_incoming",
        "rtp_outgoing",
    )
)


def _add_old(quality: Quality, minute: int, message: Message, delay: float | None) -> None:
    """11: one report without a number; jitter is in seconds in RTCPSent, in units otherwise."""
    lost, jitter = whole(message, "FractionLost"), fraction(message, "IAJitter")
    if lost is None:
        return
    if jitter is not None:
        jitter = 1000 * jitter if message.has("OurSSRC") else jitter / _CLOCK
    quality.add(minute, 100 * lost / 256, jitter, delay)


def _local(item: Message, prefix: str) -> str | None:
    day, time = text(item, f"{prefix}Date"), text(item, f"{prefix}Time")
    return f"{day} {time}" if day and time else None


def _mean(total: float, count: int) -> float | None:
    return round(total / count, 2) if count else None
