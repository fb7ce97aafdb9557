"""Views: which messages clients get, and how they are encoded.

A view is a value. Clients with equal views are sent the same bytes, made once; so a view
must not hold what differs from client to client (a name, an address).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from amiws_gevent.ami import Kind, is_answer
from amiws_gevent.batch import Batch, Item, Mark

Filter = Callable[[Batch, Sequence[int]], Sequence[int]]
"""Selects messages of a batch: gets ascending indexes and returns those to send.

It is hashable, and equal to filters that select the same: a function, or an instance of a frozen
dataclass. It is called once for each batch and view, not for each message.
"""

Encoding = Callable[[Sequence[bytes]], bytes]
"""Turns the JSON of messages into the bytes for a client; hashable like a filter.

A client gets all that one call returns, in order and with nothing in between, or none of it. So
what is compressed may refer to all of the same call, and to nothing else.
"""


@dataclass(frozen=True)
class View:
    """``name`` is what metrics and plugins know the view by; several views may share one.

    The clients of a view get a message if all ``filters`` select it; one may be for what they
    subscribed to, another for their rights.
    """

    name: str
    encode: Encoding
    filters: tuple[Filter, ...] = ()

    def select(self, batch: Batch) -> Sequence[int]:
        """The messages, by ascending index, that all clients of this view get."""
        chosen: Sequence[int] = range(len(batch))
        for narrow in self.filters:
            if not chosen:
                break
            chosen = narrow(batch, chosen)
        return chosen

    def texts(self, batch: Batch) -> Sequence[bytes]:
        """The JSON of ``select``."""
        if not self.filters:
            return batch.json
        json = batch.json
        return [json[index] for index in self.select(batch)]

    def item(self, texts: Sequence[bytes], before: Mark, after: Mark) -> Item:
        """What clients of this view are sent, who stand at ``before``, and then at ``after``."""
        return Item(self.encode(texts), len(texts), after.positions)


_QUEUE = Kind.QUEUE


def without_answers(batch: Batch, indexes: Sequence[int]) -> Sequence[int]:
    """A filter that removes answers to actions, but keeps the queue texts of Asterisk 1.4."""
    messages = batch.messages
    return [
        index
        for index in indexes
        if not is_answer(messages[index]) or messages[index].kind is _QUEUE
    ]
