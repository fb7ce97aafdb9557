"""Registrations of the server with others, mostly trunks.

Origin: ``channels/chan_sip.c``, ``channels/chan_iax2.c``, ``main/stasis_system.c`` and
``res/res_pjsip_outbound_registration.c``. IAX2 of 11 names the domain when it is registered
and the user name when it is rejected, never both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar

from amiws_gevent.ami import Message
from amiws_gevent.state.headers import since_epoch, text
from amiws_gevent.state.merge import Item, ListedPart
from amiws_gevent.state.part import Steps, TakeList
from amiws_gevent.state.vocabulary import word

REGISTRATION = "registration"

# What is null until something says it.
_REGISTRATION: Mapping[str, Any] = dict.fromkeys(
    ("name", "cause", "registered_at", "since", "server_since")
)


class RegistrationsPart(ListedPart):
    """The kind ``registration``: its key is technology|user name|domain."""

    kinds = (REGISTRATION,)
    dated: ClassVar = {REGISTRATION: "status"}

    @property
    def events(self) -> Mapping[str, Callable[[Message], None]]:
        return {"registry": self._registry}

    @property
    def lists(self) -> Mapping[str, TakeList]:
        return {
            "sipshowregistry": self._sip_listed,
            "iaxregistry": self._iax_listed,
            "pjsipshowregistrationsoutbound": self._pjsip_listed,
        }

    def _registry(self, message: Message) -> None:
        technology = message.get("ChannelType") or ""
        username, domain = text(message, "Username"), text(message, "Domain")
        key = self._find(technology, username, domain)
        said = {
            "status": word(message.get("Status")),
            "raw": message.get("Status"),
            "cause": text(message, "Cause"),
        }
        who = {"technology": technology, "username": username, "domain": domain}
        self.put_dated(REGISTRATION, key, message, said, {**_REGISTRATION, **who})

    def _find(self, technology: str, username: str | None, domain: str | None) -> str:
        """The key of the one that a message can mean; its own if that is none, or many."""
        alike = [
            key
            for key, known in self.store.of(REGISTRATION).items()
            if known["technology"] == technology
            and _same(known["username"], username)
            and _same(known["domain"], domain)
        ]
        return alike[0] if len(alike) == 1 else _key(technology, username, domain)

    def _sip_listed(self, items: Sequence[Message], asked: int) -> Steps:
        # the event's Domain is the list's Host
        return self._listed("SIP", items, asked, "Username", "Host", "State")

    def _iax_listed(self, items: Sequence[Message], asked: int) -> Steps:
        return self._listed("IAX2", items, asked, "Username", "Host", "State")

    def _pjsip_listed(self, items: Sequence[Message], asked: int) -> Steps:
        ours = (item for item in items if item.name.lower() == "outboundregistrationdetail")
        return self._listed("PJSIP", ours, asked, "ClientUri", "ServerUri", "Status")

    def _listed(self, technology: str, items: Iterable[Message], asked: int, *names: str) -> Steps:
        registrations = {}
        for item in items:
            username, domain = text(item, names[0]), text(item, names[1])
            raw = item.get(names[2])
            fields = {
                "technology": technology,
                "username": username,
                "domain": domain,
                "status": word(raw),
                "raw": raw,
                "name": text(item, "ObjectName"),
                "registered_at": since_epoch(item, "RegistrationTime"),
            }
            key = self._find(technology, username, domain)
            registrations[key] = Item(fields, _REGISTRATION)
            yield
        yield from self.merge(
            REGISTRATION,
            registrations,
            asked,
            lambda known: bool(known["technology"] == technology),
        )


def _key(technology: str, username: str | None, domain: str | None) -> str:
    return f"{technology}|{username or ''}|{domain or ''}"


def _same(known: str | None, told: str | None) -> bool:
    """Whether two can be the same; a port does not tell hosts apart, as events may lack it."""
    if known is None or told is None:
        return True
    return known == told or _host(known) == _host(told)


def _host(value: str) -> str:
    host, colon, port = value.rpartition(":")
    return host if colon and port.isdigit() else value
