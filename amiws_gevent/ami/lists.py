"""Actions whose answer is more than one message: their items, and what ends them.

An answer is a response, and for a list the items behind it and an event that ends it.
Whether an action is answered by a list is known by its name: texts such as "will follow"
stand in single answers too. The names are those of Asterisk 11 to 23, of the calls of
``astman_append``, ``astman_send_listack``, ``astman_send_list_complete_start`` and
``ast_sip_create_ami_event`` in its source. An action that is not in here is answered by a
list if its response has ``EventList: start``, and the event with an ``EventList`` ends it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from .messages import Kind, Message


class ListForm(NamedTuple):
    """How one action is answered. All names and texts are folded."""

    items: frozenset[str] = frozenset()
    """The names of the events that are its items."""
    end: str = ""
    """The name of the event that ends it; "" where none does."""
    bare: bool = False
    """Its response may lack ``EventList: start``, as in Asterisk 11."""
    empty: frozenset[str] = frozenset()
    """Messages of responses, errors mostly, that say: there is nothing to list."""
    unanswered: bool = False
    """It has no response: text without headers comes, or one event. It is over once a later
    action is answered."""
    later: str = ""
    """The name of the event that tells what became of it: it goes to all sessions, with the
    ActionID of who asked, some time behind the response, and may overtake it."""


def _list(*items: str, end: str, bare: bool = False, empty: tuple[str, ...] = ()) -> ListForm:
    return ListForm(
        frozenset(name.casefold() for name in items),
        end.casefold(),
        bare,
        frozenset(text.casefold() for text in empty),
    )


_NO_CONFERENCES = ("No active conferences.",)
_UNANSWERED = ListForm(unanswered=True)

_FORMS: Mapping[str, ListForm] = {
    # main/
    "BridgeInfo": _list("BridgeInfoChannel", end="BridgeInfoComplete"),
    "BridgeList": _list("BridgeListItem", end="BridgeListComplete"),
    "BridgeTechnologyList": _list("BridgeTechnologyListItem", end="BridgeTechnologyListComplete"),
    "CoreShowChannelMap": _list("CoreShowChannelMap", end="CoreShowChannelMapComplete"),
    "CoreShowChannels": _list("CoreShowChannel", end="CoreShowChannelsComplete"),
    "DataGet": _UNANSWERED,  # to 13: one event, "DataGet Tree"
    "DBGet": _list("DBGetResponse", end="DBGetComplete", bare=True),
    "DBGetTree": _list("DBGetTreeResponse", end="DBGetTreeComplete"),
    "ExtensionStateList": _list(
        "ExtensionStatus",
        end="ExtensionStateListComplete",
        empty=("No dialplan hints are available",),
    ),
    "Hangup": _list("ChannelHungup", end="ChannelsHungupListComplete"),  # of a /regex/
    # main/manager.c, fast_originate: with ``Async``, if the response is no error
    "Originate": ListForm(later="originateresponse"),
    "ShowDialPlan": _list("ListDialplan", end="ShowDialPlanComplete"),
    "Status": _list("Status", end="StatusComplete", bare=True),
    # apps/
    "Agents": _list("Agents", end="AgentsComplete", bare=True),
    "ConfbridgeList": _list(
        "ConfbridgeList",
        end="ConfbridgeListComplete",
        # one exists only while somebody is in it
        empty=(*_NO_CONFERENCES, "No Conference by that name found."),
    ),
    "ConfbridgeListRooms": _list(
        "ConfbridgeListRooms", end="ConfbridgeListRoomsComplete", empty=_NO_CONFERENCES
    ),
    "MeetmeList": _list("MeetmeList", end="MeetmeListComplete", empty=_NO_CONFERENCES),
    "MeetmeListRooms": _list(
        "MeetmeListRooms", end="MeetmeListRoomsComplete", empty=_NO_CONFERENCES
    ),
    "Queues": _UNANSWERED,  # to 13: text, a packet for each queue
    "QueueStatus": _list(
        "QueueParams", "QueueMember", "QueueEntry", end="QueueStatusComplete", bare=True
    ),
    "QueueSummary": _list("QueueSummary", end="QueueSummaryComplete", bare=True),
    "VoicemailBoxSummary": _list(
        "VoicemailBoxDetail",
        end="VoicemailBoxDetailComplete",
        empty=("There is no voicemail user matching the given user.",),
    ),
    "VoicemailUsersList": _list(
        "VoicemailUserEntry",
        end="VoicemailUserEntryComplete",
        bare=True,
        empty=("There are no voicemail users currently defined.",),
    ),
    "VoicemailUserStatus": _list(
        "VoicemailUserDetail",
        end="VoicemailUserDetailComplete",
        empty=("There is no voicemail user of the given info.",),
    ),
    # channels/
    "DAHDIShowChannels": _list("DAHDIShowChannels", end="DAHDIShowChannelsComplete", bare=True),
    "DAHDIShowStatus": _list("DAHDIShowStatus", end="DAHDIShowStatusComplete"),
    "IAXnetstats": _UNANSWERED,
    "IAXpeerlist": _list("PeerEntry", end="PeerlistComplete", bare=True),
    "IAXpeers": _list("PeerEntry", end="PeerlistComplete"),  # items without ActionID
    "IAXregistry": _list("RegistryEntry", end="RegistrationsComplete"),
    "PRIShowSpans": _list("PRIShowSpans", end="PRIShowSpansComplete", bare=True),
    "SIPpeers": _list("PeerEntry", end="PeerlistComplete"),
    "SIPpeerstatus": _list("PeerStatus", end="SIPpeerstatusComplete", bare=True),
    "SIPshowregistry": _list("RegistryEntry", end="RegistrationsComplete"),
    "SKINNYdevices": _list("DeviceEntry", end="DevicelistComplete"),
    "SKINNYlines": _list("LineEntry", end="LinelistComplete"),
    # res/
    "DeviceStateList": _list("DeviceStateChange", end="DeviceStateListComplete"),
    "FAXSession": _list(end="FAXSession", bare=True),  # one event is all, in every version
    "FAXSessions": _list("FAXSessionsEntry", end="FAXSessionsComplete"),
    "FAXStats": _list(end="FAXStats", bare=True),
    "MWIGet": _list("MWIGet", end="MWIGetComplete"),
    "ParkedCalls": _list("ParkedCall", end="ParkedCallsComplete", bare=True),
    "Parkinglots": _list("Parkinglot", end="ParkinglotsComplete", bare=True),
    "PJSIPShowAors": _list("AorList", end="AorListComplete", empty=("No AORs found",)),
    "PJSIPShowAuths": _list("AuthList", end="AuthListComplete", empty=("No Auths found",)),
    "PJSIPShowContacts": _list(
        "ContactList", end="ContactListComplete", empty=("No Contacts found",)
    ),
    "PJSIPShowEndpoint": _list(
        "EndpointDetail",
        "AorDetail",
        "AuthDetail",
        "ContactStatusDetail",
        "IdentifyDetail",
        "TransportDetail",
        end="EndpointDetailComplete",
    ),
    "PJSIPShowEndpoints": _list(
        "EndpointList", end="EndpointListComplete", empty=("No endpoints found",)
    ),
    "PJSIPShowMaintenance": _list("PJSIPMaintenanceStatus", end="PJSIPMaintenanceStatusComplete"),
    "PJSIPShowRegistrationInboundContactStatuses": _list(
        "ContactStatusDetail", end="ContactStatusDetailComplete"
    ),
    "PJSIPShowRegistrationsInbound": _list(
        "InboundRegistrationDetail", end="InboundRegistrationDetailComplete"
    ),
    "PJSIPShowRegistrationsOutbound": _list(
        "OutboundRegistrationDetail", "AuthDetail", end="OutboundRegistrationDetailComplete"
    ),
    "PJSIPShowResourceLists": _list(
        "ResourceListDetail", end="ResourceListDetailComplete", empty=("No resource lists found",)
    ),
    "PJSIPShowSubscriptionsInbound": _list(
        "InboundSubscriptionDetail", end="InboundSubscriptionDetailComplete"
    ),
    "PJSIPShowSubscriptionsOutbound": _list(
        "OutboundSubscriptionDetail", end="OutboundSubscriptionDetailComplete"
    ),
    "PresenceStateList": _list("PresenceStateChange", end="PresenceStateListComplete"),
}

_FOLDED: Mapping[str, ListForm] = {name.casefold(): form for name, form in _FORMS.items()}
_UNKNOWN = ListForm()


def list_form(action: str) -> ListForm:
    """How the action of that name (in any case) is answered; an empty form if unknown."""
    return _FOLDED.get(action.casefold(), _UNKNOWN)


def is_refusal(form: ListForm, response: Message) -> bool:
    """Whether a response is an error, and does not just say that there is nothing to list."""
    return _is_error(response) and not _is_empty(form, response)


def begins_list(form: ListForm, response: Message) -> bool:
    """Whether items, or the end of the list, come behind that response."""
    if _is_error(response):
        return False
    if (response.get("EventList") or "").casefold() == "start":
        return True
    return form.bare and not _is_empty(form, response)


def ends_list(form: ListForm, event: Message) -> bool:
    """Whether that event, which belongs to the list, is its end."""
    return event.has("EventList") or event.name.casefold() == form.end


def is_bare_item(form: ListForm, message: Message) -> bool:
    """Whether an event without ActionID that came amid the list belongs to it.

    News have a ``Privilege``. Of a list that is not in the table any other event does.
    """
    if message.kind is not Kind.EVENT or message.has("Privilege"):
        return False
    name = message.name.casefold()
    return not form.end or name in form.items or name == form.end


def _is_error(response: Message) -> bool:
    return (response.get("Response") or "").strip().casefold() == "error"


def _is_empty(form: ListForm, response: Message) -> bool:
    return bool(form.empty) and (response.get("Message") or "").strip().casefold() in form.empty
