"""The sessions of docs/install.md are compared with what commands print."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.deb.transcripts import Step, sessions

DOCUMENT = """\
```console one
# echo a
a
# cat <<'END'
# no prompt
END
printed
```
Text.
```console two
# true
```
```console one
# false
...
```
"""


def test_sessions_have_steps(tmp_path: Path) -> None:
    file = tmp_path / "document.md"
    file.write_text(DOCUMENT)
    assert sessions(file) == {
        "one": [
            Step("echo a", ["a"]),
            Step("cat <<'END'\n# no prompt\nEND", ["printed"]),
            Step("false", ["..."]),
        ],
        "two": [Step("true", [])],
    }


@pytest.mark.parametrize(
    ("shown", "printed", "fits"),
    [
        ([], "", True),
        ([], "a\n", False),
        (["a"], "a\n", True),
        (["a"], "a", True),
        (["a"], "", False),
        (["a"], "a\nb\n", False),
        (["a", "..."], "a\nb\nc\n", True),
        (["a", "..."], "a\n", True),
        (["...", "c"], "a\nb\nc\n", True),
        (["...", "c"], "a\nc\nb\n", False),
        (["v(...)."], "v(1.0).\n", True),
        (["v(...)."], "v(1.0)\n", False),
        (["v...x"], "v\nx\n", False),
    ],
)
def test_a_step_fits(shown: list[str], printed: str, fits: bool) -> None:
    assert Step("command", shown).fits(printed) is fits
