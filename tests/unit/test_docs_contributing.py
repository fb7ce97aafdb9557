"""CONTRIBUTING.md and SECURITY.md: what they name is there, and their example works."""

from __future__ import annotations

import re

import pytest
import yaml

from tests.support.program import ROOT

TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")


def anchors(text: str) -> set[str]:
    """The names by which links find the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in headings}


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "SECURITY.md"])
def test_links_lead_somewhere(page: str) -> None:
    targets = re.findall(r"\]\(([^)]+)\)", (ROOT / page).read_text(encoding="utf-8"))
    assert targets
    for target in targets:
        path, _, anchor = target.partition("#")
        text = (ROOT / path).read_text(encoding="utf-8")
        assert not anchor or anchor in anchors(text), target


def test_the_tree_names_what_is_there() -> None:
    tree = TEXT.partition("```\n")[2].partition("```")[0]
    named = {name for line in tree.splitlines() for name in re.split(r"\s{2,}", line)[0].split()}
    assert all((ROOT / name).exists() for name in named)
    packages = {f"{path.parent.name}/" for path in ROOT.glob("*/__init__.py")}
    assert packages <= named


def test_folders_of_tests_are_all_there() -> None:
    named = set(re.findall(r"`tests/(\w+)/`", TEXT))
    there = {path.name for path in (ROOT / "tests").iterdir() if path.is_dir()}
    assert named == {name for name in there if not name.startswith("_")}


def test_files_and_targets_that_are_named_exist() -> None:
    files = re.findall(r"`([\w./-]+\.(?:py|md|toml|yaml))`", TEXT)
    assert len(files) >= 5
    assert all((ROOT / file).is_file() for file in files)
    targets = set(re.findall(r"\bmake ([a-z]+)", TEXT))
    assert len(targets) >= 6
    for target in targets:
        assert re.search(rf"^{target}:", MAKEFILE, re.MULTILINE), target
        assert re.search(rf"^#.*\bmake {target}\b", MAKEFILE, re.MULTILINE), target


def test_the_places_of_the_first_change_are_there() -> None:
    def lines(path: str) -> str:
        return (ROOT / path).read_text(encoding="utf-8")

    assert '"2 days"' in lines("tests/unit/test_values.py")
    assert "def test_times" in lines("tests/unit/test_values.py")
    assert '"d day days"' in lines("amiws_gevent/values.py")
    assert "week" not in lines("amiws_gevent/values.py"), "CONTRIBUTING.md needs another example"
    assert "## Values" in lines("docs/configuration.md")
    assert "## Unreleased" in lines("CHANGELOG.md")


def test_the_hooks_call_what_the_makefile_calls() -> None:
    (local,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert local["repo"] == "local", "nothing is fetched"
    entries = [hook["entry"].split() for hook in local["hooks"]]
    assert all(hook["language"] == "system" for hook in local["hooks"])
    for words in entries:
        command = " ".join(word for word in words if not word.startswith("--"))
        program, _, rest = command.partition(" ")
        if program == "make":
            assert re.search(rf"^{rest}:", MAKEFILE, re.MULTILINE)
        else:
            assert f"$(BIN)/{program.removeprefix('.venv/bin/')} {rest}" in MAKEFILE
