"""What the live state costs: ``python -m bench live``.

One client of ``amiws.v2`` that subscribes to all of the state, and one of the classic socket,
beside the same without the live state; snapshots; lists; and what further clients of the state
cost.
"""

from __future__ import annotations

import functools
import json
import statistics
import time
from collections.abc import Callable

from bench import runs
from bench.runs import Figures, Scene
from bench.sections import BARE, OURS, PLAIN, STARTS, Report
from bench.source import MESSAGES_IN_CALL, MESSAGES_IN_CAPTURE, OWN_PACE
from bench.subjects import COMPILED_TREE, Child, Subject, running, start_ours
from bench.watchers import ALL, OWN

BURST = 3 * MESSAGES_IN_CAPTURE
PACED = round(10 * OWN_PACE)  # ten seconds
CROWD_PACED = round(5 * OWN_PACE)
CROWD = 1000
CHANNELS = 10_000
SNAPSHOTS = 100

LAST_FLUSH = 0.3  # seconds after the last message in which all of the state is told
PATIENCE = 60.0

Load = Callable[[Scene], Figures]


def section(report: Report) -> None:
    """All of it, one after the other."""
    _beside_none(report, "bursts of the busy capture", _burst, "at most 0.1")
    _beside_none(report, "its own pace of 60 calls a second", _own_pace, "at most 0.25")
    _crowd(report)
    _own_filters(report)
    snapshots, merged = _snapshots(), _merged()
    rows = {f"snapshots to {SNAPSHOTS}": snapshots, "the list of them": merged}
    report.table(f"{CHANNELS:,} channels", rows)
    for name, row in rows.items():
        report.ratio(f"longest reader pause, {name}, ms", row["reader_pause_ms"], "at most 50")


def _beside_none(report: Report, what: str, load: Load, most_bytes: str) -> None:
    """The live state with a client of it, and without, in turn; compiled too, if it is there."""
    without: list[Figures] = []
    results: dict[str, list[Figures]] = {}
    for _ in range(report.rounds):
        without.append(_run(load, STARTS[PLAIN], 0))
        for kind, start in _kinds().items():
            for watchers, name in enumerate(("unwatched", "watched")):
                results.setdefault(name + kind, []).append(_run(load, start, watchers))
    rows = {"without": without, **results}
    report.table(f"the live state, {what}", {n: runs.medians(r) for n, r in rows.items()})
    for name, row in results.items():
        cpu = [
            a["cpu_us_per_message"] / b["cpu_us_per_message"]
            for a, b in zip(row, without, strict=True)
        ]
        report.ratio(f"CPU a message, {what}, {name}", statistics.median(cpu), "at most 1.6")
    size = [row["state_bytes_per_message"] / row["bytes_per_message"] for row in results["watched"]]
    report.ratio(f"bytes of the state, {what}", statistics.median(size), most_bytes)


def _kinds() -> dict[str, runs.Start]:
    """The program in Python, and with the live state compiled, by what their rows end with."""
    kinds: dict[str, runs.Start] = {"": start_ours}
    if (COMPILED_TREE / "made").exists():
        kinds[", compiled"] = functools.partial(start_ours, tree=COMPILED_TREE)
    return kinds


def _run(load: Load, start: runs.Start, watchers: int, what: str = ALL) -> Figures:
    with runs.scene(start, 1) as run:
        if start is not STARTS[PLAIN]:
            wait_for_lists(run.subject)
        if not watchers:
            return load(run)
        with running(
            Child("-m", "bench.watchers", str(run.subject.port), str(watchers), what)
        ) as state:
            assert state.line() == "ready"
            state.ask("subscribe")
            figures = load(run)
            time.sleep(LAST_FLUSH)
            told = state.ask("count")
    messages = figures.pop("messages")
    return {
        **figures,
        "state_messages": told["messages"],
        "state_bytes_per_message": told["bytes"] / messages,
    }


def wait_for_lists(subject: Subject) -> None:
    """Return once the program has asked the source for all it can."""
    end = time.monotonic() + PATIENCE
    while not subject.metric("amiws_state_synchronised"):
        if time.monotonic() > end:
            raise RuntimeError("the live state is not synchronised")
        time.sleep(0.02)


