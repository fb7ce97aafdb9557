"""The rules that come with the plugin: what whoever runs a PBX wants to be told.

Names of events and headers are those of Asterisk 13 to 22: PeerStatus and
ContactStatus of main/stasis_endpoints.c (chan_sip and chan_iax2 set ``Lagged``,
PJSIP does not), Registry of main/stasis_system.c, the security events of
main/security_events.c, which gives each its ``Severity``.
"""

from __future__ import annotations

from typing import Any

from .settings import RuleSettings

_PEER = ["ChannelType", "Peer", "PeerStatus", "Cause", "Address", "Port", "Time"]
_CONTACT = ["AOR", "EndpointName", "URI", "ContactStatus", "RoundtripUsec"]
_REGISTRY = ["ChannelType", "Username", "Domain", "Status", "Cause"]

# Neither SuccessfulAuth nor ChallengeSent, which every login gives.
_SECURITY_EVENTS = [
    "FailedACL",
    "InvalidAccountID",
    "InvalidPassword",
    "InvalidTransport",
    "ChallengeResponseFailed",
    "AuthMethodNotAllowed",
    "RequestBadFormat",
    "RequestNotAllowed",
    "RequestNotSupported",
    "UnexpectedAddress",
    "SessionLimit",
    "LoadAverageLimit",
    "MemoryLimit",
]
# Not Challenge, Response, ExpectedResponse and ReceivedHash: a password can be guessed
# from them, and log files are read by many.
_SECURITY_HEADERS = [
    "Severity",
    "Service",
    "Module",
    "AccountID",
    "RemoteAddress",
    "LocalAddress",
    "SessionID",
    "ACLName",
    "AuthMethod",
    "RequestType",
    "ExpectedAddress",
    "AttemptedTransport",
]
_SECURITY_TEXT = "{Event}: {Service} account {AccountID} from {RemoteAddress} on {server_name}"

_RULES: list[dict[str, Any]] = [
    {
        "name": "connection_lost",
        "events": "AMIConnection",
        "headers": {"State": ["disconnected", "refused"]},
        "severity": "err",
        "template": "AMI connection to {server_name} {State}: {Reason}",
    },
    {
        "name": "connection_up",
        "events": "AMIConnection",
        "template": "AMI connection to {server_name} {State}",
    },
    {
        "name": "peer_unreachable",
        "events": "PeerStatus",
        "headers": {"PeerStatus": ["Unreachable", "Lagged", "Unavailable", "Rejected"]},
        "severity": "warning",
        "template": "{Peer} is {PeerStatus} on {server_name}",
        "show": _PEER,
    },
    {
        "name": "peer_changed",
        "events": "PeerStatus",
        "headers": {"PeerStatus": ["Reachable", "Unregistered"]},
        "template": "{Peer} is {PeerStatus} on {server_name}",
        "show": _PEER,
    },
    {
        "name": "contact_unreachable",
        "events": "ContactStatus",
        "headers": {"ContactStatus": ["Unreachable", "Unavailable"]},
        "severity": "warning",
        "template": "Contact {URI} of {AOR} is {ContactStatus} on {server_name}",
        "show": _CONTACT,
    },
    {
        "name": "contact_changed",
        "events": "ContactStatus",
        "headers": {"ContactStatus": ["Reachable", "NonQualified", "Removed"]},
        "template": "Contact {URI} of {AOR} is {ContactStatus} on {server_name}",
        "show": _CONTACT,
    },
    {
        "name": "device_unavailable",
        "events": "DeviceStateChange",
        "headers": {"State": "UNAVAILABLE"},
        "template": "Device {Device} is {State} on {server_name}",
        "show": ["Device", "State"],
    },
    {
        "name": "registration_failed",
        "events": "Registry",
        "headers": {"Status": ["Rejected", "Failed", "Timeout", "No Authentication"]},
        "severity": "err",
        "template": "Registration of {Username} at {Domain} {Status} on {server_name}: {Cause}",
        "show": _REGISTRY,
    },
    {
        "name": "registration_ended",
        "events": "Registry",
        "headers": {"Status": ["Unregistered", "Stopped"]},
        "severity": "warning",
        "template": "Registration of {Username} at {Domain} {Status} on {server_name}: {Cause}",
        "show": _REGISTRY,
    },
    {
        "name": "security_notice",
        "events": _SECURITY_EVENTS,
        "headers": {"Severity": "Informational"},
        "template": _SECURITY_TEXT,
        "show": _SECURITY_HEADERS,
    },
    {
        "name": "security",
        "events": _SECURITY_EVENTS,
        "severity": "warning",
        "template": _SECURITY_TEXT,
        "show": _SECURITY_HEADERS,
    },
    {
        "name": "booted",
        "events": "FullyBooted",
        "template": "Asterisk on {server_name} is fully booted",
    },
    {
        "name": "shutdown",
        "events": "Shutdown",
        "template": "Asterisk on {server_name} shuts down (Shutdown {Shutdown}, Restart {Restart})",
    },
    {
        "name": "reloaded",
        "events": "Reload",
        "template": "Asterisk on {server_name} reloaded {Module} (status {Status})",
    },
]


def default_rules() -> list[RuleSettings]:
    """Each with a name of its own, in the order in which they are asked."""
    return [RuleSettings.model_validate(rule) for rule in _RULES]
