"""Mailboxes: whether there are new messages, and how many.

Origin: ``apps/app_voicemail.c`` (11, and the list of all), ``main/manager_mwi.c``. 11 tells no
counts when somebody has listened to messages.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from amiws_gevent.ami import Message
from amiws_gevent.state.headers import flag, text, whole
from amiws_gevent.state.merge import Item, ListedPart
from amiws_gevent.state.part import Steps, TakeList
from amiws_gevent.state.store import Store

MAILBOX = "mailbox"

# What is null until something says it.
_MAILBOX: Mapping[str, Any] = dict.fromkeys(("name", "waiting", "new", "old"))


class MailboxesPart(ListedPart):
    """The kind ``mailbox``: its key is mailbox@context."""

    kinds = (MAILBOX,)

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self._listed_once: set[str] = set()
        """Those that can be missed: of realtime, and of other servers, events alone tell."""

    @property
    def events(self) -> Mapping[str, Callable[[Message], None]]:
        return {"messagewaiting": self._waiting}

    @property
    def lists(self) -> Mapping[str, TakeList]:
        return {"voicemailuserslist": self._listed}

    def _waiting(self, message: Message) -> None:
        mailbox = message.get("Mailbox") or ""
        waiting = bool(flag(message, "Waiting"))
        fields: dict[str, Any] = {"mailbox": mailbox, "waiting": waiting}
        if message.has("New"):
            fields.update(new=whole(message, "New"), old=whole(message, "Old"))
        elif not waiting:
            fields["new"] = 0
        else:
            fields.update(new=None, old=None)  # other than they were, and nobody says what
        made = {} if self.store.get(MAILBOX, mailbox) is not None else _MAILBOX
        self.store.put(MAILBOX, mailbox, **{**made, **fields})

    def _listed(self, items: Sequence[Message], asked: int) -> Steps:
        mailboxes = {}
        for item in items:
            mailbox = f"{item.get('VoiceMailbox') or ''}@{item.get('VMContext') or ''}"
            new = whole(item, "NewMessageCount")
            fields = {
                "mailbox": mailbox,
                "name": text(item, "Fullname"),
                "waiting": None if new is None else new > 0,
                "new": new,
                "old": whole(item, "OldMessageCount"),
            }
            mailboxes[mailbox] = Item(fields)
            yield
        yield from self.merge(
            MAILBOX, mailboxes, asked, lambda known: known["mailbox"] in self._listed_once
        )
        self._listed_once.update(mailboxes)
