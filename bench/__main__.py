"""``python -m bench``: starts all it measures, prints a table, writes JSON.

Figures of one run only compare with each other: machines differ, and are
shared. Each comparison takes its subjects in turn, several rounds, and
reports the median of the rounds' ratios.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.source import MESSAGES_IN_CAPTURE
from bench.subjects import ROOT, Child, Subject, running, start_naive, start_ours

Start = Callable[[int, tuple[str, str] | None], Subject]


def burst(start: Start, clients: int, times: int, rounds: int) -> dict[str, Any]:
    """Send the busy capture ``times`` times to ``clients`` pages, ``rounds`` rounds."""
    messages = MESSAGES_IN_CAPTURE * times
    results = []
    with running(Child("-m", "bench.source")) as source:
        ami_port = int(source.line())
        with running(start(ami_port, None)) as subject:
            assert source.line() == "ready"
            time.sleep(0.3)  # the login's answer has reached nobody: no page is there yet
            with running(Child("-m", "bench.sink", str(subject.port), str(clients))) as sink:
                assert sink.line() == "ready"
                for _ in range(rounds):
                    results.append(_one_burst(source, subject, sink, times, messages, clients))
            memory = subject.memory("VmHWM")
    return {**_medians(results), "peak_memory": memory}


def _one_burst(
    source: Child, subject: Subject, sink: Child, times: int, messages: int, clients: int
) -> dict[str, Any]:
    cpu = subject.cpu()
    sink.say(f"expect {messages}")
    sent = source.ask(f"burst {times}")
    got = json.loads(sink.line())
    if not got["complete"]:
        raise RuntimeError(f"lost messages: {got}")
    seconds = got["end"] - sent["start"]
    used = subject.cpu() - cpu
    return {
        "seconds": seconds,
        "messages_per_second": messages / seconds,
        "deliveries_per_second": messages * clients / seconds,
        "cpu_us_per_message": used / messages * 1e6,
        "sink_cpu_share": got["cpu"] / seconds,
    }


def _medians(results: list[dict[str, Any]]) -> dict[str, Any]:
    return {key: statistics.median(result[key] for result in results) for key in results[0]}


def compare_one_page(rounds: int) -> dict[str, Any]:
    """One page, one burst: the program beside the naive baseline; and ten times the burst."""
    return {
        "amiws-gevent": burst(start_ours, 1, 1, rounds),
        "naive": burst(start_naive, 1, 1, rounds),
        "amiws-gevent, 10 times the burst": burst(start_ours, 1, 10, 1),
    }


def show(title: str, rows: dict[str, dict[str, Any]], base: str) -> None:
    """Print one comparison, with ratios to ``base``."""
    print(f"\n{title}")
    print(
        f"{'':36}{'s':>8}{'msg/s':>10}{'ratio':>7}{'CPU us/msg':>12}{'ratio':>7}{'peak MiB':>10}{'sink CPU':>10}"
    )
    for name, row in rows.items():
        speed = row["messages_per_second"] / rows[base]["messages_per_second"]
        cost = row["cpu_us_per_message"] / rows[base]["cpu_us_per_message"]
        print(
            f"{name:36}{row['seconds']:8.2f}{row['messages_per_second']:10.0f}{speed:7.2f}"
            f"{row['cpu_us_per_message']:12.1f}{cost:7.2f}{row['peak_memory'] / 2**20:10.0f}"
            f"{row['sink_cpu_share']:10.0%}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, default=ROOT / "bench" / "results" / "latest.json")
    options = parser.parse_args()
    rows = compare_one_page(options.rounds)
    show("The busy capture (40,503 messages) to one page", rows, "naive")
    ten = rows["amiws-gevent, 10 times the burst"]["seconds"] / rows["amiws-gevent"]["seconds"]
    print(f"ten times the burst takes {ten:.1f} times as long")
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(
        json.dumps({"machine": platform.platform(), "python": platform.python_version(), **rows})
    )


if __name__ == "__main__":
    main()
