"""make release: what it refuses, what it compares, and the bill of materials."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import subprocess
import tarfile
import zipfile
from email.message import Message
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from amiws_gevent import __version__
from build_tools import release, reproducible, sbom
from tests.support.program import ROOT

HOME = 'HOME_PAGE = "https://git.example.org/amiws-gevent"\n'
WHO = ("-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false")


def git(folder: Path, *words: str) -> None:
    subprocess.run(["git", *WHO, *words], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A repository with what a release looks at, of which nothing is in the way of one."""
    (tmp_path / "amiws_gevent").mkdir()
    (tmp_path / "amiws_gevent" / "__init__.py").write_text('__version__ = "1.2.0"\n')
    (tmp_path / "CHANGELOG.md").write_text("# Changelog\n\n## 1.2.0 - 2026-12-01\n\nNew\n")
    (tmp_path / "setup.py").write_text(HOME)
    git(tmp_path, "init", "--quiet")
    commit(tmp_path)
    git(tmp_path, "tag", "v1.2.0")
    return tmp_path


def commit(folder: Path) -> None:
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "All")


# What is refused


def test_a_clean_tree_with_its_tag_is_released(clone: Path) -> None:
    assert release.problems(clone) == []


def test_an_unclean_tree_is_refused(clone: Path) -> None:
    (clone / "forgotten.txt").touch()
    (problem,) = release.problems(clone)
    assert "not committed" in problem
    assert "forgotten.txt" in problem


def test_another_tag_is_refused(clone: Path) -> None:
    git(clone, "tag", "--delete", "v1.2.0")
    git(clone, "tag", "v1.3.0")
    (problem,) = release.problems(clone)
    assert problem.endswith("the newest commit needs the tag v1.2.0, and has v1.3.0")


def test_a_tag_of_an_older_commit_is_refused(clone: Path) -> None:
    (clone / "more.txt").touch()
    commit(clone)
    (problem,) = release.problems(clone)
    assert problem.endswith("the newest commit needs the tag v1.2.0, and has none")


def test_metadata_without_links_are_refused(clone: Path) -> None:
    (clone / "setup.py").write_text('HOME_PAGE = ""\n')
    commit(clone)
    git(clone, "tag", "--force", "v1.2.0")
    (problem,) = release.problems(clone)
    assert problem.startswith("setup.py: say in HOME_PAGE")


def test_a_changelog_without_the_version_is_refused(clone: Path) -> None:
    (clone / "CHANGELOG.md").write_text("# Changelog\n\n## Unreleased\n")
    commit(clone)
    git(clone, "tag", "--force", "v1.2.0")
    assert release.problems(clone) == ['CHANGELOG.md has no section "## 1.2.0 - YYYY-MM-DD"']


@pytest.mark.parametrize(
    ("heading", "wanted"),
    [
        ("## 1.2.0 - 2026-12-01", True),
        ("## 1.2.0 - 2026-13-01", False),
        ("## 1.2.0", False),
        ("## 1.2.0 - Unreleased", False),
        ("## 1.2.01 - 2026-12-01", False),
        ("## 1x2.0 - 2026-12-01", False),
        ("### 1.2.0 - 2026-12-01", False),
    ],
)
def test_sections_have_a_day(heading: str, wanted: bool) -> None:
    assert release.is_dated(f"# Changelog\n\n{heading}\n\n- New\n", "1.2.0") is wanted


def test_this_repository_has_what_is_looked_at() -> None:
    source = (ROOT / "amiws_gevent" / "__init__.py").read_text(encoding="utf-8")
    assert release.named("__version__", source) == __version__
    home = release.named("HOME_PAGE", (ROOT / "setup.py").read_text(encoding="utf-8"))
    assert not home or home.startswith("https://")


def test_what_cannot_be_read_is_told() -> None:
    with pytest.raises(release.ReleaseError, match="no line HOME_PAGE"):
        release.named("HOME_PAGE", "HOME_PAGE = None\n")


# What is made


