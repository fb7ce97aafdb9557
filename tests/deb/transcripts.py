"""The sessions at a terminal that docs/install.md shows, and whether they come out that way."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

PROMPT = "# "

_BLOCK = re.compile(r"^```console(?: (?P<name>\S+))?\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass
class Step:
    """A command, and the lines that it prints; a line of ``...`` stands for any number."""

    command: str
    output: list[str] = field(default_factory=list)

    def fits(self, printed: str) -> bool:
        """Whether ``printed`` is what is shown; within a line ``...`` stands for any text."""
        pattern = "".join(
            r"(?:.*\n)*?" if line == "..." else _any_within(line) + r"\n" for line in self.output
        )
        text = printed if printed.endswith("\n") or not printed else printed + "\n"
        return re.fullmatch(pattern, text) is not None


def _any_within(line: str) -> str:
    return ".*".join(re.escape(part) for part in line.split("..."))


def sessions(path: Path) -> dict[str, list[Step]]:
    """The steps of each ``console`` block of a document, by the word behind ``console``."""
    found: dict[str, list[Step]] = {}
    for block in _BLOCK.finditer(path.read_text(encoding="utf-8")):
        steps = found.setdefault(block["name"] or "", [])
        lines = iter(block["text"].splitlines())
        for line in lines:
            if not line.startswith(PROMPT):
                steps[-1].output.append(line)
                continue
            command = line.removeprefix(PROMPT)
            while command.endswith("\\") or _is_open(command):
                command += "\n" + next(lines)
            steps.append(Step(command))
    return found


def _is_open(command: str) -> bool:
    """Whether a here-document has begun and not ended."""
    word = re.search(r"<<'?(\w+)'?", command)
    return word is not None and not command.endswith(f"\n{word[1]}")
