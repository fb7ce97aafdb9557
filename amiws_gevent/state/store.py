"""The entities of one server, and what has changed since a position of its stream.

An entity has a kind, a key that is unique among its kind and server, and plain fields:
text, numbers, booleans, None, and lists and mappings of these, which are replaced as a
whole and never changed in place. It carries the offset of the read that changed it last.
One that is removed leaves a tombstone with its offset; of those a bounded number is kept,
and what changed before the oldest forgotten one cannot be told any more. So a snapshot, a
client that comes back and one that is slow all ask the same: what has changed since?

Besides, the store remembers the names of what was touched since it was last asked for them
(``drain``): so who tells clients looks at these alone. Somebody has to ask now and then, or
the names add up. What came and went meanwhile is not among them: nobody knows of it, unless
somebody looked (``look``).

No I/O and no clock.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from operator import itemgetter
from typing import Any, Final, NamedTuple, TypeVar

from amiws_gevent.state.compact import Forms

Name = tuple[str, str]
"""Kind and key."""

Key = TypeVar("Key")
Value = TypeVar("Value")

TOMBSTONES: Final = 20_000
"""So many removed entities can be told of. 60 calls a second remove some 250 entities a second
(two channels, a bridge and a call each), so these are the last 80 seconds: a client that was
gone for half a minute can catch up, however busy the server. They take 5 MiB."""

_MOST: Final = 2**32 - 1  # of an array of I
_NO_MARKS: Final = array("I")  # of all that were never changed
_ZEROS: Final = tuple(array("I", bytes(4 * count)) for count in range(32))
_GONE: Final[dict[str, Any]] = {}  # never changed
_UNSAID: Final = object()


class Entity:
    """One thing of the server, for as long as it is there; changed by the store alone."""

    __slots__ = ("born", "fields", "marks", "offset")

    def __init__(self, fields: dict[str, Any], offset: int) -> None:
        self.fields = fields
        """Of now, another mapping after each read that changes it. It is empty once the entity is
        gone."""
        self.born = offset
        """The offset of the read that made it."""
        self.offset = offset
        """The offset of the last change."""
        self.marks: array[int] = _NO_MARKS
        """By the place of a field, when it was changed last: how much later than ``born``.

        Four bytes each, 0 for one that was never changed. (A dict would take as much as all
        other of the entity.)
        """


class Change(NamedTuple):
    """What has become of one entity: ``fields`` is what changed, None if it is gone."""

    kind: str
    key: str
    fields: Mapping[str, Any] | None
    whole: bool
    """Whether ``fields`` is all there is of it, since it is new to who asks."""
    last: Mapping[str, Any] | None = None
    """Of one that is gone: what was left to say of it, such as the cause."""


class Known(NamedTuple):
    """What a store knows of the past of an entity: enough for another to say the same of it."""

    born: int
    offset: int
    """Of the last change."""
    changed: Mapping[str, int]
    """By name, the offsets at which fields were changed since it was made."""


class Tombstone(NamedTuple):
    """What is left of an entity that was removed."""

    offset: int
    last: Mapping[str, Any] | None
    born: int
    """The offset at which it was made."""
    before: int
    """That at which it was removed the time before, as far as that is known; else -1."""


class _Grave:
    """A `Tombstone` as it is kept: where this is compiled, one object instead of three."""

    __slots__ = ("before", "born", "last", "offset")

    def __init__(self, offset: int, last: Mapping[str, Any] | None, born: int, before: int) -> None:
        self.offset = offset
        self.last = last
        self.born = born
        self.before = before


def forget_oldest(kept: dict[Key, Value], most: int) -> Value | None:
    """Take the oldest out of a dict with more than ``most``; the last that was taken.

    A 64th more may be kept, so that several go at once: where the first of a dict was, the
    search for the next begins, and would pass all places of those that went before.
    """
    if len(kept) <= most + most // 64:
        return None
    value = None
    for key in list(islice(kept, len(kept) - most)):
        value = kept.pop(key)
    return value


def _zeros(count: int) -> array[int]:
    return _ZEROS[count] if count < len(_ZEROS) else array("I", bytes(4 * count))


class Store:
    """The entities by kind and key. ``begin`` says of which read the changes from then on are.

    ``offset`` is where it begins: nothing is known of what was before, or (of one that is made of
    what another has told) of what was before ``forgotten``.
    """

    def __init__(
        self, *, tombstones: int = TOMBSTONES, offset: int = 0, forgotten: int | None = None
    ) -> None:
        self.offset = offset
        self._entities: dict[str, dict[str, Entity]] = {}
        self._places: dict[str, dict[str, int]] = {}  # of fields, by kind and name
        self._forms = Forms()
        # By kind and key, the oldest first. (By name they would take twice the cache, which is most
        # of what they cost: nobody looks at them, but each is written and freed.)
        self._gone: dict[str, dict[str, _Grave]] = {}
        self._gone_count = 0
        self._gone_before: dict[Name, int] = {}  # offsets, of those that came again
        self._most_gone = tombstones
        self._forgotten = offset if forgotten is None else forgotten
        self._touched: dict[Name, None] = {}  # since the last drain, the first touched first
        self._passed = False  # whether anything came and went since then
        self._drained = self._looked = offset
        self.alone = False
        """Whether nobody has fields in hand that were changed at this offset: while the messages
        of one read are taken. Then they are changed in place after the first time."""

    @property
    def size(self) -> int:
        """How many entities there are."""
        return sum(map(len, self._entities.values()))

    @property
    def forgotten(self) -> int:
        """The offset before which removals cannot be told any more."""
        return self._forgotten

    @property
    def dirty(self) -> bool:
        """Whether there is something to ``drain``, if only that something came and went."""
        return bool(self._touched) or self._passed

    def drain(self) -> list[Name]:
        """What was made, changed or removed since the last time, the first touched first.

        Each once: ``change`` says what has become of it.
        """
        touched = list(self._touched)
        self._touched.clear()
        self._passed = False
        self._drained = self.offset
        return touched

    def look(self) -> None:
        """Somebody is told what there is now, ahead of the next ``drain``."""
        self._looked = self.offset

    @contextmanager
    def noted(self) -> Iterator[Mapping[Name, None]]:
        """The names of what is touched within; ``drain`` tells them afterwards as well."""
        before, within = self._touched, dict[Name, None]()
        self._touched = within
        self.look()
        try:
            yield within
        finally:
            before.update(within)
            self._touched = before

    def begin(self, offset: int) -> None:
        """Changes from here on are those of the read at ``offset``, which never goes back."""
        assert offset >= self.offset
        self.offset = offset

    def get(self, kind: str, key: str) -> dict[str, Any] | None:
        """The fields of an entity; None if it is not there."""
        found = self._entities.get(kind, _GONE).get(key)
        return None if found is None else found.fields

    def entities(self, kind: str) -> dict[str, Entity]:
        """All entities of a kind by key, for who looks at many: those of now, at any time.

        Changed by the store alone.
        """
        return self._entities.setdefault(kind, {})

    def of(self, kind: str) -> dict[str, Mapping[str, Any]]:
        """The fields of all entities of a kind, by key; a copy that stays as it is."""
        return {key: entity.fields for key, entity in self._entities.get(kind, {}).items()}

    def frozen(self) -> list[tuple[str, str, Mapping[str, Any]]]:
        """Kind, key and fields of all entities as they are now, whatever changes later.

        Nothing is copied but the references; for 100,000 that takes 30 ms.
        """
        return [
            (kind, key, entity.fields)
            for kind, entities in self._entities.items()
            for key, entity in entities.items()
        ]

    @property
    def kinds(self) -> list[str]:
        """Those of which there was an entity, in the order in which they came."""
        return list(self._entities)

    def keys(self, kind: str) -> list[str]:
        """The keys of a kind, in the order in which they came."""
        return list(self._entities.get(kind, ()))

    def born(self, kind: str, key: str) -> int:
        """The offset of the read that made an entity; 0 if it is not there."""
        found = self._entities.get(kind, {}).get(key)
        return 0 if found is None else found.born

    def changed_at(self, kind: str, key: str) -> int:
        """The offset of the read that changed an entity last; 0 if it is not there."""
        found = self._entities.get(kind, {}).get(key)
        return 0 if found is None else found.offset

    def gone(self, kind: str, key: str) -> int:
        """The offset of the read that removed an entity; 0 if none is known."""
        grave = self._grave(kind, key)
        return 0 if grave is None else grave.offset

    def _grave(self, kind: str, key: str) -> _Grave | None:
        graves = self._gone.get(kind)
        return None if graves is None else graves.get(key)

    def gone_since(self, since: int) -> list[Name]:
        """The names of what was removed after an offset, as far as known, the last first."""
        found: list[tuple[int, Name]] = []
        for kind, graves in self._gone.items():
            for key, grave in reversed(graves.items()):
                if grave.offset <= since:
                    break
                found.append((grave.offset, (kind, key)))
        found.sort(key=itemgetter(0), reverse=True)  # of equal offsets as they stand
        return [name for _, name in found]

    def has_passed(self, kind: str, key: str, since: int, after: int) -> bool:
        """Whether an entity came and went after ``after``, and was not there at ``since`` either.

        ``since`` is no later than ``after``. False if that is not certain.
        """
        found = self._grave(kind, key)
        return (
            found is not None
            and found.born > after
            and found.before < since
            and since >= self._forgotten
        )

    def may_have_gone(self, kind: str, key: str, since: int) -> bool:
        """Whether an entity that is not there was removed after ``since``, or that is forgotten.

        A list that was asked for at ``since`` must not bring such a one back.
        """
        return since < self._forgotten or self.gone(kind, key) > since

    def put(self, kind: str, key: str, /, **fields: Any) -> bool:
        """Make an entity, or change these fields of it; whether anything is other than before."""
        return self.put_all(kind, key, fields)

    def put_all(self, kind: str, key: str, fields: dict[str, Any]) -> bool:
        """As ``put``, of fields with any names. The dict is not changed, and not kept."""
        entities = self._entities.get(kind)
        entity = None if entities is None else entities.get(key)
        if entity is None:
            self.make(kind, key, self._forms.pack(kind, fields))
            return True
        known = entity.fields
        changed = []
        for name, value in fields.items():
            before = known.get(name, _UNSAID)
            if before is not value and before != value:
                changed.append(name)
        if not changed:
            return False
        if len(changed) != len(fields):
            fields = {name: fields[name] for name in changed}
        self.update(kind, key, entity, fields)
        return True

    def update(self, kind: str, key: str, entity: Entity, fields: dict[str, Any]) -> None:
        """Change these fields of an entity that is there: each is other than it was."""
        offset = self.offset
        if self.alone and entity.offset == offset:  # so it is touched already
            known = entity.fields
        else:
            known = entity.fields = entity.fields.copy()
            if entity.offset <= self._drained or entity.offset <= self._looked:
                self._touched[kind, key] = None  # else it is among them since its last change
            entity.offset = offset
        for name, value in fields.items():  # of so few it takes less time than update()
            known[name] = value
        if offset != entity.born:  # who knows nothing of that read gets all of it
            self._mark(kind, entity, fields)

    def make(self, kind: str, key: str, fields: dict[str, Any]) -> Entity:
        """Make an entity that is not there, of a dict that is the store's from now on."""
        entity = Entity(fields, self.offset)
        name = (kind, key)
        entities = self._entities.get(kind)
        if entities is None:
            entities = self._entities[kind] = {}
        entities[key] = entity
        graves = self._gone.get(kind)
        if graves is not None and key in graves:
            self._gone_before[name] = graves.pop(key).offset
            self._gone_count -= 1
        self._touched[name] = None
        return entity

    def _mark(self, kind: str, entity: Entity, fields: dict[str, Any]) -> None:
        places = self._places.get(kind)
        if places is None:
            places = self._places[kind] = {}
        marks = entity.marks
        later: Any = min(self.offset - entity.born, _MOST)  # not made an object for each field
        for name in fields:
            place = places.get(name)
            if place is None:  # low for the fields that change often: they came first
                place = places[name] = len(places)
            if place >= len(marks):
                # Four at a time: memory comes in pieces of 16 bytes anyway.
                marks = entity.marks = marks + _zeros((place | 3) + 1 - len(marks))
            marks[place] = later

    def _changed_since(self, kind: str, entity: Entity, since: int) -> list[str]:
        """The names of the fields of an entity that were changed after ``since``."""
        marks, later = entity.marks, since - entity.born
        if not marks:
            return []
        return [
            name
            for name, place in self._places[kind].items()
            if place < len(marks) and marks[place] and marks[place] > later
        ]

    # To another store and from one

    def known(self, kind: str, key: str, floor: int) -> Known | None:
        """What happened to an entity after ``floor``; None for nothing."""
        entity = self._entities[kind][key]
        if entity.offset <= floor:
            return None
        born = max(entity.born, floor)
        names = self._changed_since(kind, entity, born)
        marks, places = entity.marks, self._places.get(kind, {})
        changed = {name: entity.born + marks[places[name]] for name in names}
        return Known(born, entity.offset, changed)

    def buried(self, floor: int) -> list[tuple[Name, Tombstone]]:
        """What was removed after ``floor``, as far as known, the oldest first."""
        names = self.gone_since(floor)
        return [(name, self._tombstone(name)) for name in reversed(names)]

    def _tombstone(self, name: Name) -> Tombstone:
        grave = self._gone[name[0]][name[1]]
        return Tombstone(grave.offset, grave.last, grave.born, grave.before)

    def restore(
        self, kind: str, key: str, fields: Mapping[str, Any], known: Known | None = None
    ) -> None:
        """Make an entity as it is in another store, which knows this of it; none is there."""
        entity = self.make(kind, key, self._forms.pack(kind, fields))
        entity.born = entity.offset = self._forgotten
        if known is None:
            return
        now = self.offset
        entity.born, entity.offset = known.born, known.offset
        for name, offset in known.changed.items():
            self.offset = offset
            self._mark(kind, entity, {name: None})
        self.offset = now

    def bury(self, name: Name, tombstone: Tombstone) -> None:
        """Know of a removal what another store knows; call it for the oldest first."""
        if name[1] not in self._entities.get(name[0], _GONE):
            self._bury(*name, _Grave(*tombstone))

    def _bury(self, kind: str, key: str, grave: _Grave) -> None:
        graves = self._gone.get(kind)
        if graves is None:
            graves = self._gone[kind] = {}
        graves[key] = grave
        self._gone_count += 1

    def merge(self, kind: str, key: str, asked: int, **fields: Any) -> bool:
        """Take what a list says of an entity that is there; whether anything was other.

        The list was asked for at the offset ``asked``: what events have said since stays. What
        the one that made the entity did not say (it is None) is taken.
        """
        entity = self._entities[kind][key]
        known = entity.fields
        fields = {
            name: value
            for name, value in fields.items()
            if name not in known or known[name] != value
        }
        if not fields:  # as of nearly all, where no event was lost
            return False
        said = set(self._changed_since(kind, entity, asked))
        if entity.born > asked:
            said.update(name for name, value in entity.fields.items() if value is not None)
        return self.put(
            kind, key, **{name: value for name, value in fields.items() if name not in said}
        )

    def remove(self, kind: str, key: str, last: Mapping[str, Any] | None = None) -> bool:
        """Take an entity away, with what is left to say of it; whether it was there."""
        entities = self._entities.get(kind)
        entity = None if entities is None else entities.get(key)
        if entities is None or entity is None:
            return False
        del entities[key]
        entity.fields = _GONE
        name = (kind, key)
        before = self._gone_before.pop(name, -1) if self._gone_before else -1
        self._bury(kind, key, _Grave(self.offset, last, entity.born, before))
        since = self._drained
        if entity.born > since and entity.born > self._looked and before < since >= self._forgotten:
            if name in self._touched:
                del self._touched[name]  # as `has_passed`: most of all in bursts
            self._passed = True
        else:
            self._touched[name] = None
        if self._gone_count > self._most_gone + self._most_gone // 64:  # as `forget_oldest`
            self._forget_oldest(self._gone_count - self._most_gone)
        return True

    def _forget_oldest(self, count: int) -> None:
        oldest: list[tuple[int, Name]] = []
        for kind, graves in self._gone.items():
            for key, grave in islice(graves.items(), count):
                oldest.append((grave.offset, (kind, key)))
        oldest.sort(key=itemgetter(0))
        for offset, (kind, key) in oldest[:count]:
            del self._gone[kind][key]
            self._forgotten = offset
        self._gone_count -= count

    def changes(self, since: int) -> Iterator[Change] | None:
        """What is other than at the offset ``since``; None if that cannot be told any more.

        An entity that was removed and made again since is told whole: it replaces what
        there was.
        """
        if since < self._forgotten or since > self.offset:
            return None
        return self._changes(since)

    def _changes(self, since: int) -> Iterator[Change]:
        for kind, graves in self._gone.items():
            for key, grave in graves.items():
                if grave.offset > since:
                    yield Change(kind, key, None, whole=False, last=grave.last)
        for kind, entities in self._entities.items():
            for key, entity in entities.items():
                if entity.offset > since:
                    yield self._change(kind, key, entity, since)

    def change(self, kind: str, key: str, since: int) -> Change | None:
        """What has become of one entity since the offset ``since``; None for nothing.

        One that is not there, and may have been when the tombstones were not full, counts as
        removed.
        """
        entity = self._entities.get(kind, {}).get(key)
        if entity is not None:
            return self._change(kind, key, entity, since) if entity.offset > since else None
        grave = self._grave(kind, key)
        if grave is not None and grave.offset > since:
            return Change(kind, key, None, whole=False, last=grave.last)
        if grave is None and since < self._forgotten:
            return Change(kind, key, None, whole=False)
        return None

    def _change(self, kind: str, key: str, entity: Entity, since: int) -> Change:
        if entity.born > since:
            return Change(kind, key, entity.fields, whole=True)
        names = self._changed_since(kind, entity, since)
        return Change(kind, key, {name: entity.fields[name] for name in names}, whole=False)
