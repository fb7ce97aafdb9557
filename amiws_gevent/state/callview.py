"""What a call tells of itself, made anew of its legs whenever one of them changes.

``caller`` is who has been in it longest, ``callee`` whom he is with or who rings for him. Both
stay as they were while a call comes to its end, and ``called``, who was called first, stays
for good. The way a call took grows by what is other than before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from amiws_gevent.state.applications import DIALLING, told
from amiws_gevent.state.compact import Forms
from amiws_gevent.state.company import NOBODY, Company, company_of
from amiws_gevent.state.people import Call, Leg, identify, is_person
from amiws_gevent.state.store import Store
from amiws_gevent.state.way import Way, lengthened, step
from amiws_gevent.state.words import extension

KIND = "call"

_FORMS = Forms()

Person = dict[str, Any]

_NO_PEOPLE: list[Person] = []  # lists of entities are never changed in place

BLANK: Mapping[str, Any] = {
    "caller": None,
    "callee": None,
    "called": None,
    "dialled": None,
    "trunk": None,
    "phase": "dialling",
    "since": None,
    "created": None,
    "server_created": None,
    "answered": None,
    "application": None,
    "queue": None,
    "conference": None,
    "parking": None,
    "listens_to": None,
    "ringing": _NO_PEOPLE,
    "held": _NO_PEOPLE,
    "legs": [],
    "way": [],
    "merged": [],
}

_NOWHERE = dict.fromkeys(("queue", "conference", "parking", "listens_to"))
_ANSWERED = frozenset({"talking", "held", "conference"})
_TOGETHER = frozenset({"talking", "held"})


class Moment(NamedTuple):
    """When something came to be: by our clock, and by the server's where it says so."""

    now: int
    server: int | None


class _Seen(NamedTuple):
    """What the legs of a call show now."""

    main: Leg
    channel: Mapping[str, Any]
    people: list[Leg]
    company: Company
    application: str | None


def refresh(call: Call, store: Store, moment: Moment, steps: Way | None = None) -> None:
    """Bring the entity of a call up to date; ``steps`` are those that its legs don't show."""
    entity = store.entities(KIND).get(call.key)
    known = _blank(call, moment) if entity is None else entity.fields
    fields = {**known}
    if len(known["legs"]) != len(call.legs) or known["legs"] != list(call.legs):
        fields["legs"] = list(call.legs)
    more = [] if steps is None else steps
    seen = _look(call, known, store)
    if seen is not None:
        more = _tell(fields, known, seen, moment) + more
    if fields["phase"] != known["phase"]:
        fields["since"] = moment.now
        if fields["answered"] is None and fields["phase"] in _ANSWERED:
            fields["answered"] = moment.now
    if more:
        fields["way"] = lengthened(known["way"], more)
    if entity is None:
        store.put(KIND, call.key, **fields)
    elif fields != known:
        news = {name: value for name, value in fields.items() if value != known[name]}
        store.update(KIND, call.key, entity, news)


def _blank(call: Call, moment: Moment) -> dict[str, Any]:
    times = {"since": moment.now, "server_created": moment.server}
    return {**BLANK, **times, "created": call.created}


def _look(call: Call, known: Mapping[str, Any], store: Store) -> _Seen | None:
    people = [leg for leg in call.legs.values() if leg.real or is_person(leg)]
    if not people:
        return None
    main = people[0]
    caller = known["caller"]
    if caller is not None and caller["channel"] != main.key:
        main = next((leg for leg in people if leg.key == caller["channel"]), main)
    channel = main.channel
    if not channel:
        return None
    company = company_of(main, store) if len(people) > 1 else NOBODY
    return _Seen(main, channel, people, company, told(channel["application"]))


def _tell(fields: dict[str, Any], known: Mapping[str, Any], seen: _Seen, moment: Moment) -> Way:
    """Put what is seen into the fields; returns the steps that are new."""
    _places(fields, seen)
    phase = _phase(seen, known, fields)
    if phase is None:  # one is left who does nothing new: the call comes to its end
        fields.update(ringing=_NO_PEOPLE, held=_NO_PEOPLE)
        return []
    fields["phase"] = phase
    fields["caller"] = _person(seen.main, known["caller"])
    _tell_others(fields, known, seen)
    if phase == "application":
        fields["application"] = seen.application or (
            known["application"] if known["phase"] == "application" else None
        )
    else:
        fields["application"] = seen.application if phase == "dialling" else None
    if fields["dialled"] is None and not (seen.main.dialled and seen.channel["state"] != "up"):
        fields["dialled"] = extension(seen.channel["exten"])
    _tell_trunk(fields, known, seen)
    return _steps(fields, known, seen, moment)


def _places(fields: dict[str, Any], seen: _Seen) -> None:
    """Where in the server the people of a call are."""
    fields.update(_NOWHERE)
    for leg in seen.people:
        if leg.places:
            fields.update(leg.places)


def _phase(seen: _Seen, known: Mapping[str, Any], fields: Mapping[str, Any]) -> str | None:
    """The phase; None if there is nothing to say but that somebody has left."""
    if fields["conference"] is not None:
        return "conference"
    if fields["parking"] is not None:
        return "parked"
    if seen.company.talking:
        holds = any(leg.channel["hold"] for leg in (seen.main, *seen.company.talking))
        return "held" if holds else "talking"
    if fields["queue"] is not None:
        return "queued"
    if seen.company.ringing:
        rings = any(leg.channel["state"] in ("ringing", "up") for leg in seen.company.ringing)
        return "ringing" if rings else "dialling"
    return _phase_alone(seen, known)


