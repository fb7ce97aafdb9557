"""The JSON that clients get: amiws's five keys and nothing else.

``{"type": 3, "server_id": 1, "server_name": "pbx", "ssl": false, "data": {...}}``

All but ``data`` is the same for each message of a kind and server: the caller
makes that prefix once and keeps it.
"""

from __future__ import annotations

import orjson

from .messages import Kind, Message, Value

_JsonValue = Value | list[Value]


def envelope_prefix(kind: Kind, server_id: int, server_name: str, ssl: bool) -> bytes:
    """The beginning of an envelope, up to where the object of ``data`` starts."""
    name = orjson.dumps(_encodable(server_name))
    return b'{"type":%d,"server_id":%d,"server_name":%b,"ssl":%b,"data":' % (
        kind,
        server_id,
        name,
        b"true" if ssl else b"false",
    )


def encode_message(prefix: bytes, message: Message) -> bytes:
    """The whole envelope: JSON in valid UTF-8, without line ends."""
    try:
        # Not data(): its copy, which callers may change, costs as much as a third of the encoding.
        return prefix + orjson.dumps(message._unique or message.data()) + b"}"
    except orjson.JSONEncodeError:
        data = message.data()
        # A lone surrogate (an odd ami_encoding, a client's ActionID that is echoed,
        # a plugin), or a number that no client could hold.
        clean = {_encodable(name): _clean(value) for name, value in data.items()}
        return prefix + orjson.dumps(clean) + b"}"


def _clean(value: _JsonValue) -> _JsonValue:
    if isinstance(value, list):
        return [_clean_one(element) for element in value]
    return _clean_one(value)


def _clean_one(value: Value) -> Value:
    return value if isinstance(value, float) else _encodable(str(value))


def _encodable(text: str) -> str:
    """The text with U+FFFD for each surrogate that has no partner: UTF-8 has none."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
