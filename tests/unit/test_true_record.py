"""RECORD of libraries that were changed after pip had installed them."""

from __future__ import annotations

import base64
import csv
import hashlib
import os
import subprocess
import sys
from importlib.metadata import PathDistribution
from pathlib import Path

import pytest

from scripts import true_record

ROOT = Path(__file__).parent.parent.parent


def digest(data: bytes) -> str:
    made = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode()
    return f"sha256={made.rstrip('=')}"


@pytest.fixture
def record(tmp_path: Path) -> Path:
    """Of a library with a compiled module, a script, and a name with a comma."""
    site = tmp_path / "lib" / "python3.11" / "site-packages"
    info = site / "a-1.dist-info"
    info.mkdir(parents=True)
    (site / "a").mkdir()
    (tmp_path / "bin").mkdir()
    files = {
        "../../../bin/a": b"#!/tmp/build/python\n",
        "a/__init__.py": b"",
        "a/fast.so": b"code" * 1000,
        "a/fast.c": b"source",
        "a/x, y.txt": b"text",
        "a-1.dist-info/METADATA": b"Metadata-Version: 2.1\nName: a\nVersion: 1\n",
    }
    for name, data in files.items():
        (site / name).write_bytes(data)
    with (info / "RECORD").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerows([name, digest(data), len(data)] for name, data in files.items())
        writer.writerow(["a-1.dist-info/RECORD", "", ""])
    return info / "RECORD"


def test_it_tells_what_is_there(record: Path) -> None:
    site = record.parent.parent
    before = record.read_bytes()
    true_record.main(site.parent.parent)
    assert record.read_bytes() == before, "it was true"
    (site / "a/fast.so").write_bytes(b"stripped")
    (site / "a/fast.c").unlink()
    (site / "../../../bin/a").write_bytes(b"#!/usr/lib/a/python\n")
    true_record.main(site.parent.parent)
    told = {str(file): file for file in PathDistribution(record.parent).files or ()}
    assert told.keys() == {
        "../../../bin/a",
        "a/__init__.py",
        "a/fast.so",
        "a/x, y.txt",
        "a-1.dist-info/METADATA",
        "a-1.dist-info/RECORD",
    }
    for name, file in told.items():
        if name.endswith("RECORD"):
            assert file.hash is None
            continue
        data = (site / name).read_bytes()
        assert file.hash is not None
        assert (f"sha256={file.hash.value}", file.size) == (digest(data), len(data))


def test_a_folder_without_libraries_is_a_mistake(tmp_path: Path) -> None:
    script = ROOT / "scripts" / "true_record.py"
    done = subprocess.run(
        [sys.executable, script, tmp_path], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert "no library is installed there" in done.stderr


def test_what_is_stripped_is_recorded_behind_that() -> None:
    """debhelper strips what scripts/install-venv.sh has installed."""
    rules = (ROOT / "debian" / "rules").read_text(encoding="utf-8")
    strip = rules.partition("override_dh_strip:\n")[2].partition("\n\n")[0].splitlines()
    assert [line.split()[0] for line in strip] == ["\tdh_strip".strip(), "$(PYTHON)"]
    assert "scripts/true_record.py" in strip[1]
    assert os.access(ROOT / "debian" / "rules", os.X_OK)