def _phase_alone(seen: _Seen, known: Mapping[str, Any]) -> str | None:
    state = seen.channel["state"]
    before = known["phase"]
    if seen.application is not None and state == "up":
        return "application"
    if known["callee"] is not None or before in _TOGETHER:
        return None
    if state == "up":
        return "dialling" if seen.channel["application"] in DIALLING else "application"
    return "ringing" if state == "ringing" and seen.main.dialled else "dialling"


def _person(leg: Leg, before: Person | None) -> Person:
    """Who is at a leg; the same object as before if nothing is other."""
    number, name, _ = identify(leg)
    if (
        before is not None
        and before["channel"] == leg.key
        and before["number"] == number
        and before["name"] == name
    ):
        return before
    return _FORMS.pack("person", {"number": number, "name": name, "channel": leg.key})


def _tell_others(fields: dict[str, Any], known: Mapping[str, Any], seen: _Seen) -> None:
    talking, ringing = seen.company
    partner = _partner(known, talking or ringing)
    if partner is not None and (talking or len(ringing) == 1):
        fields["callee"] = _person(partner, known["callee"])
    elif ringing:
        fields["callee"] = None
    elif fields["callee"] is not None and fields["callee"]["channel"] == seen.main.key:
        fields["callee"] = None  # the one who is left cannot be with himself
    if not seen.main.call.met and (not talking or (partner is not None and partner.dialled)):
        fields["called"] = fields["callee"]
    seen.main.call.met |= bool(talking)
    fields["ringing"] = [_person(leg, None) for leg in ringing] if ringing else _NO_PEOPLE
    fields["held"] = _held(seen) if talking or len(seen.people) > 2 else _NO_PEOPLE


def _partner(known: Mapping[str, Any], legs: Sequence[Leg]) -> Leg | None:
    """Of those that somebody is with, the one that is told: who was so before, else the last."""
    before = known["callee"]
    if before is not None:
        for leg in legs:
            if leg.key == before["channel"]:
                return leg
    return legs[-1] if legs else None


def _held(seen: _Seen) -> list[Person]:
    """Who waits: with whom somebody holds the line, and who was left in a bridge alone."""
    talking, ringing = seen.company
    waiting: list[Leg] = []
    if talking:
        group = (seen.main, *talking)
        holders = [leg for leg in group if leg.channel["hold"]]
        if holders:
            waiting = [leg for leg in group if leg not in holders]
    if len(seen.people) > 2:
        reached = {seen.main.key, *(leg.key for leg in talking), *(leg.key for leg in ringing)}
        waiting += [
            leg
            for leg in seen.people
            if leg.talked and leg.key not in reached and leg.channel.get("bridge")
        ]
    return [_person(leg, None) for leg in waiting] or _NO_PEOPLE


def _tell_trunk(fields: dict[str, Any], known: Mapping[str, Any], seen: _Seen) -> None:
    """The first trunk that the call comes or goes through: looked for where a person is new."""
    if fields["trunk"] is None and fields["caller"] is not known["caller"]:
        fields["trunk"] = identify(seen.main).trunk
    if fields["trunk"] is None and fields["callee"] is not known["callee"]:
        for leg in (*seen.company.talking, *seen.company.ringing):
            fields["trunk"] = fields["trunk"] or identify(leg).trunk


def _steps(fields: dict[str, Any], known: Mapping[str, Any], seen: _Seen, moment: Moment) -> Way:
    """What has happened, by what is other than before."""
    steps: Way = []

    def took(what: str, **details: Any) -> None:
        steps.append(step(what, moment.now, moment.server, **details))

    caller = fields["caller"]["number"]
    if fields["dialled"] != known["dialled"]:
        took("dialled", who=caller, to=fields["dialled"])
    if fields["queue"] is not None and fields["queue"] != known["queue"]:
        took("queued", who=caller, queue=fields["queue"])
    _tell_answers(took, fields, seen)
    if fields["conference"] is not None and fields["conference"] != known["conference"]:
        took("joined", who=caller, conference=fields["conference"])
    if fields["listens_to"] is not None and fields["listens_to"] != known["listens_to"]:
        took("listens", who=caller, to=fields["listens_to"])
    if fields["application"] is not None and fields["application"] != known["application"]:
        took("application", who=caller, application=fields["application"])
    if fields["phase"] == "held" and known["phase"] != "held":
        for person in fields["held"]:
            took("held", who=person["number"])
    if fields["phase"] == "talking" and known["phase"] == "held":
        took("resumed")
    return steps


def _tell_answers(took: Any, fields: dict[str, Any], seen: _Seen) -> None:
    main = seen.main
    originated = [main] if main.dialled and main.dialled_by is None else []
    for leg in (*originated, *seen.company.ringing):
        if not leg.rang and leg.channel["state"] == "ringing":
            leg.rang = True
            took("rang", who=_number(leg))
    if originated and not main.talked and seen.channel["state"] == "up":
        main.talked = True
        took("answered", who=fields["caller"]["number"])
    for leg in seen.company.talking:
        if not leg.talked:
            leg.talked = True
            took("answered", who=_number(leg))
    if seen.company.talking:
        main.talked = True


def _number(leg: Leg) -> str:
    return identify(leg).number
