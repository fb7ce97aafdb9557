"""The actions that the program sends for itself: log in, keep alive, log off.

All of them raise ActionError where a name or secret cannot be sent (a line end
in it, a line that is too long); the message names the header, never its value.
"""

from __future__ import annotations

import hashlib

from .actions import encode_action


def login_action(
    username: str, secret: str, *, events: str | None = None, action_id: str | None = None
) -> bytes:
    """A login with the secret in the clear, as amiws does it.

    ``events`` is Asterisk's EventMask ("on", "off", "call,agent"); None leaves
    it to the server, which sends all that the user may read.
    """
    return _action(
        ("Action", "Login"),
        ("ActionID", action_id),
        ("Username", username),
        ("Secret", secret),
        ("Events", events),
    )


def challenge_action(action_id: str | None = None) -> bytes:
    """Ask for the challenge that a login by MD5 answers; every AMI since 1.0 has it."""
    return _action(("Action", "Challenge"), ("ActionID", action_id), ("AuthType", "MD5"))


def challenge_key(challenge: str, secret: str) -> str:
    """The answer to a challenge: the MD5 of challenge and secret in lower-case hex."""
    digest = hashlib.md5((challenge + secret).encode(), usedforsecurity=False)
    return digest.hexdigest()


def md5_login_action(
    username: str,
    challenge: str,
    secret: str,
    *,
    events: str | None = None,
    action_id: str | None = None,
) -> bytes:
    """The login that answers ``challenge``; the secret itself is not sent."""
    return _action(
        ("Action", "Login"),
        ("ActionID", action_id),
        ("AuthType", "MD5"),
        ("Username", username),
        ("Key", challenge_key(challenge, secret)),
        ("Events", events),
    )


def ping_action(action_id: str | None = None) -> bytes:
    return _action(("Action", "Ping"), ("ActionID", action_id))


def logoff_action(action_id: str | None = None) -> bytes:
    return _action(("Action", "Logoff"), ("ActionID", action_id))


def _action(*headers: tuple[str, str | None]) -> bytes:
    return encode_action([(name, value) for name, value in headers if value is not None])
