"""The command line's texts: what they say is what is, laid out as Asterisk does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from amiws_gevent.simulator.pbx import console, queueing
from amiws_gevent.simulator.pbx.model import ChannelState
from amiws_gevent.simulator.pbx.simulation import Simulation
from amiws_gevent.simulator.pbx.style import STYLE_13, STYLE_22, Style
from tests.support.simulator import STARTED, STYLES, simulation

CAPTURES = Path(__file__).parent.parent / "captures"

by_style = pytest.mark.parametrize("style", STYLES, ids=lambda style: style.name)


def running(style: Style) -> Simulation:
    pbx = simulation(style)
    pbx.advance(STARTED + 60)
    return pbx


def lines(pbx: Simulation, command: str) -> list[str]:
    text, known = console.run(pbx, command)
    assert known
    assert text.endswith("\n")
    return text.removesuffix("\n").split("\n")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 seconds"),
        (1, "1 second"),
        (60, "60 seconds"),
        (61, "1 minute, 1 second"),
        (3723, "1 hour, 2 minutes, 3 seconds"),
        (86400 * 9, "1 week, 2 days"),
        (31536000 * 2 + 604801, "2 years, 1 week, 1 second"),
    ],
)
def test_uptimes(seconds: int, text: str) -> None:
    assert console.uptime_text(seconds) == text


def test_uptime_in_seconds() -> None:
    assert lines(running(STYLE_22), "core show uptime seconds") == [
        "System uptime: 60",
        "Last reload: 60",
    ]


@by_style
def test_the_version(style: Style) -> None:
    (line,) = lines(running(style), "Core Show VERSION")
    assert line.startswith(f"Asterisk {style.asterisk_version} built by ")


@by_style
def test_the_table_of_channels_has_the_recorded_layout(style: Style) -> None:
    file = "asterisk-13.38.raw" if style is STYLE_13 else "asterisk-22.11.raw"
    recorded = (CAPTURES / file).read_bytes().decode()
    (head,) = re.findall(r"^(?:Output: )?(Channel +Location +State +[^\r\n]*)", recorded, re.M)
    pbx = running(style)
    first, *rows, channels, calls, processed = lines(pbx, "core show channels")
    assert first == head
    assert len(rows) == len(pbx.switch.channels)
    assert all(len(row) == len(head) for row in rows)
    assert channels == f"{len(rows)} active channels"
    assert calls == f"{pbx.switch.calls_up} active calls"
    assert processed == f"{pbx.switch.calls_begun} calls processed"


def test_other_forms_of_the_table() -> None:
    pbx = running(STYLE_22)
    count = len(pbx.switch.channels)
    concise = [line.split("!") for line in lines(pbx, "core show channels concise")]
    assert {row[0] for row in concise} == set(pbx.switch.channels)
    assert {len(row) for row in concise} == {14}
    head, *rows = lines(pbx, "core show channels verbose")[:-3]
    assert head.startswith("Channel  ")
    assert head.endswith("BridgeID            ")
    assert {len(row) for row in rows} == {len(head)}
    assert len(rows) == count
    assert lines(pbx, "core show channels count")[0] == f"{count} active channels"
    assert lines(pbx, "core show calls") == lines(pbx, "core show channels count")[1:]


def test_one_is_not_many() -> None:
    assert [console.plural(n, "call") for n in (0, 1, 2)] == ["0 calls", "1 call", "2 calls"]


QUEUE = re.compile(
    r"(?P<name>\w+) has (?P<calls>\d+) calls \(max unlimited\) in '\w+' strategy "
    r"\(\d+s holdtime, \d+s talktime\), W:0, C:(?P<done>\d+), A:(?P<lost>\d+), "
    r"SL:\d+\.\d%(?P<second>, SL2:\d+\.\d%)? within 6s"
)


@by_style
def test_queues_are_shown_as_recorded(style: Style) -> None:
    pbx = running(style)
    text, _ = console.run(pbx, "queue show")
    blocks = text.removesuffix("\n\n").split("\n\n")
    assert len(blocks) == 3
    for block in blocks:
        head, members, *rest = block.split("\n")
        match = QUEUE.fullmatch(head)
        assert match, head
        queue = pbx.switch.queues[match["name"]]
        assert int(match["calls"]) == len(queue.entries)
        assert (int(match["done"]), int(match["lost"])) == (queue.completed, queue.abandoned)
        assert (match["second"] is not None) is (style is STYLE_22)
        assert members == "   Members: "
        assert rest[len(queue.members)] in ("   No Callers", "   Callers: ")
    assert text.index("billing has") < text.index("sales has") < text.index("support has")


def test_one_queue_with_a_caller_and_an_agent_on_a_break() -> None:
    pbx = simulation(rate=0)
    queue = pbx.switch.queues["sales"]
    pbx.pause([queue.members[0]], True, "lunch")
    queue.members[1].calls_taken, queue.members[1].last_call = 2, int(STARTED) + 10
    trunk = pbx.switch.devices["PJSIP/trunk-europe"]
    channel = pbx.switch.new_channel(
        pbx.switch.new_call(), trunk, state=ChannelState.UP, context="a", exten="1"
    )
    queueing.join(pbx.switch, channel, queue)
    pbx.advance(STARTED + 65)
    shown = lines(pbx, "queue show sales")
    tail = "(login was 65 secs ago)"
    assert shown[2] == (
        "      Alice Ahmed (PJSIP/201) (ringinuse disabled) (paused:lunch was 65 secs ago)"
        f" (Not in use) has taken no calls yet {tail}"
    )
    assert shown[3].endswith(f"(Not in use) has taken 2 calls (last was 55 secs ago) {tail}")
    assert shown[-2] == f"      1. {channel.name} (wait: 1:05, prio: 0)"
    assert shown[-3] == "   Callers: "


def test_a_queue_that_does_not_exist() -> None:
    assert console.run(running(STYLE_22), "queue show none") == ("No such queue: none.\n", True)


def test_channels_can_be_hung_up() -> None:
    pbx = running(STYLE_22)
    name = next(iter(pbx.switch.channels))
    assert lines(pbx, f"channel request hangup {name}") == [f"Requested Hangup on channel '{name}'"]
    assert name not in pbx.switch.channels
    assert lines(pbx, "channel request hangup x") == ["x is not a known channel"]
    lines(pbx, "channel request hangup all")
    assert pbx.switch.channels == {}


@pytest.mark.parametrize("command", ["nosuch", "core", "core show", "queue", "sip show peers"])
def test_no_such_command(command: str) -> None:
    text, known = console.run(running(STYLE_22), command)
    assert not known
    assert text == (
        f"No such command '{command}' (type 'core show help {command}' "
        "for other possible commands)\n"
    )
