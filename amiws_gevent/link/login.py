"""The login as a state machine: messages in, bytes and a verdict out; no I/O.

    =========  =====================  ==============================================
    waits for  of                     then
    =========  =====================  ==============================================
    GREETING   the banner, or any     sends Login (plain) or Challenge (md5);
               message of a server    ACCEPTED at once if that message says so (a
               without one            recording played back, which answers nothing)
    CHALLENGE  the next response      sends Login with the key, or REFUSED
    ANSWER     the next response      ACCEPTED or REFUSED
    =========  =====================  ==============================================

Until it is accepted a session has no other actions under way, so the next response
is the answer even where it carries no ActionID or another's; events may come first.
Asterisk: action_login and authenticate in main/manager.c.
"""

from __future__ import annotations

import enum

from amiws_gevent.ami import Kind, Message
from amiws_gevent.ami.login import challenge_action, login_action, md5_login_action
from amiws_gevent.config import AmiHost


class Stage(enum.Enum):
    GREETING = "greeting"
    CHALLENGE = "answer to the challenge request"
    ANSWER = "answer to the login"
    ACCEPTED = "accepted"
    REFUSED = "refused"


class Login:
    """The login of one connection. ``refusal`` says why once the stage is REFUSED."""

    def __init__(self, host: AmiHost) -> None:
        self._host = host
        self.stage = Stage.GREETING
        self.refusal = ""

    def receive(self, message: Message) -> bytes:
        """Take the next message; returns what is to be sent, b"" for nothing."""
        if self.stage is Stage.GREETING:
            begin = self._begin()
            if _accepts(message):
                self.stage = Stage.ACCEPTED
            return begin
        if message.kind not in (Kind.RESPONSE, Kind.COMMAND):
            return b""
        if self.stage is Stage.CHALLENGE:
            return self._answer_challenge(message)
        if _succeeded(message):
            self.stage = Stage.ACCEPTED
        else:
            self._refuse(_said(message))
        return b""

    def _begin(self) -> bytes:
        if self._host.login == "md5":
            self.stage = Stage.CHALLENGE
            return challenge_action()
        self.stage = Stage.ANSWER
        return login_action(self._host.username, self._host.secret.get_secret_value())

    def _answer_challenge(self, message: Message) -> bytes:
        challenge = message.get("Challenge")
        if not _succeeded(message) or not challenge:
            self._refuse(
                "the server offers no login by MD5 (it answered the request for a challenge "
                f"with {_said(message)}); set login: plain"
            )
            return b""
        self.stage = Stage.ANSWER
        secret = self._host.secret.get_secret_value()
        return md5_login_action(self._host.username, challenge, secret)

    def _refuse(self, why: str) -> None:
        self.stage = Stage.REFUSED
        self.refusal = why


def _succeeded(message: Message) -> bool:
    return (message.get("Response") or "").strip().casefold() == "success"


def _accepts(message: Message) -> bool:
    said = (message.get("Message") or "").casefold()
    return message.kind is Kind.RESPONSE and _succeeded(message) and "accepted" in said


def _said(message: Message) -> str:
    return repr(message.get("Message") or message.get("Response") or "nothing")
