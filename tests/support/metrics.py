"""Asks the real program for its metrics, as Prometheus does."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any, NamedTuple

from prometheus_client.parser import text_string_to_metric_families

from tests.support.patience import WAIT
from tests.support.program import wait_until


class Got(NamedTuple):
    """An answer of HTTP."""

    status: int
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def get(port: int, path: str) -> Got:
    """GET without a login or a proxy; an answer of any status."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"http://127.0.0.1:{port}{path}", timeout=WAIT) as answer:
            return Got(answer.status, answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return Got(error.code, error.read())


class Scrape:
    """One look at ``/metrics``; the values by name and labels."""

    def __init__(self, port: int) -> None:
        status, body = get(port, "/metrics")
        assert status == 200, body
        self.samples = {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(body.decode())
            for sample in family.samples
        }

    def value(self, name: str, **labels: str) -> float:
        """The value of the one sample with exactly these labels."""
        return self.samples[name, frozenset(labels.items())]

    def sum(self, name: str, **labels: str) -> float:
        """The sum over all samples that have these labels among theirs."""
        wanted = set(labels.items())
        return sum(
            value for (found, has), value in self.samples.items() if found == name and wanted <= has
        )


def wait_for_metrics(port: int, condition: Callable[[Scrape], object], what: str) -> Scrape:
    """Scrape until ``condition`` is true; that scrape."""
    found: list[Scrape] = []

    def look() -> bool:
        found[:] = [Scrape(port)]
        return bool(condition(found[0]))

    wait_until(look, what)
    return found[0]