def test_files_that_are_not_the_same_are_named(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    for folder in (one, other):
        folder.mkdir()
        (folder / "same").write_text("a")
        (folder / "changed").write_text(folder.name)
    (one / "alone").touch()
    assert release.differing(one, other) == ["alone", "changed"]
    assert release.differing(one, one) == []


def test_sums_are_those_of_all_files_but_themselves(tmp_path: Path) -> None:
    (tmp_path / "b.whl").write_bytes(b"wheel")
    (tmp_path / "a.tar.gz").write_bytes(b"sdist")
    (tmp_path / release.SUMS).write_text("old")
    digests = [hashlib.sha256(content).hexdigest() for content in (b"sdist", b"wheel")]
    wanted = f"{digests[0]}  a.tar.gz\n{digests[1]}  b.whl\n"
    assert release.sums(tmp_path) == wanted
    (tmp_path / release.SUMS).write_text(wanted)
    subprocess.run(["sha256sum", "--check", release.SUMS], cwd=tmp_path, check=True)


def sdist(path: Path, names: list[str], time: float, mode: int, user: str) -> Path:
    """An archive as some machine makes it."""
    with tarfile.open(path, "w:gz", format=tarfile.PAX_FORMAT) as archive:
        for name in names:
            member = tarfile.TarInfo(name)
            member.size = 4
            member.mtime = time  # type: ignore[assignment]  # seconds with fractions
            member.mode = mode | (0o100 if name.endswith(".sh") else 0)
            member.uname = user
            archive.addfile(member, io.BytesIO(b"text"))
    return path


def test_an_sdist_has_nothing_of_the_machine(tmp_path: Path) -> None:
    one = sdist(tmp_path / "one.tar.gz", ["x/a", "x/b.sh"], 1700000000.25, 0o644, "al")
    other = sdist(tmp_path / "other.tar.gz", ["x/b.sh", "x/a"], 1700000001.5, 0o600, "bo")
    for path in (one, other):
        reproducible.repack(path, 1600000000)
    assert one.read_bytes() == other.read_bytes()
    with tarfile.open(one) as archive:
        members = archive.getmembers()
        assert [(m.name, m.mode, m.mtime) for m in members] == [
            ("x/a", 0o644, 1600000000),
            ("x/b.sh", 0o755, 1600000000),
        ]
        file = archive.extractfile("x/a")
        assert file is not None
        assert file.read() == b"text"
    assert gzip.decompress(one.read_bytes())


# The bill of materials

LINE = "-" * 80
LICENCES = f"Made of\n\n{LINE}\n\n@a/b 1.0.0 (MIT)\n\n{LINE}\n\nText\n\n{LINE}\n\nc 2.0.0 (ISC)\n"
DIGEST = "sha512-" + "A" * 86 + "=="
LOCK: dict[str, Any] = {
    "packages": {
        "node_modules/@a/b": {"version": "1.0.0", "license": "MIT", "integrity": DIGEST},
        "node_modules/c": {"version": "2.0.0", "license": "ISC", "integrity": DIGEST},
        "node_modules/tool": {"version": "3.0.0", "license": "MIT", "integrity": DIGEST},
    }
}
METADATA = """Metadata-Version: 2.4
Name: some-program
Version: 1.2.0
License-Expression: MIT
Requires-Dist: Flask>=3
Requires-Dist: websockets; extra == "client"
Requires-Dist: not-there; extra == "test"
Requires-Dist: not-there; python_version < "3"

Read me
"""


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    path = tmp_path / "package-lock.json"
    path.write_text(json.dumps(LOCK))
    return path


def wheel(folder: Path, metadata: str = METADATA) -> Path:
    path = folder / "some_program-1.2.0-py3-none-any.whl"
    inside = "some_program-1.2.0.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{inside}/METADATA", metadata)
        archive.writestr(f"{inside}/licenses/web_root/vendor/LICENSES.txt", LICENCES)
    return path


