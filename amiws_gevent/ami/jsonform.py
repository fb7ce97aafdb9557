"""The JSON that clients get: amiws's five keys and nothing else.

``{"type": 3, "server_id": 1, "server_name": "pbx", "ssl": false, "data": {...}}``

All but ``data`` is the same for each message of a kind and server: the caller
makes that prefix once and keeps it.
"""

from __future__ import annotations

import orjson

from .messages import Kind, Message, Value

JsonValue = Value | list[Value]


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
        return prefix + orjson.dumps(_clean_data(message)) + b"}"


def encodable_data(message: Message) -> dict[str, JsonValue]:
    """What `encode_message` makes JSON of, for who puts it into a larger text."""
    data = message.data()
    try:
        orjson.dumps(data)
    except orjson.JSONEncodeError:
        return _clean_data(message)
    return data


def _clean_data(message: Message) -> dict[str, JsonValue]:
    # A lone surrogate (an odd ami_encoding, a client's ActionID that is echoed,
    # a plugin), or a number that no client could hold.
    return {_encodable(name): _clean(value) for name, value in message.data().items()}


def _clean(value: JsonValue) -> JsonValue:
    if isinstance(value, list):
        return [_clean_one(element) for element in value]
    return _clean_one(value)


def _clean_one(value: Value) -> Value:
    return value if isinstance(value, float) else _encodable(str(value))


def _encodable(text: str) -> str:
    """The text with U+FFFD for each surrogate that has no partner: UTF-8 has none."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
