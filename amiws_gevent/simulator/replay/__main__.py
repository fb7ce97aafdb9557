"""``python -m amiws_gevent.simulator.replay FILE``: a recording as an AMI server, till a signal.

With ``--calls`` it prints the calls of the recording instead.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
from pathlib import Path

import gevent
from gevent.event import Event

from amiws_gevent.errors import ListenError
from amiws_gevent.simulator.replay.calls import calls_of
from amiws_gevent.simulator.replay.player import Pace, Player, speed
from amiws_gevent.simulator.replay.recording import Recording, WrongFile, check
from amiws_gevent.simulator.replay.server import ReplayServer
from amiws_gevent.simulator.serving.listener import port
from amiws_gevent.simulator.serving.session import Account

NO_INPUT = 66
"""Exit status for files that are no recordings or have nothing to play (EX_NOINPUT)."""

_TOLD = 20  # faults of a recording that are shown; the rest is counted

_PROGRAM = "amiws-gevent replay"
_EPILOG = """\
A journal is a file of the plugin `journal`. A capture holds the bytes that a server sent, without
times. Both may be compressed with gzip. Several files are played one after the other: give the
oldest first.
"""


class _Faults:
    """Tells what is wrong in a recording, but does not go on for ever."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, line: str) -> None:
        self.count += 1
        if self.count <= _TOLD:
            _complain(line)
        elif self.count == _TOLD + 1:
            _complain("more faults follow and are only counted")


def _complain(line: str) -> None:
    print(f"{_PROGRAM}: {line}", file=sys.stderr, flush=True)


def _say(line: str) -> None:
    print(line, flush=True)


def _arguments(words: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m amiws_gevent.simulator.replay",
        description="Plays recordings of AMI back as an AMI server.",
        epilog=_EPILOG,
    )
    add = parser.add_argument
    add("files", nargs="+", type=Path, metavar="FILE", help="journals or raw captures")
    add("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    add("--port", type=port, default=0, help="TCP port (default: 0, a free one)")
    add("--user", help="accept only this user (default: any)")
    add("--secret", help="secret of the user")
    add(
        "--speed",
        type=speed,
        default=1.0,
        help="of journals: 2 is twice as fast, max at once (default: 1)",
    )
    add(
        "--rate",
        type=float,
        default=0.0,
        help="of captures: packets per second (default: 0, at once)",
    )
    add("--server", help="id or name of the server to play, if a journal has several")
    add("--wait-for-client", action="store_true", help="start when a client has logged in")
    end = parser.add_mutually_exclusive_group()
    end.add_argument("--loop", action="store_true", help="start again at the end")
    end.add_argument("--exit", action="store_true", help="exit at the end (default: stay)")
    end.add_argument(
        "--calls",
        action="store_true",
        help="print the calls of the recording, one JSON object a line, and do not play it",
    )
    options = parser.parse_args(words)
    if (options.user is None) != (options.secret is None):
        parser.error("--user and --secret must be given together")
    if not 0 <= options.rate < float("inf"):
        parser.error("--rate must be 0 or more")
    return options


def main(words: list[str] | None = None) -> int:
    """Exit status: 0 after the end or a signal; 2 a mistake on the command line, 66 a file,
    71 a port.
    """
    options = _arguments(words)
    faults = _Faults()
    recording = Recording(
        options.files, server=options.server, tell=faults, breathe=lambda: gevent.sleep(0)
    )
    if options.calls:
        return _print_calls(recording)
    account = None if options.user is None else Account(options.user, options.secret)
    server = ReplayServer(options.host, options.port, account=account, tell=_say)
    try:
        check(options.files)
        server.start()
    except WrongFile as error:
        _complain(str(error))
        return NO_INPUT
    except OSError as error:
        _complain(f"cannot listen on {options.host}:{options.port}: {error}")
        return ListenError.exit_status
    logins = "any login" if options.user is None else f"user {options.user}"
    _say(f"replay listening on {options.host}:{server.port} ({logins})")
    player = Player(
        recording,
        server,
        pace=Pace(options.speed, options.rate),
        loop=options.loop,
        wait=options.wait_for_client,
    )
    try:
        return _play(player, recording, faults, stay=not options.exit)
    finally:
        server.stop()


def _print_calls(recording: Recording) -> int:
    try:
        check(recording.files)
        for call in calls_of(recording.packets()):
            _say(json.dumps(call, ensure_ascii=False))
    except (WrongFile, OSError) as error:
        _complain(str(error))
        return NO_INPUT
    return 0


def _play(player: Player, recording: Recording, faults: _Faults, *, stay: bool) -> int:
    stop, ended = Event(), Event()
    stop.rawlink(lambda _: ended.set())
    for number in (signal.SIGINT, signal.SIGTERM):
        gevent.signal_handler(number, stop.set)
    playing = gevent.spawn(_run, player)
    playing.link(lambda _: ended.set())
    ended.wait()
    if playing.ready():
        if fault := playing.get():
            _complain(fault)
            return NO_INPUT
        if not player.played:
            there = ", ".join(f"{count} of {name}" for name, count in recording.servers.items())
            _complain(f"nothing to play; messages in the files: {there or 'none'}")
            return NO_INPUT
        more = f", {faults.count} faults reported" if faults.count else ""
        _say(f"played {player.played} packets{more}")
        if stay:
            stop.wait()
    playing.kill()
    return 0


def _run(player: Player) -> str:
    """Play to the end; why it ended early, if it did."""
    try:
        player.run()
    except (WrongFile, OSError) as error:
        return str(error)
    return ""


if __name__ == "__main__":
    sys.exit(main())
