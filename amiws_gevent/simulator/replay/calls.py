"""The calls of a recording, as the live model understands them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from amiws_gevent.ami import Parser
from amiws_gevent.simulator.replay.recording import Packet
from amiws_gevent.state.calls import Ended
from amiws_gevent.state.parts import make_model
from amiws_gevent.state.store import Store

_TIMES = frozenset({"since", "created", "answered", "ended", "at"})


def calls_of(packets: Iterable[Packet]) -> Iterator[dict[str, Any]]:
    """Each call when it is over, then those that are not; the fields are those of docs/state.md.

    ``key`` and, of a call that is over, ``ended`` and ``merged_into`` stand beside them.
    A recording without times has null for all of them.
    """
    over: list[Ended] = []
    store = Store()
    model = make_model(store, day_of=lambda _: "", ended=over.append)
    parser = Parser()
    timed = False
    for offset, packet in enumerate(packets, 1):
        timed = timed or packet.time is not None
        now = round(packet.time * 1000) if packet.time is not None else 0
        model.receive(parser.receive_data(packet.data), offset, now)
        for call in over:
            ends = {"ended": call.ended, "merged_into": call.merged_into}
            yield _told({"key": call.key, **call.fields, **ends}, timed)
        over.clear()
        store.drain()
    for key, fields in store.of("call").items():
        yield _told({"key": key, **fields}, timed)


def _told(value: Any, timed: bool) -> Any:
    """A copy in which a recording without times has none."""
    if timed:
        return value
    if isinstance(value, list):
        return [_told(one, timed) for one in value]
    if isinstance(value, dict):
        return {name: None if name in _TIMES else _told(one, timed) for name, one in value.items()}
    return value
