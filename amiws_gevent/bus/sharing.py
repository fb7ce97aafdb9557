"""What edges have in common, as its users see it; no library is needed for that.

All calls but ``work_ends`` wait for Redis, `PATIENCE` at most, and raise Unshared without an
answer: then their caller goes by what its own process knows. Times are in seconds. They are
measured by the clock of Redis alone, so the clocks of machines may differ.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple, Protocol

from amiws_gevent.errors import AmiwsError

PATIENCE: Final = 1.0
"""Seconds that a request of a client waits for Redis."""

SKEW: Final = 60.0
"""Seconds by which the clocks of two machines may differ, which say how old a nonce is."""

LOGOUTS_AT_ONCE: Final = 500
"""That are told at once."""


class Unshared(AmiwsError):
    """Redis has not answered, or refused: what edges share is not known now. ``str()`` says why."""


class Logout(NamedTuple):
    """A user has logged out of a session: ``age`` seconds ago, and so it stays for ``rest``.

    Without a session: somebody who was logged in by a proxy, whose sessions the proxy has.
    """

    user: str
    session: bytes
    age: float
    rest: float


class NonceUse(NamedTuple):
    """That somebody who knows the password has used a nonce."""

    secret: bytes
    """It was made with."""
    nonce: str
    issued: float
    """Since 1970."""
    number: int
    """The nonce count."""
    lifetime: float
    window: int
    """Counts that are as far behind the highest one are refused."""


class Rate(NamedTuple):
    """Somebody's bucket: what is counted leaks out in ``interval``, ``most`` may come at once."""

    name: str
    interval: float
    most: int


class Failures(NamedTuple):
    """What a wrong password counts for.

    A ``user`` at a ``network``, and all users there; of this machine (``is_near``) only if there
    is no room for the user's own count. ``entries`` may be counted, half of them of one network.
    """

    user: Rate
    network: Rate
    is_near: bool
    entries: int


class Full(Exception):
    """So many are not done yet; ``whose`` of the bounds it was."""

    def __init__(self, whose: str) -> None:
        super().__init__(whose)
        self.whose = whose


class SharedEvents(Protocol):
    """What an edge is told; in one greenlet, which should not be held up for long."""

    def use_secret(self, secret: bytes) -> None:
        """Nonces of all edges are made with this; another one is told when Redis lost its data."""

    def begin_logouts(self) -> None:
        """All logouts that Redis has come now; what it does not have, it may have lost."""

    def take_logouts(self, logouts: Sequence[Logout], forgotten: float | None) -> None:
        """Logouts of all edges. All that is older than ``forgotten`` counts as logged out."""

    def untold(self, most: int) -> Sequence[Logout]:
        """Logouts that Redis may not have, until they were `told`."""

    def told(self, logouts: Sequence[Logout]) -> None:
        """Redis has these."""


class Sharing(Protocol):
    """What edges have in common."""

    @property
    def unshared(self) -> int:
        """How often it could not be asked."""

    def start(self, events: SharedEvents) -> None:
        """Connect; ``events`` is told until the end."""

    def wait(self, timeout: float) -> bool:
        """Whether all that Redis has was told, within that time."""

    def stop(self) -> None:
        """Disconnect."""

    def spend(self, use: NonceUse) -> bool:
        """Note the count of a nonce; False if it is no good: used before, or forgotten."""

    def judge(self, failures: Failures, *, wrong: bool) -> float:
        """How long until a login is looked at; 0: now, and a ``wrong`` one is counted."""

    def take(self, rates: Mapping[str, Rate], entries: int) -> tuple[str, float] | None:
        """Count an action for all of them, or for none: whose is full, and how long to wait.

        By whose it is: "user", "address". Of each ``entries`` are counted, the rest as one.
        """

    def work_begins(self, bounds: Mapping[str, tuple[str, int]], longest: float) -> str:
        """An action begins, which is forgotten after ``longest``; returns what `work_ends` takes.

        ``bounds``: by whose it is, the name, and how many it may have. Raises Full.
        """

    def work_ends(self, work: str) -> None:
        """It is over. Never waits."""

    def tell_logouts(self, logouts: Sequence[Logout]) -> None:
        """Tell all edges."""

    def keep_piece(self, entry: str, number: int, data: bytes, time: float) -> bool:
        """Keep a piece of a list for some ``time`` after the last one was asked for.

        They come in order, from 0 on. False if there is no room for it.
        """

    def pieces(self, entry: str, numbers: Sequence[int], time: float) -> list[bytes | None]:
        """Pieces that are kept, None for each that is not."""
