"""The command line: amiws's options, and the order in which a start goes.

The options are parsed and the configuration is read before the program leaves the
terminal. So mistakes in either are reported on the terminal, with the exit status
that ``errors`` defines.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from amiws_gevent import __version__, passwd
from amiws_gevent.bus.needed import needing_redis
from amiws_gevent.config import (
    WS_PORT,
    ConfigError,
    LoadResult,
    Redis,
    Settings,
    Source,
    load_users_file,
    role_report,
    security_warnings,
)
from amiws_gevent.config.fields import EDGE, PROCESSES, token_name, workers
from amiws_gevent.errors import ListenError, StartError, UsageError
from amiws_gevent.runtime import log
from amiws_gevent.runtime.daemon import Child, PidFile, daemonise
from amiws_gevent.runtime.notify import is_journal
from amiws_gevent.runtime.signals import EndAsked, Signals
from amiws_gevent.serving import Served, serve
from amiws_gevent.web.tokens import hash_of, make_token

if TYPE_CHECKING:
    from amiws_gevent.simulator.demo import Wishes

CONFIG_FILE = Path("/etc/amiws.yaml")
PID_FILE = Path("/tmp/amiws.pid")  # noqa: S108  # amiws's default; PidFile knows the danger
WORKING_DIRECTORY = Path("/tmp")  # noqa: S108  # amiws's default; nothing is written there

LARGEST_PORT = 65535
DEMO_AS_CONFIGURED = -1  # --demo without a port
MOST_CALLS_A_MINUTE = 60_000

STDERR = 2
EXIT_INTERRUPTED = 130  # what a shell makes of a program that SIGINT ended; of a question alone
EXIT_WRONG_DATA = 65  # sysexits.h EX_DATAERR; of --audit-verify alone
EXIT_UNAVAILABLE = 69  # sysexits.h EX_UNAVAILABLE; of --connect alone
EXIT_SOFTWARE = 70  # sysexits.h EX_SOFTWARE
EXIT_NO_PERMISSION = 77  # sysexits.h EX_NOPERM; of --connect alone
CONNECT_STATUSES = (EXIT_UNAVAILABLE, EXIT_NO_PERMISSION)  # the worst first

NO_SYSLOG = (
    f"amiws-gevent: warning: no syslog daemon listens at {log.SYSLOG}; the log is lost until one "
    "does"
)

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
report it); 71 port or certificate; 73 pid file or audit; 78 configuration. Of --connect: 69 a
server, or Redis, that cannot be logged in to or does not answer; 77 a user that lacks a right."""


class Program(Served, Protocol):
    """What is started: a server, or what has several processes serve."""

    @property
    def url(self) -> str | None:
        """Where its pages are, once started; None: it has none."""


_log = logging.getLogger("amiws_gevent.cli")


def main(arguments: Sequence[str] | None = None, *, signals: Signals | None = None) -> int:
    """Run the program; returns the exit status. ``None`` takes the words of the process.

    ``signals`` are those of the process, if they were taken already.
    """
    if signals is None:
        signals = Signals()
        signals.take()
    words = parser()
    options = words.parse_args(arguments)
    _check_together(words, options)
    if options.token is not None:
        return _make_token(words, options.token)
    if options.audit_verify is not None:
        return _verify_audit(words, options)
    try:
        wishes = _wishes(options)
    except UsageError as error:
        words.error(str(error))
    if wishes is not None and options.scenarios:
        return _list_scenarios()
    try:
        if options.passwd is not None:
            return _change_password(options, signals)
        return _run(options, signals, wishes)
    except StartError as error:
        print(_told(error), file=sys.stderr)
        return error.exit_status
    except EndAsked:
        asked = options.check or options.plugins or options.passwd is not None
        return EXIT_INTERRUPTED if asked else 0


