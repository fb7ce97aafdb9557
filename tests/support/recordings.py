"""Recordings for tests: journals as the plugin writes them, made of messages."""

from __future__ import annotations

import datetime
import gzip
import json
from collections.abc import Iterable
from pathlib import Path

from amiws_gevent.ami import Kind, Message, Parser, encode_message, envelope_prefix

NOON = 1795348800.0  # 2026-11-22 12:00:00 UTC


def json_of(message: Message, server_id: int = 1, name: str = "pbx") -> bytes:
    """The five-key JSON that clients get."""
    return encode_message(envelope_prefix(message.kind, server_id, name, False), message)


def journal_line(json_bytes: bytes, time: float = NOON) -> bytes:
    """One line of a journal."""
    stamp = datetime.datetime.fromtimestamp(time, datetime.UTC)
    text = stamp.strftime("%Y-%m-%dT%H:%M:%S.") + f"{stamp.microsecond // 1000:03d}Z"
    return b'{"time":"%b","message":%b}\n' % (text.encode(), json_bytes)


def write_journal(
    path: Path, messages: Iterable[Message], *, start: float = NOON, gap: float = 0.0
) -> Path:
    """A journal of ``messages``, ``gap`` seconds apart; packed if its name says so."""
    lines = [
        journal_line(json_of(message), start + number * gap)
        for number, message in enumerate(messages)
    ]
    data = b"".join(lines)
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def read_back(raw: bytes) -> list[Message]:
    """What the program reads of bytes that come after a banner."""
    parser = Parser()
    parser.receive_data(b"Asterisk Call Manager/1.0\r\n")
    return parser.receive_data(raw)


def data_of(message: Message) -> dict[str, object]:
    """``data`` as whoever reads the JSON has it."""
    found: dict[str, object] = json.loads(json_of(message))["data"]
    return found


def event(name: str, **headers: str) -> Message:
    return Message(Kind.EVENT, {"Event": name} | headers)


BANNER = Message(Kind.PROMPT, {"Product": "Asterisk Call Manager", "Version": "5.0.1"})
ACCEPTED = Message(Kind.RESPONSE, {"Response": "Success", "Message": "Authentication accepted"})
