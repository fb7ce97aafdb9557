"""The live model alone: its time beside that of the parser, and its memory."""

from __future__ import annotations

import gzip
import statistics
import time
from pathlib import Path

from amiws_gevent.ami import Message, Parser
from amiws_gevent.state.parts import ServerModel, make_model
from amiws_gevent.state.store import Store
from bench.sections import Report
from bench.source import CAPTURE, call
from bench.subjects import Child, running

_READ = 65_536
_PAIRS = 25_000
_START = 1_800_000_000_000


def section(report: Report) -> None:
    """CPU for a message of the busy capture, and the memory of 50,000 channels in 25,000 calls."""
    rounds = [_taken(CAPTURE) for _ in range(2 * report.rounds + 1)]
    parser, model = (statistics.median(times) for times in zip(*rounds, strict=True))
    ratio = statistics.median(model / parser for parser, model in rounds)
    with running(Child("-m", "bench.model")) as child:
        memory = float(child.line())
    figures = {"parser_us": parser, "model_us": model, "peak_memory": memory}
    report.table("the live model", {"busy capture; 50,000 channels": figures})
    report.ratio("CPU of the model against the parser", ratio, "at most 1.1")
    report.ratio("MiB of 50,000 channels with their calls", memory / 2**20, "at most 100")


def _fresh() -> ServerModel:
    return make_model(Store(), day_of=lambda _: "today")


def _taken(capture: Path) -> tuple[float, float]:
    """Microseconds a message of parser and model, which take turns read by read."""
    raw = gzip.decompress(capture.read_bytes())
    parser, model = Parser(), _fresh()
    parsing = modelling = 0.0
    count = 0
    for offset, start in enumerate(range(0, len(raw), _READ), 1):
        began = time.thread_time()
        messages = parser.receive_data(raw[start : start + _READ])
        parsed = time.thread_time()
        model.receive(messages, offset, _START + 100 * offset)
        model.store.drain()
        parsing += parsed - began
        modelling += time.thread_time() - parsed
        count += len(messages)
    return 1e6 * parsing / count, 1e6 * modelling / count


def _resident() -> int:
    """Bytes of this process in memory."""
    words = Path("/proc/self/statm").read_text(encoding="ascii").split()
    return int(words[1]) * 4096


def _grown() -> int:
    """How much memory the calls take."""
    parser, model = Parser(), _fresh()
    messages: list[Message] = parser.receive_data(call(_PAIRS))  # what is made once
    model.receive(messages, 1, _START)
    before = _resident()
    offset = 1
    for number in range(_PAIRS):
        for message in parser.receive_data(call(number)):
            offset += 1
            model.receive((message,), offset, _START + offset)
        model.store.drain()
    assert len(model.store.keys("call")) == _PAIRS + 1
    return _resident() - before


if __name__ == "__main__":
    print(_grown())
