"""``--check`` and ``--connect``: what they find out of a configuration, said on the terminal."""

from __future__ import annotations

import sys

from amiws_gevent.bus.needed import needing_redis
from amiws_gevent.config import (
    ConfigError,
    LoadResult,
    Settings,
    role_report,
    security_warnings,
)
from amiws_gevent.config.fields import BOTH, EDGE
from amiws_gevent.errors import MissingLibraryError

EXIT_UNAVAILABLE = 69  # sysexits.h EX_UNAVAILABLE; of --connect alone
EXIT_NO_PERMISSION = 77  # sysexits.h EX_NOPERM; of --connect alone
CONNECT_STATUSES = (EXIT_UNAVAILABLE, EXIT_NO_PERMISSION)  # the worst first


def report(result: LoadResult, *, strict: bool, demo: bool) -> int:
    """What ``--check`` says of a file that can be used: a line, and warnings before it.

    ``strict`` makes errors of the slips among the warnings.
    """
    errors = set(result.slips) if strict else set()
    for warning in result.warnings:
        print(warning if warning in errors else f"warning: {warning}", file=sys.stderr)
    for warning in security_warnings(result.settings):
        print(f"warning: {warning}", file=sys.stderr)
    if lacking := _lacking(result.settings):
        print(f"warning: {lacking}", file=sys.stderr)
    from amiws_gevent.migration import page_notes  # by others it is not needed

    for note in (*role_report(result.settings), *result.notes, *page_notes(result.settings)):
        print(f"note: {note}", file=sys.stderr)
    if errors:
        return ConfigError.exit_status
    servers = "simulated servers" if demo else _counted(len(result.settings.amihosts), "server")
    print(f"{file_of(result)}: the configuration is valid ({servers})")
    return 0


def _lacking(settings: Settings) -> str:
    """What a start would end with, as Redis or its library is not installed; else ""."""
    if settings.process == BOTH and settings.workers is None:
        return ""
    try:
        needing_redis("check")
        if settings.redis is None:
            from amiws_gevent.workers.privateredis import redis_program  # by others not needed

            redis_program()
    except MissingLibraryError as error:
        return str(error)
    return ""


def connect(settings: Settings) -> int:
    """What ``--connect`` finds out of each server and Redis; the exit status is the worst."""
    servers = 0 if settings.process == EDGE else _connect_servers(settings)
    redis = _connect_redis(settings)
    return next((each for each in CONNECT_STATUSES if each in (servers, redis)), 0)


def _connect_servers(settings: Settings) -> int:
    from amiws_gevent.live.check import (  # by others it is not needed
        READ_NOTE,
        check_servers,
        lines_of,
    )

    reports = check_servers(settings)
    for report in reports:
        print("\n".join(lines_of(report)))
    print(READ_NOTE)
    if any(report.problem for report in reports):
        return EXIT_UNAVAILABLE
    lacks = any(report.lacks_class or report.alone for report in reports)
    return EXIT_NO_PERMISSION if lacks else 0


def _connect_redis(settings: Settings) -> int:
    if settings.redis is None:  # workers have one of their own; `report` has said what it lacks
        return EXIT_UNAVAILABLE if _lacking(settings) else 0
    check = needing_redis("check")
    report = check.check_redis(settings.redis, edge=settings.process == EDGE)
    print("\n".join(check.lines_of(report)))
    if report.problem:
        return EXIT_UNAVAILABLE
    return EXIT_NO_PERMISSION if report.forbidden else 0


def file_of(result: LoadResult) -> str:
    """Where a configuration came from, for people."""
    return str(result.settings.path or "--demo")


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
