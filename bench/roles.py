"""What roles cost: ``python -m bench roles``.

A thousand clients of ``amiws.v2`` in five roles, beside five clients of these roles and the bare
writes to all others; and the program without roles, beside one with a role that may do everything.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import re
import statistics
import time

from bench import runs
from bench.live import LAST_FLUSH, wait_for_lists
from bench.runs import Figures
from bench.sections import BARE, OURS, STARTS, Report, against
from bench.source import MESSAGES_IN_CAPTURE
from bench.subjects import Certificate, Child, Subject, running, start_ours
from bench.watchers import BOTH

CROWD = 1000
RATE = 30  # messages a second
SECONDS = 6

SEES = {
    "all": "everything",
    "masked": {"numbers": "masked", "names": "masked"},
    "hidden": {"numbers": "none", "names": "none"},
    "limited": {"extensions": ["1*", "4*", "5*"]},
    "both": {"contexts": "default", "numbers": "masked"},
}
"""By role. Each sees most of the capture, so that there is much to be masked and sent."""

EVERYBODY = """\
roles: {all: {see: everything, do: everything}}
anonymous_roles: [all]
"""
FEWEST_ROUNDS = 7
BURST_CLIENTS = 20
WITHOUT, WITH = "without roles", "with a role for all"


def section(report: Report) -> None:
    """Both comparisons."""
    _crowd(report)
    _without(report)


def _crowd(report: Report) -> None:
    results: dict[str, list[Figures]] = {"5, a role each": [], f"{CROWD:,} in five roles": []}
    bare: list[Figures] = []
    ratios = []
    for _ in range(report.rounds):
        for rows, clients in zip(results.values(), (len(SEES), CROWD), strict=True):
            rows.append(_run(clients))
        bare.append(runs.paced(STARTS[BARE], CROWD, RATE, SECONDS))
        few, many = (rows[-1] for rows in results.values())
        more = many["writes_per_message"] - few["writes_per_message"]
        writes = more * bare[-1]["cpu_us_per_delivery"]
        ratios.append(many["cpu_us_per_message"] / (few["cpu_us_per_message"] + writes))
    report.table(
        f"state and events, {RATE} messages a second",
        {
            **{name: runs.medians(rows) for name, rows in results.items()},
            BARE: runs.medians(bare),
        },
    )
    report.ratio(
        f"CPU a message, {CROWD:,} clients in five roles against five and the bare writes",
        statistics.median(ratios),
        "at most 1.3",
    )


def _run(clients: int) -> Figures:
    """So many clients, each in the role whose turn it is."""
    tokens = {name: f"amiws_bench_{name}" for name in SEES}
    start = functools.partial(_start_with_tokens, tokens)
    with runs.logged_in(start) as (source, subject):
        wait_for_lists(subject)
        words = [str(subject.port), str(clients), BOTH, *tokens.values()]
        with running(Child("-m", "bench.watchers", *words)) as watchers:
            assert watchers.line() == "ready"
            watchers.ask("subscribe")
            source.ask(f"pace {RATE} {RATE}")  # warm
            time.sleep(LAST_FLUSH)
            watchers.ask("count")
            cpu = subject.cpu()
            messages = source.ask(f"pace {RATE} {RATE * SECONDS}")["messages"]
            time.sleep(LAST_FLUSH)
            used = subject.cpu() - cpu
            return {
                "cpu_us_per_message": used / messages * 1e6,
                "writes_per_message": watchers.ask("count")["reads"] / messages,
            }


def _start_with_tokens(tokens: dict[str, str], ami_port: int, certificate: Certificate) -> Subject:
    roles = {name: {"see": see} for name, see in SEES.items()}
    listed = [
        {"name": name, "hash": hash_of(token), "roles": [name]} for name, token in tokens.items()
    ]
    keys = f"roles: {json.dumps(roles)}\napi_tokens: {json.dumps(listed)}\n"
    subject = start_ours(ami_port, certificate, keys + "metrics_listen: 127.0.0.1:0\n")
    assert subject.log is not None
    (subject.metrics,) = re.findall(r"metrics at (http\S+),", subject.log.read_text())
    return subject


def hash_of(token: str) -> str:
    """The hash of a token as the configuration has it."""
    return "sha256:" + hashlib.sha256(token.encode()).hexdigest()


def _without(report: Report) -> None:
    starts = {
        WITHOUT: STARTS[OURS],
        WITH: functools.partial(start_ours, extra=EVERYBODY),
        **{name: STARTS[name] for name in report.before},
    }
    results: dict[str, list[Figures]] = {name: [] for name in starts}
    with contextlib.ExitStack() as stack:
        scenes = {
            name: stack.enter_context(runs.scene(start, BURST_CLIENTS))
            for name, start in starts.items()
        }
        for number in range(1 + max(report.rounds, FEWEST_ROUNDS)):
            names = list(starts)
            for name in names[number % len(names) :] + names[: number % len(names)]:
                results[name].append(runs.one_burst(scenes[name], MESSAGES_IN_CAPTURE))
    for rows in results.values():
        del rows[0]  # warm
    report.table(
        f"a burst of {MESSAGES_IN_CAPTURE:,} messages to {BURST_CLIENTS} clients",
        {name: runs.medians(found) for name, found in results.items()},
    )
    for name in [WITH, *report.before]:
        cost = against(results, name, "cpu_us_per_message", ours=WITHOUT)
        report.ratio(f"CPU a message without roles against {name}", cost, "about 1")
