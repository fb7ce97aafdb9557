"""What this AMI user may ask of a server, and what manager.conf lacks for the rest.

ListCommands lists the actions that the server has and the user may send. Which of the two an
action lacks is told by others of the same class, which each server has. What the user may
*read* nothing tells: AMI has no question for it. It is inferred, see ``Reading``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from amiws_gevent.ami import Message
from amiws_gevent.live.questions import KINDS, QUESTIONS, READ, Question

_OF_RESPONSE = frozenset({"response", "actionid", "message"})

# Actions of Asterisk's core, by the one class of write that they need.
_CORE = {"system": "moduleload", "call": "setvar", "command": "command"}


class Missing(NamedTuple):
    """Why nothing is told of a kind of entities, or not all."""

    kind: str
    needs: str
    """In words: the class of manager.conf, or the module of Asterisk."""
    manager_conf: str | None
    """The line that would allow it; the class comes to those that are in the line already. None
    if no line would."""
    certain: bool = True
    """Whether it is this, and not perhaps something else."""

    def as_json(self) -> dict[str, Any]:
        """As clients get it."""
        return {"kind": self.kind, "needs": self.needs, "manager_conf": self.manager_conf}


class Permissions:
    """The actions of one ListCommands; None: it was not answered, and all may be tried."""

    def __init__(self, actions: Iterable[str] | None) -> None:
        self.actions = None if actions is None else frozenset(name.lower() for name in actions)

    @classmethod
    def told_by(cls, response: Message) -> Permissions:
        """Of an answer to ListCommands, whose headers are the names of the actions."""
        names = (name for name, _ in response.headers)
        return cls(name for name in names if name.lower() not in _OF_RESPONSE)

    def may(self, action: str) -> bool:
        """Whether an action may be sent, as far as is known."""
        return self.actions is None or action.lower() in self.actions

    def asks(self, question: Question) -> bool:
        """Whether a question is to be asked: not if another tells the same, and more."""
        better = question.instead_of
        if better and self.may(better):
            return False
        return self.may(question.action)

    def write_class(self, name: str) -> bool | None:
        """Whether the user has a class of ``write``; None if that cannot be told."""
        if self.actions is None:
            return None
        if name in _CORE:
            return _CORE[name] in self.actions
        if name == "reporting":
            return self._may_report(self.actions)
        if name == "agent" and "queuestatus" in self.actions:  # of the same module, for all
            return "queuepause" in self.actions
        return None

    def _may_report(self, actions: frozenset[str]) -> bool | None:
        """No action of the core needs this class alone."""
        if not {"corestatus", "getvar"} <= actions:  # each is for one other class, and for this
            return False
        if "moduleload" not in actions or "setvar" not in actions:
            return True
        alone = {"confbridgelistrooms", "meetmelistrooms"}
        return True if alone & actions else None

    def missing(self, version: int | None) -> list[Missing]:
        """For each kind that this version of Asterisk has and nothing can tell of: why.

        ``version`` is Asterisk's, such as 22; None if it is not known.
        """
        if self.actions is None:
            return []
        found = []
        for kind in KINDS:
            candidates = [question for question in QUESTIONS if kind in question.kinds]
            if version is not None:
                candidates = [q for q in candidates if q.first <= version <= q.last]
            if candidates and not any(self.may(question.action) for question in candidates):
                found.append(self._why(kind, candidates))
        return found

    def _why(self, kind: str, candidates: Sequence[Question]) -> Missing:
        """Of several questions the first that a class would allow is told, else the modules."""
        for question in candidates:
            known = [self.write_class(name) for name in question.needs]
            if known and not any(known):
                name = question.needs[0]
                needs = f"the class {name}"
                certain = None not in known
                if not certain:
                    needs += f", or the module {question.module}"
                return Missing(kind, needs, f"write = {name}", certain)
        modules = dict.fromkeys(question.module for question in candidates if question.module)
        actions = dict.fromkeys(question.action for question in candidates)
        needs = (
            f"the module {' or '.join(modules)}" if modules else f"the action {next(iter(actions))}"
        )
        return Missing(kind, needs, None)


def refused(question: Question, message: str) -> list[Missing]:
    """Of an action that the server refused although it may be sent, or nothing said it may not."""
    if "permission" in message.lower() and question.needs:
        name = question.needs[0]
        return [Missing(kind, f"the class {name}", f"write = {name}") for kind in question.kinds]
    return [Missing(kind, f"{question.action}: {message}", None) for kind in question.kinds]


class Reading:
    """Infers which classes of ``read`` the AMI user lacks.

    If lists find again and again what no event has told, the class of these events is in doubt.
    From then on ``Privilege`` of each event is looked at, which names a class that the user has.
    If the lists go on to find differences while no event of the class comes, it is lacking.
    """

    ENOUGH = 3
    """Differences between lists and events before a class is in doubt, and as many more before it
    is lacking: one event may be lost, or overtaken by the list."""

    def __init__(self) -> None:
        self._healed: Counter[str] = Counter()
        self._in_doubt: set[str] = set()
        self._seen: set[str] = set()

    def saw(self, messages: Iterable[Message]) -> None:
        """Events came."""
        if not self._in_doubt:  # nearly always: looking costs 0.4 µs a message
            return
        for message in messages:
            names = self._in_doubt.intersection(_classes_of(message))
            self._seen |= names
            self._in_doubt -= names

    def healed(self, kind: str, count: int) -> None:
        """Lists have found so much of a kind that no event had told."""
        needs = READ.get(kind, ())
        if not needs or self._seen.intersection(needs):
            return
        self._healed[kind] += count if self._in_doubt.issuperset(needs) else min(count, self.ENOUGH)
        if self._healed[kind] >= self.ENOUGH:
            self._in_doubt.update(needs)

    def missing(self) -> list[Missing]:
        """What is thought to be lacking."""
        found = []
        for kind, count in self._healed.items():
            needs = READ[kind]
            if count >= 2 * self.ENOUGH and not self._seen.intersection(needs):
                told = f"probably the class {needs[0]} to read: no event of it has come"
                found.append(Missing(kind, told, f"read = {needs[0]}", certain=False))
        return found


def _classes_of(message: Message) -> list[str]:
    privilege = message.values.get("Privilege")
    return [] if privilege is None else str(privilege).lower().split(",")


def asterisk_version(banner: str) -> int | None:
    """The version of Asterisk by that of AMI, such as 22 for ``Asterisk Call Manager/11.0.0``."""
    major, _, rest = banner.rpartition("/")[2].partition(".")
    if not (major.isascii() and major.isdigit()):
        return None
    number = int(major)
    if number >= 3:
        return number + 11  # 3 came with 14, and each Asterisk since has the next
    if number < 2:
        return 11  # or older
    minor = rest.partition(".")[0]
    return 13 if minor.isdigit() and int(minor) >= 5 else 12
