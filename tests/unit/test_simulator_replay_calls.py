"""The calls of a recording, told as people would."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from amiws_gevent.simulator.replay.calls import calls_of
from amiws_gevent.simulator.replay.recording import Packet, Recording
from tests.support.patience import WAIT

CAPTURES = Path(__file__).parent.parent / "captures"


def calls_in(file: Path) -> list[dict[str, Any]]:
    return list(calls_of(Recording([file], tell=pytest.fail).packets()))


def test_a_queue_call_goes_to_who_answered() -> None:
    (call,) = calls_in(CAPTURES / "scenarios" / "queue_answered.raw")
    assert call["caller"]["name"] == "Kunde Eins"
    assert call["called"] == call["callee"]
    assert call["called"]["name"] == "Ben Agent"
    steps = [step["what"] for step in call["way"]]
    assert steps == ["dialled", "queued", "rang", "rang", "answered", "ended"]


def test_a_capture_has_no_times() -> None:
    (call,) = calls_in(CAPTURES / "scenarios" / "basic.raw")
    times = [call[name] for name in ("created", "answered", "since", "ended")]
    assert [*times, *(step["at"] for step in call["way"])] == [None] * (4 + len(call["way"]))


def packet(time: float, *headers: str) -> Packet:
    return Packet("".join(f"{header}\r\n" for header in (*headers, "")).encode(), time)


CHANNEL = ("Channel: PJSIP/201-1", "Uniqueid: 1.1", "Linkedid: 1.1", "CallerIDNum: 201")


def test_a_journal_has_times_in_milliseconds_and_open_calls_come_last() -> None:
    other = [header.replace("1.1", "2.2").replace("201", "202") for header in CHANNEL]
    packets = [
        packet(9.5, "Event: Newchannel", *other, "Exten: 300"),
        packet(10.0, "Event: Newchannel", *CHANNEL, "Exten: 300"),
        packet(12.25, "Event: Hangup", *CHANNEL, "Cause: 16"),
    ]
    over, still = calls_of(packets)
    assert (over["caller"]["number"], over["created"], over["ended"]) == ("201", 10_000, 12_250)
    assert (still["caller"]["number"], still["created"]) == ("202", 9_500)
    assert "ended" not in still


def run(*words: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "amiws_gevent.simulator.replay", "--calls", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=WAIT, check=False)


@pytest.mark.slow
def test_the_command_prints_a_line_for_each() -> None:
    done = run(CAPTURES / "scenarios" / "conference.raw")
    assert (done.returncode, done.stderr) == (0, "")
    numbers = [json.loads(line)["caller"]["number"] for line in done.stdout.splitlines()]
    assert sorted(numbers) == ["201", "202", "204"]


@pytest.mark.slow
def test_the_command_says_what_is_no_recording(tmp_path: Path) -> None:
    done = run(tmp_path / "none")
    assert (done.returncode, done.stdout) == (66, "")
    assert "none" in done.stderr