def test_the_bill_is_valid_and_names_everything(tmp_path: Path, lock: Path) -> None:
    text = sbom.bill(wheel(tmp_path), lock, 1700000000)
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    bill = json.loads(text)
    assert bill["metadata"]["timestamp"] == "2023-11-14T22:13:20+00:00"
    assert bill["metadata"]["component"]["purl"] == "pkg:pypi/some-program@1.2.0"
    parts = {part["purl"].rpartition("@")[0]: part for part in bill["components"]}
    assert {"pkg:npm/%40a/b", "pkg:npm/c", "pkg:pypi/flask", "pkg:pypi/jinja2"} <= set(parts)
    assert not [name for name in parts if "tool" in name]
    assert parts["pkg:npm/c"]["hashes"] == [{"alg": "SHA-512", "content": "0" * 128}]
    assert parts["pkg:pypi/jinja2"]["scope"] == "required"
    assert parts["pkg:pypi/websockets"]["scope"] == "optional"
    (top,) = (d for d in bill["dependencies"] if d["ref"].startswith("pkg:pypi/some-program"))
    direct = [ref.rpartition("@")[0] for ref in top["dependsOn"]]
    assert direct == ["pkg:npm/%40a/b", "pkg:npm/c", "pkg:pypi/flask", "pkg:pypi/websockets"]


def test_the_bill_is_the_same_each_time(tmp_path: Path, lock: Path) -> None:
    made = [sbom.bill(wheel(tmp_path), lock, 1700000000) for _ in range(2)]
    assert made[0] == made[1]


def test_what_is_not_installed_is_told(tmp_path: Path, lock: Path) -> None:
    path = wheel(tmp_path, METADATA.replace("Flask>=3", "not-there"))
    with pytest.raises(sbom.SbomError, match="not-there is not installed"):
        sbom.bill(path, lock, 0)


def test_what_the_lock_file_lacks_is_told() -> None:
    with pytest.raises(sbom.SbomError, match=r"package-lock\.json does not have @a/b"):
        sbom.npm_components(LICENCES, {"packages": {}})


def test_what_the_vendor_folder_is_made_of_is_in_the_lock_file() -> None:
    licences = (ROOT / "web_root" / "vendor" / "LICENSES.txt").read_text(encoding="utf-8")
    lock = json.loads((ROOT / "package-lock.json").read_text(encoding="utf-8"))
    found = {str(part.purl) for part in sbom.npm_components(licences, lock)}
    assert len(found) >= 10
    assert not [purl for purl in found if "esbuild" in purl], "it is in no page"


def about(**fields: str) -> Message:
    message = Message()
    message["Name"], message["Version"] = "some", "1.0"
    for name, value in fields.items():
        message[name.replace("_", "-")] = value
    return message


@pytest.mark.parametrize(
    ("fields", "wanted"),
    [
        ({"License_Expression": "MIT OR Apache-2.0"}, "MIT OR Apache-2.0"),
        ({"License": "BSD-3-Clause"}, "BSD-3-Clause"),
        ({"License": "Our own"}, "Our own"),
        ({"License": "Copyright\n\nAll of it"}, None),
        (
            {"Classifier": "License :: OSI Approved :: BSD License"},
            "License :: OSI Approved :: BSD License",
        ),
        (
            {
                "License": "Copyright 2011 Somebody",
                "Classifier": "License :: OSI Approved :: Apache Software License",
            },
            "License :: OSI Approved :: Apache Software License",
        ),
        ({"Classifier": "Typing :: Typed"}, None),
    ],
)
def test_licences_are_found_wherever_metadata_have_them(
    fields: dict[str, str], wanted: str | None
) -> None:
    found = sbom.licences(about(**fields))
    names = [getattr(one, "value", None) or one.id or one.name for one in found]
    assert names == ([] if wanted is None else [wanted])


def test_every_component_of_a_release_has_a_licence(tmp_path: Path, lock: Path) -> None:
    bill = json.loads(sbom.bill(wheel(tmp_path), lock, 1700000000))
    assert [part["purl"] for part in bill["components"] if not part.get("licenses")] == []
