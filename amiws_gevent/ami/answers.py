"""Which messages answer an action, and which are news for everybody.

All rules are those of Asterisk's source, versions 1.4 to 23. What goes to all sessions
is written by ``__ast_manager_event_multichan`` of ``main/manager.c``, always with a
``Privilege`` that lists permissions (``call,all``). What answers one action is written
by ``astman_append`` for that session alone: the responses, the items of lists, and the
events that end them.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product

from .messages import Kind, Message, Value

BROADCASTS = frozenset(
    {
        "originateresponse",  # main/manager.c, fast_originate
        "sipqualifypeerdone",  # channels/chan_sip.c, publish_qualify_peer_done (12 to 20)
        "userevent",  # main/manager.c, action_userevent: with all headers of the action
    }
)
"""Events (folded names) that go to all sessions with the ActionID of who asked.

All that the source has: each call of ``manager_event``, ``ast_manager_event_multichan``
and ``ast_manager_publish_event`` was looked through in 1.4, 1.8, 11, 13, 18, 22 and 23.
"""

_ITEM_PRIVILEGES = frozenset(
    {
        "Call",  # main/manager.c, generate_status: items of Status
        "System",  # channels/chan_sip.c, manager_sip_peer_status: items of SIPpeerstatus
    }
)

_ANSWER_KINDS = frozenset({Kind.RESPONSE, Kind.COMMAND, Kind.QUEUE})


def _spellings(name: str) -> frozenset[str]:
    """The name in every mixture of upper and lower case.

    So it is found among a message's names without folding each of them, in half the time:
    each event that ``event_names`` or a filter would drop is looked through for two.
    """
    return frozenset(map("".join, product(*zip(name.lower(), name.upper(), strict=True))))


_EVENT = Kind.EVENT
ACTION_ID = _spellings("ActionID")
"""All spellings of the header that says which action an event answers."""

_PRIVILEGE = _spellings("Privilege")


def is_answer(message: Message) -> bool:
    """Whether a message certainly answers one action: of events those with its ActionID."""
    if message.kind is not _EVENT:
        return message.kind in _ANSWER_KINDS
    if ACTION_ID.isdisjoint(message.values):
        return False
    return message.name.lower() not in BROADCASTS


def has_action_id(message: Message) -> bool:
    """Whether a message carries an ActionID; in a third of the time of ``has``."""
    return not ACTION_ID.isdisjoint(message.values)


def may_be_answer(message: Message) -> bool:
    """Whether a message is an answer, or an item of a list that carries no ActionID.

    An item carries none if the action had none, and those of ``IAXpeers`` never do. It
    is known by its ``Privilege``, which is missing or one of two that no event for all
    has. A server that is no Asterisk may send news without ``Privilege``: they cannot be
    told from such items.
    """
    if message.kind is not _EVENT:
        return message.kind in _ANSWER_KINDS
    headers = _headers(message)
    for name in headers:
        if name in _PRIVILEGE:
            return headers[name] in _ITEM_PRIVILEGES or _has_askers_id(message, headers)
    return True


def _has_askers_id(message: Message, headers: Mapping[str, Value]) -> bool:
    return not ACTION_ID.isdisjoint(headers) and message.name.lower() not in BROADCASTS


def _headers(message: Message) -> Mapping[str, Value]:
    """By name as it is written, in order, the first value of each."""
    if message._unique is not None:
        return message._unique
    headers: dict[str, Value] = {}
    for name, value in message._pairs:
        headers.setdefault(name, value)
    return headers
