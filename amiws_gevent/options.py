"""The words of the command line: amiws's options with its defaults, and those that are ours."""

from __future__ import annotations

import argparse
from pathlib import Path

from amiws_gevent import __version__, passwd
from amiws_gevent.config import WS_PORT
from amiws_gevent.config.fields import PROCESSES, workers

CONFIG_FILE = Path("/etc/amiws.yaml")
PID_FILE = Path("/tmp/amiws.pid")  # noqa: S108  # amiws's default; PidFile knows the danger
WORKING_DIRECTORY = Path("/tmp")  # noqa: S108  # amiws's default; nothing is written there

LARGEST_PORT = 65535
DEMO_AS_CONFIGURED = -1  # --demo without a port
MOST_CALLS_A_MINUTE = 60_000

NEEDS = {
    "strict": "check",
    "connect": "check",
    "audit_key": "audit_verify",
    "audit_head": "audit_verify",
} | passwd.NEEDS
"""Options that mean something together with another alone."""

DESCRIPTION = """\
Sends the events of Asterisk servers (AMI) to browsers as JSON over WebSocket, and the actions
of browsers to the servers. Replaces the C program amiws: same options, same configuration."""

SIGNALS = """\
SIGINT and SIGTERM stop the program. SIGHUP applies a changed configuration.
Exit status: 0 stopped as asked; 2 mistake on the command line; 70 internal error (please
report it); 71 port or certificate; 73 pid file or audit; 78 configuration. Of --audit-verify:
65 something was changed. Of --connect: 69 a server, or Redis, that cannot be logged in to or
does not answer; 77 a user that lacks a right. Of a collector, an edge or workers: 69 the library
redis, or redis-server, is missing."""


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
        help=f"pid file (default: {PID_FILE} as a daemon, none in the foreground); "
        "for a daemon, a relative name counts from the working directory",
    )
    parser.add_argument(
        "-D",
        "--wdir",
        metavar="PATH",
        type=Path,
        default=WORKING_DIRECTORY,
        help=f"working directory of the daemon (default {WORKING_DIRECTORY})",
    )
    _add_ours(parser)
    return parser


def _add_ours(parser: argparse.ArgumentParser) -> None:
    """The options that amiws does not have."""
    _add_check_options(parser)
    parser.add_argument(
        "--demo",
        metavar="PORT",
        nargs="?",
        type=_port,
        const=DEMO_AS_CONFIGURED,
        help="use three simulated PBXs instead of the configured servers. Clients connect to PORT; "
        "its default is ws_port of the file given with -f, or without a file "
        f"http://127.0.0.1:{WS_PORT}/",
    )
    parser.add_argument(
        "--process",
        choices=PROCESSES,
        help="what this process does, whatever the configuration says: both, or with others over "
        "Redis collector (AMI connections) or edge (clients)",
    )
    parser.add_argument(
        "--workers",
        metavar="NUMBER",
        type=_workers,
        help="serve clients with so many processes, whatever the configuration says, or auto: one "
        "for each core",
    )
    # Of a process that a supervisor has started: its name, and the descriptor of its channel.
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    parser.add_argument(
        "--plugins",
        action="store_true",
        help="list the configured plugins with their files, hooks and settings, and exit",
    )
    parser.add_argument(
        "--token",
        metavar="NAME",
        help="make a token for a program that uses the HTTP API, print it and its lines for the "
        "configuration, and exit",
    )
    passwd.add_options(parser)
    _add_audit_options(parser)
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    _add_demo_options(parser)


def _add_check_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--check",
        action="store_true",
        help="check the configuration, report all mistakes, and exit",
    )
    parser.add_argument(
        "--strict",
        action="store_true",
        help="with --check: unknown keys and events, repeated keys and cut-off secrets are errors",
    )
    parser.add_argument(
        "--connect",
        action="store_true",
        help="with --check: log in to each server too, and to Redis, and say what its AMI user may "
        "ask for the live state, with the lines that manager.conf lacks, and what Redis lacks",
    )


def _add_audit_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--audit-verify",
        metavar="FILE",
        nargs="+",
        type=Path,
        help="verify files of an audit trail, say what was changed or removed, and exit with 65 "
        "if something was",
    )
    parser.add_argument(
        "--audit-key",
        metavar="FILE",
        action="append",
        type=Path,
        help="with --audit-verify: the key, instead of the one that the configuration names; "
        "several for an audit whose key was changed",
    )
    parser.add_argument(
        "--audit-head",
        metavar="HEAD",
        action="append",
        help="with --audit-verify: a head of the audit as the log has it, NUMBER:CODE, which must "
        "be in the files",
    )


def _add_demo_options(parser: argparse.ArgumentParser) -> None:
    demo = parser.add_argument_group("what the simulated PBXs of --demo play")
    demo.add_argument("--seed", type=int, help="the same number gives the same calls (default 1)")
    demo.add_argument("--rate", type=_rate, help="new calls a minute on each PBX (default 30)")
    demo.add_argument(
        "--scenario",
        metavar="NAME,...",
        help="these scenarios and nothing else (default: all among everyday's calls)",
    )
    demo.add_argument(
        "--scenarios", action="store_const", const=True, help="list the scenarios, and exit"
    )


def check_together(words: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """End with status 2 if words were given that mean nothing together."""
    for option, needed in NEEDS.items():
        if getattr(options, option) and not getattr(options, needed):
            words.error(f"--{option.replace('_', '-')} needs --{needed.replace('_', '-')}")
    if options.delete and options.stdin:
        words.error("--delete asks for no password: not with --stdin")


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) <= LARGEST_PORT):
        raise argparse.ArgumentTypeError(f"must be a port from 0 to {LARGEST_PORT}, not {text!r}")
    return int(text)


def _workers(text: str) -> int | str:
    try:
        return workers(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _rate(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = -1.0
    if not 0 <= rate <= MOST_CALLS_A_MINUTE:
        raise argparse.ArgumentTypeError(
            f"must be calls a minute, 0 to {MOST_CALLS_A_MINUTE}, not {text!r}"
        )
    return rate
