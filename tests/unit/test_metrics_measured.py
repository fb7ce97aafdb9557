"""All metrics have names that follow Prometheus, and docs/operations.md knows them."""

from __future__ import annotations

import re
from pathlib import Path

from amiws_gevent.metrics import FAMILIES

DOCS = Path(__file__).parent.parent.parent / "docs" / "operations.md"


def test_names_follow_prometheus() -> None:
    for family in FAMILIES:
        assert re.fullmatch(r"amiws_[a-z_]+", family.name)
        assert not re.search(r"_(ms|milliseconds|kb|kib|count)(_|$)", family.name)
        assert family.help.endswith("."), family.name


def test_operations_md_has_a_row_for_each() -> None:
    text = DOCS.read_text(encoding="utf-8")
    rows = [row for row in text.splitlines() if row.startswith("| `amiws_")]
    wanted = []
    for family in FAMILIES:
        labels = ", ".join(f"`{label}`" for label in family.labels)
        wanted.append(f"| `{family.name}` | {labels} | {family.help} |")
    assert rows == wanted, "docs/operations.md should have:\n" + "\n".join(wanted)
    named = set(re.findall(r"\bamiws_[a-z_]+\b", text)) - {"amiws_gevent"}
    assert named <= {family.name for family in FAMILIES}


def test_no_metric_of_ours_is_called_like_a_plugins() -> None:
    assert not [family.name for family in FAMILIES if family.name.startswith("amiws_own_")]
