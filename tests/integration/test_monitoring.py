"""Debian's Prometheus scrapes the demo, and has something to show in every panel."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

from tests.support.ports import free_port
from tests.support.program import ROOT, Program, wait_until
from tests.support.prometheus_server import PrometheusServer

pytestmark = pytest.mark.slow

FOLDER = ROOT / "contrib" / "monitoring"

CONFIGURATION = """
ws_host: 127.0.0.1
ws_port: 0
metrics_listen: 127.0.0.1:{port}
plugins:
- event_filter:
    deny: [VarSet]
"""


def queries() -> list[tuple[str, str]]:
    """The title of each panel with each of its queries, as Grafana asks with All chosen."""
    panels = json.loads((FOLDER / "grafana-dashboard.json").read_text())["panels"]
    found = []
    for panel in panels:
        for target in panel.get("targets", ()):
            promql = target["expr"].replace("$__rate_interval", "10s")
            found.append((panel["title"], re.sub(r"\$\w+", ".*", promql)))
    return found


def sample_for(port: int, folder: Path) -> Path:
    """The sample of a configuration, with the demo as what is scraped, each second."""
    text = (FOLDER / "prometheus.yml").read_text()
    given = yaml.safe_load(text)
    given["global"] = dict.fromkeys(given["global"], "1s")
    given["rule_files"] = [str(FOLDER / name) for name in given["rule_files"]]
    given["scrape_configs"][0]["static_configs"][0]["targets"] = [f"127.0.0.1:{port}"]
    file = folder / "prometheus.yml"
    file.write_text(yaml.safe_dump(given))
    return file


def test_no_panel_is_empty(tmp_path: Path) -> None:
    port = free_port()
    demo = ("--demo", "0", "--seed", "1", "--rate", "600")
    with (
        Program(tmp_path, CONFIGURATION.format(port=port), *demo),
        PrometheusServer(tmp_path, sample_for(port, tmp_path)) as prometheus,
    ):
        left = dict.fromkeys(queries())
        assert len(left) > 30

        def look() -> bool:
            for query in list(left):
                if prometheus.query(query[1]):
                    del left[query]
            return not left

        try:
            wait_until(look, "something in each panel")
        except AssertionError as error:
            raise AssertionError(f"nothing in {list(left)}") from error
        assert prometheus.query('ALERTS{alertname="AmiwsDown"}') == []
