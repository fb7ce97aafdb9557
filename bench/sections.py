"""What is compared with what, and the tables that come of it."""

from __future__ import annotations

import functools
import statistics
import subprocess
from collections.abc import Mapping

from bench import runs
from bench.runs import Figures, Start
from bench.source import MESSAGES_IN_CAPTURE
from bench.subjects import Child, running, start_bare_loop, start_naive, start_ours, start_uws

OURS = "amiws-gevent"
PLAIN = "without the live state"
BEFORE = "another commit"
BEFORE_PLAIN = "another commit, without"
NAIVE = "naive"
UWS = "uWebSockets"
BARE = "bare loop of send"

NO_STATE = "live_state: no\n"

STARTS: dict[str, Start] = {
    OURS: start_ours,
    PLAIN: functools.partial(start_ours, extra=NO_STATE),
    NAIVE: start_naive,
    UWS: start_uws,
    BARE: start_bare_loop,
}

# Deliveries of one burst of the naive baseline, which takes some six seconds for a million.
NAIVE_DELIVERIES = 1_000_000


class Report:
    """Prints tables and keeps them; ``rounds`` is how often each comparison is made.

    ``before`` is the Python of an environment with another commit of the program, which is
    then measured beside this one.
    """

    def __init__(
        self, rounds: int, *, with_uws: bool, before: str | None = None, minutes: float = 1
    ) -> None:
        self.rounds = rounds
        self.minutes = minutes
        """How long the memory of the page is watched."""
        self.with_uws = with_uws
        self.before: list[str] = []
        """The name of the other commit, if there is one."""
        self.before_plain: list[str] = []
        """The same without the live state."""
        if before is not None:
            self.before, self.before_plain = [BEFORE], [BEFORE_PLAIN]
            STARTS[BEFORE] = functools.partial(start_ours, python=before)
            STARTS[BEFORE_PLAIN] = functools.partial(
                start_ours, python=before, extra=NO_STATE if _has_live_state(before) else ""
            )
        self.tables: dict[str, dict[str, Figures]] = {}

    def table(self, title: str, rows: dict[str, Figures]) -> None:
        """Show one table: a row for each subject, a column for each figure."""
        self.tables[title] = rows
        columns = list(dict.fromkeys(key for row in rows.values() for key in row))
        widths = [max(len(column), 9) + 2 for column in columns]
        print(f"\n{title}")
        print(f"{'':26}" + "".join(f"{c:>{w}}" for c, w in zip(columns, widths, strict=True)))
        for name, row in rows.items():
            cells = (
                f"{shown(column, row[column]) if column in row else '':>{width}}"
                for column, width in zip(columns, widths, strict=True)
            )
            print(f"{name:26}" + "".join(cells), flush=True)

    def ratio(self, name: str, value: float, target: str) -> None:
        """Show one ratio beside what it has to be."""
        self.tables.setdefault("ratios", {})[name] = {"ratio": value}
        print(f"  {name}: {value:.2f} (wanted: {target})", flush=True)


def _has_live_state(python: str) -> bool:
    """Whether the program that is installed for ``python`` knows the key ``live_state``."""
    code = "from amiws_gevent.config import Settings; print('live_state' in Settings.model_fields)"
    found = subprocess.run(
        [python, "-c", code], check=True, capture_output=True, text=True, cwd="/"
    )
    return found.stdout.strip() == "True"


def shown(column: str, value: float) -> str:
    """A figure in the unit that its column names, or MiB for memory."""
    if column == "peak_memory":
        return f"{value / 2**20:.0f} MiB"
    if column.endswith("share"):
        return f"{value:.0%}"
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.2f}"


def compared(
    report: Report, subjects: Mapping[str, tuple[int, int]], figure: str, *, tls: bool = False
) -> tuple[dict[str, Figures], dict[str, float]]:
    """Bursts in turn, ``subjects`` as (clients, messages); medians, and PLAIN : other.

    Others keep no state, so that they are compared with the program without it.
    """
    results: dict[str, list[Figures]] = {name: [] for name in subjects}
    for _ in range(report.rounds):
        for name, (clients, messages) in subjects.items():
            results[name].append(runs.burst(STARTS[name], clients, messages, tls=tls))
    ratios = {
        name: against(results, name, figure, ours=PLAIN) for name in subjects if name != PLAIN
    }
    return medians(results), ratios


