"""The whole model of one server: every part, each before those that build on it."""

from __future__ import annotations

from collections.abc import Callable

from amiws_gevent.state.agents import AgentsPart
from amiws_gevent.state.bridges import Bridges
from amiws_gevent.state.calls import Ended
from amiws_gevent.state.channels import Channels
from amiws_gevent.state.conferences import ConferencesPart
from amiws_gevent.state.devices import DevicesPart
from amiws_gevent.state.figures import DayOf
from amiws_gevent.state.listedcalls import ListedCalls
from amiws_gevent.state.mailboxes import MailboxesPart
from amiws_gevent.state.model import Model
from amiws_gevent.state.parking import ParkingPart
from amiws_gevent.state.peers import PeersPart
from amiws_gevent.state.queues import QueuesPart
from amiws_gevent.state.registrations import RegistrationsPart
from amiws_gevent.state.servers import ServersPart
from amiws_gevent.state.store import Store


class ServerModel(Model):
    """A model with all parts; those that are told more than messages and lists have names.

    What is said to a part directly (``server.greeted``, ``devices.hint_answered``,
    ``queues.interrupted``) comes after ``begin``, which says when.
    """

    def __init__(
        self, store: Store, calls: ListedCalls, queues: QueuesPart, server: ServersPart
    ) -> None:
        self.calls = calls
        self.queues = queues
        """``figures`` are what is to be kept over a restart of the program."""
        self.devices = DevicesPart(store)
        self.server = server
        super().__init__(
            store,
            (
                Bridges(store, calls.look_again),
                Channels(store, calls),
                calls,
                queues,
                self.devices,
                ConferencesPart(store),
                ParkingPart(store),
                PeersPart(store),
                RegistrationsPart(store),
                MailboxesPart(store),
                AgentsPart(store),
                server,
            ),
        )


def make_model(
    store: Store,
    *,
    day_of: DayOf,
    service_level: int = 20,
    ended: Callable[[Ended], None] | None = None,
    server_part: ServersPart | None = None,
) -> ServerModel:
    """A model that keeps its entities in ``store``.

    ``day_of`` says which day a time belongs to, ``service_level`` are the seconds within which
    a queue's caller should be answered, ``ended`` gets each call that is over. The server's own
    entity is kept by ``server_part``, which may have another store; else it is in ``store`` too.
    """
    server = ServersPart(store) if server_part is None else server_part
    calls = ListedCalls(store, ended, server.call_started)
    queues = QueuesPart(store, day_of=day_of, service_level=service_level)
    return ServerModel(store, calls, queues, server)
