"""The plain text that answers the action ``Queues`` (Asterisk up to 13).

One packet is one queue, as ``__queues_show`` of ``apps/app_queue.c`` prints it::

    NAME has N calls (max unlimited|N) in 'STRATEGY' strategy (Ns holdtime, Ns talktime),
     W:N, C:N, A:N, SL:N.N%[, SL2:N.N%] within Ns          (one line)
       Members:                    or "   No Members"
          INTERFACE ...            one line of six blanks a member
       Callers:                    or "   No Callers"
          1. CHANNEL ...           one numbered line of six blanks a caller
"""

from __future__ import annotations

import itertools
import re

from .messages import Value

# 15 digits: what a client's JavaScript holds exactly, and more than any counter here.
_NUMBER = r"(-?[0-9]{1,15})"
_SUMMARY = re.compile(
    rf"(.*) has {_NUMBER} calls \(max (unlimited|[0-9]{{1,15}})\) in '([^']*)' strategy"
    rf" \({_NUMBER}s holdtime, {_NUMBER}s talktime\),"
    rf" W:{_NUMBER}, C:{_NUMBER}, A:{_NUMBER},"
    rf" SL: *([0-9]+\.[0-9]+%)(?:, SL2: *[0-9]+\.[0-9]+%)? within {_NUMBER}s[ \t]*",
    re.DOTALL,
)
_MEMBER = re.compile(r" {6}")
_CALLER = re.compile(r" {6}[0-9]+\. ")


def parse_queue(lines: list[str]) -> list[tuple[str, Value]] | None:
    """The data of one queue, or None where the text does not fit to its last line."""
    summary = _SUMMARY.fullmatch(lines[0])
    if summary is None:
        return None
    members = _count_section(lines, 1, "Members", _MEMBER)
    if members is None:
        return None
    callers = _count_section(lines, 2 + members, "Callers", _CALLER)
    if callers is None or len(lines) != 3 + members + callers:
        return None
    (name, calls, maxlen, strategy, hold, talk, weight, completed, abandoned, level, period) = (
        summary.groups()
    )
    return [
        ("QueueName", name),
        ("Calls", int(calls)),
        ("Maxlen", 0 if maxlen == "unlimited" else int(maxlen)),
        ("Strategy", strategy),
        ("Holdtime", int(hold)),
        ("Talktime", int(talk)),
        ("Weight", int(weight)),
        ("CallsCompleted", int(completed)),
        ("CallsAbandoned", int(abandoned)),
        ("ServiceLevel", level),
        ("ServiceLevelPeriod", int(period)),
        ("MembersCount", members),
        ("CallersCount", callers),
    ]


def _count_section(lines: list[str], start: int, title: str, entry: re.Pattern[str]) -> int | None:
    """How many entries follow the title at ``start``; None where there is no such title."""
    heading = lines[start].rstrip(" \t") if start < len(lines) else ""
    if heading == f"   No {title}":
        return 0
    if heading != f"   {title}:":
        return None
    entries = itertools.takewhile(entry.match, itertools.islice(lines, start + 1, None))
    return sum(1 for _ in entries)