def _burst(run: Scene) -> Figures:
    return {"messages": BURST, **runs.one_burst(run, BURST)}


def _own_pace(run: Scene, messages: int = PACED) -> Figures:
    cpu = run.subject.cpu()
    run.sink.say(f"expect {messages}")
    sent = run.source.ask(f"pace {OWN_PACE} {messages}")
    got = json.loads(run.sink.line())
    used = run.subject.cpu() - cpu
    return {
        "messages": messages,
        "cpu_us_per_message": used / messages * 1e6,
        "cpu_share": used / (got["end"] - sent["start"]),
        "bytes_per_message": got["bytes"] / messages,
        "source_lag_ms": sent["worst_lag"] * 1e3,
    }


def _crowd(report: Report) -> None:
    """What each further client of equal views costs, beside one write to a client."""
    pace = functools.partial(_own_pace, messages=CROWD_PACED)
    costs: list[Figures] = []
    for _ in range(report.rounds):
        one, all_of_them = _run(pace, start_ours, 1), _run(pace, start_ours, CROWD)
        more = all_of_them["cpu_us_per_message"] - one["cpu_us_per_message"]
        deliveries = all_of_them["state_messages"] * (CROWD - 1)
        bare = runs.paced(STARTS[BARE], CROWD, 50, 5)
        classic = runs.paced(STARTS[OURS], CROWD, 50, 5)
        costs.append(
            {
                "state_us_per_delivery": more * CROWD_PACED / deliveries,
                "event_us_per_delivery": classic["cpu_us_per_delivery"],
                "bare_us_per_delivery": bare["cpu_us_per_delivery"],
            }
        )
    report.table(f"{CROWD:,} clients of equal views of the state", {"each": runs.medians(costs)})
    ratio = statistics.median(
        row["state_us_per_delivery"] / row["event_us_per_delivery"] for row in costs
    )
    report.ratio("CPU a delivery of state against one of a lone event", ratio, "about 1")


def _own_filters(report: Report) -> None:
    """As many views as clients: each has a filter that nobody else has."""

    def load(run: Scene) -> Figures:
        figures = _own_pace(run, CROWD_PACED)
        return {**figures, "reader_pause_ms": run.subject.costs()["reader_pause_ms"]}

    results: dict[str, list[Figures]] = {"1": [], f"{CROWD:,}": []}
    for _ in range(report.rounds):
        for name, many in zip(results, (1, CROWD), strict=True):
            results[name].append(_run(load, start_ours, many, OWN))
    report.table(
        "clients, each with a filter of its own", {n: runs.medians(r) for n, r in results.items()}
    )
    pairs = zip(*results.values(), strict=True)
    cpu = [many["cpu_us_per_message"] / one["cpu_us_per_message"] for one, many in pairs]
    report.ratio(
        f"CPU a message, {CROWD:,} filters against one", statistics.median(cpu), "at most 3"
    )


def _snapshots() -> Figures:
    """All channels to many clients at once."""
    with runs.scene(start_ours, 1) as run:
        wait_for_lists(run.subject)
        run.sink.say(f"expect {CHANNELS // 2 * MESSAGES_IN_CALL}")
        run.source.ask(f"calls {CHANNELS // 2}")
        run.sink.line()
        filled = run.subject.costs()["reader_pause_ms"]
        clients = [str(run.subject.port), str(SNAPSHOTS)]
        with running(Child("-m", "bench.watchers", *clients)) as state:
            assert state.line() == "ready"
            cpu = run.subject.cpu()
            told = state.ask("subscribe")
            return {
                "pause_before_ms": filled,
                "seconds": told["seconds"],
                "cpu_seconds": run.subject.cpu() - cpu,
                "mib_each": told["bytes"] / 2**20,
                **run.subject.costs(),
            }


def _merged() -> Figures:
    """All channels as the answer to one action."""
    with runs.scene(start_ours, 1, listed=CHANNELS) as run:
        wait_for_lists(run.subject)
        return run.subject.costs()
