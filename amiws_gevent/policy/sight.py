"""What a client sees: of entities, events and replies, filtered and masked.

Pure values: a sight is equal to that of another user who sees the same, so that all of them share
what is made for one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from amiws_gevent.ami import Kind, Message, Value
from amiws_gevent.ami.lists import list_form
from amiws_gevent.matching import NameSet, Remembered
from amiws_gevent.policy import shown
from amiws_gevent.policy.actions import TAKEN_BACK, form_of, holds_of
from amiws_gevent.policy.patterns import Texts
from amiws_gevent.policy.pseudonyms import Pseudonyms
from amiws_gevent.policy.rules import Pairs, action_of
from amiws_gevent.policy.scope import ALL, Level, Mask, Masks, Scope, ids_of, redacted
from amiws_gevent.state.dimensions import ATTRIBUTES, BY_FIELD, EXTENSION, HEADERS, found

Entity = tuple[str, Mapping[str, Any]]
"""The id and the fields."""

_EVENT = Kind.EVENT
_MOST_PLANS = 4096
_ENDED = frozenset({"event", "actionid", "eventlist"})
"""Headers of the end of a list that do not say how much was in it."""
_BECAME = frozenset({"event", "actionid", "response", "reason", "channel", "uniqueid"})
"""Headers that tell a client what became of its own Originate."""
_SAID = frozenset({"response", "actionid", "message", "eventlist"})
"""Headers of a response that say whether something was done."""
_HEADERS: Mapping[str, Sequence[str]] = {
    **HEADERS,
    EXTENSION: (*HEADERS[EXTENSION], "CallerIDnum"),  # of CEL
}


class _Test:
    """Whether something has, in each dimension that is limited, one of what is seen."""

    def __init__(self, scope: Scope) -> None:
        self.level = scope.level
        self.dimensions = tuple(
            (name, Texts(listed).matcher(), _HEADERS[name])
            for name in BY_FIELD
            if (listed := getattr(scope, name)) is not None
        )

    def message(self, values: Mapping[str, Value]) -> bool:
        for _, fits, headers in self.dimensions:
            for name in headers:  # a generator in any() would take twice as long
                if name in values and fits(str(values[name])):
                    break
            else:
                return False
        return True

    def entity(self, kind: str, fields: Mapping[str, Any]) -> bool:
        return all(any(map(fits, found(name, kind, fields))) for name, fits, _ in self.dimensions)


class _Plan:
    """What decides about all entities of a kind, or all events of a name, of one server."""

    def __init__(self, tests: Iterable[_Test]) -> None:
        listed = list(tests)
        self.level = _best(test.level for test in listed if not test.dimensions)
        """What is seen of all of them; None: nothing."""
        self.tests = tuple(
            test
            for test in listed
            if test.dimensions and _best((test.level, self.level)) != self.level
        )

    def of_message(self, values: Mapping[str, Value]) -> Level | None:
        level = self.level
        for test in self.tests:
            if test.message(values):
                level = _best((level, test.level))
        return level

    def of_entity(self, kind: str, fields: Mapping[str, Any]) -> Level | None:
        level = self.level
        for test in self.tests:
            if test.entity(kind, fields):
                level = _best((level, test.level))
        return level


def _best(levels: Iterable[Level | None]) -> Level | None:
    """The most that one of them allows, for numbers and names each."""
    given = [level for level in levels if level is not None]
    if not given:
        return None
    return min(level[0] for level in given), min(level[1] for level in given)


class Sight:
    """What is seen by some scopes together; equal, and the same for a hash, if these are equal."""

    def __init__(self, scopes: Iterable[Scope], pseudonyms: Pseudonyms) -> None:
        self.scopes = tuple(sorted(set(scopes), key=lambda scope: scope.order))
        self._pseudonyms = pseudonyms
        self._hash = hash(self.scopes)
        strictest = max((scope.level[0] for scope in self.scopes), default=0)
        self._ids = ids_of((strictest, 0), pseudonyms)
        self._tests = {scope: _Test(scope) for scope in self.scopes}
        self._masks: Remembered[Level, Masks] = Remembered(
            lambda level: Masks(level, self._ids), 16
        )
        self._kinds = Remembered(self._plan_of_kind, _MOST_PLANS)
        self._events = Remembered(self._plan_of_event, _MOST_PLANS)
        self._headers = Remembered(self._headers_of, 16)
        self._names = {
            scope: NameSet(scope.events) for scope in self.scopes if scope.events is not None
        }
        self.is_whole = any(scope.is_whole and scope.servers is None for scope in self.scopes)
        """Whether all of all servers is seen as it is."""

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, Sight) and self.scopes == other.scopes)

    def __hash__(self) -> int:
        return self._hash

    @property
    def is_masked(self) -> bool:
        """Whether numbers in ids are substituted, and are to be taken back in actions."""
        return self._ids is not None

    def sees_server(self, server: int) -> bool:
        """Whether anything of a server is seen. Server 0, the program itself, is by all."""
        if server == 0:
            return bool(self.scopes)
        return any(scope.covers(server) for scope in self.scopes)

    def classic(self, server: int) -> bool:
        """Whether the classic socket, which shows all of a server to all, is open for it."""
        return any(
            scope.covers(server) and (scope.is_whole or scope.classic) for scope in self.scopes
        )

    def kinds(self) -> frozenset[str]:
        """The kinds of entities of which something may be seen."""
        return frozenset(
            kind
            for kind, dimensions in ATTRIBUTES.items()
            if kind == "server"
            or any(
                (scope.kinds is None or kind in scope.kinds)
                and all(getattr(scope, name) is None or name in dimensions for name in BY_FIELD)
                for scope in self.scopes
            )
        )

    # -- entities ----------------------------------------------------------------------

    def entity(self, kind: str, server: int, key: str, fields: Mapping[str, Any]) -> Entity | None:
        """An entity as it is seen: its id, and all of its fields; None: it is not.

        ``fields`` are all fields, never some: what decides may be among the others. What is
        not shown of them is None. Where nothing is masked they are the same object.
        """
        if kind == "server":
            return self._server(key, fields)
        plan = self._kinds[server, kind]
        level = plan.level if not plan.tests else plan.of_entity(kind, fields)
        if level is None:
            return None
        if self._ids is None and level == ALL:
            return key, fields
        known = shown.FIELDS.get(kind, {})
        return self.key(key), _masked(self._masks[level], known, fields)

    def key(self, key: str) -> str:
        """The id of an entity as it is seen; also of one that is gone."""
        made = key if self._ids is None else self._ids(key)
        return "" if made is None else made

    def last(self, last: Mapping[str, Any]) -> Mapping[str, Any]:
        """The last words of an entity that was seen."""
        if all(scope.level == ALL for scope in self.scopes):
            return last
        level = max(scope.level for scope in self.scopes)
        made = _masked(self._masks[level], shown.LAST, last)
        return {name: value for name, value in made.items() if name in shown.LAST}

    def deciding(self, kind: str) -> frozenset[str]:
        """The fields of a kind whose change may show, hide or mask others of its fields."""
        names = [
            path.partition(".")[0]
            for scope in self.scopes
            for dimension in BY_FIELD
            if getattr(scope, dimension) is not None
            for path in ATTRIBUTES[kind].get(dimension, ())
        ]
        return frozenset(names)

    def _server(self, key: str, fields: Mapping[str, Any]) -> Entity | None:
        if not (key.isascii() and key.isdigit() and self.sees_server(int(key))):
            return None
        if any(
            scope.covers(int(key))
            and not scope.is_limited
            and (scope.kinds is None or "call" in scope.kinds)
            for scope in self.scopes
        ):
            return key, fields
        # Made of all calls, of which this client sees some.
        return key, {
            name: None if name in shown.COUNTS else value for name, value in fields.items()
        }

    def _plan_of_kind(self, place: tuple[int, str]) -> _Plan:
        server, kind = place
        dimensions = ATTRIBUTES.get(kind, {})
        return _Plan(
            self._tests[scope]
            for scope in self.scopes
            if scope.covers(server)
            and (scope.kinds is None or kind in scope.kinds)
            and all(getattr(scope, name) is None or name in dimensions for name in BY_FIELD)
        )

    # -- events and replies ------------------------------------------------------------

    def message(self, server: int, message: Message) -> Message | None:
        """An event as it is seen; None: it is not. The same object where nothing is masked.

        Other messages, answers and what nobody knows, are for who may have the classic socket.
        """
        level = self._level_of(server, message)
        if level is None:
            return None
        if message.kind is not _EVENT or (level == ALL and self._ids is None):
            return message
        return self._masked_message(level, message)

    def sees(self, server: int, message: Message) -> bool:
        """Whether `message` shows something of it."""
        return self._level_of(server, message) is not None

    def _level_of(self, server: int, message: Message) -> Level | None:
        """How much of a message is seen; None: nothing."""
        if message.kind is not _EVENT:
            return ALL if self.classic(server) else None
        name = message.name
        plan = self._events[server, name]
        level = plan.level if not plan.tests else plan.of_message(message.values)
        if level is None or level == ALL:
            return level
        known = server != 0 and name.casefold() in shown.EVENTS
        return level if known else None

    def reply(self, server: int, action: str, messages: Sequence[Message]) -> list[Message]:
        """What is seen of an answer, or of a part of it: of its response, items and end.

        Where something of the server is limited or masked that is known items, and whether it
        was done; not how many items there were. It is for who was allowed to send the action.
        """
        scopes = [scope for scope in self.scopes if scope.covers(server)]
        folded = action.strip().casefold()
        if any(scope.is_whole or _named(scope.replies, folded) for scope in scopes):
            return list(messages)
        seen = (self._of_reply(server, folded, message) for message in messages)
        return [message for message in seen if message is not None]

    def _of_reply(self, server: int, action: str, message: Message) -> Message | None:
        """What is seen of one message; of an end, that it is one, and of an Originate its fate."""
        said = _SAID
        if message.kind is _EVENT:
            name = message.name.casefold()
            if name == list_form(action).later:
                said = _BECAME
            elif not (message.has("EventList") or name.endswith("complete")):
                return self.message(server, message)
            else:
                said = _ENDED
        kept: dict[str, tuple[str, Value]] = {}
        for name, value in message.headers:
            folded = name.lower()
            if folded in said:  # the second Message of a PresenceState is what somebody wrote
                kept.setdefault(folded, (name, self._of_answer(folded, str(value))))
        return Message(message.kind, list(kept.values()))

    def _of_answer(self, folded: str, value: str) -> str:
        if folded == "message":  # a text, in which the server may repeat what it was asked
            return self.redacted(value)
        return value if self._ids is None else self._ids(value) or ""

    def _masked_message(self, level: Level, message: Message) -> Message:
        masks = self._headers[level]
        headers = message.headers
        pairs: list[tuple[str, Value]] = []
        for pair in headers:
            mask = masks[pair[0]]
            if mask is True:
                pairs.append(pair)
            elif mask is not False:
                value = mask(str(pair[1]))
                if value is not None:
                    pairs.append((pair[0], value))
        repeats = len(message.values) != len(headers)
        return Message(message.kind, pairs if repeats else dict(pairs))

    def _headers_of(self, level: Level) -> Remembered[str, Mask | bool]:
        """By name of a header, what masks it; True: it stays, False: it goes."""
        masks = self._masks[level]

        def of(name: str) -> Mask | bool:
            what = shown.header(name)
            if what is None:
                return not masks.hides_unknown
            return masks.of[what] or True

        return Remembered(of, _MOST_PLANS)

    def _plan_of_event(self, place: tuple[int, str]) -> _Plan:
        server, name = place
        return _Plan(
            self._tests[scope]
            for scope in self.scopes
            if (scope.covers(server) or server == 0)
            and (scope.events is None or self._names[scope].fits(name))
        )

    # -- actions -----------------------------------------------------------------------

    def take_back(self, pairs: Pairs) -> Pairs:
        """The headers of an action with the numbers again that this client sees pseudonyms of.

        Only where a header names something: in a text, such as one for a phone, it could be read.
        """
        if self._ids is None:
            return pairs
        form = form_of(action_of(pairs))
        return [
            (name, self._pseudonyms.taken_back(value))
            if form is not None and holds_of(form, name.lower()) in TAKEN_BACK
            else (name, value)
            for name, value in pairs
        ]

    def hidden(self, text: str) -> str:
        """An id for this client, with pseudonyms for the numbers in it."""
        made = text if self._ids is None else self._ids(text)
        return made or ""

    def redacted(self, text: str) -> str:
        """A text that may have what this client has sent, without the numbers in it.

        Pseudonyms in their place would tell which one each number has: by trying numbers, the one
        that a pseudonym stands for is found.
        """
        return text if self._ids is None else redacted(text)


def _named(names: tuple[str, ...], folded: str) -> bool:
    return bool(names) and NameSet(names).fits(folded)


def _masked(masks: Masks, known: shown.Fields, given: Mapping[str, Any]) -> Mapping[str, Any]:
    """All fields, with None for what is not shown."""
    made: dict[str, Any] = {}
    for name, value in given.items():
        what = known.get(name)
        if value is None or (what is None and masks.hides_unknown):
            made[name] = None
        elif what is None:
            made[name] = value
        elif isinstance(what, shown.Shown):
            made[name] = _value(masks.of[what], value)
        else:
            made[name] = _nested(masks, what, value)
    return made


def _nested(masks: Masks, known: shown.Fields, value: Any) -> Any:
    if isinstance(value, Mapping):
        return _masked(masks, known, value)
    if isinstance(value, list | tuple):
        return [_masked(masks, known, each) for each in value if isinstance(each, Mapping)]
    return None


def _value(mask: Callable[[str], str | None] | None, value: Any) -> Any:
    if mask is None:
        return value
    if isinstance(value, str):
        return mask(value)
    if isinstance(value, list | tuple):
        return [_value(mask, each) for each in value]
    return value
