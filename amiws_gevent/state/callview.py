"""What a call tells of itself, made anew of its legs whenever one of them changes.

``caller`` is who has been in it longest, ``callee`` whom he is with or who rings for him. Both
stay as they were while a call comes to its end, and ``called``, who was called first, stays
for good. The way a call took grows by what is other than before.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from amiws_gevent.state.applications import DIALLING, told
from amiws_gevent.state.compact import Forms
from amiws_gevent.state.company import NOBODY, Company, company_of
from amiws_gevent.state.people import Call, Leg, identify, is_person
from amiws_gevent.state.store import Store
from amiws_gevent.state.way import Moment, Way, lengthened, step
from amiws_gevent.state.words import extension

KIND: Final = "call"

_FORMS: Final = Forms()

Person = dict[str, Any]
News = dict[str, Any]

_NO_PEOPLE: Final[list[Person]] = []  # lists of entities are never changed in place
_NO_STEPS: Final[Way] = []  # never changed

BLANK: Final[dict[str, Any]] = {
    "caller": None,
    "callee": None,
    "called": None,
    "dialled": None,
    "trunk": None,
    "phase": "dialling",
    "since": None,
    "server_since": None,
    "created": None,
    "server_created": None,
    "answered": None,
    "server_answered": None,
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

_FRESH: Final = _FORMS.template(KIND, BLANK)
_SOMEBODY: Final = _FORMS.template("person", dict.fromkeys(("number", "name", "channel")))

_NOWHERE: Final[dict[str, Any]] = dict.fromkeys(("queue", "conference", "parking", "listens_to"))
_ANSWERED: Final = frozenset({"talking", "held", "conference"})
_TOGETHER: Final = frozenset({"talking", "held"})
_WAITING: Final = frozenset({"queued", "parked", "conference"})
_TRYING: Final = frozenset({"dialling", "ringing"})
_RUNNING: Final = frozenset({"application", "dialling"})  # phases in which an application is told


def refresh(call: Call, store: Store, moment: Moment, steps: Way | None = None) -> None:
    """Bring the entity of a call up to date; ``steps`` are those that its legs don't show."""
    entity = call.entity
    known = _blank(call, moment) if entity is None else entity.fields
    news: News = {}  # most of a call is as it was: only what is other is put together
    if call.regrouped:
        _tell_legs(news, known, call)
    people = [leg for leg in call.legs.values() if leg.real or is_person(leg)]
    if people:
        seen = _tell(news, known, people, store, moment)
        steps = seen if steps is None else seen + steps
    if "phase" in news:
        _tell_times(news, known, moment)
    if steps:
        news["way"] = lengthened(known["way"], steps)
    if entity is None:
        for name, value in news.items():
            known[name] = value
        call.entity = store.make(KIND, call.key, known)
    elif news:
        store.update(KIND, call.key, entity, news)


def _tell_times(news: News, known: dict[str, Any], moment: Moment) -> None:
    """Since when the call is in a new phase."""
    now, server_now = moment
    if known["since"] != now:
        news["since"] = now
    if known["server_since"] != server_now:
        news["server_since"] = server_now
    if known["answered"] is None and news["phase"] in _ANSWERED:
        news["answered"] = now
        if server_now is not None:
            news["server_answered"] = server_now


def _tell_legs(news: News, known: dict[str, Any], call: Call) -> None:
    call.regrouped = False
    legs = list(call.legs)
    if legs != known["legs"]:
        news["legs"] = legs


def _blank(call: Call, moment: Moment) -> dict[str, Any]:
    blank = _FRESH.copy()
    blank["since"], blank["server_since"] = moment
    blank["created"], blank["server_created"] = call.created, moment[1]
    return blank


def _tell(
    news: News, known: dict[str, Any], people: list[Leg], store: Store, moment: Moment
) -> Way:
    """Note what is seen other than before; returns the steps that are new."""
    main = people[0]
    caller = known["caller"]
    if caller is not None and caller["channel"] != main.key:
        main = next((leg for leg in people if leg.key == caller["channel"]), main)
    if not main.entity.fields:
        return _NO_STEPS
    company = company_of(main, store) if len(people) > 1 else NOBODY
    places = _places(main.call)
    if places is not _NOWHERE or main.call.placed:  # nearly all are nowhere
        main.call.placed = True
        for name, place in places.items():
            if place != known[name]:
                news[name] = place
    phase = _phase(main, company, known, places)
    if phase is None and _is_left_waiting(main, known, store):
        phase = "held"
    if phase is None:  # one is left who does nothing new: the call comes to its end
        if known["ringing"]:
            news["ringing"] = _NO_PEOPLE
        if known["held"]:
            news["held"] = _NO_PEOPLE
        return _NO_STEPS
    _tell_people(news, known, main, people, company, phase)
    _tell_way(news, known, main, phase)
    return _steps(news, known, main, company, moment)


