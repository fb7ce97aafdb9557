"""The template in examples/ works as it stands: as a file, and as an installed package."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from amiws_gevent.plugins.loading import load_plugin
from tests.support.patience import WAIT
from tests.support.plugin_docs import ONE_HOST
from tests.support.program import ROOT

pytestmark = pytest.mark.slow

TEMPLATE = ROOT / "examples" / "plugin_template"
PLUGIN = "amiws_vip_callers.py"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The template, copied as its README says."""
    folder = tmp_path / "mine"
    shutil.copytree(TEMPLATE, folder, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def run(*words: str | Path, cwd: Path, path: Path | None = None) -> tuple[int, str]:
    """Exit status and output of a Python command, with ``path`` to import from.

    Its pytest has no plugins: authors need not have ours, which take as long as the tests.
    """
    environ = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    if path is not None:
        environ["PYTHONPATH"] = os.pathsep.join([str(path), environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, *words],
        cwd=cwd,
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=WAIT,
        check=False,
    )
    return done.returncode, done.stdout


def run_tests(folder: Path) -> tuple[int, str]:
    return run("-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error", cwd=folder)


def hooks() -> list[str]:
    return load_plugin(str(TEMPLATE / PLUGIN), []).hooks


def test_its_tests_pass(copy: Path) -> None:
    status, output = run_tests(copy)
    assert status == 0, output


@pytest.mark.parametrize("hook", hooks())
def test_its_tests_hold_each_hook(copy: Path, hook: str) -> None:
    file = copy / PLUGIN
    file.write_text(re.sub(rf"def {hook}\b", f"def off_{hook}", file.read_text()))
    status, output = run_tests(copy)
    assert status == 1, output
    assert re.search(r"\d+ (failed|error)", output)


def test_every_hook_and_setting_says_what_it_is_for() -> None:
    code = load_plugin(str(TEMPLATE / PLUGIN), [])
    assert all(getattr(code.plugin, hook).__doc__ for hook in code.hooks)
    assert all(field.description for field in code.settings_model.model_fields.values())


def test_it_is_a_package_with_an_entry_point(copy: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    status, output = run(
        *("-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--no-build-isolation"),
        *("--disable-pip-version-check", "--root-user-action=ignore", "--target", site, copy),
        cwd=tmp_path,
    )
    assert status == 0, output
    file = tmp_path / "amiws.yaml"
    file.write_text(f'plugins:\n- vip_callers:\n    numbers: ["200"]\n{ONE_HOST}')
    file.chmod(0o600)
    status, output = run("-m", "amiws_gevent", "--plugins", "-f", file, cwd=tmp_path, path=site)
    assert status == 0, output
    assert output.startswith("vip_callers\n"), output
    assert str(site / PLUGIN) in output
    assert "numbers=['200']" in output
    assert all(hook in output for hook in hooks())


def test_its_readme_names_its_files() -> None:
    text = (TEMPLATE / "README.md").read_text()
    linked = set(re.findall(r"\]\(([\w.]+)\)", text))
    assert linked == {
        path.name for path in TEMPLATE.iterdir() if path.is_file() and path.name != "README.md"
    }
