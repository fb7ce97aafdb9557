"""The texts of the command line: what the action Command runs.

Layouts are those of Asterisk's cli.c and app_queue.c; every line ends with LF.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from amiws_gevent.simulator.pbx.listings import duration
from amiws_gevent.simulator.pbx.model import DEVICE_STATE_TEXTS, STATE_NAMES, Channel, Member, Queue
from amiws_gevent.simulator.pbx.simulation import Simulation

_UNITS: Final = (
    ("year", 31536000),
    ("week", 604800),
    ("day", 86400),
    ("hour", 3600),
    ("minute", 60),
)


def run(simulation: Simulation, command: str) -> tuple[str, bool]:
    """The output of a command, and whether there is such a command."""
    words = command.split()
    for names, function in _COMMANDS:
        count = len(names)
        if [word.lower() for word in words[:count]] == list(names):
            return function(simulation, words[count:]), True
    text = f"No such command '{command}' (type 'core show help {command}'"
    return f"{text} for other possible commands)\n", False


def plural(count: int, word: str) -> str:
    return f"{count} {word}" if count == 1 else f"{count} {word}s"


def uptime_text(seconds: float) -> str:
    """As ``print_uptimestr``: "1 hour, 3 minutes, 20 seconds"; 60 is still seconds."""
    rest = int(seconds)
    parts = []
    for name, size in _UNITS:
        if rest > size:
            parts.append(plural(rest // size, name))
            rest %= size
    if rest or not parts:
        parts.append(plural(rest, "second"))
    return ", ".join(parts)


def _uptime(simulation: Simulation, words: list[str]) -> str:
    seconds = simulation.now - simulation.switch.started
    text = str(int(seconds)) if "seconds" in words else uptime_text(seconds)
    return f"System uptime: {text}\nLast reload: {text}\n"


def _version(simulation: Simulation, _words: list[str]) -> str:
    return f"Asterisk {simulation.style.asterisk_version} {simulation.style.built}\n"


def _calls(simulation: Simulation, _words: list[str]) -> str:
    switch = simulation.switch
    return (
        f"{plural(switch.calls_up, 'active call')}\n"
        f"{plural(switch.calls_begun, 'call')} processed\n"
    )


def _channels(simulation: Simulation, words: list[str]) -> str:
    channels = list(simulation.switch.channels.values())
    form = words[0].lower() if words else ""
    if form == "concise":
        return "".join(_concise_row(channel, simulation.now) for channel in channels)
    if form == "verbose":
        rows = _VERBOSE_HEAD + "".join(_verbose_row(c, simulation.now) for c in channels)
    elif form == "count":
        rows = ""
    else:
        rows = _channel_table(channels, simulation.style.wide_tables)
    return f"{rows}{plural(len(channels), 'active channel')}\n{_calls(simulation, [])}"


def _channel_table(channels: list[Channel], wide: bool) -> str:
    name, place = (64, 32) if wide else (20, 20)
    rows = [("Channel", "Location", "State", "Application(Data)")]
    for channel in channels:
        where = f"{channel.exten}@{channel.context}:{channel.priority}"
        application = f"{channel.application}({channel.data})" if channel.application else "(None)"
        state = STATE_NAMES[channel.state]
        rows.append((channel.name, where if channel.exten else "(None)", state, application))
    return "".join(
        f"{a[:name]:{name}} {b[:place]:{place}} {c[:7]:7} {d[:30]:30}\n" for a, b, c, d in rows
    )


def _concise_row(channel: Channel, now: float) -> str:
    bridge = channel.bridge.uniqueid if channel.bridge else ""
    fields = (
        channel.name,
        channel.context,
        channel.exten,
        str(channel.priority),
        STATE_NAMES[channel.state],
        channel.application or "(None)",
        channel.data,
        channel.caller_number,
        channel.account,
        "",
        "3",
        str(int(now - channel.created)),
        bridge,
        channel.uniqueid,
    )
    return "!".join(fields) + "\n"


_VERBOSE: Final = (80, 24, 24, 4, 7, 12, 25, 15, 8, 11, 11, 20)
_VERBOSE_NAMES: Final = (
    "Channel", "Context", "Extension", "Priority", "State", "Application", "Data",
    "CallerID", "Duration", "Accountcode", "PeerAccount", "BridgeID",
)  # fmt: skip
_VERBOSE_HEAD: Final = (
    " ".join(f"{name[:size]:{size}}" for name, size in zip(_VERBOSE_NAMES, _VERBOSE, strict=True))
    + "\n"
)


def _verbose_row(channel: Channel, now: float) -> str:
    fields = (
        channel.name,
        channel.context,
        channel.exten,
        f"{channel.priority:4d}",
        STATE_NAMES[channel.state],
        channel.application or "(None)",
        channel.data or "(Empty)",
        channel.caller_number,
        duration(now - channel.created),
        channel.account,
        "",
        channel.bridge.uniqueid if channel.bridge else "",
    )
    cells = (f"{text[:size]:{size}}" for text, size in zip(fields, _VERBOSE, strict=True))
    return " ".join(cells) + "\n"


def _queue_show(simulation: Simulation, words: list[str]) -> str:
    return queue_show(simulation, words[0] if words else "")


def queue_show(simulation: Simulation, name: str) -> str:
    """One queue or, without a name, all of them, each with a blank line after it."""
    queues = simulation.switch.queues
    if name and name not in queues:
        return f"No such queue: {name}.\n"
    chosen = [queues[name]] if name else sorted(queues.values(), key=lambda queue: queue.name)
    return "".join(_queue_text(simulation, queue) for queue in chosen)


def _queue_text(simulation: Simulation, queue: Queue) -> str:
    now = simulation.now
    second = f", SL2:{queue.perf2():2.1f}%" if simulation.style.second_service_level else ""
    head = (
        f"{queue.name} has {len(queue.entries)} calls (max unlimited) in '{queue.strategy}' "
        f"strategy ({queue.hold_time}s holdtime, {queue.talk_time}s talktime), W:{queue.weight}, "
        f"C:{queue.completed}, A:{queue.abandoned}, SL:{queue.perf():2.1f}%{second} "
        f"within {queue.service_level}s"
    )
    lines = [head, "   Members: "]
    lines += [_member_line(member, now, simulation.style.member_times) for member in queue.members]
    lines.append("   Callers: " if queue.entries else "   No Callers")
    for entry in queue.entries:
        minutes, seconds = divmod(int(now - entry.joined), 60)
        wait = f"(wait: {minutes}:{seconds:02d}, prio: 0)"
        lines.append(f"      {entry.position}. {entry.channel.name} {wait}")
    return "\n".join(lines) + "\n\n"


def _member_line(member: Member, now: float, times: bool) -> str:
    device = member.device
    text = f"      {device.label} ({device.name})"
    if member.penalty:
        text += f" with penalty {member.penalty}"
    text += " (ringinuse disabled)"
    if member.in_call:
        text += " (in call)"
    if member.paused:
        reason = f":{member.paused_reason}" if member.paused_reason else ""
        since = f" was {int(now) - member.last_pause} secs ago" if times else ""
        text += f" (paused{reason}{since})"
    text += f" ({DEVICE_STATE_TEXTS[device.state]})"
    if member.calls_taken:
        ago = int(now) - member.last_call
        text += f" has taken {member.calls_taken} calls (last was {ago} secs ago)"
    else:
        text += " has taken no calls yet"
    return f"{text} (login was {int(now) - member.login} secs ago)" if times else text


def _request_hangup(simulation: Simulation, words: list[str]) -> str:
    channels = simulation.switch.channels
    names = list(channels) if words == ["all"] else words
    lines = []
    for name in names:
        channel = channels.get(name)
        if channel is not None:
            simulation.hang_up(channel, 0)
            lines.append(f"Requested Hangup on channel '{name}'\n")
        elif words != ["all"]:
            lines.append(f"{name} is not a known channel\n")
    return "".join(lines)


_COMMANDS: Final[tuple[tuple[tuple[str, ...], Callable[[Simulation, list[str]], str]], ...]] = (
    (("core", "show", "uptime"), _uptime),
    (("core", "show", "version"), _version),
    (("core", "show", "channels"), _channels),
    (("core", "show", "calls"), _calls),
    (("queue", "show"), _queue_show),
    (("channel", "request", "hangup"), _request_hangup),
)
