"""tests/conftest.py: what a test that fails leaves open is held against no other."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.patience import WAIT
from tests.support.program import ROOT

pytestmark = pytest.mark.slow

TESTS = """
import gc, socket

def test_that_fails():
    left = socket.socket()
    def deeper():
        also_left = socket.socket()
        raise OSError("the reason")
    try:
        deeper()
    except OSError as error:
        raise AssertionError("the failure") from error

def test_that_passes():
    gc.collect()
"""


def test_what_a_failed_test_leaves_is_its_own(tmp_path: Path) -> None:
    file = tmp_path / "test_two.py"
    file.write_text(TESTS)
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-p", "tests.conftest", "-p", "no:cacheprovider"),
            *("-c", ROOT / "pyproject.toml", "--rootdir", tmp_path, file),
        ],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=WAIT,
        check=False,
    )
    assert "the failure" in done.stdout, done.stdout + done.stderr
    assert "the reason" in done.stdout
    assert "FAILED test_two.py::test_that_fails" in done.stdout
    assert "1 passed" in done.stdout, done.stdout
    assert "test_that_passes" not in done.stdout
