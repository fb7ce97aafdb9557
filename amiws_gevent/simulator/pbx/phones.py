"""Phones, carriers and mailboxes as the server sees them: whether they can be reached, and what
waits for whom.

Events are those of ``main/stasis_endpoints.c``, ``main/stasis_system.c`` and
``main/manager_mwi.c``; the lists are those of ``channels/chan_sip.c``, ``res/res_pjsip`` and
``apps/app_voicemail.c``.
"""

from __future__ import annotations

from typing import Final

from amiws_gevent.simulator.pbx.model import (
    DEVICE_STATE_TEXTS,
    Agent,
    Device,
    Presence,
    Registration,
    escape_c,
)
from amiws_gevent.simulator.pbx.switch import CONTEXT_HINTS, Switch

_DOMAINS: Final = ("sip.example.com", "voip.example.net")
_PORT: Final = 5060


def furnish(switch: Switch) -> None:
    """Registrations with carriers, messages in some mailboxes, agents for the stage's phones."""
    for device, domain in zip(trunks(switch), _DOMAINS, strict=False):
        switch.registrations.append(
            Registration(device.label, f"customer-{device.label}", domain, int(switch.now))
        )
    for place, device in enumerate(handsets(switch)):
        if device.account != "stage":
            device.new_messages, device.old_messages = (place % 5 == 2) * 2, place % 4
        if device.account == "stage":
            switch.agents[device.number] = Agent(device.number, device.label)
            switch.told_devices[f"Agent:{device.number}"] = "UNAVAILABLE"


def handsets(switch: Switch) -> list[Device]:
    return [device for device in switch.devices.values() if not device.trunk]


def trunks(switch: Switch) -> list[Device]:
    return [device for device in switch.devices.values() if device.trunk]


# Events


def reach(switch: Switch, device: Device, reachable: bool) -> None:
    """A phone answers no more, or again."""
    device.reachable = reachable
    word = "Reachable" if reachable else "Unreachable"
    name = device.name.partition("/")[2]
    technology = device.name.partition("/")[0]
    time = ""
    if technology != "PJSIP":
        time = f"Time: {latency(device) if reachable else -1}\r\n"
    else:
        switch.out.append(
            "Event: ContactStatus\r\nPrivilege: system,all\r\n"
            f"URI: {uri(device)}\r\nContactStatus: {word}\r\nAOR: {name}\r\n"
            f"EndpointName: {name}\r\n"
            f"RoundtripUsec: {latency(device) * 1000 if reachable else 0}\r\n\r\n"
        )
    switch.out.append(
        f"Event: PeerStatus\r\nPrivilege: system,all\r\nChannelType: {technology}\r\n"
        f"Peer: {device.name}\r\nPeerStatus: {word}\r\n{time}\r\n"
    )
    switch.device_changed(device)


def register(switch: Switch, registration: Registration, registered: bool) -> None:
    """A carrier accepts the server, or rejects it."""
    registration.registered = registered
    registration.at = int(switch.now)
    switch.out.append(
        "Event: Registry\r\nPrivilege: system,all\r\n"
        f"ChannelType: {switch.style.technology}\r\n{_who(switch, registration)}"
        f"Status: {_status(registration)}\r\n\r\n"
    )


def _who(switch: Switch, registration: Registration) -> str:
    """PJSIP tells URIs, chan_sip names."""
    username, domain = registration.username, registration.domain
    if switch.style.technology == "PJSIP":
        username, domain = _uris(registration)
    return f"Username: {username}\r\nDomain: {domain}\r\n"


def _uris(registration: Registration) -> tuple[str, str]:
    """Of the client and of the server."""
    domain = f"sip:{registration.domain}"
    return f"sip:{registration.username}@{registration.domain}", domain


def _status(registration: Registration) -> str:
    return "Registered" if registration.registered else "Rejected"


def messages(switch: Switch, device: Device, new: int, old: int) -> None:
    device.new_messages, device.old_messages = new, old
    switch.out.append(
        "Event: MessageWaiting\r\nPrivilege: call,all\r\n"
        f"Mailbox: {device.number}@default\r\nWaiting: {int(new > 0)}\r\n"
        f"New: {new}\r\nOld: {old}\r\n\r\n"
    )


def presence(switch: Switch, device: Device, state: str, message: str = "") -> None:
    """Somebody says that he is away, or here again. Before 13 only his hint tells it."""
    name = f"CustomPresence:{device.number}"
    switch.presences[name] = Presence(state, message=message)
    if switch.style.stasis:
        headers = presence_headers((name, switch.presences[name]))
        switch.out.append(f"Event: PresenceStateChange\r\nPrivilege: call,all\r\n{headers}\r\n")
    else:
        switch.out.append(
            "Event: PresenceStatus\r\nPrivilege: call,all\r\n"
            f"Exten: {device.number}\r\nContext: {CONTEXT_HINTS}\r\nHint: {device.name}\r\n"
            f"Status: {state}\r\nSubtype: \r\nMessage: {message}\r\n\r\n"
        )


