"""What a release carries: sdist, a wheel from it, and the wheel installed elsewhere."""

from __future__ import annotations

import gzip
import http.client
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path

import brotli
import pytest

from amiws_gevent import __version__
from build_tools.bundle import TERSE
from build_tools.compress import tersely
from tests.support.patience import WAIT
from tests.support.program import ROOT, Program, ami_host, configuration

LEFT_OUT = shutil.ignore_patterns(
    ".venv*", ".git", ".make", ".*_cache", ".hypothesis", "__pycache__", "*.egg-info", "build",
    "dist", "node_modules", "results",
)  # fmt: skip

# Of each kind that an installation needs, one.
CARRIED = [
    "amiws_gevent/__main__.py",
    "amiws_gevent/ami/framing.py",
    "amiws_gevent/config/model.py",
    "amiws_gevent/simulator/__init__.py",
    "amiws_gevent/web/app.py",
    "amiws_gevent/py.typed",
    "amiws_plugins/__init__.py",
    "amiws_web_root/index.html",
    "amiws_web_root/lib/amiws.js",
    "amiws_web_root/classic/classic.js",
    "amiws_web_root/vendor/ui.js",
]
SHARED = [
    "amiws.yaml",
    "amiws.schema.json",
    "systemd/amiws-gevent.service",
    "init.d/amiws-gevent",
]


# When the source was made, for all times in what is built from it: 2020-09-13 12:26:40 UTC.
TIME = 1600000000


