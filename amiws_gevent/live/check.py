"""What ``--check --connect`` finds out: whether each server lets us in, and what it may be asked.

With the links of the program itself: what works here works there. Each server is logged in to,
asked for all that the live state asks for, and logged off from; all of them at once, each within
a bounded time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import gevent
from gevent.event import Event

from amiws_gevent.ami import Message
from amiws_gevent.config import AmiHost, Settings
from amiws_gevent.config.granted import lacking
from amiws_gevent.errors import ConnectionLost, NotConnected
from amiws_gevent.link import Link, LinkState
from amiws_gevent.link.report import IN_USE
from amiws_gevent.live.permissions import Missing, Permissions, asterisk_version
from amiws_gevent.live.synchroniser import STALE, Pace, Synchroniser

READ_NOTE = (
    "AMI does not tell what its users may read: the live state needs "
    "read = system,call,agent,reporting,dialplan"
)

ANSWER_TIME = 15.0  # seconds for one answer
WHOLE_TIME = 120.0  # seconds for all questions to one server
LOG_OFF_TIME = 1.0

_PACE = Pace(answer=ANSWER_TIME)

_ON_THE_WAY = (
    "a firewall or proxy on the way lets nobody through from this address, the port is none of "
    "AMI, or more connections without a login than authlimit in manager.conf allows"
)
_MEANINGS = {
    "Authentication failed": "the name or the secret is wrong, or permit, deny or acl of the user "
    "in manager.conf leave this address out: Asterisk's log says which",
    "closed by the server before": _ON_THE_WAY,
    "no banner": "the port is that of TLS (tlsbindaddr, then: ssl: yes), or none of AMI",
    "TLS handshake": "the port speaks no TLS (then: ssl: no), or none to this address",
    "WRONG_VERSION_NUMBER": "the port speaks no TLS (then: ssl: no)",
    "refused": "nothing listens there: enabled, bindaddr and port in manager.conf",
}
"""What a problem in such words often means."""


@dataclass
class Report:
    """What was found out of one server."""

    host: AmiHost
    problem: str = ""
    """Why it could not be logged in to, or not be asked; "" if it could."""
    banner: str = ""
    counts: Counter[str] = field(default_factory=Counter)
    """Items of each list that was answered, by action."""
    missing: Sequence[Missing] = ()
    lacking: Sequence[str] = ()
    """Actions that roles allow and that this AMI user may not send there."""
    second: str = ""
    """Why this user could not log in once more meanwhile; "" if it could, or need not."""

    @property
    def meaning(self) -> str:
        """What the problem often means, in words; "" if that cannot be guessed."""
        if "reset by" in self.problem:  # "the server", or "peer" if it was too early for us
            # Asterisk resets no session that reads: who is let in is told so in words.
            return "" if self.banner else f"{_ON_THE_WAY}, or a port of TLS (then: ssl: yes)"
        return next((means for words, means in _MEANINGS.items() if words in self.problem), "")

    @property
    def lacks_class(self) -> bool:
        """Whether something is missing that manager.conf could give."""
        return any(each.manager_conf and each.certain for each in self.missing)

    @property
    def alone(self) -> bool:
        """Whether a session of this user keeps out others: allowmultiplelogin of manager.conf."""
        return IN_USE in self.second.casefold()


def check_servers(settings: Settings) -> list[Report]:
    """Connect to all servers; a report of each, in their order.

    With Redis each is logged in to once more meanwhile, as another collector will.
    """
    twice = settings.redis is not None
    checks = [gevent.spawn(_Check(host, settings, twice=twice).run) for host in settings.amihosts]
    return [check.get() for check in checks]


def lines_of(report: Report) -> list[str]:
    """A report for people."""
    name = report.host.name
    if not report.banner:
        lines = [f"{name}: {report.problem}"]
        return [*lines, f"  perhaps {report.meaning}"] if report.meaning else lines
    lines = [f"{name}: logged in to {report.banner}"]
    lines += [f"  {action}: {count}" for action, count in report.counts.items()]
    if report.problem:
        lines.append(f"  {report.problem}")
    kinds: dict[str, list[str]] = {}
    for each in report.missing:
        kinds.setdefault(each.needs, []).append(each.kind)
    lines += [f"  no {', '.join(names)}: needs {needs}" for needs, names in kinds.items()]
    if report.lacking:
        lines.append(f"  roles allow what this user may not send: {', '.join(report.lacking)}")
    wanted = [each.manager_conf for each in report.missing if each.manager_conf and each.certain]
    if wanted:
        lines.append(f"  add to [{report.host.username}] in manager.conf, to what is there:")
        lines += [f"    {line}" for line in _joined(wanted)]
    return lines + _lines_of_second(report)


def _lines_of_second(report: Report) -> list[str]:
    if report.alone:
        user = report.host.username
        return [
            f"  only one session of {user} is let in: another collector could not take over while",
            "  this server still holds the session of the one that was lost",
            f"  change in manager.conf, under [general], and under [{user}] if the line is there:",
            "    allowmultiplelogin = yes",
        ]
    if report.second:
        return [f"  a second login, as that of another collector, failed: {report.second}"]
    return []


def _joined(lines: Sequence[str]) -> list[str]:
    """Lines of manager.conf, those of one key in one."""
    classes: dict[str, list[str]] = {}
    for line in dict.fromkeys(lines):
        key, _, name = line.partition(" = ")
        classes.setdefault(key, []).append(name)
    return [f"{key} = {','.join(names)}" for key, names in classes.items()]


class _Login:
    """A link, and what became of its login."""

    def __init__(self, host: AmiHost, settings: Settings) -> None:
        self.link = Link(host, settings.limits, on_messages=_nobody, on_state=self._on_state)
        self.banner = ""
        self._settled = Event()

    def wait(self) -> str:
        """Connect and log in; why that failed, or "". The link is to be stopped in any case."""
        self.link.start()
        self._settled.wait(self.link.host.connect_timeout + 1)
        if self.link.connected:
            return ""
        reason = self.link.reason or "no connection in time"
        refused = self.link.state is LinkState.REFUSED
        return f"the login was refused: {reason}" if refused else reason

    def _on_state(self, link: Link, state: LinkState, reason: str) -> None:
        if state is LinkState.CONNECTED:
            self.banner = reason
        if state in (LinkState.CONNECTED, LinkState.WAITING, LinkState.REFUSED):
            self._settled.set()


class _Check:
    """Connects to one server; of `synchroniser.Told`."""

    def __init__(self, host: AmiHost, settings: Settings, *, twice: bool) -> None:
        self.offset = 0
        self._report = Report(host)
        self._settings = settings
        self._twice = twice
        self._login = _Login(host, settings)
        self._link = self._login.link

    def run(self) -> Report:
        try:
            self._report.problem = self._login.wait()
            self._report.banner = self._login.banner
            if self._link.connected:
                self._ask()
            if self._link.connected and self._twice:
                self._log_in_again()
        finally:
            self._link.stop(LOG_OFF_TIME)
        return self._report

    def _log_in_again(self) -> None:
        again = _Login(self._report.host, self._settings)
        try:
            self._report.second = again.wait()
        finally:
            again.link.stop(LOG_OFF_TIME)

    def _ask(self) -> None:
        synchroniser = Synchroniser(
            self._link,
            self,
            name=self._report.host.name,
            version=asterisk_version(self._report.banner),
            interval=WHOLE_TIME,
            pace=_PACE,
        )
        try:
            with gevent.Timeout(WHOLE_TIME):
                synchroniser.ask_all_due()
        except gevent.Timeout:
            self._report.problem = f"not all was answered within {WHOLE_TIME:g} s"
        except (NotConnected, ConnectionLost) as error:
            self._report.problem = str(error)

    # -- of `synchroniser.Told` --------------------------------------------------------

    def listed(self, action: str, items: Sequence[Message], asked: int, *, heals: bool) -> None:
        self._report.counts[action] += len(items)

    def hint_answered(self, response: Message, asked: int) -> None:
        self._report.counts["ExtensionState"] += 1

    def hints(self) -> list[tuple[str, str]]:
        return []

    def allowed(self, permissions: Permissions) -> None:
        """What is missing for the state is told with it."""
        self._report.lacking = lacking(self._settings, self._report.host.id, permissions.may)

    def synchronised(self, state: str, reason: str, missing: Sequence[Missing]) -> None:
        self._report.missing = missing
        self._report.problem = reason if state == STALE else ""

    def asked_all(self) -> None:
        """What was told last says it."""


def _nobody(link: Link, messages: list[Message]) -> None:
    """Events are not looked at."""
