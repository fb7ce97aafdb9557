"""What an action costs, and what limits, roles and the audit add to it.

Actions go through the service in this process, to a link that answers at once: all of the program
but sockets. Each way has its turn, round after round.
"""

from __future__ import annotations

import contextlib
import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from gevent.event import Event

from amiws_gevent.actions import ActionService
from amiws_gevent.actions.limits import ActionLimits
from amiws_gevent.ami import Kind, Message
from amiws_gevent.audit.trail import Trail
from amiws_gevent.config import AmiHost, Audit, Limits
from amiws_gevent.link import Answer
from amiws_gevent.plugins.api import ClientInfo, ServerInfo
from amiws_gevent.policy import Policy, Rights, Role, User
from bench.sections import Report

ACTIONS = 500  # of a block
AT_ONCE = 25  # a client may have 32 at work
FEWEST_ROUNDS = 15

BARE = "no limits"
PLAIN = "as without configuration"
ROLE = "with a role"
AUDIT = "with the audit"

_ACTION = {"Action": "QueuePause", "Queue": "support", "Interface": "PJSIP/204", "Paused": "true"}
_GIVEN = {"server": 1, "action": _ACTION}
_RULE = {"Queue": "support", "Interface": "{user.interface}", "Paused": "*"}
_CLIENT = ClientInfo("192.0.2.7:5000", "bob", "v2")
_ANSWER = Answer(Message(Kind.RESPONSE, {"Response": "Success"}), (), None, True, "", "")
_MOST = Limits(actions_per_second=10**6, actions_burst=10**6, actions_at_work=10**6)


class _Link:
    host = AmiHost(id=1, name="pbx", host="127.0.0.1", username="u", secret="s")

    def ask(self, action: Any, *, timeout: float, wait: bool = False) -> Answer:
        return _ANSWER


class _NoLimits(ActionLimits):
    def take(self, client: Any) -> None: ...

    def begin(self, client: Any) -> None: ...

    def end(self, client: Any) -> None: ...


def section(report: Report) -> None:
    """CPU for an action in each way."""
    rounds = max(report.rounds, FEWEST_ROUNDS)
    with _ways() as ways:
        for way in ways.values():
            _block(way)  # warm
        found: dict[str, list[float]] = {name: [] for name in ways}
        for number in range(rounds):
            names = list(ways)
            for name in names[number % len(names) :] + names[: number % len(names)]:
                found[name].append(_block(ways[name]))
    figures = {name: {"cpu_us_per_action": statistics.median(one)} for name, one in found.items()}
    report.table("an action to a link that answers at once", figures)
    for name, against in ((PLAIN, BARE), (ROLE, PLAIN), (AUDIT, PLAIN)):
        pairs = zip(found[name], found[against], strict=True)
        ratio = statistics.median(one / other for one, other in pairs)
        wanted = "at most 1.1" if name == PLAIN else "as little as can be"
        report.ratio(f"CPU of an action, {name} against {against}", ratio, wanted)


@contextlib.contextmanager
def _ways() -> Iterator[Mapping[str, ActionService]]:
    with tempfile.TemporaryDirectory(prefix="amiws-bench-") as folder:
        trail = Trail()
        file, key = Path(folder, "audit.jsonl"), Path(folder, "keys")
        key.mkdir()
        audit = {"file": file, "key_file": key / "audit.key", "fsync": False}
        trail.prepare(Audit.model_validate(audit)).finish()
        yield {
            BARE: _service(action_limits=_NoLimits()),
            PLAIN: _service(),
            ROLE: _service(rights_of=lambda _identity: rights),
            AUDIT: _service(audit=trail),
        }
        trail.stop()


def _service(**more: Any) -> ActionService:
    more.setdefault("action_limits", ActionLimits(_MOST))
    return ActionService({1: _Link()}, _shown, **more)


def _shown(_server: ServerInfo, messages: Sequence[Message]) -> Sequence[Message]:
    return messages


def _rights() -> Rights:
    role = Role.model_validate(
        {"see": {"queues": "support"}, "do": [{"action": "QueuePause", "with": _RULE}]}
    )
    users = {"bob": User.model_validate({"roles": "agent", "interface": "PJSIP/204"})}
    made = Policy(
        {"agent": role},
        users=users,
        tokens={},
        anonymous=(),
        servers={1: "pbx"},
        key=bytes(32),
    )
    return made.rights("bob")


rights = _rights()


def _block(service: ActionService) -> float:
    """Microseconds of CPU, all threads', for one of many actions."""
    began = time.process_time()
    for _ in range(ACTIONS // AT_ONCE):
        _ask(service)
    return 1e6 * (time.process_time() - began) / ACTIONS


def _ask(service: ActionService) -> None:
    """Send some actions, and wait until all are answered."""
    done = Event()
    left = AT_ONCE

    def told(_reply: object, _count: int) -> None:
        nonlocal left
        left -= 1
        if not left:
            done.set()

    for _ in range(AT_ONCE):
        service.submit(service.parse(_GIVEN), _CLIENT, told)
    done.wait()
