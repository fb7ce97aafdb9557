"""The error tree: its picture is true, and each end of the program has a status of its own."""

from __future__ import annotations

import re

from amiws_gevent import errors
from amiws_gevent.actions import ActionProblem
from amiws_gevent.ami import ActionError
from amiws_gevent.config import ConfigError
from amiws_gevent.errors import AmiwsError, ListenError, PidFileError, StartError, UsageError

# sysexits.h: EX_OSERR, EX_CANTCREAT, EX_CONFIG; 2 is argparse's and bash's for wrong words.
STATUSES = {StartError: 1, UsageError: 2, ListenError: 71, PidFileError: 73, ConfigError: 78}


def test_the_picture_shows_the_tree() -> None:
    """Indented by two a level; those that other rooms define are shown as well."""
    assert errors.__doc__ is not None
    elsewhere = {kind.__name__: kind for kind in (ActionError, ActionProblem, ConfigError)}
    known = {**vars(errors), **elsewhere}
    above: list[type[BaseException]] = [Exception]
    drawn = re.findall(r"^    ( *)(\w+)  ", errors.__doc__, re.MULTILINE)
    for indent, name in drawn:
        level = len(indent) // 2
        assert known[name].__base__ is above[level], name
        above[level + 1 :] = [known[name]]
    own = {name for name, value in vars(errors).items() if isinstance(value, type)}
    assert own | elsewhere.keys() == {name for _, name in drawn}


def test_statuses_tell_the_causes_apart() -> None:
    assert {kind: kind.exit_status for kind in STATUSES} == STATUSES


def test_the_message_is_all_that_a_person_sees() -> None:
    assert str(ListenError("port 8000 is in use")) == "port 8000 is in use"
    assert issubclass(ListenError, AmiwsError)
