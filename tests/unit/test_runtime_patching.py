"""The monkey-patch: as gevent's own, with one look for gevent's plugins."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.support.patience import WAIT
from tests.support.program import ROOT

COUNTED = """
import sys
from importlib import metadata
looks = []
class Finder(metadata.DistributionFinder):
    def find_distributions(self, context=metadata.DistributionFinder.Context()):
        looks.append(context.name)
        return []
    def find_spec(self, *arguments):
        return None
sys.meta_path.insert(0, Finder())
before = metadata.entry_points
from amiws_gevent.runtime.patching import patch_all
patch_all()
assert metadata.entry_points is before
from gevent import monkey
assert all(monkey.is_module_patched(name) for name in ("os", "socket", "ssl", "threading", "time"))
print(len(looks), *getattr(sys, "told", ()))
"""

PLUGIN = """
import sys
sys.told = []
def on_patched(event):
    sys.told.append(type(event).__name__)
"""


def patched(*, path: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", COUNTED],
        cwd=ROOT,
        env={"PYTHONPATH": str(path)},
        capture_output=True,
        text=True,
        timeout=WAIT,
        check=False,
    )
    assert done.stderr == ""
    return done.stdout.strip()


def test_all_is_patched_after_one_look_at_the_packages(tmp_path: Path) -> None:
    assert patched(path=tmp_path) == "1"


def test_plugins_of_gevent_are_told(tmp_path: Path) -> None:
    (tmp_path / "watcher.py").write_text(PLUGIN)
    info = tmp_path / "watcher-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: watcher\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[gevent.plugins.monkey.did_patch_all]\nwatcher = watcher:on_patched\n"
        "[gevent.plugins.monkey.did_patch_builtins]\nwatcher = watcher:on_patched\n"
    )
    assert patched(path=tmp_path) == ("1 GeventDidPatchBuiltinModulesEvent GeventDidPatchAllEvent")
