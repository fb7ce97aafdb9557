"""Views: what clients want to have, and how it is written for them.

A view is a value. Clients whose views are equal are sent the very same bytes, made once;
so what differs from client to client (a name, an address) has no place in one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from amiws_gevent.ami import Kind, is_answer
from amiws_gevent.batch import Batch

Filter = Callable[[Batch, Sequence[int]], Sequence[int]]
"""Leaves of some messages of a batch, given by ascending index, those that may be seen.

It is hashable, and equal to those that leave the same: a function, or an instance of a frozen
dataclass. It is called once for each batch and view, not for each message. Nobody else's answers
are among what it is given.
"""

Encoding = Callable[[Iterable[bytes]], bytes]
"""Makes the bytes that go to a client of the JSON of messages; hashable like a filter."""


@dataclass(frozen=True)
class View:
    """``name`` is what metrics and plugins know the view by; several views may share one.

    A message is for the clients of a view if each of ``filters`` leaves it: what was asked for
    may be one, and what its clients have the right to see another. Answers to one client pass
    none of them; they go to that client, if it was added with its token.
    """

    name: str
    encode: Encoding
    filters: tuple[Filter, ...] = ()

    def select(self, batch: Batch) -> Sequence[int]:
        """The messages, by ascending index, that all clients of this view get."""
        chosen: Sequence[int] = range(len(batch))
        if batch.requesters:
            chosen = [index for index in chosen if index not in batch.requesters]
        for narrow in self.filters:
            if not chosen:
                break
            chosen = narrow(batch, chosen)
        return chosen

    def texts(self, batch: Batch) -> Sequence[bytes]:
        """The JSON of ``select``."""
        if not self.filters and not batch.requesters:
            return batch.json
        json = batch.json
        return [json[index] for index in self.select(batch)]


_QUEUE = Kind.QUEUE


def without_answers(batch: Batch, indexes: Sequence[int]) -> Sequence[int]:
    """A filter: what is no answer to an action. Queues as Asterisk 1.4 wrote them are kept."""
    messages = batch.messages
    return [
        index
        for index in indexes
        if not is_answer(messages[index]) or messages[index].kind is _QUEUE
    ]
