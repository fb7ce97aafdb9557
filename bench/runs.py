"""The runs that comparisons are made of: a source, a subject, its clients, and what each cost."""

from __future__ import annotations

import contextlib
import functools
import json
import ssl
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from bench.source import HUGE_MESSAGES
from bench.subjects import Certificate, Child, Subject, running, scratch

Start = Callable[[int, Certificate], Subject]
Figures = dict[str, float]


class Scene(NamedTuple):
    """Everything of one run, connected."""

    source: Child
    subject: Subject
    sink: Child
    clients: int


@contextlib.contextmanager
def scene(
    start: Start,
    clients: int,
    *,
    tls: bool = False,
    deflate: bool = False,
    stalled: int = 0,
    listed: int = 0,
) -> Iterator[Scene]:
    """A subject that is logged in, with ``clients`` clients, ``stalled`` others that never read.

    ``deflate``: clients ask for compressed messages. The source answers CoreShowChannels with
    ``listed`` channels.
    """
    certificate = own_certificate() if tls else None
    with logged_in(start, certificate, listed=listed) as (source, subject):
        words = [str(subject.port), str(clients), "--stalled", str(stalled)]
        words += ["--tls"] * tls + ["--deflate"] * deflate
        with running(Child("-m", "bench.sink", *words)) as sink:
            assert sink.line() == "ready"
            yield Scene(source, subject, sink, clients)


@contextlib.contextmanager
def logged_in(
    start: Start, certificate: Certificate = None, *, listed: int = 0
) -> Iterator[tuple[Child, Subject]]:
    """A source, and a subject that has logged in there."""
    with running(Child("-m", "bench.source", "--listed", str(listed))) as source:
        ami_port = int(source.line())
        with running(start(ami_port, certificate)) as subject:
            assert source.line() == "ready"
            time.sleep(0.3)  # the login's answer has reached nobody: no client is there yet
            yield source, subject


def burst(
    start: Start,
    clients: int,
    messages: int,
    rounds: int = 1,
    *,
    tls: bool = False,
    deflate: bool = False,
) -> Figures:
    """Send so many events as fast as they are read; medians of ``rounds`` rounds."""
    with scene(start, clients, tls=tls, deflate=deflate) as run:
        results = [one_burst(run, messages) for _ in range(rounds)]
        return {**medians(results), **run.subject.costs()}


def one_burst(run: Scene, messages: int) -> Figures:
    """Figures of one burst in a scene."""
    cpu = run.subject.cpu()
    run.sink.say(f"expect {messages}")
    sent = run.source.ask(f"burst {messages}")
    got = complete(run.sink)
    seconds = got["end"] - sent["start"]
    used = run.subject.cpu() - cpu
    return {
        "seconds": seconds,
        "messages_per_second": messages / seconds,
        "deliveries_per_second": messages * run.clients / seconds,
        "cpu_us_per_message": used / messages * 1e6,
        "cpu_us_per_delivery": used / messages / run.clients * 1e6,
        "sink_cpu_share": got["cpu"] / seconds,
        "bytes_per_message": got["bytes"] / messages,
    }


def paced(
    start: Start,
    clients: int,
    rate: int,
    seconds: int,
    *,
    stalled: int = 0,
    tls: bool = False,
    deflate: bool = False,
) -> Figures:
    """Lone events at even distances: what each delivery costs, and when it arrives."""
    with scene(start, clients, stalled=stalled, tls=tls, deflate=deflate) as run:
        _one_paced(run, rate, 1)  # warm
        figures = _one_paced(run, rate, seconds)
        return {**figures, **run.subject.costs()}


def _one_paced(run: Scene, rate: int, seconds: int) -> Figures:
    cpu = run.subject.cpu()
    messages = rate * seconds
    run.sink.say(f"expect {messages}")
    sent = run.source.ask(f"paced {rate} {seconds}")
    got = complete(run.sink)
    used = run.subject.cpu() - cpu
    latencies = got["latencies_ns"]
    return {
        "p50_ms": latencies["p50"] / 1e6,
        "p99_ms": latencies["p99"] / 1e6,
        "max_ms": latencies["max"] / 1e6,
        "cpu_us_per_delivery": used / messages / run.clients * 1e6,
        "cpu_share": used / seconds,
        "sink_cpu_share": got["cpu"] / seconds,
        "source_lag_ms": sent["worst_lag"] * 1e3,
        "bytes_per_message": got["bytes"] / messages,
    }


def idle(start: Start, clients: int, *, deflate: bool = False) -> Figures:
    """Resident memory that each idle client adds."""
    with scene(start, 1) as run:
        before = run.subject.memory("VmRSS")
        words = [str(run.subject.port), str(clients), *["--deflate"] * deflate]
        with running(Child("-m", "bench.sink", *words)) as crowd:
            assert crowd.line() == "ready"
            time.sleep(1.0)
            after = run.subject.memory("VmRSS")
    return {"clients": clients, "kib_per_client": (after - before) / 1024 / clients}


def storm(
    start: Start, clients: int, *, rate: int = 100, seconds: int = 10, tls: bool = False
) -> Figures:
    """All of a crowd reconnect at once while one client watches a paced stream."""
    with scene(start, 1, tls=tls) as run:
        words = ["-m", "bench.sink", str(run.subject.port), str(clients)]
        with running(Child(*words, *["--tls"] * tls)) as crowd:
            assert crowd.line() == "ready"
            run.sink.say(f"expect {rate * seconds}")
            run.source.say(f"paced {rate} {seconds}")
            time.sleep(2.0)
            back = crowd.ask("storm")
            run.source.line()
            got = complete(run.sink)
            costs = run.subject.costs()
    return {
        "back": back["connected"],
        "refused": back["refused"],
        "seconds": back["seconds"],
        "watcher_p50_ms": got["latencies_ns"]["p50"] / 1e6,
        "watcher_max_ms": got["latencies_ns"]["max"] / 1e6,
        **costs,
    }


def huge(start: Start) -> Figures:
    """Packets as large as they may be, with one page."""
    with scene(start, 1) as run:
        run.sink.say(f"expect {HUGE_MESSAGES}")
        run.source.ask("huge")
        complete(run.sink)
        return run.subject.costs()


def complete(sink: Child) -> dict[str, Any]:
    """The answer of a sink to `expect`; raises RuntimeError if something did not arrive."""
    got: dict[str, Any] = json.loads(sink.line())
    if not got["complete"]:
        raise RuntimeError(f"messages or clients were lost: {got}")
    return got


def medians(results: list[Figures]) -> Figures:
    return {key: statistics.median(result[key] for result in results) for key in results[0]}


@functools.cache
def own_certificate() -> tuple[str, str]:
    """A throw-away certificate for 127.0.0.1, made by openssl once a run."""
    files = str(scratch() / "cert.pem"), str(scratch() / "key.pem")
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    command += ["-subj", "/CN=127.0.0.1", "-out", files[0], "-keyout", files[1]]
    subprocess.run(command, check=True, capture_output=True)
    ssl.create_default_context().load_cert_chain(*files)
    return files
