"""docs/operations.md against the program: what the log says, what it names."""

from __future__ import annotations

import ast
import functools
import re
from pathlib import Path

import pytest

from amiws_gevent.config import Limits, Settings

ROOT = Path(__file__).parent.parent.parent
TEXT = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")


@functools.cache
def texts_of_the_program() -> list[str]:
    """Every string of the source; those side by side are one already, f-strings in pieces."""
    return [
        node.value
        for path in (ROOT / "amiws_gevent").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]


def table(heading: str) -> list[list[str]]:
    """The cells of the rows of the first table under a heading."""
    part = TEXT.partition(f"## {heading}\n")[2].partition("\n|")[2].partition("\n\n")[0]
    rows = [row.strip("|").split(" | ") for row in part.splitlines()]
    return [[cell.strip() for cell in row] for row in rows[2:]]


LINES = [re.findall(r"`([^`]+)`", row[0]) for row in table("The log")]


def test_the_table_of_log_lines_is_found() -> None:
    assert len(LINES) >= 10


@pytest.mark.parametrize("fragments", LINES, ids=lambda fragments: fragments[0])
def test_the_program_says_these_lines(fragments: list[str]) -> None:
    texts = texts_of_the_program()
    for fragment in fragments:
        assert any(fragment in text for text in texts), fragment


def test_fail2ban_finds_the_address_in_the_line_and_nowhere_else() -> None:
    (failregex,) = re.findall(r"^failregex = (.*)$", TEXT, flags=re.MULTILINE)
    (shown,) = re.findall(r"^web\.gate: login refused: .*$", TEXT, flags=re.MULTILINE)
    prefix = r"(?:\S+\s+)?amiws-gevent(?:\[\d+\])?:\s+"  # of common.conf, as far as we need it
    pattern = re.compile(
        failregex.replace("%(__prefix_line)s", prefix).replace("<ADDR>", r"(?P<ip>[0-9a-f.:]+)")
    )
    refused = 'web.gate: login refused: address=192.0.2.9 user="anna": wrong password'
    forged = refused.replace('"', r"\"")
    found = {
        shown: "192.0.2.7",
        refused: "192.0.2.9",
        refused.replace("192.0.2.9", "2001:db8::9"): "2001:db8::9",
        refused.replace("wrong password", "no such user"): "192.0.2.9",
        refused.replace("wrong password", "too many wrong passwords"): "192.0.2.9",
        f'web.gate: login refused: address=10.0.0.1 user="{forged}": no such user': "10.0.0.1",
        f'web.gate: WebSocket refused with 403: address=10.0.0.1 origin="{forged}" is': None,
        'web.gate: login refused: address=10.0.0.1 user="": the login has no realm': None,
    }
    for line, address in found.items():
        match = pattern.search(f"pbx amiws-gevent[4711]: {line}")
        assert (match["ip"] if match else None) == address, line


def test_keys_and_limits_that_are_named_exist() -> None:
    for name in re.findall(r"`limits\.([a-z_]+)`", TEXT):
        assert name in Limits.model_fields
    for name in ("metrics_listen", "log_level", "slow_clients"):
        assert f"`{name}`" in TEXT
        assert name in Settings.model_fields
