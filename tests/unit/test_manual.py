"""The man pages and the completion that scripts/manual.py makes."""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from amiws_gevent import options
from amiws_gevent.config import schema
from amiws_gevent.config.model import file_keys
from tests.support.patience import WAIT
from tests.support.scripts import script

ROOT = Path(__file__).parent.parent.parent
PAGES = ("amiws-gevent.8", "amiws.yaml.5")


manual = script("manual")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("man") / "made"
    manual.main([str(folder)])
    return folder


def run(*words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        words,
        capture_output=True,
        text=True,
        timeout=WAIT,
        check=True,
        env={**os.environ, "LC_ALL": "C.UTF-8", **environ},
    )


def shown() -> list[argparse.Action]:
    """The options that users give; --worker is of the program's own processes."""
    hidden = {"--worker"}
    return [a for a in options.parser()._actions if not hidden.intersection(a.option_strings)]


def plain(text: str) -> str:
    """A page's source without its escapes."""
    return re.sub(r"\\f[BIR]", "", text).replace("\\-", "-").replace("\\(aq", "'")


def test_all_options_are_in_the_page_of_the_program(made: Path) -> None:
    text = plain((made / PAGES[0]).read_text())
    for action in shown():
        assert f"\n.TP\n{', '.join(action.option_strings)}" in text
    assert "--worker " not in text
    assert "SUPPRESS" not in text
    assert "Exit status:" not in text
    assert "78 configuration" in text.partition(".SH EXIT STATUS")[2]


def test_all_keys_are_in_the_page_of_the_configuration(made: Path) -> None:
    text = plain((made / PAGES[1]).read_text())
    sections = text.split('.SH "')[1:]
    assert len(sections) == len(schema.SECTIONS)
    for section, model in zip(sections, schema.SECTIONS.values(), strict=True):
        keys = [model.model_fields[name].alias or name for name in file_keys(model)]
        assert re.findall(r"^\.BR (.+)$", section, re.MULTILINE) == keys


def test_a_line_that_looks_like_a_request_is_none() -> None:
    assert manual.roff(".example.com") == "\\&.example.com"
    assert manual.marked("`a\\b` and it's") == "\\fBa\\eb\\fR and it\\(aqs"


@pytest.mark.parametrize(
    ("link", "wanted"),
    [
        ("[Names](#names-of-this-server)", "Names in docs/configuration.md"),
        ("[Cluster](redis.md#cluster)", "Cluster in docs/redis.md"),
        ("[docs/edges.md](edges.md)", "docs/edges.md"),
        ("[`docs/x.md`](x.md#y)", "docs/x.md"),
    ],
)
def test_a_link_says_in_which_page_it_is(link: str, wanted: str) -> None:
    assert manual.marked(f"See {link} first") == f"See {wanted} first"


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES)
def test_man_has_no_warnings(made: Path, page: str) -> None:
    if shutil.which("man") is None or shutil.which("groff") is None:
        return  # a page is made alike everywhere
    words = ("man", "--warnings=all", "-E", "UTF-8", "-l", "-Tutf8", "-Z", str(made / page))
    assert run(*words, MANWIDTH="80").stderr == ""


class TestCompletion:
    def completed(self, made: Path, *words: str) -> set[str]:
        """What bash offers for the last word."""
        script = (
            'source "$1"; shift; COMP_WORDS=(amiws-gevent "$@"); COMP_CWORD=$#; '
            'complete() { :; }; _amiws_gevent; printf "%s\\n" "${COMPREPLY[@]}"'
        )
        done = run("bash", "-c", script, "bash", str(made / "amiws-gevent.bash"), *words)
        return set(done.stdout.split("\n")) - {""}

    def test_options(self, made: Path) -> None:
        every = {name for action in shown() for name in action.option_strings}
        assert self.completed(made, "-") == every
        assert self.completed(made, "--check", "--st") == {"--strict", "--stdin"}

    def test_values(self, made: Path, tmp_path: Path) -> None:
        (tmp_path / "my file.yaml").touch()
        (tmp_path / "folder").mkdir()
        both = {f"{tmp_path}/my file.yaml", f"{tmp_path}/folder"}
        assert self.completed(made, "--file", f"{tmp_path}/") == both
        assert self.completed(made, "--wdir", f"{tmp_path}/") == {f"{tmp_path}/folder"}
        assert self.completed(made, "--process", "e") == {"edge"}
        assert self.completed(made, "--passwd", "") == set()
        assert "--seed" in self.completed(made, "--demo", "--s")

    def test_values_behind_an_equals_sign(self, made: Path, tmp_path: Path) -> None:
        """bash gives the sign as a word of its own."""
        (tmp_path / "my file.yaml").touch()
        assert self.completed(made, "--file", "=", f"{tmp_path}/") == {f"{tmp_path}/my file.yaml"}
        every = {"both", "collector", "edge"}
        assert self.completed(made, "--process", "=") == every
        assert self.completed(made, "--process", "=", "e") == {"edge"}
