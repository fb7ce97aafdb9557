"""Handles clients: when one connects, sends an action, or disconnects."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from amiws_gevent.access import CHANGED, Access
from amiws_gevent.batch import Batch
from amiws_gevent.dispatch import Dispatcher
from amiws_gevent.hub import Hub
from amiws_gevent.plugins.api import ClientInfo
from amiws_gevent.plugins.manager import Plugins
from amiws_gevent.policy import Rights
from amiws_gevent.runtime.peers import name_of
from amiws_gevent.v2.service import Service
from amiws_gevent.v2.session import Session
from amiws_gevent.views import Encoding, View
from amiws_gevent.web.counts import FELL_BEHIND
from amiws_gevent.web.frames import RIGHTS_CHANGED, text_frames
from amiws_gevent.web.websocket import WebSocketClient


class ClassicView(View):
    """All that servers say to everybody, as amiws sends it."""

    def texts(self, batch: Batch) -> Sequence[bytes]:
        return () if batch.of_plugins else batch.json


@dataclass(frozen=True)
class ClassicPart(ClassicView):
    """That of some servers alone, for clients whose roles open the classic socket for these."""

    servers: frozenset[int] = frozenset()

    def texts(self, batch: Batch) -> Sequence[bytes]:
        return super().texts(batch) if batch.server.id in self.servers else ()


CLASSIC = ClassicView("classic", text_frames)

V2 = "v2"
"""What metrics and plugins know clients of ``amiws.v2`` by."""

VIEW_NAMES = (CLASSIC.name, V2)

_log = logging.getLogger("amiws_gevent.clients")


class _Member(NamedTuple):
    info: ClientInfo
    rights: Rights
    """Those that it began with."""
    session: Session | None
    """None on the classic socket."""
    view: ClassicView = CLASSIC
    """Of the classic socket."""


class Clients:
    """The web side's ``Sessions``: classic clients get all, those of ``amiws.v2`` a session."""

    def __init__(
        self, hub: Hub, dispatcher: Dispatcher, v2: Service, access: Access | None = None
    ) -> None:
        self.plugins = Plugins()
        self.opened_clients: Counter[str] = Counter()
        """Clients that connected, by the name of their view."""
        self.v2 = v2
        self._hub = hub
        self._dispatcher = dispatcher
        self._access = access
        self._members: dict[WebSocketClient, _Member] = {}

    def counts(self) -> Counter[str]:
        """How many clients there are, by the name of their view."""
        return Counter([member.info.view for member in self._members.values()])

    def opened(self, client: WebSocketClient) -> None:
        """Subscribe a client that was accepted, or open its session."""
        kind, access = client.identity.kind, self._access
        rights = Rights.everything if access is None else access.rights_of(client.identity)
        if client.subprotocol is None:
            info = ClientInfo(client.address, client.user, CLASSIC.name, kind)
            member = _Member(info, rights, None, self._classic(rights, client.encode))
            self._hub.add(client.outlet, member.view)
        else:
            info = ClientInfo(client.address, client.user, V2, kind)
            member = _Member(info, rights, self.v2.open(client, info))
        self._members[client] = member
        self.opened_clients[info.view] += 1
        _log.info("client %s connected", name_of(info))
        self.plugins.client_connected(info)
        if access is not None:  # others may be in force since the gate has asked
            self._check_rights(client, access)

    def _classic(self, rights: Rights, encode: Encoding) -> ClassicView:
        """What the classic socket shows; clients with equal servers and encoding share it."""
        servers = None if self._access is None else self._access.classic_servers(rights)
        if servers is None:
            return ClassicView(CLASSIC.name, encode)
        return ClassicPart(CLASSIC.name, encode, (), servers)

    def check_rights(self) -> None:
        """Other roles are in force: close those whose rights are not what they were. Never yields.

        They come back, and begin with what they may see and do now. A client of ``amiws.v2`` that
        may do the same as before gets what it sees now anew instead.
        """
        access = self._access
        if access is None:
            return
        for client in list(self._members):
            self._check_rights(client, access)

    def _check_rights(self, client: WebSocketClient, access: Access) -> None:
        member = self._members[client]
        identity = member.info.identity
        rights = access.rights_of(identity)
        if member.session is None and access.classic_refusal(identity):
            client.dismiss(RIGHTS_CHANGED, CHANGED)
        elif rights == member.rights:
            return
        elif member.session is not None and rights.does_as(member.rights):
            member.session.use_rights(rights)
            self._members[client] = member._replace(rights=rights)
        else:
            client.dismiss(RIGHTS_CHANGED, CHANGED)

    def received(self, client: WebSocketClient, text: str) -> None:
        """Do what a client asks for, or answer with an error."""
        member = self._members[client]
        info, session = member.info, member.session
        if session is not None:
            session.received(text)
            return
        self._dispatcher.dispatch(
            text,
            client=info,
            authorize=lambda action: self.plugins.authorize_action(action, info),
            answer=client.send_text,
        )

    def closed(self, client: WebSocketClient, code: int, reason: str) -> None:
        """Forget a client that is gone."""
        member = self._members.pop(client, None)
        if member is None:
            return
        info, session = member.info, member.session
        if session is None:
            self._hub.remove(client.outlet, member.view)
        else:
            self.v2.close(session)
        # Hundreds may fall behind at once; web.counts.Laggards logs those, one line a second.
        level = logging.DEBUG if client.close_kind in FELL_BEHIND else logging.INFO
        _log.log(level, "client %s closed: %s", name_of(info), f"{code} {reason}".rstrip())
        self.plugins.client_disconnected(info, code, reason)
