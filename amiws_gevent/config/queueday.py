"""When the day of the queues' figures begins: ``00:00 Europe/Berlin``."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from amiws_gevent.values import shown

_FORM = re.compile(r"([01]?[0-9]|2[0-3]):([0-5][0-9])(?:\s+(\S+))?")


class QueueDay(NamedTuple):
    """A time of the day, and the zone that it is of; ``zone`` None: that of this machine."""

    hour: int = 0
    minute: int = 0
    zone: str | None = None

    def __str__(self) -> str:
        time = f"{self.hour:02}:{self.minute:02}"
        return time if self.zone is None else f"{time} {self.zone}"

    def day_of(self, milliseconds: int) -> str:
        """The day that a time (UTC, milliseconds since 1970) belongs to, such as 2026-11-29."""
        zone = None if self.zone is None else ZoneInfo(self.zone)
        seconds = milliseconds // 1000
        local = datetime.fromtimestamp(seconds, zone)
        if (local.hour, local.minute) < (self.hour, self.minute):
            begin = local.replace(hour=self.hour, minute=self.minute, second=0, fold=0)
            if not local.fold or begin.timestamp() > seconds:  # else the hour comes again
                local -= timedelta(days=1)
        return local.date().isoformat()


def queue_day(value: object) -> QueueDay:
    """A time such as ``06:00``, with the name of a zone of the IANA's database or without."""
    if isinstance(value, QueueDay):
        return value
    found = _FORM.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is None:
        raise ValueError(
            'must be a time and a zone, such as "00:00 Europe/Berlin", or a time of this '
            f'machine\'s zone, such as "06:00", not {shown(value)}'
        )
    hour, minute, zone = found.groups()
    if zone is not None and not _is_zone(zone):
        raise ValueError(
            f"the zone must be one of the system's time zone database, such as Europe/Berlin or "
            f"UTC, not {shown(zone)}"
        )
    return QueueDay(int(hour), int(minute), zone)


def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, OSError, ValueError):  # a folder, or no name at all
        return False
    return True
