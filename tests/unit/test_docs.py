"""All pages of the documentation: links lead somewhere, and the words are those of the glossary."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.program import ROOT

PAGES = sorted(
    [ROOT / "README.md", ROOT / "CHANGELOG.md"]
    + [page for folder in ("docs", "examples") for page in (ROOT / folder).rglob("*.md")]
)
SAMPLES = sorted((ROOT / "etc").rglob("*.*"))
CODE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
METAPHORS = re.compile(
    r"\b(turn(ed|s)? (out|away)|giv(e|es|ing) way|the house|(this|each|a) room|guesses"
    r"|what becomes of)\b",
    re.IGNORECASE,
)
"""What the glossary of docs/architecture.md has other words for."""


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def anchors(page: Path) -> set[str]:
    """As GitHub makes them of the headings."""
    headings = re.findall(r"^#+ (.+)$", CODE.sub("", page.read_text(encoding="utf-8")), re.M)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken(page: Path) -> list[str]:
    """The links of a page to files and headings that are not there."""
    found = []
    for target in re.findall(r"\]\(([^)\s]+)\)", CODE.sub("", page.read_text(encoding="utf-8"))):
        path, _, anchor = target.partition("#")
        if re.match(r"https?:", path):
            continue
        file = page.parent / path if path else page
        if not file.exists() or (anchor and anchor not in anchors(file)):
            found.append(target)
    return found


@pytest.mark.parametrize("page", [*PAGES, *SAMPLES], ids=name)
def test_nothing_is_left_of_a_merge(page: Path) -> None:
    assert re.findall(r"^(?:<{7}|={7}|>{7})(?: .*)?$", page.read_text(encoding="utf-8"), re.M) == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page: Path) -> None:
    assert broken(page) == []


def test_broken_links_are_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# A `b` c\n[1](#a-b-c) [2](#a-b) [3](page.md#a-b-c) [4](none.md) [5](page.md#d)"
    )
    assert broken(page) == ["#a-b", "none.md", "page.md#d"]


def test_every_page_can_be_reached_from_the_readme() -> None:
    reached, waiting = set(), [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        reached.add(page)
        links = re.findall(r"\]\(([^)#\s]+\.md)", page.read_text(encoding="utf-8"))
        files = {(page.parent / link).resolve() for link in links if "://" not in link}
        waiting += files - reached
    assert [name(page) for page in PAGES if page not in reached] == []


@pytest.mark.parametrize("page", [*PAGES, *SAMPLES], ids=name)
def test_words_are_plain(page: Path) -> None:
    found = [match[0] for match in METAPHORS.finditer(page.read_text(encoding="utf-8"))]
    assert found == []
