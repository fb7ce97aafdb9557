"""What plugins cost a message: none, idle ones, ones that look, and those that come with us.

``python -m bench plugins`` starts all of them at once, each with a source and a
client of its own, and gives each the busy capture in turn, round after round: no
more in one go, since 50,000 messages may wait for filters (``limits.plugin_messages``).
CPU is counted until the program rests, since log hooks go on after the client has its
last message.

``python -m bench.plugins`` is the receiver of the webhook: it prints its port.
"""

from __future__ import annotations

import contextlib
import functools
import http.server
import json
import socket
import statistics
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from bench import runs
from bench.runs import Figures, Scene
from bench.sections import Report
from bench.source import MESSAGES_IN_CAPTURE
from bench.subjects import Certificate, Child, Subject, running, start_ours

FEWEST_ROUNDS = 15  # the ratio that is wanted is small
REST = 0.25  # seconds without CPU time, after which nothing is left to do
LONGEST_WORK = 120.0  # seconds until then

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


def contenders(folder: Path, syslog_port: int, webhook_port: int) -> Mapping[str, str]:
    """All that is compared, as YAML; files of plugins and journals go into ``folder``."""
    # The capture has none of these: what is seen is the cost, and not what dropping saves.
    deny = '- event_filter:\n    deny: [VarSet, "RTCP*"]\n'
    shipped = (
        f"plugins:\n{deny}"
        "- mask:\n    callers: last3\n"
        f"- syslog_events:\n    to: udp://127.0.0.1:{syslog_port}\n"
        f"- journal:\n    folder: {folder / 'journal'}\n"
        "- webhook:\n"
        f"    url: http://127.0.0.1:{webhook_port}/\n    events: [Hangup, 'Queue*']\n"
    )
    return {
        NONE: "",
        IDLE: _five(folder, "idle", IDLE_PLUGIN),
        LOOKING: _five(folder, "looking", LOOKING_PLUGIN),
        FILTER: f"plugins:\n{deny}",
        SHIPPED: shipped,
    }


def _five(folder: Path, name: str, source: str) -> str:
    lines = ["plugins:"]
    for number in range(5):
        file = folder / f"{name}{number}.py"
        file.write_text(source)
        lines.append(f"- {file}")
    return "\n".join(lines) + "\n"


def section(report: Report) -> None:
    """Messages a second and CPU a message, each contender against no plugin."""
    rounds = max(report.rounds, FEWEST_ROUNDS)
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="amiws-bench-")))
        # Bound and never read: the kernel throws away what does not fit.
        syslog = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        syslog.bind(("127.0.0.1", 0))
        webhook = stack.enter_context(running(Child("-m", "bench.plugins")))
        listed = contenders(folder, syslog.getsockname()[1], int(webhook.line()))
        scenes = {}
        for name, configuration in listed.items():
            start = functools.partial(_start, configuration)
            scenes[name] = stack.enter_context(runs.scene(start, 1))
        for scene in scenes.values():  # warm
            one_burst(scene)
        results: dict[str, list[Figures]] = {name: [] for name in listed}
        for number in range(rounds):
            names = list(listed)
            for name in names[number % len(names) :] + names[: number % len(names)]:
                results[name].append(one_burst(scenes[name]))
    _tell(report, results)


def _start(configuration: str, ami_port: int, certificate: Certificate) -> Subject:
    return start_ours(ami_port, certificate, configuration)


def one_burst(run: Scene) -> Figures:
    """Figures of one burst."""
    messages = MESSAGES_IN_CAPTURE
    before = run.subject.cpu()
    run.sink.say(f"expect {messages}")
    sent = run.source.ask(f"burst {messages}")
    got = json.loads(run.sink.line())
    if not got["complete"]:
        raise RuntimeError(f"messages were lost: {got}")
    used = _cpu_at_rest(run.subject) - before
    return {
        "messages_per_second": messages / (got["end"] - sent["start"]),
        "cpu_us_per_message": used / messages * 1e6,
    }


def _cpu_at_rest(subject: Subject) -> float:
    deadline = time.monotonic() + LONGEST_WORK
    last = subject.cpu()
    while time.monotonic() < deadline:
        time.sleep(REST)
        now = subject.cpu()
        if now - last < REST / 50:
            return now
        last = now
    raise RuntimeError("the program does not come to rest")


def _tell(report: Report, results: dict[str, list[Figures]]) -> None:
    rows = {name: runs.medians(found) for name, found in results.items()}
    report.table(f"plugins: bursts of {MESSAGES_IN_CAPTURE:,} messages to a client", rows)
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
