"""The place of the dashboard, in a checkout and in an installation."""

from __future__ import annotations

from pathlib import Path

import pytest

from amiws_gevent.resources import dashboard_root


def site(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).mkdir()
        (folder / name / "index.html").touch()
    package = folder / "amiws_gevent"
    package.mkdir()
    return package


def test_a_checkout_has_web_root_beside_the_package(tmp_path: Path) -> None:
    assert dashboard_root(site(tmp_path, "web_root")) == tmp_path / "web_root"


def test_an_installation_has_a_package_of_its_own(tmp_path: Path) -> None:
    package = site(tmp_path, "amiws_web_root", "web_root")
    assert dashboard_root(package) == tmp_path / "amiws_web_root"


def test_without_either_the_error_names_both_places(tmp_path: Path) -> None:
    (tmp_path / "web_root").mkdir()  # a folder without a page is none
    with pytest.raises(FileNotFoundError) as caught:
        dashboard_root(site(tmp_path))
    assert str(tmp_path / "amiws_web_root") in str(caught.value)
    assert str(tmp_path / "web_root") in str(caught.value)


def test_this_checkout_has_one() -> None:
    root = dashboard_root()
    assert root.is_absolute()
    assert (root / "index.html").is_file()