def run(*words: str | Path, cwd: Path, umask: int = -1) -> str:
    """What a command prints; fails the test with all of it if the command fails."""
    done = subprocess.run(
        words,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": "", "SOURCE_DATE_EPOCH": str(TIME)},
        umask=umask,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=WAIT,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def under(root: Path) -> set[str]:
    """The files in a folder, as paths from it."""
    return {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist and the wheel that was made from it."""
    source = tmp_path_factory.mktemp("source") / "checkout"
    shutil.copytree(ROOT, source, ignore=LEFT_OUT)
    out = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "build", "--no-isolation", "--outdir", out, source]
    run(*build, cwd=out, umask=0o077)
    return out


def served() -> set[str]:
    """What of this checkout's web_root is for browsers."""
    names = under(ROOT / "web_root")
    return {
        name
        for name in names
        if not re.fullmatch(r"vendor/(.*\.d\.ts|made-from\.txt|terse/.*)", name)
    }


def without_compressed(names: set[str]) -> set[str]:
    return {name for name in names if not name.endswith((".br", ".gz"))}


@pytest.fixture(scope="module")
def wheel(built: Path) -> Path:
    return built / f"amiws_gevent-{__version__}-py3-none-any.whl"


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh virtual environment with the wheel; the dependencies are lent by this one."""
    home = tmp_path_factory.mktemp("home")
    venv.create(home, with_pip=False, symlinks=True)
    python = home / "bin" / "python"
    run(
        sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps",
        "--no-index", wheel, cwd=home,
    )  # fmt: skip
    site = run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=home)
    # Packages that were installed as a link to this checkout do not come along that way.
    (Path(site.strip()) / "lent.pth").write_text(sysconfig.get_path("purelib"))
    return home


def test_the_wheel_carries_everything(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    data = f"amiws_gevent-{__version__}.data/data/share/amiws-gevent"
    assert names >= {*CARRIED, *(f"{data}/{name}" for name in SHARED)}
    clients = {name.removeprefix("amiws_web_root/") for name in names if "_web_root/" in name}
    assert without_compressed(clients) == served()
    elsewhere = ("tests/", "bench/", "web_root/", "build_tools/")
    assert not [name for name in names if name.startswith(elsewhere) or "node_modules" in name]


def test_the_wheel_has_the_licences_of_all_that_is_in_it(wheel: Path) -> None:
    inside = f"amiws_gevent-{__version__}.dist-info/licenses"
    with zipfile.ZipFile(wheel) as archive:
        for name in ("LICENSE", "web_root/vendor/LICENSES.txt"):
            assert archive.read(f"{inside}/{name}") == (ROOT / name).read_bytes()


def test_compressed_files_say_the_same(wheel: Path, tmp_path: Path) -> None:
    """But for comments, and the indentation of styles."""
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        packed = {name for name in names if name.endswith((".br", ".gz")) and "_root/" in name}
        for name in packed:
            unpack = brotli.decompress if name.endswith(".br") else gzip.decompress
            plain = Path(archive.extract(name[:-3], tmp_path))
            terse = TERSE / name[:-3].removeprefix("amiws_web_root/")
            assert unpack(archive.read(name)) == tersely(plain, terse)
    stems = {re.sub(r"-[0-9A-Z]{8}", "", name) for name in packed}
    for name in ("vendor/ui.js", "vendor/world.json", "lib/amiws.js", "app/app.js"):
        assert {f"amiws_web_root/{name}.br", f"amiws_web_root/{name}.gz"} <= stems


@pytest.mark.timeout(300)
def test_a_checkout_makes_the_same_vendor_folder(tmp_path: Path) -> None:
    """With npm, from the lock file alone."""
    for name in ("build_tools", "package.json", "package-lock.json"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, tmp_path / name)
    without = shutil.ignore_patterns("vendor")
    shutil.copytree(ROOT / "web_root", tmp_path / "web_root", ignore=without)
    run(sys.executable, "-m", "build_tools.bundle", cwd=tmp_path)
    made, ours = tmp_path / "web_root" / "vendor", ROOT / "web_root" / "vendor"
    assert under(made) == under(ours)
    assert [n for n in under(ours) if (made / n).read_bytes() != (ours / n).read_bytes()] == []
    assert not list((tmp_path / "build").iterdir())


def test_the_sdist_can_be_tested_and_built_again(built: Path) -> None:
    top = f"amiws_gevent-{__version__}"
    with tarfile.open(built / f"{top}.tar.gz") as archive:
        names = set(archive.getnames())
    wanted = {
        "LICENSE", "Makefile", "README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md",
        ".ci/run", ".editorconfig", ".pre-commit-config.yaml", "setup.py", "soak/__main__.py",
        "pyproject.toml", "scripts/find-python.sh", "etc/amiws.yaml", "plugins/__init__.py",
        "contrib/init.d/amiws-gevent", "web_root/index.html", "package-lock.json", "tsconfig.json",
        "web_root/vendor/ui.js", "web_root/vendor/made-from.txt", "build_tools/backend.py",
        "debian/rules", "Dockerfile", "compose.yaml", "tests/integration/test_packaging.py",
        "tests/support/program.py",
    }  # fmt: skip
    assert names >= {f"{top}/{name}" for name in wanted}
    hidden = {name.split("/")[1] for name in names if "/." in name}
    assert hidden == {".ci", ".dockerignore", ".editorconfig", ".pre-commit-config.yaml"}
    assert not [name for name in names if name.endswith(".pyc") or "node_modules" in name]


def test_nothing_tells_when_and_by_whom_it_was_built(built: Path, wheel: Path) -> None:
    """What make release compares by building twice; here each cause by itself."""
    with tarfile.open(built / f"amiws_gevent-{__version__}.tar.gz") as archive:
        members = archive.getmembers()
    assert {(m.mtime, m.uid, m.gid, m.uname, m.gname) for m in members} == {(TIME, 0, 0, "", "")}
    assert {m.mode for m in members} == {0o644, 0o755}
    assert [m.name for m in members] == sorted(m.name for m in members)
    with zipfile.ZipFile(wheel) as zipped:
        entries = zipped.infolist()
    assert {entry.date_time for entry in entries} == {(2020, 9, 13, 12, 26, 40)}
    assert {entry.external_attr >> 16 & 0o777 for entry in entries} <= {0o644, 0o664, 0o755}


def test_the_metadata(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        text = archive.read(f"amiws_gevent-{__version__}.dist-info/METADATA").decode()
    head, _, readme = text.partition("\n\n")
    lines = head.splitlines()
    for line in (
        "Name: amiws-gevent",
        f"Version: {__version__}",
        "License-Expression: MIT AND Apache-2.0 AND ISC",
        "License-File: LICENSE",
        "License-File: web_root/vendor/LICENSES.txt",
        "Requires-Python: >=3.11",
        "Description-Content-Type: text/markdown",
        "Provides-Extra: test",
    ):
        assert line in lines
    assert readme.strip() == (ROOT / "README.md").read_text(encoding="utf-8").strip()


def test_the_installed_program_runs(installed: Path) -> None:
    program = installed / "bin" / "amiws-gevent"
    assert run(program, "--version", cwd=installed) == f"amiws-gevent {__version__}\n"
    sample = installed / "share" / "amiws-gevent" / "amiws.yaml"
    assert "is valid" in run(program, "--check", "-f", sample, cwd=installed)


def test_the_installed_program_finds_its_own_dashboard(installed: Path) -> None:
    root = run(
        installed / "bin" / "python",
        "-c",
        "from amiws_gevent.resources import dashboard_root; print(dashboard_root())",
        cwd=installed,
    ).strip()
    assert root.startswith(str(installed))
    assert without_compressed(under(Path(root))) == served()


def test_the_installed_program_serves_it_compressed(installed: Path, tmp_path: Path) -> None:
    """Where there is no node."""
    python = installed / "bin" / "python"
    nothing = {"PATH": str(tmp_path), "PYTHONPATH": ""}
    with Program(tmp_path, configuration(ami_host(1)), python=python, environ=nothing) as program:
        connection = http.client.HTTPConnection("127.0.0.1", program.port, timeout=WAIT)
        connection.request("GET", "/app/app.js", headers={"Accept-Encoding": "gzip"})
        response = connection.getresponse()
        page = gzip.decompress(response.read())
        assert page == (TERSE / "app" / "app.js").read_bytes()
        assert "script-src 'self'" in str(response.headers["Content-Security-Policy"])
        stays = (ROOT / "web_root" / "vendor" / "ui.js").read_text()
        name = re.findall(r"ui-\w+\.js", stays)[0]
        connection.request("GET", f"/vendor/{name}", headers={"Accept-Encoding": "gzip, br"})
        response = connection.getresponse()
        module = brotli.decompress(response.read())
        assert module == (ROOT / "web_root" / "vendor" / name).read_bytes()
        assert "immutable" in str(response.headers["Cache-Control"])
        connection.close()


def test_the_init_script_stays_executable(installed: Path) -> None:
    script = installed / "share" / "amiws-gevent" / "init.d" / "amiws-gevent"
    assert os.access(script, os.X_OK)
