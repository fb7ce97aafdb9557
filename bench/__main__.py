"""``python -m bench``: starts all it measures, prints tables, writes JSON.

Figures of one run only compare with each other: machines differ, and are
shared. Where two are compared they take turns, and the ratio is the median of
the rounds'. docs/performance.md says how to read it.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
from collections.abc import Callable, Mapping
from pathlib import Path

from bench import (
    actions,
    bus,
    compression,
    hostile,
    live,
    model,
    page_browser,
    plugins,
    roles,
    sections,
    workers,
)
from bench.subjects import ROOT

SECTIONS: Mapping[str, Callable[[sections.Report], None]] = {
    "client": sections.one_client,
    "bursts": sections.bursts,
    "tls": sections.bursts_with_tls,
    "lone": sections.lone_events,
    "paced": sections.paced_stream,
    "pacedtls": sections.paced_stream_with_tls,
    "crowd": sections.crowd,
    "servers": sections.many_servers,
    "huge": sections.huge_packets,
    "idle": sections.idle_clients,
    "storm": sections.reconnects,
    "stalled": sections.stalled_clients,
    "plugins": plugins.section,
    "compression": compression.section,
    "hostile": hostile.section,
    "actions": actions.section,
    "model": model.section,
    "live": live.section,
    "roles": roles.section,
    "bus": bus.section,
    "workers": workers.section,
    "relay": workers.relay,
    "spread": workers.spread,
    "page": page_browser.section,
}


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description="Measure amiws-gevent beside its peers.",
        epilog=f"sections: {', '.join(SECTIONS)}; without any, all",
    )
    parser.add_argument("sections", nargs="*", metavar="SECTION", choices=[*SECTIONS, []])
    parser.add_argument("--rounds", type=int, default=3, help="rounds of each comparison")
    parser.add_argument(
        "--minutes", type=float, default=1, help="how long the page's memory is watched"
    )
    parser.add_argument(
        "--before",
        metavar="PYTHON",
        help="the Python of an environment with another commit, to be measured beside this one",
    )
    parser.add_argument("--json", type=Path, default=ROOT / "bench" / "results" / "latest.json")
    options = parser.parse_args()
    report = sections.Report(
        options.rounds,
        minutes=options.minutes,
        with_uws=importlib.util.find_spec("socketify") is not None,
        before=options.before,
    )
    if not report.with_uws:
        print("without uWebSockets: pip install 'amiws-gevent[bench]' adds it")
    for name in options.sections or SECTIONS:
        SECTIONS[name](report)
    machine = {
        "platform": platform.platform(),
        "python": platform.python_version(),
        "cores": os.cpu_count(),
    }
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps({"machine": machine, **report.tables}, indent=1))
    print(f"\nwritten to {options.json}")


if __name__ == "__main__":
    main()
