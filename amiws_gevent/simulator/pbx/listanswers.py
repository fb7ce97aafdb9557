"""The lists that the simulated PBX answers with, true to its state.

Headers and their order are those of recorded sessions of 13.38 and 22.11; what an Asterisk 11 has
otherwise is in ``asterisk11``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from amiws_gevent.simulator.pbx import asterisk11, console, listings, phones, places
from amiws_gevent.simulator.pbx.model import HINT_STATES, Device
from amiws_gevent.simulator.pbx.simulation import Simulation
from amiws_gevent.simulator.pbx.switch import CONTEXT_HINTS, hint_headers
from amiws_gevent.simulator.serving.requests import Request, id_line, refuse, respond


class ListAnswers:
    """Answers to actions that list something; ``handlers`` has each with the classes it needs."""

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation
        self._switch = simulation.switch
        self._style = simulation.style

    def handlers(self) -> dict[str, tuple[Callable[[Request], str], str]]:
        """By the action's name."""
        handlers = {
            "Agents": (self._agents, "agent"),
            "ConfbridgeList": (self._confbridge_list, "reporting"),
            "ConfbridgeListRooms": (self._confbridge_list_rooms, "reporting"),
            "CoreShowChannels": (self._core_show_channels, "system,reporting"),
            "ExtensionState": (self._extension_state, "call,reporting"),
            "ParkedCalls": (self._parked_calls, "call" if self._style.stasis else ""),
            "QueueStatus": (self._queue_status, ""),
            "QueueSummary": (self._queue_summary, ""),
            "Status": (self._status, "system,call,reporting"),
            "VoicemailUsersList": (self._voicemail_users_list, "call,reporting"),
        }
        if self._style.stasis:
            handlers |= self._since_13()
        if self._style.meetme:
            handlers |= {
                "MeetmeList": (self._meetme_list, "reporting"),
                "MeetmeListRooms": (self._meetme_list_rooms, "reporting"),
            }
        if self._style.branch:
            handlers["IAXpeerlist"] = (self._iax_peers, "system,reporting")
            handlers["IAXpeers"] = (self._iax_peers_bare, "system,reporting")
        if self._style.queues_action:
            handlers["Queues"] = (self._queues, "")
        return handlers | (self._of_sip() if self._style.technology == "SIP" else self._of_pjsip())

    def _since_13(self) -> dict[str, tuple[Callable[[Request], str], str]]:
        return {
            "BridgeList": (self._bridge_list, ""),
            "DeviceStateList": (self._device_state_list, "call,reporting"),
            "ExtensionStateList": (self._extension_state_list, "call,reporting"),
            "Parkinglots": (self._parking_lots, "call"),
            "PresenceStateList": (self._presence_state_list, "call,reporting"),
        }

    def _of_sip(self) -> dict[str, tuple[Callable[[Request], str], str]]:
        """What ``chan_sip`` has."""
        return {
            "SIPpeers": (self._sip_peers, "system,reporting"),
            "SIPshowregistry": (self._sip_registry, "system,reporting"),
        }

    def _of_pjsip(self) -> dict[str, tuple[Callable[[Request], str], str]]:
        """What ``res_pjsip`` and ``res_pjsip_outbound_registration`` have."""
        return {
            "PJSIPShowContacts": (self._pjsip_contacts, "system"),
            "PJSIPShowEndpoints": (self._pjsip_endpoints, "system"),
            "PJSIPShowRegistrationsOutbound": (self._pjsip_registrations, "system,reporting"),
        }

    def _list(
        self, request: Request, message: str, items: Iterable[str], end: str, count: bool = False
    ) -> str:
        """An answer in many packets. Each item is an event without its blank line."""
        identity = id_line(request)
        events = list(items)
        bare = False
        if not self._style.stasis:
            events, bare = [asterisk11.listed(event) for event in events], end in asterisk11.BARE
        total = f"Items: {len(events)}\r\n" if count else ""
        start, complete = "", ""
        if not bare:
            start, complete = "EventList: start\r\n", "EventList: Complete\r\n"
            total = f"ListItems: {len(events)}\r\n{total}"
        return (
            f"Response: Success\r\n{identity}{start}Message: {message}\r\n\r\n"
            + "".join(f"{event}\r\n" for event in events)
            + f"Event: {end}\r\n{identity}{complete}{total}\r\n"
        )

    def _core_show_channels(self, request: Request) -> str:
        identity, now = id_line(request), self._simulation.now
        show = listings.core_show_channel
        if not self._style.stasis:
            show = listings.core_show_channel_11
        items = [show(c, identity, now) for c in self._switch.channels.values()]
        return self._list(request, "Channels will follow", items, "CoreShowChannelsComplete")

    def _status(self, request: Request) -> str:
        channels = list(self._switch.channels.values())
        if request.get("Channel"):
            channel = self._switch.channel_named(request.get("Channel"))
            if channel is None:
                return refuse(request, "No such channel")
            channels = [channel]
        names = [name for name in request.get("Variables").split(",") if name]
        every = self._style.all_variables and request.flag("AllVariables")
        items = []
        for channel in channels:
            variables = {name: channel.variables.get(name, "") for name in names}
            if every:
                variables |= channel.variables
            now, identity = self._simulation.now, id_line(request)
            if self._style.stasis:
                items.append(listings.status(channel, self._style, variables, identity, now))
            else:
                items.append(listings.status_11(channel, identity, now))
        return self._list(request, "Channel status will follow", items, "StatusComplete", True)

    def _queue_status(self, request: Request) -> str:
        items: list[str] = []
        for queue in self._switch.queues.values():
            if request.get("Queue").lower() in ("", queue.name):
                items += listings.queue_status(
                    queue,
                    self._style,
                    request.get("Member"),
                    id_line(request),
                    self._simulation.now,
                )
        return self._list(request, "Queue status will follow", items, "QueueStatusComplete")

    def _queue_summary(self, request: Request) -> str:
        items = [
            listings.queue_summary(queue, id_line(request), self._simulation.now)
            for queue in self._switch.queues.values()
            if request.get("Queue").lower() in ("", queue.name)
        ]
        return self._list(request, "Queue summary will follow", items, "QueueSummaryComplete")

    def _queues(self, request: Request) -> str:
        """Plain text without any header, and two blank lines at its end: Asterisk up to 13."""
        text = console.queue_show(self._simulation, request.get("Queue"))
        return text.replace("\n", "\r\n") + "\r\n\r\n"

    def _bridge_list(self, request: Request) -> str:
        items = [
            f"Event: BridgeListItem\r\n{id_line(request)}{bridge.headers()}"
            for bridge in self._switch.bridges.values()
        ]
        return self._list(request, "Bridge listing will follow", items, "BridgeListComplete")

    def _named(self, request: Request, event: str, bodies: Iterable[str]) -> list[str]:
        """Items of one name."""
        identity = id_line(request)
        return [f"Event: {event}\r\n{identity}{body}" for body in bodies]

    def _device_state_list(self, request: Request) -> str:
        states = {device.name: device.state.name for device in self._switch.devices.values()}
        items = self._named(
            request,
            "DeviceStateChange",
            (
                f"Device: {name}\r\nState: {state}\r\n"
                for name, state in (states | self._switch.told_devices).items()
            ),
        )
        end = "DeviceStateListComplete"
        return self._list(request, "Device State Changes will follow", items, end)

    def _extension_state_list(self, request: Request) -> str:
        hints = map(hint_headers, self._switch.hints.values())
        items = self._named(request, "ExtensionStatus", hints)
        end = "ExtensionStateListComplete"
        return self._list(request, "Extension Statuses will follow", items, end)

    def _extension_state(self, request: Request) -> str:
        """An extension without a hint has the status -1 (manager.c, ``action_extensionstate``)."""
        exten, context = request.get("Exten"), request.get("Context") or "default"
        if not exten:
            return refuse(request, "Extension not specified")
        device = self._switch.hints.get(exten) if context == CONTEXT_HINTS else None
        status, words = HINT_STATES[device.state] if device else (-1, "Unknown")
        tail = (
            f"Exten: {exten}\r\nContext: {context}\r\nHint: {device.name if device else ''}\r\n"
            f"Status: {status}\r\n"
        )
        if self._style.stasis:
            tail += f"StatusText: {words}\r\n"
        return respond(request, "Success", "Extension Status", tail)

    def _confbridge_list_rooms(self, request: Request) -> str:
        conferences = [c for c in self._switch.conferences.values() if c.bridge is not None]
        if not conferences:
            return refuse(request, "No active conferences.")
        items = self._named(request, "ConfbridgeListRooms", map(listings.conference, conferences))
        end = "ConfbridgeListRoomsComplete"
        return self._list(request, "Confbridge conferences will follow", items, end)

    def _confbridge_list(self, request: Request) -> str:
        name = request.get("Conference")
        if not name:
            return refuse(request, "No Conference name provided.")
        if not self._switch.conferences:
            return refuse(request, "No active conferences.")
        conference = self._switch.conferences.get(name)
        if conference is None or conference.bridge is None:
            return refuse(request, "No Conference by that name found.")
        now = self._simulation.now
        seats = (listings.seat(seat, now) for seat in conference.seats)
        items = self._named(request, "ConfbridgeList", seats)
        end = "ConfbridgeListComplete"
        return self._list(request, "Confbridge user list will follow", items, end)

    def _meetme_list_rooms(self, request: Request) -> str:
        conferences = [c for c in self._switch.conferences.values() if c.bridge is None]
        if not conferences:
            return refuse(request, "No active conferences.")
        items = self._named(request, "MeetmeListRooms", map(listings.meetme_room, conferences))
        return self._list(request, "Meetme list will follow", items, "MeetmeListRoomsComplete")

    def _meetme_list(self, request: Request) -> str:
        """Without a conference: who is in any (app_meetme.c, ``action_meetmelist``)."""
        name = request.get("Conference")
        seats = [
            seat
            for conference in self._switch.conferences.values()
            if conference.bridge is None and name in ("", conference.name)
            for seat in conference.seats
        ]
        if not seats:
            return refuse(request, "No active conferences.")
        items = self._named(request, "MeetmeList", map(listings.meetme_seat, seats))
        return self._list(request, "Meetme user list will follow", items, "MeetmeListComplete")

    def _parked_calls(self, request: Request) -> str:
        bodies = (places.parked_headers(self._switch, p) for p in self._switch.parked.values())
        items = self._named(request, "ParkedCall", bodies)
        return self._list(request, "Parked calls will follow", items, "ParkedCallsComplete")

    def _parking_lots(self, request: Request) -> str:
        items = self._named(request, "Parkinglot", [listings.parking_lot()])
        return self._list(request, "Parking lots will follow", items, "ParkinglotsComplete")

    def _agents(self, request: Request) -> str:
        """Their ActionID stands at the end (app_agent_pool.c, ``action_agents``)."""
        identity = id_line(request)
        items = [
            f"Event: Agents\r\n{phones.agent_entry(agent)}{identity}"
            for agent in self._switch.agents.values()
        ]
        return self._list(request, "Agents will follow", items, "AgentsComplete")

    def _voicemail_users_list(self, request: Request) -> str:
        boxes = map(phones.mailbox, phones.handsets(self._switch))
        items = self._named(request, "VoicemailUserEntry", boxes)
        end = "VoicemailUserEntryComplete"
        return self._list(request, "Voicemail user list will follow", items, end)

    def _of_technology(self) -> list[Device]:
        """Without those of IAX."""
        lead = f"{self._style.technology}/"
        return [device for device in self._switch.devices.values() if device.name.startswith(lead)]

    def _iax_peers(self, request: Request) -> str:
        items = self._named(request, "PeerEntry", map(phones.iax_entry, self._branches()))
        return self._list(request, "IAX Peer status list will follow", items, "PeerlistComplete")

    def _iax_peers_bare(self, request: Request) -> str:
        """Its items carry no ActionID (chan_iax2.c, ``_iax2_show_peers_one``)."""
        items = [f"Event: PeerEntry\r\n{phones.iax_entry(each)}" for each in self._branches()]
        return self._list(request, "Peer status list will follow", items, "PeerlistComplete")

    def _branches(self) -> list[Device]:
        return [d for d in self._switch.devices.values() if d.name.startswith("IAX2/")]

    def _presence_state_list(self, request: Request) -> str:
        bodies = map(phones.presence_headers, self._switch.presences.items())
        items = self._named(request, "PresenceStateChange", bodies)
        end = "PresenceStateListComplete"
        return self._list(request, "Presence State Changes will follow", items, end)

    def _sip_peers(self, request: Request) -> str:
        peers = map(phones.peer_entry, self._of_technology())
        items = self._named(request, "PeerEntry", peers)
        return self._list(request, "Peer status list will follow", items, "PeerlistComplete")

    def _sip_registry(self, request: Request) -> str:
        entries = map(phones.registry_entry, self._switch.registrations)
        items = self._named(request, "RegistryEntry", entries)
        return self._list(request, "Registrations will follow", items, "RegistrationsComplete")

    def _pjsip_endpoints(self, request: Request) -> str:
        endpoints = map(phones.endpoint, self._of_technology())
        items = self._named(request, "EndpointList", endpoints)
        message = "A listing of Endpoints follows, presented as EndpointList events"
        return self._list(request, message, items, "EndpointListComplete")

    def _pjsip_contacts(self, request: Request) -> str:
        contacts = map(phones.contact, self._of_technology())
        items = self._named(request, "ContactList", contacts)
        message = "A listing of Contacts follows, presented as ContactList events"
        return self._list(request, message, items, "ContactListComplete")

    def _pjsip_registrations(self, request: Request) -> str:
        details = map(phones.outbound_registration, self._switch.registrations)
        items = self._named(request, "OutboundRegistrationDetail", details)
        message = "Following are Events for each Outbound registration"
        return self._list(request, message, items, "OutboundRegistrationDetailComplete")
