"""Compiles the live state to C with mypyc, where ``AMIWS_COMPILE=yes`` asks for it.

It computes more for a message than all else does, and knows no sockets: ``amiws_gevent/state/``,
and of ``feeds/`` what a flush makes of each change. Such a wheel is for one version of Python and
one kind of machine, and needs a C compiler to be made. It has the modules in Python as well.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

VARIABLE = "AMIWS_COMPILE"

REQUIRES = ["mypy>=2.0"]

FLAGS = ["--ignore-missing-imports", "--allow-subclassing-any", "--no-warn-return-any"]
"""For the compiler: where pip builds, none of the libraries is there that the modules import.
Types are checked by ``make types``."""

_DIRECT_CALLS = ["-fvisibility=hidden", "-fno-plt"]
"""For the C compiler: functions of the one library call each other without a table of where they
are, and may be written into each other. That is 5 % of the instructions for a message."""

_ROOT = Path(__file__).parent.parent
_MODULES = (
    "amiws_gevent/state/*.py",
    "amiws_gevent/feeds/deltas.py",
    "amiws_gevent/feeds/encoding.py",
)


def is_wanted() -> bool:
    return os.environ.get(VARIABLE) == "yes"


@contextmanager
def put_off() -> Iterator[None]:
    """For what reads setup.py and compiles nothing: it needs no mypyc within the block."""
    wanted = os.environ.pop(VARIABLE, None)
    try:
        yield
    finally:
        if wanted is not None:
            os.environ[VARIABLE] = wanted


def names() -> list[str]:
    """The modules that are compiled, as paths from the root of the checkout."""
    paths = sorted(path for pattern in _MODULES for path in _ROOT.glob(pattern))
    return [path.relative_to(_ROOT).as_posix() for path in paths]


def extensions() -> list[Any]:
    """What setuptools is to compile."""
    from mypyc.build import include_dir, mypycify

    made = mypycify([*FLAGS, *names()], group_name="amiws_gevent_state", debug_level="0")
    arguments = [
        # Assertions of its runtime name their files, which are in another folder in each build.
        f"-ffile-prefix-map={include_dir()}=mypyc",
        *_DIRECT_CALLS,
    ]
    for extension in made:
        extension.extra_compile_args = [*extension.extra_compile_args, *arguments]
    return made
