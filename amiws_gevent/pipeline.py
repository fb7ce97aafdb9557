"""From the messages of one read to envelopes: what happens to a message on its way to pages.

A link gives all messages of one read; the pipeline drops the events that the
server's ``event_names`` leaves out, makes each message's JSON once, and hands
the batch on. It knows no sockets and no pages.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from amiws_gevent.ami import Kind, Message, encode_message, envelope_prefix
from amiws_gevent.config import AmiHost
from amiws_gevent.routing import JSON_MARK, unwrap


class Source:
    """One AMI server as messages name it: its id, name and TLS flag, ready for JSON."""

    __slots__ = ("event_names", "host", "prefixes")

    def __init__(self, host: AmiHost) -> None:
        self.host = host
        self.event_names = host.event_names
        self.prefixes = {kind: envelope_prefix(kind, host.id, host.name, host.ssl) for kind in Kind}

    def passes(self, message: Message) -> bool:
        """Whether ``event_names`` lets the message through; only events are ever held back."""
        return message.kind is not Kind.EVENT or message.name.casefold() in self.event_names


class Envelope(NamedTuple):
    """One message ready for pages: who said it, what, its JSON, and the one page it is for."""

    source: Source
    message: Message
    json: bytes
    """The five-key JSON text, valid UTF-8, without a line end."""
    requester: str | None = None
    """Token of the ``amiws.v2`` page that asked for this answer; None: it is for everybody."""


class Pipeline:
    """Turns each read's messages into envelopes and gives them to ``publish`` as one batch."""

    def __init__(self, publish: Callable[[Sequence[Envelope]], None]) -> None:
        self._publish = publish

    def process(self, source: Source, messages: Sequence[Message]) -> None:
        """Pass on all messages of one read from ``source``, in order."""
        if source.event_names:
            messages = [message for message in messages if source.passes(message)]
        if messages:
            self._publish([_envelope(source, message) for message in messages])


def _envelope(source: Source, message: Message) -> Envelope:
    json = encode_message(source.prefixes[message.kind], message)
    if JSON_MARK not in json:
        return Envelope(source, message, json)
    requester, restored = unwrap(message)
    json = encode_message(source.prefixes[message.kind], restored)
    return Envelope(source, restored, json, requester)
