"""The company that the simulated PBX serves: phones, trunks, queues, how busy it is, who calls.

People are fictitious, of many countries, with numbers that nobody has. Numbers are written as
E.164 digits. Where a regulator keeps numbers for films and books (NANPA 555-01xx, Ofcom, ARCEP,
Bundesnetzagentur, PTS, ComReg, ACMA) they are from those; elsewhere the part after the area code
begins with noughts, which no plan gives out.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from typing import Final

from amiws_gevent.simulator.pbx.model import Device, Member, Queue
from amiws_gevent.simulator.pbx.switch import Switch

FIRST_EXTENSION: Final = 201
CONTEXT_OUTSIDE: Final = "from-trunk"
CONTEXT_INSIDE: Final = "from-internal"
CONTEXTS: Final = frozenset({"default", CONTEXT_OUTSIDE, CONTEXT_INSIDE})
ECHO_TEST: Final = "*43"

_MEAN_LIFE: Final = 14.0  # seconds from a call's first event to its last, measured
_MOST_CALLS: Final = 400.0  # at once, on average: past it calls get shorter, not more
_LEAST_PHONES: Final = 16
_QUEUES: Final = (
    # name, number, strategy, share of the phones, most members
    ("sales", "601", "ringall", 0.25, 4),
    ("support", "602", "rrmemory", 0.35, 400),
    ("billing", "603", "leastrecent", 0.2, 200),
)


@dataclass(frozen=True)
class Pace:
    """How the rate of new calls becomes lengths and limits.

    ``scale`` multiplies every wait: 1 up to the rate at which 400 calls would be up at
    once, smaller above it, so that any rate keeps a bounded number of calls. The numbers
    of calls are kept between ``fewest`` and ``most``: at half a call a second 3 and 10.
    """

    rate: float
    scale: float
    fewest: int
    most: int

    @classmethod
    def for_rate(cls, rate: float) -> Pace:
        """``rate`` is new calls a second; 0 makes none. ValueError if negative or not finite."""
        if not (math.isfinite(rate) and rate >= 0):
            raise ValueError(f"the rate must be 0 or more calls per second, not {rate}")
        scale = min(1.0, _MOST_CALLS / (rate * _MEAN_LIFE)) if rate else 1.0
        load = rate * scale
        return cls(rate, scale, round(load * 6), max(1, round(load * 20)) if rate else 0)

    @property
    def warm_up(self) -> float:
        """Seconds after which the number of calls is what it will be from then on."""
        return 40.0 * self.scale if self.rate else 0.0


def furnish(switch: Switch, pace: Pace) -> None:
    """Gives an empty switch its phones, trunks and queues, as many as the pace needs."""
    phones = max(_LEAST_PHONES, math.ceil(pace.most * 1.6))
    technology = switch.style.technology
    for index in range(phones):
        number = str(FIRST_EXTENSION + index) if index < 300 else str(10000 + index)
        device = Device(f"{technology}/{number}", number, staff_name(index), "office")
        switch.devices[device.name] = device
    staff = list(switch.devices.values())
    switch.hints = {device.number: device for device in staff}
    trunks = [f"{technology}/{name}" for name in switch.style.trunks]
    if switch.style.branch:
        trunks.append(f"IAX2/{switch.style.branch}")
    for name in trunks:
        switch.devices[name] = Device(name, "", name.partition("/")[2], "", trunk=True)
    _open_queues(switch, staff)


def _open_queues(switch: Switch, staff: list[Device]) -> None:
    login = int(switch.now)
    first = 0
    for name, number, strategy, share, most in _QUEUES:
        queue = switch.queues[name] = Queue(name, number, strategy)
        count = min(most, max(3, int(len(staff) * share)))
        for device in staff[first : first + count]:
            device.account = name
            add_member(queue, device, login)
        first += count
    # Two who know both trades: seen in two queues, as in many a small company.
    add_member(switch.queues["billing"], switch.queues["support"].members[0].device, login, 5)
    add_member(switch.queues["support"], switch.queues["billing"].members[0].device, login, 5)


def add_member(queue: Queue, device: Device, login: int, penalty: int = 0) -> Member:
    static = queue.name == _QUEUES[0][0]  # as in a configuration; the others have logged in
    member = Member(queue, device, login, penalty, membership="static" if static else "dynamic")
    queue.members.append(member)
    device.memberships.append(member)
    return member


@dataclass(frozen=True)
class Troupe:
    """Phones that play scenarios and do nothing else, with a queue of their own."""

    phones: tuple[Device, ...]
    queue: Queue


TROUPES: Final = 3
TROUPE_SIZE: Final = 5
_FIRST_OF_TROUPES: Final = 901
_NAMES_OF_TROUPES: Final = 340  # of staff_name; the staff is smaller, at rates to look at


def furnish_troupes(switch: Switch) -> list[Troupe]:
    """Gives the switch the phones and queues of the scenarios."""
    return [_troupe(switch, number) for number in range(TROUPES)]


def _troupe(switch: Switch, number: int) -> Troupe:
    phones = []
    for place in range(TROUPE_SIZE):
        extension = str(_FIRST_OF_TROUPES + 10 * number + place)
        label = staff_name(_NAMES_OF_TROUPES + TROUPE_SIZE * number + place)
        name = f"{switch.style.technology}/{extension}"
        device = switch.devices[name] = Device(name, extension, label, "stage")
        phones.append(device)
    queue = Queue(f"frontdesk-{number + 1}", str(604 + number), "ringall")
    switch.queues[queue.name] = queue
    for device in phones[:2]:
        member = add_member(queue, device, int(switch.now))
        member.through = f"Local/{device.number}@agents/n"
    return Troupe(tuple(phones), queue)


_DIGITS: Final = "0123456789"


@dataclass(frozen=True)
class Person:
    """A caller or callee: ``number`` in E.164 digits without "+", both empty if withheld."""

    number: str
    name: str
    country: str


# ISO country, number patterns ("#" is any digit), names as their owners write them.
_COUNTRIES: Final[tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...]] = (
    ("US", ("121255501##", "131255501##", "141555501##"), ("Emily Carter", "James Wilson")),
    ("CA", ("151455501##", "160455501##"), ("Chloé Tremblay", "Étienne Gagnon")),
    ("MX", ("52550000####",), ("María Núñez", "José Ibáñez")),
    ("BR", ("55110000####",), ("João Conceição", "Ana Luíza Simões")),
    ("GB", ("442079460###", "447700900###"), ("Oliver Bennett", "Amelia Hughes")),
    ("IE", ("3532091#####",), ("Aoife Byrne", "Seán Kelly")),
    ("FR", ("3319900####", "3363998####"), ("Zoé Lefèvre", "François Château")),
    ("DE", ("493023125###", "498999998###"), ("Jürgen Müller", "Käthe Weiß")),
    ("NL", ("3120000####",), ("Sanne de Vries", "Daan van den Berg")),
    ("IT", ("39060000####",), ("Niccolò Ricci", "Giulia Esposito")),
    ("SE", ("468465004##", "463139006##"), ("Åsa Lindström", "Björn Öberg")),
    ("IS", ("354000####",), ("Þóra Jónsdóttir",)),
    ("PL", ("4822000####",), ("Łukasz Wójcik", "Małgorzata Żak")),
    ("CZ", ("420200000###",), ("Tereza Dvořáková",)),
    ("GR", ("30210000####",), ("Ελένη Παππά", "Γιώργος Νικολάου")),
    ("UA", ("38044000####",), ("Олена Шевченко", "Тарас Бондар")),  # noqa: RUF001 - names as they are written
    ("RU", ("7495000####",), ("Анна Петрова", "Дмитрий Соколов")),
    ("GE", ("99532000####",), ("ნინო ბერიძე",)),
    ("AM", ("37410000###",), ("Անի Հակոբյան",)),
    ("TR", ("90212000####",), ("Ayşe Yılmaz", "Çağlar Öztürk")),  # noqa: RUF001
    ("IL", ("9723000####",), ("נועה לוי",)),
    ("EG", ("2020000####",), ("فاطمة حسن",)),
    ("SA", ("96611000####",), ("محمد العتيبي",)),
    ("IN", ("91110000####",), ("आरव शर्मा", "प्रिया नायर")),
    ("TH", ("662000####",), ("สมชาย ใจดี",)),
    ("VN", ("84240000####",), ("Nguyễn Thị Hạnh",)),
    ("CN", ("86100000####",), ("王芳", "李伟")),
    ("JP", ("8130000####",), ("佐藤 花子", "田中 健")),
    ("KR", ("8220000####",), ("김민준", "이서연")),
    ("AU", ("6125550####", "6137010####"), ("Matilda Reid", "Noah Fraser")),
    ("NG", ("2341000####",), ("Chidinma Okafor", "Emeka Eze")),
    ("KE", ("25420000####",), ("Wanjiru Kamau",)),
    ("ZA", ("2711000####",), ("Thandi Nkosi", "Pieter Botha")),
)

WITHHELD: Final = Person("", "", "")
_WITHHELD_SHARE: Final = 0.03
HOSTILE: Final = Person("442079460199", "<img src=x onerror=alert(1)>", "GB")
"""Anybody may call himself so: a page that makes HTML of names runs what he likes."""
_HOSTILE_SHARE: Final = 0.01

_STAFF_GIVEN: Final = (
    "Alice", "Bob", "Carla", "Deniz", "Elif", "Farid", "Grace", "Hiro", "Ines", "Jonas",
    "Kofi", "Lena", "Mateo", "Nadia", "Omar", "Paula", "Quinn", "Rosa", "Sven", "Tara",
)  # fmt: skip
_STAFF_FAMILY: Final = (
    "Ahmed", "Berg", "Costa", "Dubois", "Eriksen", "Fischer", "García", "Horvat", "Ito",
    "Jansen", "Kovač", "Lindgren", "Moreau", "Novák", "Osei", "Park", "Rossi", "Sato",
)  # fmt: skip


def _number(pattern: str, rng: random.Random) -> str:
    return "".join(rng.choice(_DIGITS) if sign == "#" else sign for sign in pattern)


def caller(rng: random.Random) -> Person:
    """Somebody who calls in; one in thirty withholds the number, one in a hundred is hostile."""
    chance = rng.random()
    if chance < _WITHHELD_SHARE:
        return WITHHELD
    return HOSTILE if chance < _WITHHELD_SHARE + _HOSTILE_SHARE else callee(rng)


def callee(rng: random.Random) -> Person:
    """Somebody outside whom a member of staff calls: always with a number."""
    country, patterns, names = rng.choice(_COUNTRIES)
    return Person(_number(rng.choice(patterns), rng), rng.choice(names), country)


def staff_name(index: int) -> str:
    """The name of the member of staff at extension ``index`` (0, 1, …): no two alike."""
    round_, given = divmod(index, len(_STAFF_GIVEN))
    generation, shift = divmod(round_, len(_STAFF_FAMILY))
    family = _STAFF_FAMILY[(given + shift) % len(_STAFF_FAMILY)]
    name = f"{_STAFF_GIVEN[given]} {family}"
    return f"{name} {generation + 1}" if generation else name