def _tell_people(
    news: News,
    known: dict[str, Any],
    main: Leg,
    people: list[Leg],
    company: Company,
    phase: str,
) -> None:
    """Note who is otherwise: in caller and callee the same object stands for the same person."""
    talking, ringing = company
    before = known["caller"]
    caller = _person(main, before)
    if caller is not before:
        news["caller"] = caller
    callee, called = _others(known, main, company, phase)
    if callee is not known["callee"]:
        news["callee"] = callee
    if called is not known["called"] and called != known["called"]:
        news["called"] = called
    if ringing or known["ringing"]:
        rung = [_person(leg, None) for leg in ringing] if ringing else _NO_PEOPLE
        if rung != known["ringing"]:
            news["ringing"] = rung
    if talking or len(people) > 2 or known["held"]:
        held = _held(main, people, company, phase)
        if held != known["held"]:
            news["held"] = held
    if known["trunk"] is None and ("caller" in news or "callee" in news or main.call.turned):
        trunk = _trunk(news, main, company)
        if trunk is not None:
            news["trunk"] = trunk
    main.call.turned = False


def _tell_way(news: News, known: dict[str, Any], main: Leg, phase: str) -> None:
    """Note what the call does otherwise, and where it goes."""
    channel = main.entity.fields
    before = known["phase"]
    if phase != before:
        news["phase"] = phase
    application = None
    if phase in _RUNNING:
        application = told(channel["application"])
        if application is None and phase == before == "application":
            application = known["application"]
    if application != known["application"]:
        news["application"] = application
    if known["dialled"] is None and not (main.dialled and channel["state"] != "up"):
        dialled = extension(channel["exten"])
        if dialled is not None:
            news["dialled"] = dialled


def _places(call: Call) -> dict[str, Any]:
    """Where a call is; who came there by a Local channel is so by a half of that."""
    places = _NOWHERE
    for leg in call.legs.values():
        if leg.places:
            places = {**places, **leg.places}
    return places


def _phase(
    main: Leg, company: Company, known: dict[str, Any], places: dict[str, Any]
) -> str | None:
    """The phase; None if there is nothing to say but that somebody has left."""
    if places is not _NOWHERE:
        if places["conference"] is not None:
            return "conference"
        if places["parking"] is not None:
            return "parked"
    if company.talking and not _is_line(places, company):
        holds = any(leg.channel["hold"] for leg in (main, *company.talking))
        return "held" if holds else "talking"
    if places["queue"] is not None:
        return "queued"
    if company.ringing:
        rings = any(leg.channel["state"] in ("ringing", "up") for leg in company.ringing)
        return "ringing" if rings else "dialling"
    return _phase_alone(main, known)


def _is_line(places: dict[str, Any], company: Company) -> bool:
    """Whether all that somebody hears is a queue, at the end of a Local channel."""
    return places["queue"] is not None and all(leg.local for leg in company.talking)


def _phase_alone(main: Leg, known: dict[str, Any]) -> str | None:
    channel = main.entity.fields
    state, application = channel["state"], channel["application"]
    before = known["phase"]
    if state == "up" and told(application) is not None:
        return "application"
    if before in _TOGETHER or (known["callee"] is not None and before not in _TRYING):
        return None
    if state == "up":
        return "dialling" if application in DIALLING else "application"
    return "ringing" if state == "ringing" and main.dialled else "dialling"


def _is_left_waiting(main: Leg, known: dict[str, Any], store: Store) -> bool:
    """Whether whom somebody was with has left a bridge for another, in order to consult."""
    callee = known["callee"]
    if callee is None or known["phase"] not in _TOGETHER or main.channel["bridge"] is None:
        return False
    leg = main.call.legs.get(callee["channel"])
    if leg is None or leg.left is None or leg.channel.get("bridge") in (None, leg.left):
        return False
    if not (store.get("bridge", leg.left) or {}).get("members"):
        return False
    talking, ringing = company_of(leg, store)
    return bool(talking or ringing)


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
    person = _SOMEBODY.copy()
    person["number"], person["name"], person["channel"] = number, name, leg.key
    return person


