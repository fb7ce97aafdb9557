"""What clients with less than all rights are shown: for each sight, a state and batches of its own.

A `policy.Sight` says what is seen of one entity and of one message. From that a store is made for
each server, which is fed with what each flush has changed: so filters, snapshots, deltas and
removals are those of what is seen, and nothing of the rest can get into them. All who see the
same share it, and all that is made of it.

Its positions count what has changed in it, not what the server has said. It is filled in steps,
when the first asks, and kept for a while when the last has gone.
"""

from __future__ import annotations

import functools
import logging
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from amiws_gevent.ami import Message, is_answer
from amiws_gevent.ami.jsonform import encode_message, envelope_prefix
from amiws_gevent.batch import Batch
from amiws_gevent.feeds.deltas import Flush
from amiws_gevent.feeds.shown import Flushed, Shown
from amiws_gevent.policy import Sight
from amiws_gevent.policy.sight import Entity
from amiws_gevent.runtime.log import LogLimiter
from amiws_gevent.state.store import Name, Store

STEP = 50
"""Entities that are looked at in one step: a millisecond if all are masked, and four if each has a
number that is new."""

KEPT_TIME = 120.0
"""Seconds for which a sight is kept that nobody asks for: who comes back goes on where it was."""
MOST_KEPT = 32

SERVER = "server"
"""The kind whose keys are ids of servers, which are no numbers of callers."""

_log = logging.getLogger("amiws_gevent.feeds")


def sight_of(sight: Sight | None) -> Sight | None:
    """None if all is seen, as where there are no roles: then nothing has to be asked."""
    return None if sight is None or (sight.is_whole and not sight.is_masked) else sight


def sight_key(sight: Sight | None) -> str:
    """The same for equal sights, and for no others."""
    return "" if sight is None else repr([scope.order for scope in sight.scopes])


def batch_seen(sight: Sight | None, batch: Batch) -> Batch:
    """What is seen of a batch, with the JSON of what is seen; made once for a sight."""
    if sight is None:
        return batch
    if batch.seen is None:
        batch.seen = {}
    made = batch.seen.get(sight)
    if made is None:
        made = batch.seen[sight] = _batch_seen(sight, batch)
    return made


@functools.cache
def _limiter() -> LogLimiter:
    return LogLimiter()


def _tell_of(error: Exception) -> None:
    text = "internal error in what a role sees; some of it is kept from clients"
    _limiter().log(_log, logging.ERROR, "sight", text, exc_info=error)


def _batch_seen(sight: Sight, batch: Batch) -> Batch:
    server = batch.server
    messages, json = [], []
    if sight.sees_server(server.id):
        for message, text in zip(batch.messages, batch.json, strict=True):
            try:
                seen = sight.message(server.id, message)
            except Exception as error:  # noqa: BLE001 - what cannot be decided about is not seen
                _tell_of(error)
                continue
            if seen is None:
                continue
            if seen is not message:
                prefix = envelope_prefix(seen.kind, server.id, server.name, server.ssl)
                text = encode_message(prefix, seen)
            messages.append(seen)
            json.append(text)
    return Batch(server, batch.position, messages, json, batch.of_plugins)


def any_seen(sight: Sight | None, batch: Batch) -> bool:
    """Whether a batch has an event that is seen; answers are none."""
    return any(
        not is_answer(message) and (sight is None or _sees(sight, batch.server.id, message))
        for message in batch.messages
    )


def _sees(sight: Sight, server: int, message: Message) -> bool:
    try:
        return sight.sees(server, message)
    except Exception as error:  # noqa: BLE001 - what cannot be decided about is not seen
        _tell_of(error)
        return False


