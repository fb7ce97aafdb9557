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
News = dict[str, Any]

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

_FRESH = _FORMS.template(KIND, BLANK)

_NOWHERE: Mapping[str, Any] = dict.fromkeys(("queue", "conference", "parking", "listens_to"))
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
    news: dict[str, Any] = {}  # most of a call is as it was: only what is other is put together
    if len(known["legs"]) != len(call.legs) or known["legs"] != list(call.legs):
        news["legs"] = list(call.legs)
    more = [] if steps is None else steps
    seen = _look(call, known, store)
    if seen is not None:
        more = _tell(news, known, seen, moment) + more
    if "phase" in news:
        if known["since"] != moment.now:
            news["since"] = moment.now
        if known["answered"] is None and news["phase"] in _ANSWERED:
            news["answered"] = moment.now
    if more:
        news["way"] = lengthened(known["way"], more)
    if entity is None:
        for name, value in news.items():
            known[name] = value
        store.make(KIND, call.key, known)
    elif news:
        store.update(KIND, call.key, entity, news)


def _blank(call: Call, moment: Moment) -> dict[str, Any]:
    blank = _FRESH.copy()
    blank["since"], blank["created"] = moment.now, call.created
    blank["server_created"] = moment.server
    return blank


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


def _tell(news: News, known: Mapping[str, Any], seen: _Seen, moment: Moment) -> Way:
    """Note what is seen other than before; returns the steps that are new."""
    places = _places(seen)
    phase = _phase(seen, known, places)
    if phase is None:  # one is left who does nothing new: the call comes to its end
        _note(news, known, {**places, "ringing": _NO_PEOPLE, "held": _NO_PEOPLE})
        return []
    talking, ringing = seen.company
    caller = _person(seen.main, known["caller"])
    callee, called = _others(known, seen)
    told = {
        **places,
        "phase": phase,
        "caller": caller,
        "callee": callee,
        "called": called,
        "ringing": [_person(leg, None) for leg in ringing] if ringing else _NO_PEOPLE,
        "held": _held(seen) if talking or len(seen.people) > 2 else _NO_PEOPLE,
        "application": _application(seen, known, phase),
        "dialled": _dialled(seen, known),
        "trunk": known["trunk"] or _trunk(known, seen, caller, callee),
    }
    _note(news, known, told)
    return _steps(news, told, known, seen, moment)


def _note(news: News, known: Mapping[str, Any], told: Mapping[str, Any]) -> None:
    """Add to the news what is told other than it is known."""
    for name, value in told.items():
        before = known[name]
        if value is not before and value != before:
            news[name] = value


def _places(seen: _Seen) -> Mapping[str, Any]:
    """Where in the server the people of a call are."""
    places = _NOWHERE
    for leg in seen.people:
        if leg.places:
            places = {**places, **leg.places}
    return places


def _application(seen: _Seen, known: Mapping[str, Any], phase: str) -> str | None:
    if phase == "application":
        before: str | None = known["application"] if known["phase"] == "application" else None
        return seen.application or before
    return seen.application if phase == "dialling" else None


def _dialled(seen: _Seen, known: Mapping[str, Any]) -> str | None:
    dialled: str | None = known["dialled"]
    if dialled is None and not (seen.main.dialled and seen.channel["state"] != "up"):
        return extension(seen.channel["exten"])
    return dialled


def _phase(seen: _Seen, known: Mapping[str, Any], places: Mapping[str, Any]) -> str | None:
    """The phase; None if there is nothing to say but that somebody has left."""
    if places["conference"] is not None:
        return "conference"
    if places["parking"] is not None:
        return "parked"
    if seen.company.talking:
        holds = any(leg.channel["hold"] for leg in (seen.main, *seen.company.talking))
        return "held" if holds else "talking"
    if places["queue"] is not None:
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


def _others(known: Mapping[str, Any], seen: _Seen) -> tuple[Person | None, Person | None]:
    """Callee and called."""
    talking, ringing = seen.company
    callee: Person | None = known["callee"]
    called: Person | None = known["called"]
    partner = _partner(known, talking or ringing)
    if partner is not None and (talking or len(ringing) == 1):
        callee = _person(partner, callee)
    elif ringing or (callee is not None and callee["channel"] == seen.main.key):
        callee = None  # one of many; or the one who is left, who cannot be with himself
    call = seen.main.call
    if not call.met and (not talking or (partner is not None and partner.dialled)):
        called = callee
    call.met |= bool(talking)
    return callee, called


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


def _trunk(
    known: Mapping[str, Any], seen: _Seen, caller: Person, callee: Person | None
) -> str | None:
    """The first trunk that the call comes or goes through: looked for where a person is new."""
    trunk = None
    if caller is not known["caller"]:
        trunk = identify(seen.main).trunk
    if callee is not known["callee"]:
        for leg in (*seen.company.talking, *seen.company.ringing):
            trunk = trunk or identify(leg).trunk
    return trunk


def _steps(
    news: News, told: Mapping[str, Any], known: Mapping[str, Any], seen: _Seen, moment: Moment
) -> Way:
    """What has happened, by what is other than before."""
    steps: Way = []

    def took(what: str, **details: Any) -> None:
        steps.append(step(what, moment.now, moment.server, **details))

    caller = told["caller"]["number"]
    if "dialled" in news:
        took("dialled", who=caller, to=news["dialled"])
    if news.get("queue") is not None:
        took("queued", who=caller, queue=news["queue"])
    _tell_answers(took, caller, seen)
    if news.get("conference") is not None:
        took("joined", who=caller, conference=news["conference"])
    if news.get("listens_to") is not None:
        took("listens", who=caller, to=news["listens_to"])
    if news.get("application") is not None:
        took("application", who=caller, application=news["application"])
    if "phase" in news:
        _tell_holding(took, told, known)
    return steps


def _tell_holding(took: Any, told: Mapping[str, Any], known: Mapping[str, Any]) -> None:
    if told["phase"] == "held":
        for person in told["held"]:
            took("held", who=person["number"])
    elif told["phase"] == "talking" and known["phase"] == "held":
        took("resumed")


def _tell_answers(took: Any, caller: str, seen: _Seen) -> None:
    main = seen.main
    originated = main.dialled and main.dialled_by is None
    for leg in (main, *seen.company.ringing) if originated else seen.company.ringing:
        if not leg.rang and leg.channel["state"] == "ringing":
            leg.rang = True
            took("rang", who=_number(leg))
    if originated and not main.talked and seen.channel["state"] == "up":
        main.talked = True
        took("answered", who=caller)
    for leg in seen.company.talking:
        if not leg.talked:
            leg.talked = True
            took("answered", who=_number(leg))
    if seen.company.talking:
        main.talked = True


def _number(leg: Leg) -> str:
    return identify(leg).number
