"""What one client can do to the others, and what it costs: ``python -m bench hostile``.

Memory by pings whose answers nobody reads, lines of the log by actions that are refused, hooks
that count as too slow since others want the CPU, and logins with random names.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import os
import re
import time
from pathlib import Path

from bench import runs
from bench.runs import Figures
from bench.sections import Report
from bench.sink import connect
from bench.source import MESSAGES_IN_CAPTURE
from bench.subjects import Child, Subject, running, scratch, start_ours

PINGS = 1_000_000  # for each client
REFUSED_ACTIONS = 10_000
RANDOM_NAMES = 4_200
PATIENCE = 60.0  # seconds for what has to come

# A masked frame with the mask 0, which leaves the payload as it is.
PING = b"\x89\x80\0\0\0\0"
REFUSED = b'{"Action": "Ping", "Text": "a\\nb"}'  # a line end in a header
REFUSED_FRAME = b"\x81" + bytes([0x80 | len(REFUSED)]) + b"\0\0\0\0" + REFUSED


def section(report: Report) -> None:
    """All of it, one after the other."""
    rows = {f"{clients} that ping": _pings(clients) for clients in (1, 40)}
    report.table("clients that send pings and read nothing", rows)
    for name, row in rows.items():
        report.ratio(f"MiB of memory by {name}", row["grown_mib"], "at most 8")
    refused = _refused_actions()
    report.table(f"{REFUSED_ACTIONS:,} actions that are refused", {"one client": refused})
    report.ratio("lines of the log", refused["log_lines"], "at most 3")
    busy = _busy_host()
    report.table("mask while two others want each core", {"one client": busy})
    report.ratio("hooks that count as too slow", busy["faults"], "0")
    names = _random_names()
    report.table(f"{RANDOM_NAMES:,} logins with random names", {"one address": names})
    report.ratio("one who guessed before is let in again", names["forgotten"], "0")


def _pings(clients: int) -> Figures:
    with runs.scene(start_ours, 1) as run, contextlib.ExitStack() as stack:
        before = run.subject.memory("VmRSS")
        taken = 0
        for _ in range(clients):
            client = stack.enter_context(connect(run.subject.port, None))
            client.settimeout(0.5)  # by then the program reads no more from it
            with contextlib.suppress(OSError):
                for _ in range(PINGS // 10_000):
                    client.sendall(PING * 10_000)
                    taken += 10_000
        time.sleep(1.0)
        grown = run.subject.memory("VmHWM") - before
        return {"pings_taken": taken, "grown_mib": grown / 2**20}


def _refused_actions() -> Figures:
    with runs.scene(start_ours, 1) as run, connect(run.subject.port, None) as client:
        before = run.subject.log_lines()
        begin = time.monotonic()
        client.setblocking(True)
        for _ in range(REFUSED_ACTIONS // 100):
            client.sendall(REFUSED_FRAME * 100)
            client.recv(1 << 20)
        while run.subject.metric("amiws_actions_refused_total") < REFUSED_ACTIONS:
            if time.monotonic() - begin > PATIENCE:
                raise RuntimeError("not all actions were refused")
            with contextlib.suppress(TimeoutError):
                client.settimeout(0.1)
                client.recv(1 << 20)
        return {
            "seconds": time.monotonic() - begin,
            "log_lines": run.subject.log_lines() - before,
        }


def _busy_host() -> Figures:
    mask = "plugins:\n- mask: {callers: last4, dialled: last4}\n"
    with contextlib.ExitStack() as stack:
        run = stack.enter_context(
            runs.scene(lambda port, certificate: start_ours(port, certificate, mask), 1)
        )
        for _ in range(2 * (os.cpu_count() or 1)):
            stack.enter_context(running(Child("-c", "while True: pass")))
        figures = runs.one_burst(run, MESSAGES_IN_CAPTURE)
        faults = run.subject.metric("amiws_plugin_faults_total")
        return {"messages_per_second": figures["messages_per_second"], "faults": faults}


def _random_names() -> Figures:
    users = Path(scratch()) / "users"
    users.write_text(f"anna:bench:{_md5('anna:bench:right')}\n")
    with running(start_ours(1, None, f"auth_domain: bench\nauth_file: {users}\n")) as subject:
        logins = Logins(subject)
        while logins.status("anna") != 429:
            pass
        before = subject.memory("VmRSS")
        begin = time.monotonic()
        for number in range(RANDOM_NAMES):
            logins.status(f"random{number}")
        return {
            "seconds": time.monotonic() - begin,
            "grown_mib": (subject.memory("VmHWM") - before) / 2**20,
            "forgotten": float(logins.status("anna") != 429),
        }


class Logins:
    """Logins with wrong passwords, over one connection."""

    def __init__(self, subject: Subject) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", subject.port, timeout=PATIENCE)
        _, challenge = self._get({})
        found = re.search(r'nonce="([^"]+)"', challenge)
        assert found is not None
        self._nonce = found[1]
        self._count = 0

    def _get(self, headers: dict[str, str]) -> tuple[int, str]:
        self._connection.request("GET", "/", headers=headers)
        answer = self._connection.getresponse()
        answer.read()
        return answer.status, answer.getheader("WWW-Authenticate") or ""

    def status(self, user: str) -> int:
        """The status of the answer to a wrong password of that user."""
        self._count += 1
        count = f"{self._count:08x}"
        wrong = _md5(f"{_md5('wrong')}:{self._nonce}:{count}:c:auth:{_md5('GET:/')}")
        return self._get(
            {
                "Authorization": f'Digest username="{user}", realm="bench", nonce="{self._nonce}", '
                f'uri="/", qop=auth, nc={count}, cnonce="c", response="{wrong}"'
            }
        )[0]


def _md5(text: str) -> str:
    return hashlib.md5(text.encode()).hexdigest()