class Seen(Flushed):
    """What a sight shows of a server's state."""

    def __init__(self, sight: Sight, base: Shown) -> None:
        super().__init__(base.info, Store(), secrets.token_hex(8))
        self.base = base
        self._sight = sight
        self._kinds = sight.kinds()
        self._filling: Iterator[None] | None = self._fill()

    def prepare(self) -> bool:
        """Look at the next entities, until all are there; whether they are."""
        if self._filling is not None and next(self._filling, self) is self:
            self._filling = None
        return self._filling is None

    def _fill(self) -> Iterator[None]:
        """Nobody has been told anything, so all of it is of the beginning."""
        store = self.base.store
        names = ((kind, key) for kind in store.kinds for key in store.keys(kind))
        while step := list(islice(names, STEP)):
            self._look_at(step)
            yield
        self.store.drain()

    def feed(self, flush: Flush) -> Iterator[None]:
        """Take what a flush of the server's state has changed, in steps."""
        names = flush.names
        for begin in range(0, len(names), STEP):
            if self._filling is None:  # it may have been filled amid this: then the rest is told
                self.store.begin(self.offset + 1)
            self._look_at(names[begin : begin + STEP])
            yield

    def flush(self) -> Flush | None:
        """What has changed since the last flush; None for nothing."""
        return super().flush() if self._filling is None else None

    def _look_at(self, names: Sequence[Name]) -> None:
        base = self.base.current()
        for kind, key in names:
            if kind not in self._kinds:
                continue
            fields = base.get(kind, key)
            seen = None if fields is None else self._seen(kind, key, fields)
            if seen is not None:
                self._put(kind, *seen)
                continue
            last = None
            if fields is None:
                change = base.change(kind, key, -1)
                last = None if change is None or not change.last else self._last(change.last)
            self.store.remove(kind, key if kind == SERVER else self._sight.key(key), last)

    def _seen(self, kind: str, key: str, fields: Mapping[str, Any]) -> Entity | None:
        try:
            return self._sight.entity(kind, self.server, key, fields)
        except Exception as error:  # noqa: BLE001 - what cannot be decided about is not seen
            _tell_of(error)
            return None

    def _last(self, last: Mapping[str, Any]) -> Mapping[str, Any] | None:
        try:
            return self._sight.last(last)
        except Exception as error:  # noqa: BLE001
            _tell_of(error)
            return None

    def _put(self, kind: str, key: str, fields: Mapping[str, Any]) -> None:
        known = self.store.get(kind, key) or {}
        left_out = {name: None for name in known if name not in fields}
        self.store.put_all(kind, key, {**left_out, **fields})


class Sights:
    """The state of all servers by sight; of those who see all it is ``shown`` itself."""

    def __init__(self, shown: Mapping[int, Shown], *, clock: Callable[[], float]) -> None:
        self._shown = shown
        self._clock = clock
        self._seen: dict[Sight, dict[int, Seen]] = {}
        self._used: dict[Sight, float] = {}  # when it was asked for last, the longest ago first

    def __len__(self) -> int:
        return len(self._seen)

    def of(self, sight: Sight | None) -> Mapping[int, Flushed]:
        """By server what is seen; always the same mapping while the sight is used."""
        if sight is None:
            return self._shown
        self._used.pop(sight, None)
        self._used[sight] = self._clock()
        seen = self._seen.get(sight)
        if seen is None:
            seen = self._seen[sight] = {}
            self._look_at_servers(sight, seen)
        return seen

    def forget_old(self, needed: Iterable[Sight | None]) -> None:
        """Drop those that nobody has asked for lately, but for the ``needed``."""
        if not self._used:
            return
        now = self._clock()
        for sight in {one for one in needed if one is not None and one in self._used}:
            del self._used[sight]
            self._used[sight] = now
        idle = [sight for sight, used in self._used.items() if used < now]
        for number, sight in enumerate(idle):
            if self._used[sight] >= now - KEPT_TIME and len(idle) - number <= MOST_KEPT:
                break
            del self._used[sight], self._seen[sight]

    def look_at_servers(self) -> None:
        """Show what there is: a server that is shown anew is seen anew, one that is gone is not."""
        for sight, seen in self._seen.items():
            self._look_at_servers(sight, seen)

    def _look_at_servers(self, sight: Sight, seen: dict[int, Seen]) -> None:
        for server in [server for server in seen if server not in self._shown]:
            del seen[server]
        for server, shown in self._shown.items():
            known = seen.get(server)
            if (known is None or known.base is not shown) and sight.sees_server(server):
                seen[server] = Seen(sight, shown)

    def feed(
        self, flushes: Sequence[Flush], made: dict[Sight | None, list[Flush]]
    ) -> Iterator[None]:
        """Put the flushes of what is seen into ``made``, by sight; in steps."""
        for sight, seen in list(self._seen.items()):
            for flush in flushes:
                one = seen.get(flush.server)
                if one is None or one.base is not flush.shown:
                    continue
                yield from one.feed(flush)
                changed = one.flush()
                if changed is not None:
                    made.setdefault(sight, []).append(changed)
