"""contrib/monitoring: the dashboard is what its source makes, rules ask for what there is, and each
alert fires. tests/integration/test_monitoring.py shows it to Prometheus."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from amiws_gevent.metrics import FAMILIES
from tests.support.patience import WAIT
from tests.support.prometheus_server import PROMTOOL
from tests.support.scripts import script

ROOT = Path(__file__).parent.parent.parent
FOLDER = ROOT / "contrib" / "monitoring"

LABELS = {family.name: {*family.labels, "instance", "job"} for family in FAMILIES}
LABELS["amiws_worker_up"] = {"process", "instance", "job"}
LABELS["amiws_worker_restarts_total"] = LABELS["amiws_worker_up"]


def loaded(name: str) -> Any:
    return yaml.safe_load((FOLDER / name).read_text(encoding="utf-8"))


def rules(name: str) -> list[dict[str, Any]]:
    (group,) = loaded(name)["groups"]
    return list(group["rules"])


ALERTS = rules("amiws-alerts.yml")
RECORDED = {rule["record"] for rule in rules("amiws-rules.yml")}


def dashboard() -> dict[str, Any]:
    text = (FOLDER / "grafana-dashboard.json").read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(text)
    return found


def queries() -> Iterator[str]:
    for rule in (*ALERTS, *rules("amiws-rules.yml")):
        yield rule["expr"]
    for panel in dashboard()["panels"]:
        for target in panel.get("targets", ()):
            yield target["expr"]
    for variable in dashboard()["templating"]["list"]:
        if variable["type"] == "query":
            yield variable["query"]


def test_the_dashboard_is_what_its_source_makes() -> None:
    committed = (FOLDER / "grafana-dashboard.json").read_text(encoding="utf-8")
    assert committed == script("grafana_dashboard").made(), "run scripts/grafana_dashboard.py"


def test_panels_have_names_of_their_own_and_fill_their_rows() -> None:
    rows: dict[str, list[dict[str, Any]]] = {}
    for panel in dashboard()["panels"]:
        if panel["type"] == "row":
            row = rows.setdefault(panel["title"], [])
        else:
            row.append(panel)
            assert panel["description"]
    for panels in rows.values():
        titles = [panel["title"] for panel in panels]
        assert len(set(titles)) == len(titles)
        places = {(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels}
        assert len(places) == len(panels)
        assert max(panel["gridPos"]["x"] + panel["gridPos"]["w"] for panel in panels) == 24


@pytest.mark.parametrize("promql", list(queries()))
def test_what_is_asked_for_there_is(promql: str) -> None:
    names = re.findall(r"\b(?:amiws[_:]|process_)[a-z0-9_:]+", promql)
    for name in names:
        assert name in LABELS or name in RECORDED or name.startswith("process_"), name
    assert names or promql.startswith("up{")
    for name, selectors in re.findall(r"(amiws_[a-z_]+)\{([^}]*)\}", promql):
        assert set(re.findall(r"(\w+)[=!]~?", selectors)) <= LABELS[name]


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule["alert"])
def test_what_an_alert_says_has_labels_that_it_has(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in ("warning", "critical")
    known = set[str]().union(
        *(LABELS.get(name, set()) for name in re.findall(r"amiws_[a-z_]+", rule["expr"])),
        {"queue", "server", "server_id", "instance"},
    )
    assert set(re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"])) <= known


def test_each_alert_has_a_test_in_which_it_fires_and_one_in_which_it_does_not() -> None:
    fire, quiet = set(), set()
    for test in loaded("amiws-alerts.test.yml")["tests"]:
        for asked in test["alert_rule_test"]:
            (fire if asked["exp_alerts"] else quiet).add(asked["alertname"])
    names = {rule["alert"] for rule in ALERTS}
    assert fire == quiet == names


def test_the_docs_say_what_to_do_about_each_alert() -> None:
    text = (ROOT / "docs" / "monitoring.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| `(Amiws\w+)` \|", text, re.MULTILINE) == [
        rule["alert"] for rule in ALERTS
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        ("check", "config", "prometheus.yml"),
        ("check", "rules", "amiws-rules.yml", "amiws-alerts.yml"),
        ("test", "rules", "amiws-alerts.test.yml"),
    ],
    ids=" ".join,
)
def test_promtool_agrees(words: tuple[str, ...]) -> None:
    done = subprocess.run(
        [PROMTOOL, *words], cwd=FOLDER, capture_output=True, text=True, timeout=WAIT, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
