"""The command line: what it asks for, and the order in which a start goes.

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
from amiws_gevent.checking import connect, file_of, report
from amiws_gevent.config import ConfigError, LoadResult, Settings, Source, load_users_file
from amiws_gevent.config.fields import EDGE, token_name
from amiws_gevent.errors import ListenError, StartError, UsageError
from amiws_gevent.options import (
    CONFIG_FILE,
    DEMO_AS_CONFIGURED,
    PID_FILE,
    check_together,
    parser,
)
from amiws_gevent.runtime import log
from amiws_gevent.runtime.daemon import Child, PidFile, daemonise
from amiws_gevent.runtime.notify import is_journal
from amiws_gevent.runtime.signals import EndAsked, Signals
from amiws_gevent.serving import Served, serve
from amiws_gevent.web.tokens import hash_of, make_token

if TYPE_CHECKING:
    from amiws_gevent.simulator.demo import Wishes

STDERR = 2
EXIT_INTERRUPTED = 130  # what a shell makes of a program that SIGINT ended; of a question alone
EXIT_WRONG_DATA = 65  # sysexits.h EX_DATAERR; of --audit-verify alone

NO_SYSLOG = (
    f"amiws-gevent: warning: no syslog daemon listens at {log.SYSLOG}; the log is lost until one "
    "does"
)


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
    check_together(words, options)
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
        status = report(result, strict=options.strict, demo=demo)
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


def _connect(source: Source, *, demo: Wishes | None) -> int:
    with _simulated(source, demo) as source:
        return connect(source.load().settings)


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
    return _print_all(lines or [f"{file_of(result)}: no plugins"])


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
