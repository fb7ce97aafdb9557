"""``python -m amiws_gevent.simulator --port N``: one simulated PBX, until SIGINT or SIGTERM."""

from gevent import monkey

monkey.patch_all()

import argparse  # noqa: E402 - nothing may be imported before the patching
import os  # noqa: E402
import signal  # noqa: E402
import sys  # noqa: E402

import gevent  # noqa: E402
import gevent.event  # noqa: E402

from amiws_gevent.errors import ListenError, UsageError  # noqa: E402
from amiws_gevent.simulator.pbx.repertoire import EVERYDAY, Programme, only  # noqa: E402
from amiws_gevent.simulator.pbx.server import SimulatedPbx  # noqa: E402
from amiws_gevent.simulator.pbx.style import STYLES  # noqa: E402
from amiws_gevent.simulator.serving.listener import port  # noqa: E402


def _arguments(words: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m amiws_gevent.simulator",
        description="A simulated Asterisk that speaks AMI, for trials and load tests.",
    )
    parser.add_argument("--port", type=port, required=True, help="TCP port; 0: a free one")
    parser.add_argument("--host", default="127.0.0.1", help="address (default: %(default)s)")
    versions = [style.name for style in STYLES]
    parser.add_argument("--style", choices=versions, default="22", help="Asterisk version")
    parser.add_argument("--seed", type=int, default=1, help="the same seed gives the same calls")
    parser.add_argument("--rate", type=float, default=0.5, help="new calls per second (0: none)")
    parser.add_argument(
        "--scenario",
        metavar="NAME,...",
        default="",
        help="these scenarios alone; `amiws-gevent --demo --scenarios` lists them",
    )
    parser.add_argument("--user", default="demo", help="AMI user (default: %(default)s)")
    parser.add_argument(
        "--secret", default="demo", help="secret of the user (default: %(default)s)"
    )
    return parser.parse_args(words)


def _programme(scenarios: str) -> Programme:
    """Everyday's calls if none are named. Raises ValueError for a scenario that there is not."""
    return only(list(filter(None, scenarios.split(",")))) if scenarios else EVERYDAY


def main(words: list[str] | None = None) -> int:
    """Exit status: 0 after a signal; 2 a mistake on the command line, 71 a port that cannot be
    opened, 70 an internal error.
    """
    options = _arguments(words)
    try:
        pbx = SimulatedPbx(
            style=options.style,
            name=f"demo-{options.style}",
            username=options.user,
            secret=options.secret,
            seed=options.seed,
            rate=options.rate,
            programme=_programme(options.scenario),
            host=options.host,
            port=options.port,
        )
        pbx.start()
    except ValueError as error:
        print(f"amiws-gevent demo: {error}", file=sys.stderr)
        return UsageError.exit_status
    except OSError as error:
        where = f"{options.host}:{options.port}"
        print(f"amiws-gevent demo: cannot listen on {where}: {error}", file=sys.stderr)
        return ListenError.exit_status
    stop = gevent.event.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        gevent.signal_handler(number, stop.set)
    print(
        f"simulated Asterisk {options.style} listening on {options.host}:{pbx.port} "
        f"(user {options.user}, secret {options.secret})",
        flush=True,
    )
    in_order = pbx.wait(stop)
    pbx.stop()
    return 0 if in_order else os.EX_SOFTWARE


if __name__ == "__main__":
    sys.exit(main())
