"""Files of Python that are in no package, such as those of scripts/."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

from tests.support.program import ROOT


def script(name: str) -> ModuleType:
    """The module scripts/NAME.py."""
    return imported(ROOT / "scripts" / f"{name}.py")


def imported(file: Path) -> ModuleType:
    """A file, imported by its place."""
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made
