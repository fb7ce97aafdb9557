"""What plugins cost a message: none, idle ones, ones that look, and those that come with us.

``python -m bench plugins`` starts all of them at once, each with a source and a
page of its own, and gives each a burst in turn, round after round. A burst's CPU
is counted until the program rests, since log hooks go on after the last page has
its last message.

``python -m bench.plugins`` is the receiver of the webhook: it prints its port.
"""

from __future__ import annotations

import contextlib
import fnmatch
import functools
import gzip
import http.server
import json
import socket
import statistics
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from amiws_gevent.ami import Parser
from bench import runs
from bench.runs import Figures, Scene
from bench.sections import Report
from bench.source import CAPTURE, MESSAGES_IN_CAPTURE
from bench.subjects import Certificate, Child, Subject, running, start_ours

CAPTURES = 4  # how often the busy capture is sent in one burst
REST = 0.25  # seconds without CPU time, after which nothing is left to do

DENIED = ("VarSet", "RTCP*")  # as docs/plugins.md has it

NONE = "no plugin"
IDLE = "five idle"
LOOKING = "five filters that only look"
FILTER = "event_filter"
SHIPPED = "all shipped"

# Everything that plugins have beside the stream of messages.
IDLE_PLUGIN = """\
def amiws_startup(context):
    context.log.info("ready")

def amiws_reload():
    pass

def amiws_server_changed(server, state):
    pass

def amiws_authorize_client(request, user):
    return None

def amiws_authorize_action(action, client):
    return None

def amiws_client_connected(client):
    pass

def amiws_shutdown():
    pass
"""
LOOKING_PLUGIN = """\
def amiws_filter_message(message, server):
    return None
"""


class Contender(NamedTuple):
    """Some plugins as YAML, and the events that do not come out."""

    plugins: str
    denied: tuple[str, ...] = ()


def contenders(folder: Path, syslog_port: int, webhook_port: int) -> Mapping[str, Contender]:
    """All that is compared; files of plugins and journals go into ``folder``."""
    deny = f"- event_filter:\n    deny: [{', '.join(map(json.dumps, DENIED))}]\n"
    shipped = (
        f"limits:\n  plugin_queue: 1 GiB\nplugins:\n{deny}"
        "- mask:\n    callers: last3\n"
        f"- syslog_events:\n    to: udp://127.0.0.1:{syslog_port}\n"
        f"- journal:\n    folder: {folder / 'journal'}\n"
        "- webhook:\n"
        f"    url: http://127.0.0.1:{webhook_port}/\n    events: [Hangup, 'Queue*']\n"
    )
    return {
        NONE: Contender(""),
        IDLE: Contender(_five(folder, "idle", IDLE_PLUGIN)),
        LOOKING: Contender(_five(folder, "looking", LOOKING_PLUGIN)),
        FILTER: Contender(f"plugins:\n{deny}", DENIED),
        SHIPPED: Contender(shipped, DENIED),
    }


def _five(folder: Path, name: str, source: str) -> str:
    lines = ["plugins:"]
    for number in range(5):
        file = folder / f"{name}{number}.py"
        file.write_text(source)
        lines.append(f"- {file}")
    return "\n".join(lines) + "\n"


@functools.cache
def events_in_capture() -> list[str]:
    """The names of the busy capture's events, in order."""
    messages = Parser().receive_data(gzip.decompress(CAPTURE.read_bytes()))
    return [message.name for message in messages if message.name]


def passing(denied: tuple[str, ...]) -> int:
    """How many messages of the capture come out."""
    return sum(
        not any(fnmatch.fnmatchcase(name, pattern) for pattern in denied)
        for name in events_in_capture()
    )


def section(report: Report) -> None:
    """Messages a second and CPU a message, each contender against no plugin."""
    rounds = max(report.rounds, 5)
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="amiws-bench-")))
        # Bound and never read: the kernel throws away what does not fit.
        syslog = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        syslog.bind(("127.0.0.1", 0))
        webhook = stack.enter_context(running(Child("-m", "bench.plugins")))
        listed = contenders(folder, syslog.getsockname()[1], int(webhook.line()))
        scenes = {}
        for name, contender in listed.items():
            start = functools.partial(_start, contender.plugins)
            scenes[name] = stack.enter_context(runs.scene(start, 1))
        for name, contender in listed.items():  # warm
            one_burst(scenes[name], contender.denied, 1)
        results: dict[str, list[Figures]] = {name: [] for name in listed}
        for number in range(rounds):
            names = list(listed)
            for name in names[number % len(names) :] + names[: number % len(names)]:
                results[name].append(one_burst(scenes[name], listed[name].denied, CAPTURES))
    _tell(report, results)


def _start(plugins: str, ami_port: int, certificate: Certificate) -> Subject:
    return start_ours(ami_port, certificate, plugins)


def one_burst(run: Scene, denied: tuple[str, ...], captures: int) -> Figures:
    """Figures of one burst, a message being one that the server sent, dropped or not."""
    messages = captures * MESSAGES_IN_CAPTURE
    before = cpu_seconds(run.subject)
    run.sink.say(f"expect {captures * passing(denied)}")
    sent = run.source.ask(f"burst {messages}")
    got = json.loads(run.sink.line())
    if not got["complete"]:
        raise RuntimeError(f"messages were lost: {got}")
    used = _cpu_at_rest(run.subject) - before
    return {
        "messages_per_second": messages / (got["end"] - sent["start"]),
        "cpu_us_per_message": used / messages * 1e6,
    }


def cpu_seconds(subject: Subject) -> float:
    """CPU seconds so far, finer than the clock ticks of ``Child.cpu`` where Linux has it."""
    files = Path(f"/proc/{subject.process.pid}/task").glob("*/schedstat")
    try:
        return sum(int(file.read_text().split()[0]) for file in files) / 1e9
    except (OSError, IndexError):
        return subject.cpu()


def _cpu_at_rest(subject: Subject) -> float:
    last = cpu_seconds(subject)
    while True:
        time.sleep(REST)
        now = cpu_seconds(subject)
        if now - last < REST / 50:
            return now
        last = now


def _tell(report: Report, results: dict[str, list[Figures]]) -> None:
    rows = {name: runs.medians(found) for name, found in results.items()}
    report.table(f"plugins: bursts of {CAPTURES * MESSAGES_IN_CAPTURE:,} messages to a page", rows)
    for name in results:
        if name == NONE:
            continue
        cost = statistics.median(
            one["cpu_us_per_message"] / other["cpu_us_per_message"]
            for one, other in zip(results[name], results[NONE], strict=True)
        )
        wanted = "under 1.02" if name == IDLE else "as little as can be"
        report.ratio(f"CPU a message, {name} against {NONE}", cost, wanted)


class Receiver(http.server.BaseHTTPRequestHandler):
    """Takes every POST."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - its name
        """Say nothing."""


def main() -> None:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    print(server.server_port, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
