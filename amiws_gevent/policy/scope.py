"""One grant of what is seen, with attributes and servers filled in; and the masks of its level."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields

from amiws_gevent.masking.headers import UNSAID
from amiws_gevent.masking.numbers import Numbers, is_number
from amiws_gevent.masking.styles import Look, Style
from amiws_gevent.matching import Remembered
from amiws_gevent.policy.model import LEVELS, See
from amiws_gevent.policy.patterns import Attributes, resolved
from amiws_gevent.policy.pseudonyms import SHORTEST, Pseudonyms
from amiws_gevent.policy.shown import Shown

Level = tuple[int, int]
"""How much of numbers and of names is seen, as indexes of `model.LEVELS`."""

WHOLE, MASKED, NONE = range(len(LEVELS))

ALL: Level = (WHOLE, WHOLE)

Mask = Callable[[str], str | None]
"""What is shown of a value; None: nothing."""

_KNOWN = 20_000  # values with what is shown of them
_LOOK = Look()
_SHORTENED = _LOOK.mask(Style("shorten", last=4))
_REDACTED = _LOOK.mask(Style("redact"))


@dataclass(frozen=True)
class Scope:
    """A `model.See` for one user; equal for users who see the same by it."""

    servers: frozenset[int] | None
    kinds: frozenset[str] | None
    events: tuple[str, ...] | None
    queue: tuple[str, ...] | None
    extension: tuple[str, ...] | None
    context: tuple[str, ...] | None
    level: Level
    classic: bool
    replies: tuple[str, ...]

    @property
    def is_limited(self) -> bool:
        """Whether only what names a queue, an extension or a context is seen."""
        return not (self.queue is None and self.extension is None and self.context is None)

    @property
    def is_whole(self) -> bool:
        """Whether all of its servers is seen."""
        return (
            self.level == ALL and not self.is_limited and self.kinds is None and self.events is None
        )

    @property
    def order(self) -> tuple[str, ...]:
        """What scopes are sorted by."""
        values = (getattr(self, field.name) for field in fields(self))
        return tuple(
            repr(sorted(value) if isinstance(value, frozenset) else value) for value in values
        )

    def covers(self, server: int) -> bool:
        """Whether it is for a server."""
        return self.servers is None or server in self.servers


def scope_of(see: See, attributes: Attributes, servers: frozenset[int] | None) -> Scope | None:
    """The scope of a user; None where nothing can be seen by it.

    ``servers`` are the ids of those that ``see`` names.
    """
    queue, extension, context = (
        None if listed is None else resolved(listed, attributes)
        for listed in (see.queues, see.extensions, see.contexts)
    )
    if () in (queue, extension, context):
        return None
    events = None if see.events is None else sorted({name.casefold() for name in see.events})
    return Scope(
        servers,
        None if see.kinds is None else frozenset(see.kinds),
        None if events is None else tuple(events),
        queue,
        extension,
        context,
        (LEVELS.index(see.numbers), LEVELS.index(see.names)),
        see.classic,
        tuple(sorted({name.casefold() for name in see.replies or ()})),
    )


class Masks:
    """What is shown of values in one level: by what they are, a mask; None: as they are.

    ``ids`` substitutes the numbers in ids, in all levels of a sight alike.
    """

    def __init__(self, level: Level, ids: Mask | None) -> None:
        self.level = level
        numbers, names = level
        whole, within = _numbers(numbers)
        # Who has no name is often shown by the number.
        name = _kept(_redacted if names == MASKED else _nothing) if names else within
        self.of: Mapping[Shown, Mask | None] = {
            Shown.PLAIN: None,
            Shown.ID: ids,
            Shown.NUMBER: whole,
            Shown.EXTEN: within,
            Shown.NAME: name,
            Shown.BOTH: None if level == ALL else _kept(_both(whole, name)),
        }

    @property
    def hides_unknown(self) -> bool:
        """Whether only known fields and headers are shown."""
        return self.level != ALL


def _numbers(level: int) -> tuple[Mask | None, Mask | None]:
    """The masks of a number, and of numbers in what may be another text."""
    if level == WHOLE:
        return None, None
    found = Numbers(SHORTEST, _SHORTENED)
    if level == MASKED:
        return _kept(found.whole), _kept(found.within)
    return _nothing, _kept(lambda text: text if found.within(text) == text else None)


def _both(number: Mask | None, name: Mask | None) -> Mask:
    """For ``"Name" <number>``, or one of them alone."""

    def shown(value: str) -> str | None:
        called, found, dialled = value.removesuffix(">").rpartition("<")
        if value.lower() in UNSAID:
            return value
        if not found:
            covered = value if name is None or is_number(value) else name(value)
            return covered if number is None or covered != value else number(value)
        called = called.strip().strip('"')
        said = [
            called if name is None else name(called),
            dialled if number is None else number(dialled),
        ]
        return f'"{said[0] or ""}" <{said[1] or ""}>'

    return shown


def _kept(mask: Mask) -> Mask:
    """The mask, which remembers what it made of values."""
    return Remembered(mask, _KNOWN, longest=1024).__getitem__


def _redacted(value: str) -> str:
    return value if value.lower() in UNSAID else _REDACTED(value)


def _nothing(_value: str) -> None:
    return None


_WITHOUT = Numbers(SHORTEST, lambda _number: "#")


def redacted(text: str) -> str:
    """A text without the numbers in it."""
    return _WITHOUT.within(text)


def ids_of(level: Level, pseudonyms: Pseudonyms) -> Mask | None:
    """What substitutes numbers in ids where they are not seen whole."""
    return pseudonyms.within if level[0] else None
