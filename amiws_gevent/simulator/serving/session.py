"""One AMI session as Asterisk's manager.c keeps it: login, order of answers, goodbye.

No socket: bytes come in through ``receive_data``, text goes out through ``send``.
"""

from __future__ import annotations

import hashlib
import hmac
import random
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from amiws_gevent.simulator.serving.requests import (
    Request,
    RequestReader,
    encode,
    refuse,
    respond,
)

WRONG_ACCOUNT: Final = "InvalidAccountID"
WRONG_SECRET: Final = "InvalidPassword"  # noqa: S105 - the name of an event
WRONG_KEY: Final = "ChallengeResponseFailed"
NOT_ALLOWED: Final = "RequestNotAllowed"
BAD_FORMAT: Final = "RequestBadFormat"
"""Asterisk's names for what is wrong with a request; its security events are called so."""

_UNKNOWN: Final = (
    "Invalid/unknown command: {}. Use Action: ListCommands to show available commands."
)


@dataclass(frozen=True)
class Account:
    username: str
    secret: str


class Session:
    """One client's session. ``send`` takes text for the client: the banner, then answers.

    Without an ``account`` any login is right. ``challenge`` is for logins by MD5; as with
    Asterisk a session has but one.

    Challenge, Login, Logoff and Ping are answered here, and no other action is known. Subclasses
    carry out more; what else happens they hear of by the methods that begin with ``on_``.
    """

    def __init__(
        self,
        send: Callable[[str], None],
        *,
        banner: str,
        account: Account | None,
        challenge: str = "",
    ) -> None:
        self.send = send
        self.authenticated = False
        self.over = False
        """No more is read or sent: the connection is to be closed."""
        self.busy = False
        """The next action has to wait; ``resume`` goes on when it need not any more."""
        self._account = account
        self._challenge = challenge or str(random.randrange(10**8, 10**9))
        self._challenged = False
        self._reader = RequestReader()
        self._waiting: deque[Request] = deque()
        send(banner)

    @property
    def active(self) -> bool:
        """Logged in, and not to be closed."""
        return self.authenticated and not self.over

    def accept(self, request: Request) -> None:
        """Answers a right login."""
        self.send(respond(request, "Success", "Authentication accepted"))

    def carry_out(self, request: Request) -> None:
        """Answers an action of a client that is logged in."""
        self._fail(BAD_FORMAT, request, _UNKNOWN.format(request.get("Action")))

    def now(self) -> float:
        """The server's time, in seconds since 1970."""
        return time.time()

    def on_fault(self, fault: str, request: Request) -> None:
        """A request is wrong and is about to be answered by an error; see ``BAD_FORMAT``."""

    def on_logoff(self) -> None:
        """The client has said that it goes."""

    def on_gone(self) -> None:
        """The client has gone without a word."""

    def receive_data(self, data: bytes) -> None:
        """Answers what is complete in what the client has sent so far."""
        self._waiting.extend(self._reader.receive_data(data))
        self.resume()

    def resume(self) -> None:
        """Goes on with the actions that wait, unless one is still under way."""
        while self._waiting and not self.busy and not self.over:
            self.handle(self._waiting.popleft())

    def handle(self, request: Request) -> None:
        """Answers one action."""
        action = request.get("Action").lower()
        if request.error:
            self.send(refuse(request, request.error))
        elif not action:
            self._fail(BAD_FORMAT, request, "Missing action in request")
        elif action == "login":
            self._log_in(request)
        elif action == "challenge":
            self._give_challenge(request)
        elif action == "logoff":
            self.send(respond(request, "Goodbye", "Thanks for all the fish."))
            self.over = True
            self.on_logoff()
        elif not self.authenticated:
            self._fail(NOT_ALLOWED, request, "Permission denied")
        elif action == "ping":
            tail = f"Ping: Pong\r\nTimestamp: {self.now():.6f}\r\n"
            self.send(respond(request, "Success", tail=tail))
        else:
            self.carry_out(request)

    def _fail(self, fault: str, request: Request, message: str) -> None:
        self.on_fault(fault, request)
        self.send(refuse(request, message))

    def _log_in(self, request: Request) -> None:
        if self.authenticated:
            self.send(respond(request, "Success", "Already authenticated"))
        elif fault := self._login_fault(request):
            self.busy = True
            self._fail(fault, request, "Authentication failed")
            self.over = True
        else:
            self.authenticated = True
            self.accept(request)

    def _login_fault(self, request: Request) -> str:
        """What is wrong with a login; empty for a right one."""
        if self._account is None:
            return ""
        if request.get("Username") != self._account.username:
            return WRONG_ACCOUNT
        secret = self._account.secret
        if request.get("AuthType").lower() == "md5":
            text = (self._challenge + secret).encode()
            digest = hashlib.md5(text, usedforsecurity=False).hexdigest()
            right = hmac.compare_digest(digest.encode(), encode(request.get("Key")))
            return "" if right and self._challenged else WRONG_KEY
        right = hmac.compare_digest(encode(request.get("Secret")), secret.encode())
        return "" if right else WRONG_SECRET

    def _give_challenge(self, request: Request) -> None:
        if request.get("AuthType").lower() != "md5":
            self.send(refuse(request, "Must specify AuthType"))
            return
        self._challenged = True
        self.send(respond(request, "Success", tail=f"Challenge: {self._challenge}\r\n"))
