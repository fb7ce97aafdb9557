"""What a server says, as values: the kinds of message and one message.

Inside the program a message is its headers in the order of the wire, repeats
kept. A JSON object with a list for a header that repeats is made only at the
edge, by :meth:`Message.data`.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Value = str | int | float


class Kind(enum.IntEnum):
    """The ``type`` numbers of amiws 2.2.1, which clients rely on."""

    UNKNOWN = 0
    PROMPT = 1
    ACTION = 2
    EVENT = 3
    RESPONSE = 4
    COMMAND = 5
    QUEUE = 6


_EVENT = Kind.EVENT  # a look-up less for each message

LONG = 4096
"""Characters of a message that is `Message.long`. Those of channels, queues and the like have a
tenth of it."""


class Message:
    """One message; immutable by convention.

    ``pairs`` are (name, value) in the order of the wire. A ``dict`` may be given
    where no name repeats; the message takes it over, so the caller must not
    change it afterwards. Values are ``str``, numbers in kind QUEUE alone. ``long`` is set by
    the parser, which knows without looking: the message has over LONG characters.
    """

    __slots__ = ("_pairs", "_unique", "kind", "long", "values")

    kind: Kind
    long: bool
    values: dict[str, str]
    """The first value of each header by its name as it came; not to be changed.

    For who looks up many headers of an event, whose spelling he knows, and whose values are text.
    """
    # One of the two holds the headers: a dict while no name repeats (19 of 20
    # messages; it is what the JSON is made of), the pairs otherwise.
    _unique: dict[str, Value] | None
    _pairs: tuple[tuple[str, Value], ...]

    def __init__(self, kind: Kind, pairs: Mapping[str, Value] | Iterable[Sequence[Value]]) -> None:
        self.kind = kind
        self.long = False
        self._pairs = ()
        if isinstance(pairs, dict):
            self._unique = self.values = pairs
            return
        if isinstance(pairs, Mapping):
            copied: Any = dict(pairs)
            self._unique = self.values = copied
            return
        listed = tuple((str(name), value) for name, value in pairs)
        unique: Any = dict(listed)
        if len(unique) == len(listed):
            self._unique = self.values = unique
        else:
            self._unique = None
            self._pairs = listed
            self.values = dict[str, Any](reversed(listed))

    @classmethod
    def of_text(cls, kind: Kind, pairs: list[tuple[str, str]]) -> Message:
        """The message of headers that are text for certain; the list is taken over.

        For the parser: a response may have a million, which are not taken up one by one.
        """
        unique: dict[str, Value] = dict(pairs)
        message = cls(kind, unique)
        if len(unique) != len(pairs):
            message._unique = None
            message._pairs = tuple(pairs)
            message.values = dict(reversed(pairs))
        return message

    @property
    def headers(self) -> tuple[tuple[str, Value], ...]:
        """All headers in the order of the wire, repeats kept."""
        if self._unique is None:
            return self._pairs
        return tuple(self._unique.items())

    @property
    def name(self) -> str:
        """The event's name for an EVENT, "" for all other kinds."""
        if self.kind is not _EVENT:
            return ""
        if self._unique is not None:
            first = next(iter(self._unique), None)
            if first == "Event":  # as all servers write it: no look-up
                return str(self._unique[first])
        return self.get("Event") or ""

    def get(self, name: str, default: str | None = None) -> str | None:
        """The first value of the header called ``name`` (in any case) as text."""
        # A dict of folded names would be built for the price of six such look-ups.
        folded = name.lower()
        for key, value in self._unique.items() if self._unique is not None else self._pairs:
            if key == name or key.lower() == folded:
                return str(value)
        return default

    def has(self, name: str) -> bool:
        """Whether there is a header called ``name`` (in any case).

        Where there is none, which is the rule for ActionID, it takes a third of the time of
        `get`: all names are looked through as one text.
        """
        names = self._unique if self._unique is not None else [key for key, _ in self._pairs]
        return name.lower() in "".join(names).lower() and self.get(name) is not None

    def getall(self, name: str) -> list[str]:
        """All values of the headers called ``name`` (in any case), in order, as text."""
        folded = name.lower()
        return [str(value) for key, value in self.headers if key.lower() == folded]

    def data(self) -> dict[str, Value | list[Value]]:
        """The object that clients get: names as they came, in order.

        A name that repeats with the same spelling stands at its first place with
        the list of its values. The caller may change the result.
        """
        if self._unique is not None:
            return {**self._unique}
        merged: dict[str, Value | list[Value]] = {}
        for name, value in self._pairs:
            if name not in merged:
                merged[name] = value
            elif isinstance(known := merged[name], list):
                known.append(value)
            else:
                merged[name] = [known, value]
        return merged

    def replace(self, name: str, value: Value | None) -> Message:
        """A copy in which the header called ``name`` (in any case) has this one value.

        It keeps its place and spelling, its repeats go. A new header is put at
        the end; ``None`` removes the header.
        """
        folded = name.lower()
        if self._unique is not None:
            same = [key for key in self._unique if key.lower() == folded]
            if len(same) < 2:
                return self._replace_one(same[0] if same else name, value)
        pairs: list[tuple[str, Value]] = []
        wanted = value
        for key, old in self.headers:
            if key.lower() != folded:
                pairs.append((key, old))
            elif wanted is not None:
                pairs.append((key, wanted))
                wanted = None
        if wanted is not None:
            pairs.append((name, wanted))
        return self._changed(pairs)

    def _replace_one(self, name: str, value: Value | None) -> Message:
        assert self._unique is not None
        changed = {**self._unique}
        if value is None:
            changed.pop(name, None)
        else:
            changed[name] = value
        return self._changed(changed)

    def _changed(self, pairs: Mapping[str, Value] | Iterable[Sequence[Value]]) -> Message:
        message = Message(self.kind, pairs)
        message.long = self.long
        return message

    def check(self) -> None:
        """Raise TypeError unless kind, names and values are what they must be.

        For messages that plugins make, of which nobody has checked the types.
        """
        if not isinstance(self.kind, Kind):
            raise TypeError(f"a Message of the kind {self.kind!r:.40}, which is no Kind")
        headers = self._unique
        if headers is not None and {*map(type, headers), *map(type, headers.values())} <= {str}:
            return  # as nearly all are
        for name, value in self.headers:
            if not isinstance(name, str):
                raise TypeError(f"a Message with the header {name!r:.40}, which is no text")
            if not isinstance(value, str | int | float):
                raise TypeError(f"a Message whose {name:.40} is of type {type(value).__name__}")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Message):
            return NotImplemented
        return self.kind == other.kind and self.headers == other.headers

    def __hash__(self) -> int:
        return hash((self.kind, self.headers))

    def __repr__(self) -> str:
        return f"Message({self.kind!s}, {list(self.headers)!r})"