def _check_together(words: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    for option, needed in NEEDS.items():
        if getattr(options, option) and not getattr(options, needed):
            words.error(f"--{option.replace('_', '-')} needs --{needed.replace('_', '-')}")
    if options.delete and options.stdin:
        words.error("--delete asks for no password: not with --stdin")


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


def _make_token(words: argparse.ArgumentParser, name: str) -> int:
    """Print a new token, which is kept nowhere, and what the configuration has of it."""
    try:
        name = token_name(name)
    except ValueError as error:
        words.error(f"--token: {error}")
    token = make_token()
    print(
        f"The token, which cannot be shown again:\n\n    {token}\n\n"
        "For the configuration (further tokens go under the same api_tokens):\n\n"
        f"api_tokens:\n- name: {name}\n  hash: {hash_of(token)}"
    )
    return 0


def _change_password(options: argparse.Namespace, signals: Signals) -> int:
    """Edit the file of the users, which the configuration names."""
    user = passwd.check_user(options.passwd)
    with signals.may_end():
        users = load_users_file(Path.cwd() / (options.file or CONFIG_FILE))
        print(
            passwd.run(
                users.auth_file,
                users.auth_domain,
                user,
                delete=options.delete,
                stdin=options.stdin,
            )
        )
    return 0


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


def _verify_audit(words: argparse.ArgumentParser, options: argparse.Namespace) -> int:
    """Verify an audit with the given keys, or that of the configuration."""
    from amiws_gevent.audit import check  # by others it is not needed
    from amiws_gevent.audit.chain import Head

    try:
        heads = [Head.of(text) for text in options.audit_head or ()]
    except ValueError as error:
        words.error(f"--audit-head: {error}")
    paths = options.audit_key
    try:
        if paths is None:
            audit = _source(options).load().settings.audit
            if audit is None:
                words.error("the configuration has no audit; name its key with --audit-key")
            paths = [audit.key_file]
        report = check.verify_files(options.audit_verify, check.read_keys(paths), heads)
    except StartError as error:
        print(_told(error), file=sys.stderr)
        return error.exit_status
    print("\n".join(check.lines_of(report)))
    return 0 if report.sound else EXIT_WRONG_DATA


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


def _wishes(options: argparse.Namespace) -> Wishes | None:
    """What the PBXs of ``--demo`` are to play; None without it. Raises UsageError."""
    asked = {name: getattr(options, name) for name in ("seed", "rate", "scenario", "scenarios")}
    given = {name: value for name, value in asked.items() if value is not None}
    if options.demo is None:
        for name in given:
            raise UsageError(f"--{name} needs --demo")
        return None
    from amiws_gevent.simulator import demo  # by others it is not needed

    scenarios = tuple(filter(None, given.pop("scenario", "").split(",")))
    given.pop("scenarios", None)
    try:
        return demo.Wishes(scenarios=scenarios, **given)
    except ValueError as error:
        raise UsageError(f"{error}; --demo --scenarios lists them") from None


def _run(options: argparse.Namespace, signals: Signals, wishes: Wishes | None) -> int:
    if options.worker is not None:
        from amiws_gevent.workers import child  # by others it is not needed

        return child.run(options.worker, signals)
    source = _source(options)
    with signals.may_end():
        result = source.load()
    if options.check:
        demo = options.demo is not None
        status = _report(result, strict=options.strict, demo=demo)
        if status or not options.connect:
            return status
        with signals.may_end():
            return _connect(source, demo=wishes)
    if options.plugins:
        return _list_plugins(result)
    if wishes is not None and result.settings.process == EDGE:
        raise UsageError("--demo: an edge has no servers; give it to the collector")
    side = daemonise(options.wdir, signals) if options.daemon else None
    if isinstance(side, int):
        return side
    with contextlib.ExitStack() as stack:
        pid_file = None
        if options.daemon or options.pidfile:
            pid_file = (options.pidfile or PID_FILE).absolute()
            stack.enter_context(PidFile(pid_file))
        return _serve(result, source, signals, demo=wishes, child=side, pid_file=pid_file)


def _source(options: argparse.Namespace) -> Source:
    """Where the configuration comes from, now and for SIGHUP."""
    # A daemon leaves this folder, and reads the file and what that names again all the same.
    base = Path.cwd()
    replaced: dict[str, object] = {
        key: value for key in ("process", "workers") if (value := getattr(options, key)) is not None
    }
    path = str(base / (options.file or CONFIG_FILE))
    if options.demo is None:
        return Source(path, str(base), replaced=replaced)
    replaced |= _demo_keys(options.demo)
    if options.file is not None:
        return Source(path, str(base), replaced=replaced)
    # This machine only, and nothing to log in to.
    return Source(replaced={"ws_host": "127.0.0.1", **replaced})


def _demo_keys(port: int) -> dict[str, object]:
    """What ``--demo`` says in the place of a configuration file."""
    # The server is replaced by the simulated ones once their ports are known.
    server = {"name": "demo", "host": "127.0.0.1", "username": "demo", "secret": "demo"}
    keys: dict[str, object] = {"amihosts": [server]}
    return keys if port == DEMO_AS_CONFIGURED else keys | {"ws_port": port}


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


def _report(result: LoadResult, *, strict: bool, demo: bool) -> int:
    """What ``--check`` says of a file that can be used: a line, and warnings before it.

    ``strict`` makes errors of the slips among the warnings.
    """
    errors = set(result.slips) if strict else set()
    for warning in result.warnings:
        print(warning if warning in errors else f"warning: {warning}", file=sys.stderr)
    for warning in security_warnings(result.settings):
        print(f"warning: {warning}", file=sys.stderr)
    from amiws_gevent.migration import page_notes  # by others it is not needed

    for note in (*role_report(result.settings), *result.notes, *page_notes(result.settings)):
        print(f"note: {note}", file=sys.stderr)
    if errors:
        return ConfigError.exit_status
    servers = "simulated servers" if demo else _counted(len(result.settings.amihosts), "server")
    print(f"{_file_of(result)}: the configuration is valid ({servers})")
    return 0


def _connect(source: Source, *, demo: Wishes | None) -> int:
    """What ``--connect`` finds out of each server and Redis; the exit status is the worst."""
    with _simulated(source, demo) as source:
        settings = source.load().settings
        servers = 0 if settings.process == EDGE else _connect_servers(settings)
    redis = 0 if settings.redis is None else _connect_redis(settings.redis, settings.process)
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


def _connect_redis(settings: Redis, process: str) -> int:
    check = needing_redis("check")
    report = check.check_redis(settings, edge=process == EDGE)
    print("\n".join(check.lines_of(report)))
    if report.problem:
        return EXIT_UNAVAILABLE
    return EXIT_NO_PERMISSION if report.forbidden else 0


def _file_of(result: LoadResult) -> str:
    return str(result.settings.path or "--demo")


def _list_plugins(result: LoadResult) -> int:
    """The plugins in their order; secrets are pydantic's SecretStr, which shows stars."""
    lines = []
    for entry in result.settings.plugins:
        code = entry.code
        lines += [
            f"{code.name}{' (required)' if entry.required else ''}",
            f"  from      {code.origin}",
            f"  hooks     {', '.join(code.hooks)}",
            f"  settings  {entry.settings!r}",
            f"  timeout   {entry.hook_timeout:g} s",
        ]
    return _print_all(lines or [f"{_file_of(result)}: no plugins"])


def _list_scenarios() -> int:
    from amiws_gevent.simulator import demo  # by others it is not needed

    return _print_all(demo.listed())


def _print_all(lines: Iterable[str]) -> int:
    """Print to somebody who may have read enough before the end, such as ``head``."""
    try:
        print("\n".join(lines), flush=True)
    except BrokenPipeError:
        # What is still in the buffer would fail once more at the exit (docs.python.org, "Note on
        # SIGPIPE").
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _serve(
    result: LoadResult,
    source: Source,
    signals: Signals,
    *,
    demo: Wishes | None,
    child: Child | None,
    pid_file: Path | None = None,
) -> int:
    """Start the program and run it until it is told to end; returns the exit status."""
    control, foreground = _open_log(result.settings, child)
    _log.info("amiws-gevent %s starts", __version__)

    def started(server: Program) -> None:
        if demo and server.url is not None:
            ending = "; Ctrl-C ends it" if child is None else ""
            print(f"Open {server.url} in a browser{ending}.", flush=True)
        if child is not None:
            child.started()

    def failed(error: Exception) -> None:
        if isinstance(error, StartError):
            if child is not None:  # its log does not go to the terminal
                print(_told(error), file=sys.stderr)
            _log.error("%s", error)
        elif child is not None:
            sys.excepthook(type(error), error, error.__traceback__)

    made = _made(result, source, demo, control, foreground=foreground, pid_file=pid_file)
    return serve(made, signals, control, started=started, failed=failed, pid_file=pid_file)


@contextlib.contextmanager
def _made(
    result: LoadResult,
    source: Source,
    demo: Wishes | None,
    control: log.LogControl,
    *,
    foreground: bool,
    pid_file: Path | None,
) -> Iterator[Program]:
    """What is to serve, with simulated PBXs if these are wished for."""
    # Not before the fork: what it imports may start threads or open files.
    from amiws_gevent.processes import server_of
    from amiws_gevent.reload import warn

    with _simulated(source, demo) as source:
        if demo is not None:
            result = source.load()
        warn(result.settings, result.warnings)
        if result.settings.workers is not None:
            from amiws_gevent.workers.supervisor import Supervisor  # by others it is not needed

            yield Supervisor(result, source, log=control, foreground=foreground, pid_file=pid_file)
            return
        yield server_of(
            result.settings,
            load=source.load if source.path else None,
            log=control,
            private_files=[pid_file] if pid_file else [],
        )


def _open_log(settings: Settings, child: Child | None) -> tuple[log.LogControl, bool]:
    """The log, and whether it goes to standard error too."""
    syslog = log.syslog_listens()
    # Not to the journal twice: it has what goes to syslog, with facility and level.
    foreground = child is None and not (syslog and is_journal(STDERR))
    if child is not None and not syslog:  # its standard error is the starter's, until it serves
        print(NO_SYSLOG, file=sys.stderr)
    control = log.configure(settings.log_facility, settings.log_level, foreground=foreground)
    return control, foreground


@contextlib.contextmanager
def _simulated(source: Source, wishes: Wishes | None) -> Iterator[Source]:
    """The same with simulated PBXs, which run within, in the place of the servers."""
    if wishes is None:
        yield source
        return
    from amiws_gevent.simulator import demo  # by others it is not needed

    try:
        pbxs = demo.start(wishes)
    except OSError as error:
        raise ListenError(f"cannot listen for the simulated PBXs: {error.strerror}") from error
    try:
        yield source.replacing(amihosts=pbxs.hosts)
    finally:
        pbxs.stop()


def _told(error: StartError) -> str:
    """An error as the terminal gets it; a configuration's begins with file and line."""
    if isinstance(error, ConfigError):
        return "\n".join([*(f"warning: {warning}" for warning in error.warnings), str(error)])
    return f"amiws-gevent: {error}"
