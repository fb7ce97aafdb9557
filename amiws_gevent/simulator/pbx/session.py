"""One AMI session as Asterisk's manager.c keeps it: login, event mask, order of answers.

No socket: bytes come in through ``receive_data``, text goes out through ``send``.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from amiws_gevent.simulator.pbx.answers import Answers, id_line, refuse, respond, unknown_action
from amiws_gevent.simulator.pbx.simulation import Simulation
from amiws_gevent.simulator.serving.requests import Request, RequestReader, is_true

_CLASSES: Final = frozenset(
    {
        "system", "call", "log", "verbose", "command", "agent", "user", "config", "dtmf",
        "reporting", "cdr", "dialplan", "originate", "agi", "cc", "aoc", "test", "security",
        "message",
    }
)  # fmt: skip
_FALSE: Final = frozenset({"no", "false", "n", "f", "0", "off"})


@dataclass(frozen=True)
class Account:
    username: str
    secret: str


@dataclass(frozen=True)
class Peer:
    """Both ends of a connection as (address, port), for the security events."""

    local: tuple[str, int]
    remote: tuple[str, int]


class Session:
    """One client's session.

    ``send`` takes text for this client, ``publish`` packets for every logged-in one,
    ``refused`` is called before a wrong login is answered (Asterisk waits a second there).
    """

    def __init__(
        self,
        simulation: Simulation,
        answers: Answers,
        account: Account,
        peer: Peer,
        *,
        challenge: str,
        session_id: str,
        send: Callable[[str], None],
        publish: Callable[[list[str]], None],
        refused: Callable[[], None] = lambda: None,
    ) -> None:
        self._simulation = simulation
        self._answers = answers
        self._account = account
        self._peer = peer
        self._challenge = challenge
        self._challenged = False
        self._session_id = session_id
        self._send = send
        self._publish = publish
        self._refused = refused
        self._reader = RequestReader()
        self._waiting: deque[Request] = deque()
        self._busy = False
        self._since = simulation.now
        self._mask = _CLASSES
        self.authenticated = False
        self.over = False
        """No more is read or sent: the connection is to be closed."""
        send(simulation.style.banner)

    def receive_data(self, data: bytes) -> None:
        """Answers what is complete in what the client has sent so far."""
        self._waiting.extend(self._reader.receive_data(data))
        self._go_on()

    def wanted(self, packets: list[str]) -> list[str]:
        """Those of the events that the session's mask lets through."""
        if not self.authenticated or self.over:
            return []
        if self._mask is _CLASSES:
            return packets
        return [packet for packet in packets if _class_of(packet) in self._mask]

    def _go_on(self) -> None:
        while self._waiting and not self._busy and not self.over:
            self._handle(self._waiting.popleft())
            self._publish(self._simulation.drain())

    def _handle(self, request: Request) -> None:
        action = request.get("Action").lower()
        if request.error:
            self._send(refuse(request, request.error))
        elif not action:
            self._report("RequestBadFormat", "Action: NONE")
            self._send(refuse(request, "Missing action in request"))
        elif action == "login":
            self._login(request)
        elif action == "challenge":
            self._give_challenge(request)
        elif action == "logoff":
            self._send(respond(request, "Goodbye", "Thanks for all the fish."))
            self.over = True
        elif not self.authenticated:
            self._report("RequestNotAllowed", f"Action: {request.get('Action')}")
            self._send(refuse(request, "Permission denied"))
        elif action == "events":
            self._choose_events(request)
        elif self._answers.knows(request):
            self._carry_out(request)
        else:
            self._report("RequestBadFormat", f"Action: {request.get('Action')}")
            self._send(unknown_action(request))

    def _carry_out(self, request: Request) -> None:
        """An Originate without ``Async`` holds up the session until the call is decided."""
        self._busy = True

        def later(text: str) -> None:
            self._busy = False
            if not self.over:
                self._send(text)

        answer = self._answers.answer(request, later)
        if answer is not None:
            later(answer)

    def resume(self) -> None:
        """Goes on with what came in while an Originate was under way."""
        if self._waiting:
            self._go_on()

    # Login

    def _login(self, request: Request) -> None:
        if self.authenticated:
            self._send(respond(request, "Success", "Already authenticated"))
            return
        fault = self._login_fault(request)
        if fault:
            self._report(fault, account=request.get("Username"))
            self._publish(self._simulation.drain())
            self._busy = True
            self._refused()
            self._send(refuse(request, "Authentication failed"))
            self.over = True
            return
        self.authenticated = True
        events = request.get("Events")
        if events:
            self._set_mask(events)
        self._send(respond(request, "Success", "Authentication accepted"))
        if "system" in self._mask:
            self._send(self._fully_booted())
        self._report("SuccessfulAuth", account=self._account.username)

    def _login_fault(self, request: Request) -> str:
        """The security event of a wrong login; empty for a right one."""
        secret = self._account.secret
        if request.get("Username") != self._account.username:
            return "InvalidAccountID"
        if request.get("AuthType").lower() == "md5":
            text = (self._challenge + secret).encode()
            digest = hashlib.md5(text, usedforsecurity=False).hexdigest()
            key = request.get("Key").encode("utf-8", "surrogateescape")
            right = self._challenged and hmac.compare_digest(digest.encode(), key)
            return "" if right else "ChallengeResponseFailed"
        given = request.get("Secret").encode("utf-8", "surrogateescape")
        return "" if hmac.compare_digest(given, secret.encode()) else "InvalidPassword"

    def _give_challenge(self, request: Request) -> None:
        if request.get("AuthType").lower() != "md5":
            self._send(refuse(request, "Must specify AuthType"))
            return
        self._challenged = True
        self._send(respond(request, "Success", tail=f"Challenge: {self._challenge}\r\n"))

    def _fully_booted(self) -> str:
        times = ""
        if self._simulation.style.uptime_in_fully_booted:
            uptime = int(self._simulation.now - self._simulation.switch.started)
            times = f"Uptime: {uptime}\r\nLastReload: {uptime}\r\n"
        return f"Event: FullyBooted\r\nPrivilege: system,all\r\n{times}Status: Fully Booted\r\n\r\n"

    # Events

    def _choose_events(self, request: Request) -> None:
        known = self._set_mask(request.get("EventMask"))
        if known:
            state = "On" if self._mask else "Off"
            answer = f"Response: Success\r\n{id_line(request)}Events: {state}\r\n\r\n"
            self._send(answer)
        else:
            self._send(refuse(request, "Invalid event mask"))

    def _set_mask(self, text: str) -> bool:
        """False if the text says nothing; classes that do not exist are left out."""
        words = [word.strip() for word in text.lower().split(",") if word.strip()]
        if not words:
            return False
        if words == ["all"] or is_true(words[0]):
            self._mask = _CLASSES
        elif words[0] in _FALSE:
            self._mask = frozenset()
        else:
            self._mask = _CLASSES & frozenset(words)
        return True

    def _report(self, event: str, request_type: str = "", account: str = "") -> None:
        """A security event: all who are logged in hear of it."""
        now = _stamp(self._simulation.now)
        severity = "Informational" if event == "SuccessfulAuth" else "Error"
        common = (
            f"SessionID: {self._session_id}\r\n"
            f"LocalAddress: {_address(self._peer.local)}\r\n"
            f"RemoteAddress: {_address(self._peer.remote)}\r\n"
        )
        since = f"SessionTV: {_stamp(self._since)}\r\n"
        if request_type and event == "RequestBadFormat":
            name = self._account.username if self.authenticated else ""
            rest = f"{common}RequestType: {request_type}\r\n{since}AccountID: {name}\r\n"
        else:
            extra = "UsingPassword: 0\r\n" if event == "SuccessfulAuth" else ""
            if request_type:
                extra = f"RequestType: {request_type}\r\n"
            rest = f"AccountID: {account}\r\n{common}{extra}{since}"
        self._simulation.switch.out.append(
            f"Event: {event}\r\nPrivilege: security,all\r\nEventTV: {now}\r\n"
            f"Severity: {severity}\r\nService: AMI\r\nEventVersion: 1\r\n{rest}\r\n"
        )


def _address(address: tuple[str, int]) -> str:
    host, port = address
    return f"IPV{6 if ':' in host else 4}/TCP/{host}/{port}"


def _class_of(packet: str) -> str:
    """The first class of the packet's Privilege, such as ``call``."""
    _, _, rest = packet.partition("\r\nPrivilege: ")
    return rest.partition(",")[0]


def _stamp(seconds: float) -> str:
    """``2026-11-22T17:55:36.407+0000``, as security events write times."""
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    return f"{whole}.{int(seconds * 1000) % 1000:03d}+0000"
