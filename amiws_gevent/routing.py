"""Who gets an answer: addresses of ``amiws.v2`` pages, carried in the ActionID.

Asterisk gives an action's ActionID back in every message that answers it. For
a page that speaks ``amiws.v2`` the ActionID is sent as
``amiws-v2/TOKEN/ORIGINAL``: TOKEN names the page and cannot be guessed by
others, ORIGINAL is what the page wrote. Nothing is kept here between an
action and its answer, so nothing has to be bounded or cleaned up.
"""

from __future__ import annotations

from collections.abc import Iterable

from amiws_gevent.ami import Kind, Message

_PREFIX = "amiws-v2/"

# How a wrapped ActionID looks inside a message's JSON: a quick test for the
# hot path, since nearly all messages carry none.
JSON_MARK = b'"ActionID":"amiws-v2/'

ANSWER_KINDS = frozenset({Kind.RESPONSE, Kind.COMMAND, Kind.QUEUE})


def wrap(headers: Iterable[tuple[str, str]], token: str) -> tuple[tuple[str, str], ...]:
    """An action's headers with the ActionID that brings its answers back to ``token``."""
    rest = []
    original = ""
    for name, value in headers:
        if name.casefold() == "actionid":
            original = value
        else:
            rest.append((name, value))
    rest.insert(1, ("ActionID", f"{_PREFIX}{token}/{original}"))
    return tuple(rest)


def unwrap(message: Message) -> tuple[str | None, Message]:
    """The page that an answer is for, and the answer as that page expects it.

    The token is None for what everybody gets: a message with no wrapped
    ActionID, and an event that Asterisk sent to all sessions
    (OriginateResponse), whose ActionID is restored all the same.
    """
    action_id = message.get("ActionID") or ""
    if not action_id.startswith(_PREFIX):
        return None, message
    token, _, original = action_id[len(_PREFIX) :].partition("/")
    restored = message.replace("ActionID", original or None)
    return (token if is_answer(restored) else None), restored


def is_answer(message: Message) -> bool:
    """Whether a message answers one action, and so is no news for other pages.

    Events that Asterisk sends to all sessions carry ``Privilege`` (manager.c,
    ``__ast_manager_event_multichan``); the items of a list do not.
    """
    if message.kind is Kind.EVENT:
        return message.get("Privilege") is None and message.get("ActionID") is not None
    return message.kind in ANSWER_KINDS
