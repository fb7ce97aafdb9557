"""The command line: amiws's options, and the order in which a start goes.

Read the words, read the configuration, only then leave the terminal, and only
then build the program. So what is wrong with the words or the file is said
where they were typed, with the exit status that ``errors`` names.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import gevent

from amiws_gevent import __version__, log
from amiws_gevent.config import (
    ConfigError,
    LoadResult,
    Settings,
    load_settings,
    security_warnings,
)
from amiws_gevent.daemon import Child, PidFile, daemonise
from amiws_gevent.errors import StartError
from amiws_gevent.greenlets import GreenletWatch
from amiws_gevent.longlived import LongLived
from amiws_gevent.notify import is_journal

CONFIG_FILE = Path("/etc/amiws.yaml")
PID_FILE = Path("/tmp/amiws.pid")  # noqa: S108  # amiws's default; PidFile knows the danger
WORKING_DIRECTORY = Path("/tmp")  # noqa: S108  # amiws's default; nothing is written there

STDERR = 2
EXIT_INTERRUPTED = 130  # what a shell makes of a program that SIGINT ended
EXIT_SOFTWARE = 70  # sysexits.h EX_SOFTWARE

DESCRIPTION = """\
Gives the events of Asterisk servers (AMI) to browsers as JSON over WebSocket, and carries
their actions back. A drop-in for the C program amiws: same options, same configuration."""

SIGNALS = """\
SIGINT and SIGTERM end the program, SIGHUP applies a changed configuration.
Exit status: 0 ended as asked; 2 wrong words on the command line; 70 a fault of the program,
or a plugin that kept it from its end; 71 cannot listen; 73 the pid file is locked or cannot be
written; 78 wrong configuration."""

_log = logging.getLogger("amiws_gevent.cli")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; returns the exit status. ``None`` takes the words of the process."""
    options = parser().parse_args(arguments)
    try:
        return _run(options)
    except StartError as error:
        print(_told(error), file=sys.stderr)
        return error.exit_status
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED


def parser() -> argparse.ArgumentParser:
    """amiws's options with its defaults, and those that are ours."""
    parser = argparse.ArgumentParser(
        prog="amiws-gevent",
        description=DESCRIPTION,
        epilog=SIGNALS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "-f",
        "--file",
        metavar="FILENAME",
        type=Path,
        help=f"configuration file (default {CONFIG_FILE})",
    )
    parser.add_argument("-d", "--daemon", action="store_true", help="run as a daemon")
    parser.add_argument(
        "-p",
        "--pidfile",
        metavar="FILENAME",
        type=Path,
        help=f"pid file (default {PID_FILE} as a daemon, none in the foreground); "
        "a daemon takes a relative name from its working directory",
    )
    parser.add_argument(
        "-D",
        "--wdir",
        metavar="PATH",
        type=Path,
        default=WORKING_DIRECTORY,
        help=f"working directory of the daemon (default {WORKING_DIRECTORY})",
    )
    parser.add_argument(
        "--check", action="store_true", help="tell what is wrong with the configuration, and end"
    )
    parser.add_argument(
        "--demo",
        action="store_true",
        help="two simulated PBXs in the place of the configured servers; without -f "
        "at http://127.0.0.1:8000/",
    )
    parser.add_argument(
        "--plugins",
        action="store_true",
        help="list the plugins of the configuration: from where, with which hooks and settings",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    return parser


def _run(options: argparse.Namespace) -> int:
    load = _loader(options)
    result = load() if load else LoadResult(settings=demo_settings(), warnings=[])
    if options.check:
        return _report(result)
    if options.plugins:
        return _list_plugins(result)
    side = daemonise(options.wdir) if options.daemon else None
    if isinstance(side, int):
        return side
    # Until the server takes over the signals: unwind, so that the pid file goes.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with contextlib.ExitStack() as stack:
        pid_file = None
        if options.daemon or options.pidfile:
            pid_file = (options.pidfile or PID_FILE).absolute()
            stack.enter_context(PidFile(pid_file))
        return _serve(result, load, demo=options.demo, child=side, pid_file=pid_file)


def _loader(options: argparse.Namespace) -> Callable[[], LoadResult] | None:
    """What reads the configuration, now and for SIGHUP; None if there is no file to read."""
    if options.demo and options.file is None:
        return None
    # A daemon leaves this folder, and reads the file and what that names again all the same.
    base = Path.cwd()
    path = base / (options.file or CONFIG_FILE)
    return lambda: load_settings(path, base=base)


def demo_settings() -> Settings:
    """The settings of ``--demo`` without a file: this machine only, and nothing to log in to."""
    # The server is replaced by the simulated ones once their ports are known.
    replaced = {"name": "demo", "host": "127.0.0.1", "username": "demo", "secret": "demo"}
    return Settings.model_validate({"ws_host": "127.0.0.1", "amihosts": [replaced]})


def _report(result: LoadResult) -> int:
    for warning in (*result.warnings, *security_warnings(result.settings)):
        print(f"warning: {warning}", file=sys.stderr)
    servers = _counted(len(result.settings.amihosts), "server")
    print(f"{result.settings.path}: the configuration can be used ({servers})")
    return 0


def _list_plugins(result: LoadResult) -> int:
    """The plugins in their order; secrets are pydantic's SecretStr, which shows stars."""
    for entry in result.settings.plugins:
        code = entry.code
        print(f"{code.name}{' (required)' if entry.required else ''}")
        print(f"  from      {code.origin}")
        print(f"  hooks     {', '.join(code.hooks)}")
        print(f"  settings  {entry.settings!r}")
        print(f"  timeout   {entry.hook_timeout:g} s")
    if not result.settings.plugins:
        print(f"{result.settings.path}: no plugins")
    return 0


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _serve(
    result: LoadResult,
    load: Callable[[], LoadResult] | None,
    *,
    demo: bool,
    child: Child | None,
    pid_file: Path | None = None,
) -> int:
    """Start the program and run it until it is told to end; returns the exit status."""
    settings = result.settings
    # Not to the journal twice: it has what goes to syslog, with facility and level.
    foreground = child is None and not is_journal(STDERR)
    control = log.configure(settings.log_facility, settings.log_level, foreground=foreground)
    watch = GreenletWatch()
    watch.install(gevent.get_hub())
    _log.info("amiws-gevent %s starts", __version__)
    for warning in result.warnings:
        _log.warning("%s", warning)
    try:
        # Not before the fork: what it imports may start threads or open files.
        from amiws_gevent.server import Server

        with LongLived():
            server = Server(settings, load=load, demo=demo, log=control, pid_file=pid_file)
            watch.blame = server.blame
            server.start()
            if child is not None:
                child.started()
            status = server.run()
    except StartError as error:
        if child is not None:  # its log does not go to the terminal
            print(_told(error), file=sys.stderr)
        _log.error("%s", error)
        status = error.exit_status
    except Exception as error:  # noqa: BLE001  # the last guard; told with its place
        _log.critical("ends by a fault of the program: %s", error, exc_info=True)
        if child is not None:
            sys.excepthook(type(error), error, error.__traceback__)
        status = EXIT_SOFTWARE
    return status or (EXIT_SOFTWARE if watch.deaths else 0)


def _told(error: StartError) -> str:
    """An error as the terminal gets it; a configuration's begins with file and line."""
    if isinstance(error, ConfigError):
        return "\n".join([*(f"warning: {warning}" for warning in error.warnings), str(error)])
    return f"amiws-gevent: {error}"