def do_not_disturb(switch: Switch, device: Device, on: bool) -> None:
    """By the habit of FreePBX: a device of its own, and a phone that refuses."""
    device.refuses = "BUSY" if on else ""
    switch.device_event(f"Custom:DND{device.number}", "INUSE" if on else "NOT_INUSE")


# What lists say


def latency(device: Device) -> int:
    """Milliseconds."""
    return 12 + int(device.number or "0") % 40


def address(device: Device) -> str:
    """Of TEST-NET-1 (RFC 5737), where no phone is."""
    return f"192.0.2.{1 + int(device.number or '0') % 250}"


def uri(device: Device) -> str:
    name = device.name.partition("/")[2]
    return f"sip:{name}@{address(device)}:{_PORT}"


def peer_entry(device: Device) -> str:
    status = f"OK ({latency(device)} ms)" if device.reachable else "UNREACHABLE"
    dynamic = "no" if device.trunk else "yes"
    return (
        f"Channeltype: SIP\r\nObjectName: {device.name.partition('/')[2]}\r\n"
        f"ChanObjectType: peer\r\nIPaddress: {address(device)}\r\nIPport: {_PORT}\r\n"
        f"Dynamic: {dynamic}\r\nAutoForcerport: no\r\nForcerport: no\r\nAutoComedia: no\r\n"
        "Comedia: no\r\nVideoSupport: no\r\nTextSupport: no\r\nACL: no\r\n"
        f"Status: {status}\r\nRealtimeDevice: no\r\nDescription: {device.label}\r\n"
        f"Accountcode: {device.account}\r\n"
    )


def iax_entry(device: Device) -> str:
    """chan_iax2.c, ``_iax2_show_peers_one``."""
    status = f"OK ({latency(device)} ms)" if device.reachable else "UNREACHABLE"
    return (
        f"Channeltype: IAX2\r\nObjectName: {device.name.partition('/')[2]}\r\n"
        f"ChanObjectType: peer\r\nIPaddress: {address(device)}\r\nIPport: 4569\r\n"
        f"Dynamic: no\r\nTrunk: yes\r\nEncryption: no\r\nStatus: {status}\r\n"
    )


def presence_headers(told: tuple[str, Presence]) -> str:
    name, presence = told
    return (
        f"Presentity: {name}\r\nStatus: {presence.state}\r\nSubtype: {presence.subtype}\r\n"
        f"Message: {escape_c(presence.message)}\r\n"
    )


def endpoint(device: Device) -> str:
    name = device.name.partition("/")[2]
    channels = ",".join(channel.name.partition("/")[2] for channel in device.channels)
    return (
        f"ObjectType: endpoint\r\nObjectName: {name}\r\nTransport: transport-udp\r\n"
        f"Aor: {name}\r\nAuths: auth-{name}\r\nOutboundAuths: \r\n"
        f"Contacts: {name}/{uri(device)},\r\n"
        f"DeviceState: {DEVICE_STATE_TEXTS[device.state]}\r\nActiveChannels: {channels}\r\n"
    )


def contact(device: Device) -> str:
    name = device.name.partition("/")[2]
    status = "Reachable" if device.reachable else "Unreachable"
    round_trip = str(latency(device) * 1000) if device.reachable else "N/A"
    return (
        f"ObjectType: contact\r\nObjectName: {name};@{device.number or name}\r\n"
        f"Uri: {uri(device)}\r\nEndpoint: {name}\r\nStatus: {status}\r\n"
        f"RoundtripUsec: {round_trip}\r\n"
    )


def registry_entry(registration: Registration) -> str:
    return (
        f"Host: {registration.domain}\r\nPort: {_PORT}\r\nUsername: {registration.username}\r\n"
        f"Domain: {registration.domain}\r\nDomainPort: {_PORT}\r\nRefresh: 105\r\n"
        f"State: {_status(registration)}\r\nRegistrationTime: {registration.at}\r\n"
    )


def outbound_registration(registration: Registration) -> str:
    client, server = _uris(registration)
    return (
        f"ObjectType: registration\r\nObjectName: {registration.name}\r\n"
        f"ClientUri: {client}\r\nServerUri: {server}\r\nStatus: {_status(registration)}\r\n"
        "NextReg: 60\r\n"
    )


def mailbox(device: Device) -> str:
    return (
        f"VMContext: default\r\nVoiceMailbox: {device.number}\r\nFullname: {device.label}\r\n"
        f"Email: \r\nNewMessageCount: {device.new_messages}\r\n"
        f"OldMessageCount: {device.old_messages}\r\n"
    )


def agent_entry(agent: Agent) -> str:
    head = f"Agent: {agent.number}\r\nName: {agent.name}\r\n"
    if agent.channel is None:
        return f"{head}Status: AGENT_LOGGEDOFF\r\n"
    return f"{head}Status: AGENT_IDLE\r\nLoggedInTime: {agent.login}\r\n{agent.channel.headers()}"
