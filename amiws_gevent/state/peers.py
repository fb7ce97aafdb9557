"""Phones and trunks: peers of SIP and IAX, endpoints of PJSIP with their contacts.

Origin: ``channels/chan_sip.c`` (to 20), ``channels/chan_iax2.c``, ``main/stasis_endpoints.c``,
``res/res_pjsip/pjsip_configuration.c`` and ``pjsip_options.c``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar, Final

from amiws_gevent.ami import Message
from amiws_gevent.state.headers import flag, text, whole
from amiws_gevent.state.merge import Item, ListedPart
from amiws_gevent.state.part import Steps, TakeList
from amiws_gevent.state.vocabulary import IDLE, UNAVAILABLE, UNKNOWN, device_word_of, word

PEER, ENDPOINT, CONTACT = "peer", "endpoint", "contact"

_LATENCY: Final = re.compile(r"\((\d+) ms\)")
_REACHING: Final = {"reachable", "unreachable", "lagged"}
_OF_REACHING: Final = {*_REACHING, "unmonitored", "unknown"}
# What lists call otherwise than events: the texts of chan_sip's and chan_iax2's peer_status,
# and the labels of contacts, of which 13 has Created for what is NonQualified from 16 on.
_SAME: Final = {
    "ok": "reachable",
    "created": "unqualified",
    "nonqualified": "unqualified",
    "nonqual": "unqualified",
    "avail": "reachable",
    "unavail": "unreachable",
}
# chan_pjsip_devicestate: while it has no channel, the state of a device is whether it is reached.
_REACHED: Final = {IDLE: "reachable", UNAVAILABLE: "unreachable"}
_UPDATED: Final = "updated"
"""In 13 to 15: registered again, which says nothing of whether it can be reached."""

# What is null until something says it.
_PEER: Final[Mapping[str, Any]] = {
    **dict.fromkeys(
        (
            *("address", "port", "registered", "dynamic", "latency", "description", "raw"),
            *("cause", "rejected", "since", "server_since"),
        )
    ),
    "status": UNKNOWN,
}
_ENDPOINT: Final[Mapping[str, Any]] = {
    **dict.fromkeys(("aors", "transport", "device_state", "reachable", "since", "server_since")),
    "state": UNKNOWN,
}
_CONTACT: Final[Mapping[str, Any]] = dict.fromkeys(
    ("endpoint", "latency_us", "user_agent", "expires", "since", "server_since")
)


class PeersPart(ListedPart):
    """The kinds ``peer``, ``endpoint`` and ``contact``."""

    kinds = (PEER, ENDPOINT, CONTACT)
    dated: ClassVar = {PEER: "status", ENDPOINT: "reachable", CONTACT: "status"}

    @property
    def events(self) -> Mapping[str, Callable[[Message], None]]:
        return {
            "peerstatus": self._peer,
            "contactstatus": self._contact,
            "devicestatechange": self._device,
        }

    @property
    def lists(self) -> Mapping[str, TakeList]:
        return {
            "sippeers": self._sip_listed,
            "iaxpeerlist": self._iax_listed,
            "iaxpeers": self._iax_listed,
            "pjsipshowendpoints": self._endpoints_listed,
            "pjsipshowcontacts": self._contacts_listed,
            "pjsipshowregistrationinboundcontactstatuses": self._contacts_listed,
        }

    # -- events ----------------------------------------------------------------------

    def _peer(self, message: Message) -> None:
        technology = message.get("ChannelType") or ""
        peer = message.get("Peer") or ""
        name = peer.partition("/")[2]
        status = word(message.get("PeerStatus"))
        if technology.upper() == "PJSIP":
            fields = {"name": name, "reachable": status}
            self.put_dated(ENDPOINT, name, message, fields, _ENDPOINT)
        elif status != "rejected":
            fields = _peer_of(technology, name, status, message)
            known = self.store.get(PEER, peer)
            if status == "registered" and known is not None and known["status"] in _REACHING:
                # A phone does so every few minutes: whether it is reached is as it was.
                del fields["status"], fields["raw"]
            self.put_dated(PEER, peer, message, fields, _PEER)
        elif self.store.get(PEER, peer) is not None:
            # Somebody could not register as it: it is what it was. One whom nobody knows is
            # not made, since anybody can try any name.
            self.store.put(PEER, peer, cause=text(message, "Cause"), rejected=self.now)

    def _contact(self, message: Message) -> None:
        aor, uri = message.get("AOR") or "", message.get("URI") or ""
        key, status = f"{aor}|{uri}", _status(message.get("ContactStatus"))
        if status == "removed":
            self.store.remove(CONTACT, key)
            return
        known = self.store.get(CONTACT, key)
        if status == _UPDATED:
            status = known["status"] if known is not None else UNKNOWN
        fields = {
            "aor": aor,
            "uri": uri,
            "status": status,
            "raw": message.get("ContactStatus"),
            "endpoint": text(message, "EndpointName"),
            "latency_us": whole(message, "RoundtripUsec") or None,
        }
        self.put_dated(CONTACT, key, message, fields, _CONTACT)

    def _device(self, message: Message) -> None:
        """Endpoints have no event of their own for what they do."""
        device = message.values.get("Device", "")
        if not device.startswith("PJSIP/"):
            return
        name = device.removeprefix("PJSIP/")
        if self.store.get(ENDPOINT, name) is not None:
            raw = message.values.get("State", "")
            self.store.put(ENDPOINT, name, state=device_word_of(raw), device_state=raw)

    # -- lists -----------------------------------------------------------------------

    def _sip_listed(self, items: Sequence[Message], asked: int) -> Steps:
        return self._peers_listed("SIP", items, asked)

    def _iax_listed(self, items: Sequence[Message], asked: int) -> Steps:
        return self._peers_listed("IAX2", items, asked)

    def _peers_listed(self, technology: str, items: Iterable[Message], asked: int) -> Steps:
        peers = {}
        for item in items:
            # IAXpeers has "name/username", of which IAXpeerlist has the name alone
            name = (item.get("ObjectName") or "").partition("/")[0]
            peers[f"{technology}/{name}"] = Item(_listed_peer(technology, name, item), _PEER)
            yield
        yield from self.merge(
            PEER, peers, asked, lambda known: bool(known["technology"] == technology)
        )

    def _endpoints_listed(self, items: Sequence[Message], asked: int) -> Steps:
        endpoints = {}
        for item in items:
            name, raw = item.get("ObjectName") or "", item.get("DeviceState") or ""
            fields: dict[str, Any] = {
                "name": name,
                "aors": [aor for aor in (item.get("Aor") or "").replace(" ", "").split(",") if aor],
                "transport": text(item, "Transport"),
                "state": device_word_of(raw),
                "device_state": raw,
            }
            reachable = _REACHED.get(fields["state"])
            if reachable is not None:
                fields["reachable"] = reachable
            endpoints[name] = Item(fields, _ENDPOINT)
            yield
        yield from self.merge(ENDPOINT, endpoints, asked)

    def _contacts_listed(self, items: Sequence[Message], asked: int) -> Steps:
        contacts = {}
        for item in items:
            key, fields = _listed_contact(item)
            contacts[key] = Item(fields, _CONTACT)
            yield
        yield from self.merge(CONTACT, contacts, asked)


def _status(value: str | None) -> str:
    status = word(value)
    return _SAME.get(status, status)


def _peer_of(technology: str, name: str, status: str, message: Message) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "name": name,
        "technology": technology,
        "raw": message.get("PeerStatus"),
        "cause": text(message, "Cause"),
    }
    if status == "registered":
        address, port = _address(message)
        fields.update(registered=True, address=address, port=port)
    elif status == "unregistered":
        fields.update(registered=False, address=None, port=None, latency=None)
    fields["status"] = status
    latency = whole(message, "Time")
    if latency is not None:
        fields["latency"] = latency if latency >= 0 else None
    return fields


def _listed_peer(technology: str, name: str, item: Message) -> dict[str, Any]:
    address, port = text(item, "IPaddress"), whole(item, "IPport") or whole(item, "Port")
    raw = item.get("Status") or ""
    status = _status(raw.partition("(")[0])
    dynamic = flag(item, "Dynamic")
    latency = _LATENCY.search(raw)
    registered = address is not None if dynamic else None
    if status not in _OF_REACHING:
        status = UNKNOWN
    if dynamic and status in ("unmonitored", UNKNOWN):
        # the state that events tell of such a peer
        status = "registered" if registered else "unregistered"
    return {
        "name": name,
        "technology": technology,
        "status": status,
        "raw": raw,
        "address": address,
        "port": port or None,
        "dynamic": dynamic,
        "registered": registered,
        "latency": int(latency[1]) if latency else None,
        "description": text(item, "Description"),
    }


def _listed_contact(item: Message) -> tuple[str, dict[str, Any]]:
    """ContactStatusDetail to 15, ContactList from 16 on; there the AOR is in the object's name,
    before ``;@`` and a checksum, or ``@@`` in older databases."""
    aor, uri = item.get("AOR"), item.get("URI") or ""
    if aor is None:
        aor = re.split(r";@|@@", item.get("ObjectName") or "")[0]
    status = _status(item.get("Status"))
    expires = whole(item, "RegExpire") or whole(item, "ExpirationTime")
    return f"{aor}|{uri}", {
        "aor": aor,
        "uri": uri,
        "status": status,
        "raw": item.get("Status"),
        "endpoint": text(item, "EndpointName", "Endpoint"),
        "latency_us": whole(item, "RoundtripUsec") or None,
        "user_agent": text(item, "UserAgent"),
        "expires": expires * 1000 if expires else None,
    }


def _address(message: Message) -> tuple[str | None, int | None]:
    """SIP has ``address:port`` (IPv6 in brackets) as one, IAX to 12 the port for itself."""
    address, port = text(message, "Address"), whole(message, "Port")
    if address is None or port is not None:
        return address, port
    host, colon, number = address.rpartition(":")
    if colon and number.isdigit() and (":" not in host or host.startswith("[")):
        return host.strip("[]"), int(number)
    return address, None
