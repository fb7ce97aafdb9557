"""Actions that edges have split by server, and what holds them back: the lease, and the time.

An edge has counted what its client does, by limits that all edges share, and has asked the plugins.
So nothing is counted here: each server of an action comes by itself. Rights are checked again.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping

from amiws_gevent.actions import ActionProblem, ActionRequest, ActionService, Submission
from amiws_gevent.actions.limits import ActionLimits, Client
from amiws_gevent.actions.reply import RETRY_AFTER
from amiws_gevent.actions.run import Told
from amiws_gevent.actions.service import Late, owner_of
from amiws_gevent.config import AmiHost
from amiws_gevent.errors import NotConnected
from amiws_gevent.link import Answer, Link
from amiws_gevent.plugins.api import ClientInfo

OTHER_ROLES = "the collector has other roles in force than the edge: reload all processes"
NO_LEASE = "this collector has not, or may have lost, the lease of this server"


class HeldLink:
    """A link that nothing is sent over while another collector may have the server's lease.

    ``link`` is None while this collector has none to the server.
    """

    def __init__(self, host: AmiHost, link: Link | None, holds: Callable[[], bool]) -> None:
        self.host = host
        self._link = link
        self._holds = holds

    def ask(
        self, action: tuple[tuple[str, str], ...], *, timeout: float, wait: bool = False
    ) -> Answer:
        """See `Link.ask`."""
        return self._checked().ask(action, timeout=timeout, wait=wait)

    def send(self, data: bytes, *, holding: float = 0.0) -> None:
        """See `Link.send`."""
        self._checked().send(data, holding=holding)

    def _checked(self) -> Link:
        if self._link is None or not self._holds():
            raise NotConnected(NO_LEASE)
        return self._link


class HeldLinks(Mapping[int, HeldLink]):
    """Links by server, of all that are configured.

    ``hosts`` gives these; ``holds`` says of a server whether its lease is certainly held.
    """

    def __init__(
        self,
        hosts: Callable[[], Mapping[int, AmiHost]],
        links: Mapping[int, Link],
        holds: Callable[[int], bool],
    ) -> None:
        self._hosts = hosts
        self._links = links
        self._holds = holds

    def __getitem__(self, server: int) -> HeldLink:
        host = self._hosts()[server]
        return HeldLink(host, self._links.get(server), lambda: self._holds(server))

    def __iter__(self) -> Iterator[int]:
        return iter(self._hosts())

    def __len__(self) -> int:
        return len(self._hosts())


class Uncounted(ActionLimits):
    """No limits: what comes from edges was counted there."""

    def take(self, client: Client) -> None:
        """See `ActionLimits.take`."""

    def begin(self, client: Client) -> None:
        """See `ActionLimits.begin`."""

    def end(self, client: Client) -> None:
        """See `ActionLimits.end`."""


class PartActions(ActionService):
    """Does of a request what one server is to do."""

    def check_rights(self, request: ActionRequest, client: ClientInfo, digest: str) -> None:
        """Raise ActionProblem unless the client has the rights here that it has at its edge.

        A reload may have come there before. What is answered is limited here, by rights of here.
        """
        if self._rights_of(client.identity).digest != digest:
            problem = ActionProblem("not_allowed", OTHER_ROLES, RETRY_AFTER)
            self._refuse(client, problem, request)
            raise problem

    def submit_part(
        self, request: ActionRequest, server: int, client: ClientInfo, reply: Told, late: Late
    ) -> Submission:
        """See `ActionService.submit`; ``request`` names all servers, as the client has.

        An idempotency key is kept for each server, with the whole request, so that another one
        with the same key is known.
        """
        part = dataclasses.replace(request, servers=(server,))
        checked, servers, rights = self._permitted(part, client)
        whole = dataclasses.replace(checked, servers=request.servers)
        owner = (*owner_of(client), str(server))
        return self._join(self._run(whole, servers, client, owner, rights, late), client, reply)

    def _check_client(self, client: ClientInfo) -> None:
        """The edge has counted its client's requests."""