def one_client(report: Report) -> None:
    """CPU and messages a second with one client; ten times the burst."""
    one = (1, MESSAGES_IN_CAPTURE)
    names = [OURS, PLAIN, NAIVE, *[UWS] * report.with_uws, *report.before_plain]
    rows, ratios = compared(report, dict.fromkeys(names, one), "cpu_us_per_message")
    rows["ten times the burst"] = runs.burst(STARTS[PLAIN], 1, 10 * MESSAGES_IN_CAPTURE)
    report.table(f"one client, a burst of {MESSAGES_IN_CAPTURE:,} messages", rows)
    speed = rows[PLAIN]["messages_per_second"] / rows[NAIVE]["messages_per_second"]
    report.ratio("messages a second against naive", speed, "at least 2.5")
    report.ratio("CPU a message against naive", ratios[NAIVE], "at most 0.4")
    against_before(report, "CPU a message", ratios)
    if report.with_uws:
        report.ratio("CPU a message against uWebSockets", ratios[UWS], "at most 0.8")
    ten = rows["ten times the burst"]["seconds"] / rows[PLAIN]["seconds"]
    report.ratio("time of ten times the burst", ten, "at most 11")


def bursts(report: Report) -> None:
    """Deliveries a second to crowds of pages."""
    for clients in (100, 300, 1000, 3000):
        subjects = {
            OURS: (clients, MESSAGES_IN_CAPTURE),
            PLAIN: (clients, MESSAGES_IN_CAPTURE),
            NAIVE: (clients, max(100, NAIVE_DELIVERIES // clients)),
        }
        if report.with_uws and clients <= 300:
            subjects[UWS] = (clients, MESSAGES_IN_CAPTURE)
        subjects |= dict.fromkeys(report.before_plain, (clients, MESSAGES_IN_CAPTURE))
        rows, ratios = compared(report, subjects, "deliveries_per_second")
        report.table(f"bursts to {clients:,} clients", rows)
        report.ratio(f"deliveries to {clients} against naive", ratios[NAIVE], "at least 12")
        against_before(report, f"deliveries to {clients}", ratios)
        if UWS in ratios:
            report.ratio(
                f"deliveries to {clients} against uWebSockets", ratios[UWS], "at least 0.7"
            )


def bursts_with_tls(report: Report) -> None:
    """The same with TLS."""
    clients = 500
    own = (clients, 10_000)
    subjects = {OURS: own, PLAIN: own, NAIVE: (clients, NAIVE_DELIVERIES // clients)}
    subjects |= dict.fromkeys(report.before_plain, own)
    rows, ratios = compared(report, subjects, "deliveries_per_second", tls=True)
    report.table(f"bursts to {clients} clients with TLS", rows)
    report.ratio("deliveries with TLS against naive", ratios[NAIVE], "at least 12")
    against_before(report, "deliveries with TLS", ratios)


def paced_in_turn(
    report: Report, names: list[str], clients: int, rate: int, *, tls: bool = False
) -> dict[str, list[Figures]]:
    """The same paced stream for each subject in turn, round after round."""
    results: dict[str, list[Figures]] = {name: [] for name in names}
    for _ in range(report.rounds):
        for name in names:
            results[name].append(runs.paced(STARTS[name], clients, rate, 5, tls=tls))
    return results


def against(
    results: dict[str, list[Figures]], other: str, figure: str, *, ours: str = OURS
) -> float:
    """``ours`` : other, the median of the rounds'."""
    pairs = zip(results[ours], results[other], strict=True)
    return statistics.median(own[figure] / theirs[figure] for own, theirs in pairs)


def against_before(report: Report, what: str, ratios: Mapping[str, float]) -> None:
    """The ratio to the other commit, if one is measured."""
    for name in (*report.before, *report.before_plain):
        if name in ratios:
            report.ratio(f"{what} against {name}", ratios[name], "about 1")


def paced_against_before(
    report: Report, what: str, results: dict[str, list[Figures]], figure: str
) -> None:
    """The same for streams."""
    ratios = {name: against(results, name, figure) for name in report.before}
    against_before(report, what, ratios)


def medians(results: dict[str, list[Figures]]) -> dict[str, Figures]:
    """A row for each subject."""
    return {name: runs.medians(found) for name, found in results.items()}


def lone_events(report: Report) -> None:
    """What one write a client costs when there is nothing to join."""
    results = paced_in_turn(report, [OURS, BARE, *report.before], 1000, 50)
    report.table("lone events to 1,000 clients, 50 a second", medians(results))
    cost = against(results, BARE, "cpu_us_per_delivery")
    report.ratio("CPU a delivery against the bare loop", cost, "at most 1.25")
    paced_against_before(report, "CPU a delivery", results, "cpu_us_per_delivery")


def paced_stream(report: Report) -> None:
    """A calm stream."""
    names = [OURS, BARE, NAIVE, *[UWS] * report.with_uws, *report.before]
    results = paced_in_turn(report, names, 100, 500)
    report.table("500 events a second to 100 clients", medians(results))
    report.ratio("p99 against the bare loop", against(results, BARE, "p99_ms"), "under 3")
    paced_against_before(report, "p99", results, "p99_ms")


def paced_stream_with_tls(report: Report) -> None:
    """The same with TLS."""
    results = paced_in_turn(report, [OURS, NAIVE, *report.before], 100, 200, tls=True)
    report.table("200 events a second to 100 clients with TLS", medians(results))
    cost = against(results, NAIVE, "cpu_us_per_delivery")
    report.ratio("CPU a delivery with TLS against naive", cost, "at most 1")
    paced_against_before(report, "CPU a delivery with TLS", results, "cpu_us_per_delivery")


def crowd(report: Report) -> None:
    """5,000 pages."""
    names = [OURS, *report.before]
    rows = {name: runs.paced(STARTS[name], 5000, 100, 10) for name in names}
    report.table("100 events a second to 5,000 clients", rows)
    pause = rows[OURS]["reader_pause_ms"]
    report.ratio("longest reader pause with 5,000 clients, ms", pause, "under 50")


def many_servers(report: Report) -> None:
    """A stream of one server among 100 that are well, then among 100 more that flap."""
    results: dict[str, list[Figures]] = {"100 servers": [], "and 100 that flap": []}
    for _ in range(report.rounds):
        for name, flapping in zip(results, (0, 100), strict=True):
            with running(Child("-m", "bench.neighbours", "99", str(flapping))) as others:
                start = functools.partial(start_ours, neighbours=others.line().split())
                results[name].append(runs.paced(start, 100, 200, 10))
    rows = medians(results)
    report.table("200 events a second of one server to 100 clients", rows)
    calm, flapping_too = rows.values()
    report.ratio("p99 with 100 that flap", flapping_too["p99_ms"] / calm["p99_ms"], "about 1")


def huge_packets(report: Report) -> None:
    """What a server may send to keep the others waiting."""
    mask = "plugins:\n- mask: {callers: last4, dialled: last4, cards: redact, variables: PIN}\n"
    rows = {
        "no plugin": runs.huge(start_ours),
        "mask": runs.huge(lambda port, certificate: start_ours(port, certificate, mask)),
    }
    report.table("packets of 4 MB, of up to four million lines", rows)
    for name, row in rows.items():
        pause = row["reader_pause_ms"]
        report.ratio(f"longest reader pause, {name}, ms", pause, "under 200")


def idle_clients(report: Report) -> None:
    """Memory of clients that only listen."""
    rows = {name: runs.idle(STARTS[name], 10_000) for name in [OURS, *report.before]}
    report.table("idle clients", rows)
    report.ratio("KiB of memory for each idle client", rows[OURS]["kib_per_client"], "at most 30")


def reconnects(report: Report) -> None:
    """All clients come back at once."""
    rows = {
        f"{name}, {transport}": runs.storm(STARTS[name], 2000, tls=transport == "TLS")
        for transport in ("plain", "TLS")
        for name in [OURS, *report.before]
    }
    report.table("2,000 clients reconnect at once, 100 events a second to another", rows)
    for name, row in rows.items():
        longest = row["watcher_max_ms"]
        report.ratio(f"longest delay of the other, {name}, ms", longest, "at most 250")


def stalled_clients(report: Report) -> None:
    """50 clients of 1,000 do not read."""
    healthy, some = [], []
    for _ in range(report.rounds):
        healthy.append(runs.paced(start_ours, 1000, 50, 5))
        some.append(runs.paced(start_ours, 950, 50, 5, stalled=50))
    rows = {"1,000 healthy": runs.medians(healthy), "50 of them stalled": runs.medians(some)}
    report.table("50 events a second to 1,000 clients", rows)
    ratio = statistics.median(b["p99_ms"] / a["p99_ms"] for a, b in zip(healthy, some, strict=True))
    report.ratio("p99 of the others against no stalled ones", ratio, "at most 1.3")
