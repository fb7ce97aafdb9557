"""Routes answers to ``amiws.v2`` clients by an address in the ActionID.

Asterisk repeats an action's ActionID in every message that answers it. For a client
that speaks ``amiws.v2`` the ActionID is sent as ``amiws-v2/TOKEN/ORIGINAL``: TOKEN names
the client and cannot be guessed by others, ORIGINAL is what the client wrote. No state
is kept between an action and its answer.
"""

from __future__ import annotations

from collections.abc import Iterable

from amiws_gevent.ami import BROADCASTS, ActionError, ClientAction, Kind, Message

OWN_ACTION_ID = "amiws-gevent-"
"""Prefix of the ActionIDs of the program's own actions; their answers go to no client."""

_PREFIX = "amiws-v2/"

# How a wrapped ActionID begins in a message's JSON, whatever its header is spelled like and
# also where it repeats: a quick test for the hot path, since nearly all messages carry none.
JSON_MARK = b'"amiws-v2/'


def address(token: str) -> str:
    """The prefix of the ActionIDs of a client's actions as servers get them."""
    return f"{_PREFIX}{token}/"


def wrap(headers: Iterable[tuple[str, str]], token: str) -> tuple[tuple[str, str], ...]:
    """An action's headers with the ActionID that brings its answers back to ``token``.

    It is the only one then: of several the client's first counts, as for Asterisk.
    """
    rest = []
    originals = []
    for name, value in headers:
        if name.casefold() == "actionid":
            originals.append(value)
        else:
            rest.append((name, value))
    rest.insert(1, ("ActionID", address(token) + (originals[0] if originals else "")))
    return tuple(rest)


def unwrap(message: Message) -> tuple[str | None, Message]:
    """The client that an answer is for, and the answer as that client expects it.

    The token is None for what everybody gets: a message with no wrapped ActionID (it
    comes back as it is), and an event that Asterisk sends to all sessions, of which the
    ActionID is restored all the same. Repeats of the header go with the token.
    """
    wrapped = (text for text in message.getall("ActionID") if text.startswith(_PREFIX))
    action_id = next(wrapped, None)
    if action_id is None:
        return None, message
    token, _, original = action_id.removeprefix(_PREFIX).partition("/")
    restored = message.replace("ActionID", original or None)
    for_all = message.kind is Kind.EVENT and message.name.lower() in BROADCASTS
    return (None if for_all else token), restored


def check_action_ids(action: ClientAction, token: str | None) -> None:
    """Raise ActionError for an ActionID that looks like one of ours.

    One with the prefix of addresses is harmless on ``amiws.v2`` (a client with a
    ``token``), where it is wrapped in another.
    """
    reserved = OWN_ACTION_ID if token is not None else (OWN_ACTION_ID, _PREFIX)
    for action_id in action.action_ids:
        if action_id.startswith(reserved):
            prefix = OWN_ACTION_ID if action_id.startswith(OWN_ACTION_ID) else _PREFIX
            raise ActionError(
                f'the "ActionID" begins with "{prefix}", which only amiws-gevent may use;'
                " choose another",
                action_id=action.action_id,
            )
