"""Writes the reference of the hooks into docs/hooks.md, from their specifications.

``python scripts/hook_reference.py`` from the top of the repository. A test fails while
the page is not what this writes.
"""

from __future__ import annotations

import inspect
import re
from pathlib import Path

from amiws_gevent.plugins import hookspecs

PAGE = Path(__file__).parent.parent / "docs" / "hooks.md"
BEGIN = "<!-- hooks: made by scripts/hook_reference.py from amiws_gevent/plugins/hookspecs.py -->\n"
END = "<!-- end -->"


def hooks() -> dict[str, inspect.Signature]:
    """All hooks in the order of the specifications."""
    return {
        name: inspect.signature(value)
        for name, value in vars(hookspecs).items()
        if name.startswith("amiws_") and inspect.isfunction(value)
    }


def reference() -> str:
    """A table of all hooks, then each with its parameters and what its docstring says."""
    table = ["| hook | |", "| --- | --- |"]
    sections = []
    for name, signature in hooks().items():
        text = markdown(inspect.getdoc(getattr(hookspecs, name)) or "")
        summary, _, rest = text.partition("\n\n")
        table.append(f"| [`{name}`](#{name}) | {' '.join(summary.split())} |")
        sections += [f"### `{name}`", f"`{written(name, signature)}`", summary]
        sections += [rest] if rest else []
    return "\n".join(table) + "\n\n" + "\n\n".join(sections) + "\n"


def written(name: str, signature: inspect.Signature) -> str:
    """As one would call it: names of parameters, and what it returns."""
    returned = signature.return_annotation
    returns = "" if returned == "None" else f" → {returned}"
    return f"{name}({', '.join(signature.parameters)}){returns}"


def markdown(docstring: str) -> str:
    """Our docstrings need no more than this."""
    return re.sub(r"``(.+?)``", r"`\1`", docstring, flags=re.DOTALL)


def with_reference(page: str) -> str:
    """The page with the reference between its marks. Raises ValueError without them."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"{PAGE.name} has no {BEGIN.strip()} with {END} after it")
    return f"{before}{begin}\n{reference()}\n{end}{after}"


if __name__ == "__main__":
    PAGE.write_text(with_reference(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
