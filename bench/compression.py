"""What compressed messages save and cost: ``python -m bench compression``.

Clients that ask for permessage-deflate beside others, in turn: the CPU of the whole way from
socket to socket, and what the encoding alone takes for a message.
"""

from __future__ import annotations

import functools
import gzip
import statistics
import time
from collections.abc import Callable, Sequence

from amiws_gevent.ami import Kind, Parser, encode_message, envelope_prefix
from amiws_gevent.web.frames import deflated_frames, text_frames
from bench import runs
from bench.runs import Figures
from bench.sections import NAIVE, NAIVE_DELIVERIES, PLAIN, STARTS, Report, against, medians
from bench.source import CAPTURE, MESSAGES_IN_CAPTURE

DEFLATED = "compressed"
NOT_ASKED = "not compressed"
CLIENTS = 300
IDLE = 5000

_READ = 65_536

Run = Callable[[bool], Figures]


def section(report: Report) -> None:
    """Bytes, CPU, time and memory."""
    _encodings(report)
    _bursts(report)
    _one_client(report)
    _lone(report)
    _idle(report)


def _reads() -> list[list[bytes]]:
    """The JSON of the busy capture, read by read."""
    prefixes = {kind: envelope_prefix(kind, 1, "bench", False) for kind in Kind}
    raw, parser = gzip.decompress(CAPTURE.read_bytes()), Parser()
    reads = (parser.receive_data(raw[start : start + _READ]) for start in range(0, len(raw), _READ))
    return [[encode_message(prefixes[one.kind], one) for one in read] for read in reads]


def _encodings(report: Report) -> None:
    """What the encodings themselves take for a message, and make of it."""
    reads = _reads()
    lone = [[text] for read in reads for text in read]
    rows = {
        "frames": _taken(text_frames, reads),
        "a window a read": _taken(deflated_frames, reads),
        "lone events": _taken(deflated_frames, lone),
    }
    report.table("encodings, busy capture", rows)
    plain, window, lone_rows = rows["frames"], rows["a window a read"], rows["lone events"]
    report.ratio("compression in bursts, us a message", window["us_per_message"], "at most 12")
    fewer = plain["bytes_per_message"] / lone_rows["bytes_per_message"]
    report.ratio("times fewer bytes, each event of the capture alone", fewer, "at least 1.7")


def _taken(encode: Callable[[Sequence[bytes]], bytes], reads: list[list[bytes]]) -> Figures:
    count = sum(map(len, reads))
    times = []
    for _ in range(3):
        begin = time.thread_time()
        size = sum(len(encode(read)) for read in reads)
        times.append(time.thread_time() - begin)
    return {
        "us_per_message": statistics.median(times) / count * 1e6,
        "bytes_per_message": size / count,
    }


def _both(report: Report, run: Run) -> dict[str, list[Figures]]:
    """Clients that ask for it, and others, in turn."""
    results: dict[str, list[Figures]] = {NOT_ASKED: [], DEFLATED: []}
    for _ in range(report.rounds):
        results[NOT_ASKED].append(run(False))
        results[DEFLATED].append(run(True))
    return results


def _fewer_bytes(report: Report, what: str, results: dict[str, list[Figures]], most: str) -> None:
    ratio = against(results, DEFLATED, "bytes_per_message", ours=NOT_ASKED)
    report.ratio(f"times fewer bytes, {what}", ratio, most)


def _more(
    report: Report, what: str, results: dict[str, list[Figures]], figure: str, wanted: str
) -> None:
    ratio = against(results, NOT_ASKED, figure, ours=DEFLATED)
    report.ratio(f"{what}, compressed against not", ratio, wanted)


def _bursts(report: Report) -> None:
    start, messages = STARTS[PLAIN], MESSAGES_IN_CAPTURE
    results = _both(report, lambda deflate: runs.burst(start, CLIENTS, messages, deflate=deflate))
    naive = functools.partial(runs.burst, STARTS[NAIVE], CLIENTS, NAIVE_DELIVERIES // CLIENTS)
    results[NAIVE] = [naive() for _ in range(report.rounds)]
    report.table(f"compression, bursts to {CLIENTS} clients", medians(results))
    _fewer_bytes(report, "bursts", results, "at least 6")
    speed = against(results, NAIVE, "deliveries_per_second", ours=DEFLATED)
    report.ratio("deliveries compressed against naive", speed, "at least 12")
    _more(report, f"CPU a message to {CLIENTS}", results, "cpu_us_per_message", "about 1")


def _one_client(report: Report) -> None:
    start, messages = STARTS[PLAIN], MESSAGES_IN_CAPTURE
    results = _both(report, lambda deflate: runs.burst(start, 1, messages, deflate=deflate))
    rows = medians(results)
    report.table("compression, bursts to one client", rows)
    more = rows[DEFLATED]["cpu_us_per_message"] - rows[NOT_ASKED]["cpu_us_per_message"]
    report.ratio("us a message more with one client", more, "at most 12")


def _lone(report: Report) -> None:
    start = STARTS[PLAIN]
    results = _both(report, lambda deflate: runs.paced(start, 100, 50, 10, deflate=deflate))
    report.table("compression, 50 events a second to 100 clients", medians(results))
    _fewer_bytes(report, "lone events", results, "at least 1.7")
    _more(report, "CPU a delivery of lone events", results, "cpu_us_per_delivery", "about 1")
    _more(report, "p99 of lone events", results, "p99_ms", "about 1")


def _idle(report: Report) -> None:
    start = STARTS[PLAIN]
    results = _both(report, lambda deflate: runs.idle(start, IDLE, deflate=deflate))
    report.table("compression, idle clients", medians(results))
    _more(report, "memory of an idle client", results, "kib_per_client", "at most 1.2")