def _others(
    known: dict[str, Any], main: Leg, company: Company, phase: str
) -> tuple[Person | None, Person | None]:
    """Callee and called."""
    talking, ringing = company
    callee: Person | None = known["callee"]
    called: Person | None = known["called"]
    if company is NOBODY and callee is None:
        return None, called if main.call.met else None
    partner = _partner(known, talking or ringing)
    if partner is not None and (talking or len(ringing) == 1):
        callee = _person(partner, callee)
    elif ringing or (callee is not None and _has_gone(callee["channel"], main, phase)):
        callee = None  # one of many; or nobody any more
    call = main.call
    if not call.met and (not talking or (partner is not None and partner.dialled)):
        called = callee
    if talking:
        call.met = True
    return callee, called


def _has_gone(callee: str, main: Leg, phase: str) -> bool:
    """Whether a callee is the one who is left, or has left somebody who waits somewhere."""
    return callee == main.key or (phase in _WAITING and callee not in main.call.legs)


def _partner(known: dict[str, Any], legs: Sequence[Leg]) -> Leg | None:
    """Of those that somebody is with, the one that is told: who was so before, else the last."""
    before = known["callee"]
    if before is not None:
        for leg in legs:
            if leg.key == before["channel"]:
                return leg
    return legs[-1] if legs else None


def _held(main: Leg, people: list[Leg], company: Company, phase: str) -> list[Person]:
    """Who waits: with whom somebody holds the line, and who was left in a bridge alone."""
    talking, ringing = company
    if phase == "held" and not talking:
        return [_person(main, None)]
    waiting: list[Leg] = []
    if talking:
        group = (main, *talking)
        holders = [leg for leg in group if leg.channel["hold"]]
        if len(holders) > 1:
            waiting = list(group)
        elif holders:
            waiting = [leg for leg in group if leg is not holders[0]]
    if len(people) > 2:
        reached = {main.key, *(leg.key for leg in talking), *(leg.key for leg in ringing)}
        waiting += [
            leg
            for leg in people
            if leg.talked and leg.key not in reached and leg.channel.get("bridge")
        ]
    return [_person(leg, None) for leg in waiting] or _NO_PEOPLE


def _trunk(news: News, main: Leg, company: Company) -> str | None:
    """The first trunk that the call comes or goes through: looked for where a person is new."""
    trunk = None
    if "caller" in news or main.call.turned:
        _, _, trunk = identify(main)
    if "callee" in news:
        for leg in (*company.talking, *company.ringing):
            trunk = trunk or identify(leg)[2]
    return trunk


def _steps(news: News, known: dict[str, Any], main: Leg, company: Company, moment: Moment) -> Way:
    """What has happened, by what is other than before."""
    steps: Way = []
    caller = (news if "caller" in news else known)["caller"]["number"]
    if "dialled" in news:
        steps.append(step("dialled", moment, who=caller, to=news["dialled"]))
    if news.get("queue") is not None:
        steps.append(step("queued", moment, who=caller, queue=news["queue"]))
    _tell_answers(steps, moment, caller, main, company)
    if not news:
        return steps
    if news.get("conference") is not None:
        steps.append(step("joined", moment, who=caller, conference=news["conference"]))
    if news.get("listens_to") is not None:
        steps.append(step("listens", moment, who=caller, to=news["listens_to"]))
    if news.get("application") is not None:
        steps.append(step("application", moment, who=caller, application=news["application"]))
    if "phase" in news:
        _tell_holding(steps, moment, news, known)
    return steps


def _tell_holding(steps: Way, moment: Moment, news: News, known: dict[str, Any]) -> None:
    if news["phase"] == "held":
        for person in news.get("held", known["held"]):
            steps.append(step("held", moment, who=person["number"]))
    elif news["phase"] == "talking" and known["phase"] == "held":
        steps.append(step("resumed", moment))


def _tell_answers(steps: Way, moment: Moment, caller: str, main: Leg, company: Company) -> None:
    talking, ringing = company
    state = main.entity.fields["state"]
    originated = main.dialled  # by nobody who is there
    if originated and not main.rang and state == "ringing":
        main.rang = True
        steps.append(step("rang", moment, who=_number(main)))
    for leg in ringing:
        if not leg.rang and leg.channel["state"] == "ringing":
            leg.rang = True
            steps.append(step("rang", moment, who=_number(leg)))
    if originated and not main.talked and state == "up":
        main.talked = True
        steps.append(step("answered", moment, who=caller))
    for leg in talking:
        if not leg.talked:
            leg.talked = True
            steps.append(step("answered", moment, who=_number(leg)))
    if talking:
        main.talked = True


def _number(leg: Leg) -> str:
    return identify(leg)[0]
