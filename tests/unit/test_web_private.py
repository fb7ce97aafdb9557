"""Which files are private, by whatever name they are asked for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from amiws_gevent.web.private import PrivateFiles


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    root.mkdir()
    return root.resolve()


def holds(private: PrivateFiles, root: Path, name: str) -> bool:
    real = (root / name).resolve()
    return private.holds(real, real.stat(), root)


@pytest.mark.parametrize(
    "name",
    [
        "amiws.yaml",
        "amiws.yaml~",
        "amiws.yaml.~1~",
        "amiws.yaml.bak",
        "amiws.yaml.BAK",
        "amiws.yaml.bak2",
        "amiws.yaml_bak",
        "amiws.yaml-old",
        "amiws.yaml.orig",
        "amiws.yaml.old",
        "amiws.yaml.save",
        "amiws.yaml.rej",
        "amiws.yaml.dpkg-dist",
        "amiws.yaml.dpkg-old",
        "amiws.yaml.ucf-dist",
        "amiws.yaml.rpmsave",
        "amiws.yaml.pacnew",
        "amiws.yaml.1",
        "amiws.yaml.2.gz",
        "amiws.yaml-20261122",
        "amiws.yaml.2026-11-22T10:15:00.xz",
        "amiws.yaml.bak.1.gz",
        "amiws.yaml.gz",
        "amiws.yaml.swp",
        "amiws.yaml (copy)",
        "amiws.yaml,v",
        "amiws.bak",
        "amiws.old.yaml",
        "amiws-2026-11-22.yaml",
        "amiws (1).yaml",
        "AMIWS.YAML.Old",
        ".amiws.yaml.swp",
        "#amiws.yaml#",
        ".#amiws.yaml",
        "Copy of amiws.yaml",
    ],
)
def test_a_file_and_its_backups(root: Path, name: str) -> None:
    private = PrivateFiles([root / "amiws.yaml"])
    (root / name).touch()
    assert holds(private, root, name)


@pytest.mark.parametrize(
    "name", ["amiws.js", "amiws.html", "amiws-2.js", "amiws.yaml.html", "index.html", "old", "1"]
)
def test_other_files_of_like_names(root: Path, name: str) -> None:
    private = PrivateFiles([root / "amiws.yaml"])
    (root / name).touch()
    assert not holds(private, root, name)


def test_a_long_name_takes_no_time(root: Path) -> None:
    name = "amiws" + "-1" * 120 + "x"
    (root / name).touch()
    assert not holds(PrivateFiles([root / "amiws.yaml"]), root, name)


def test_a_backup_lies_beside_its_file(root: Path, tmp_path: Path) -> None:
    (root / "amiws.yaml.old").touch()
    assert not holds(PrivateFiles([tmp_path / "amiws.yaml"]), root, "amiws.yaml.old")


def test_a_backup_beside_the_file_that_a_link_leads_to(root: Path, tmp_path: Path) -> None:
    (root / "real.key").touch()
    (root / "real.key.bak").touch()
    (tmp_path / "key").symlink_to(root / "real.key")
    assert holds(PrivateFiles([tmp_path / "key"]), root, "real.key.bak")


Link = Callable[[Path, Path], None]


def soft(link: Path, to: Path) -> None:
    link.symlink_to(to)


def hard(link: Path, to: Path) -> None:
    link.hardlink_to(to)


@pytest.mark.parametrize("link", [soft, hard])
@pytest.mark.parametrize("behind", ["amiws.yaml", "amiws.yaml.bak", "code/quiet.py"])
def test_links_to_what_is_private(root: Path, link: Link, behind: str) -> None:
    (root / "code").mkdir()
    (root / behind).touch()
    link(root / "plain.txt", root / behind)
    assert holds(PrivateFiles([root / "amiws.yaml", root / "code"]), root, "plain.txt")


def test_a_hard_link_to_a_file_outside(root: Path, tmp_path: Path) -> None:
    (tmp_path / "key.pem.old").touch()
    (root / "plain.txt").hardlink_to(tmp_path / "key.pem.old")
    (root / "other.txt").touch()
    (root / "other2.txt").hardlink_to(root / "other.txt")
    private = PrivateFiles([tmp_path / "key.pem"])
    assert holds(private, root, "plain.txt")
    assert not holds(private, root, "other.txt")


def test_a_folder_counts_with_all_in_it(root: Path) -> None:
    (root / "code" / "deep").mkdir(parents=True)
    (root / "code" / "deep" / "a.txt").touch()
    (root / "codes").mkdir()
    (root / "codes" / "a.txt").touch()
    (root / "to_code").symlink_to("code")
    private = PrivateFiles([root / "to_code"])
    assert holds(private, root, "code/deep/a.txt")
    assert not holds(private, root, "codes/a.txt")


def test_the_root_and_what_it_lies_in_are_not_private_as_a_whole(
    root: Path, tmp_path: Path
) -> None:
    (root / "quiet.py").touch()
    (root / "index.html").touch()
    (root / "same.html").hardlink_to(root / "index.html")
    private = PrivateFiles([root, root.parent, root / "quiet.py"])
    assert holds(private, root, "quiet.py")
    assert not holds(private, root, "index.html")


def test_paths_that_cannot_be_are_no_matter(root: Path) -> None:
    (root / "a").touch()
    paths = [root / "none" / "a", Path("/"), Path("/\0"), Path("/" + "a" * 5000)]
    assert not holds(PrivateFiles(paths), root, "a")
