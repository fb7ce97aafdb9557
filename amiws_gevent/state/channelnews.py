"""What an event says of its channel that is not known yet.

From 12 on an event tells all of its channel, of which nearly nothing is new; in 11 it tells less,
and not the same each time. ``read`` takes whatever is there. The others look for the headers that
an event has from 12 on, one after the other: of all that the model does this happens most, and a
loop over a table takes twice the time. Where one of them is missing they leave it to ``read``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from amiws_gevent.state.part import Headers
from amiws_gevent.state.words import (
    EMPTY,
    INTERN,
    UNKNOWN,
    filled,
    known,
    state_word,
    unescaped,
)

Fields = dict[str, Any]
News = Callable[[Headers, Fields], Fields]
"""From headers and the fields that are known to those that are other."""

_HEADERS: Final[Mapping[str, tuple[str, Callable[[str], Any]]]] = {
    "Channel": ("name", str),
    "ChannelStateDesc": ("state", state_word),
    "CallerIDNum": ("caller_number", known),
    "CallerIDName": ("caller_name", known),
    "ConnectedLineNum": ("connected_number", known),
    "ConnectedLineName": ("connected_name", known),
    "Context": ("context", filled),
    "Exten": ("exten", filled),
    "AccountCode": ("account", filled),
    "Linkedid": ("linkedid", filled),
    "Application": ("application", filled),
    # 11, and lists
    "CallerIDnum": ("caller_number", known),
    "CallerIDname": ("caller_name", known),
    "Extension": ("exten", filled),
    "Account": ("account", filled),
    "Accountcode": ("account", filled),
    "State": ("state", state_word),
    "BridgeId": ("bridge", filled),
    "BridgeID": ("bridge", filled),
}

# What stands for nothing most often is compared first: to look it up in a set takes five times as
# long.
_UNSAID: Final = "<unknown>"
_NAMES: Final = ("caller_name", "connected_name")
_NOTHING: Final[Fields] = {}


def read(values: Headers, before: Fields = _NOTHING) -> Fields:
    """The fields that a message tells of its channel, without those that are known to be so."""
    fields: Fields = {}
    escaped = "Linkedid" in values  # 12 on
    for header, value in values.items():
        if (meaning := _HEADERS.get(header)) is not None:
            name, convert = meaning
            told = convert(value)
            if escaped and told is not None and "\\" in told and name in _NAMES:
                told = unescaped(told)
            if name not in before or before[name] != told:
                fields[name] = told
    return fields


def all_news(values: Headers, before: Fields) -> Fields:
    """What has no event of its own is told with the state: main/manager_channels.c,
    ast_manager_build_channel_state_string_prefix has all."""
    fields: Fields = {}
    try:
        state = state_word(values["ChannelStateDesc"])
        known_state: str = before["state"]
        if state != known_state:
            fields["state"] = state
        value = values["Channel"]
        if value != before["name"]:
            fields["name"] = value
        value = values["AccountCode"]
        was: str | None = before["account"]
        if (value and value not in EMPTY) if was is None else value != was:
            fields["account"] = filled(value)
        _note_place(fields, values, before)
        _note_people(fields, values, before)
    except KeyError:
        return read(values, before)
    return fields


def fill(made: Fields, values: Headers) -> None:
    """Put what Newchannel tells into the fields of a channel of which nothing is known yet."""
    try:
        made["state"] = state_word(values["ChannelStateDesc"])
        made["name"] = values["Channel"]
        if (value := values["AccountCode"]) and value not in EMPTY:
            made["account"] = INTERN(value)
        if (value := values["Context"]) and value not in EMPTY:
            made["context"] = INTERN(value)
        if (value := values["Exten"]) and value not in EMPTY:
            made["exten"] = INTERN(value)
        _fill_people(made, values)
        if (value := values["Linkedid"]) and value not in EMPTY:
            made["linkedid"] = INTERN(value)
    except KeyError:
        for name, told in read(values).items():
            made[name] = told


def _fill_people(made: Fields, values: Headers) -> None:
    if (value := values["CallerIDNum"]) != _UNSAID and value not in UNKNOWN:
        made["caller_number"] = INTERN(value)
    if (value := values["CallerIDName"]) != _UNSAID and value not in UNKNOWN:
        made["caller_name"] = _name(value)
    if (value := values["ConnectedLineNum"]) != _UNSAID and value not in UNKNOWN:
        made["connected_number"] = INTERN(value)
    if (value := values["ConnectedLineName"]) != _UNSAID and value not in UNKNOWN:
        made["connected_name"] = _name(value)


def news_of_people(values: Headers, before: Fields) -> Fields:
    """Of NewCallerid and NewConnectedLine."""
    fields: Fields = {}
    try:
        _note_people(fields, values, before)
    except KeyError:
        return read(values, before)
    return fields


def news_of_dialplan(values: Headers, before: Fields) -> Fields:
    """Where a channel is. Halves of Local channels are given their people without an event
    (main/core_unreal.c, ast_unreal_call_setup), before they are answered: this is the first that
    shows them."""
    fields: Fields = {}
    try:
        value = values["Application"]
        was: str | None = before["application"]
        if (value and value not in EMPTY) if was is None else value != was:
            fields["application"] = filled(value)
        _note_place(fields, values, before)
        name: str | None = before["name"]
        if name is not None and name.startswith("Local/") and before["state"] != "up":
            _note_people(fields, values, before)
        else:
            value = values["Linkedid"]
            was = before["linkedid"]
            if (value and value not in EMPTY) if was is None else value != was:
                fields["linkedid"] = filled(value)
    except KeyError:
        return read(values, before)
    return fields


def news_of_account(values: Headers, before: Fields) -> Fields:
    """Of NewAccountCode."""
    if "AccountCode" not in values or "Linkedid" not in values:
        return read(values, before)
    return {
        name: told
        for name, header in (("account", "AccountCode"), ("linkedid", "Linkedid"))
        if (told := filled(values[header])) != before[name]
    }


def news_of_item(values: Headers, before: Fields) -> Fields:
    """Of CoreShowChannels from 12 on."""
    if "Application" not in values or "BridgeId" not in values:
        return read(values, before)
    fields = all_news(values, before)
    for name, header in (("application", "Application"), ("bridge", "BridgeId")):
        if (told := filled(values[header])) != before[name]:
            fields[name] = told
    return fields


# Of a value that differs, and means None only if None was not known, nothing but the value can
# be the meaning: unless it is an escaped name.


def _note_place(fields: Fields, values: Headers, before: Fields) -> None:
    value = values["Context"]
    was: str | None = before["context"]
    if (value and value not in EMPTY) if was is None else value != was:
        fields["context"] = filled(value)
    value = values["Exten"]
    was = before["exten"]
    if (value and value not in EMPTY) if was is None else value != was:
        fields["exten"] = filled(value)


def _note_people(fields: Fields, values: Headers, before: Fields) -> None:
    value = values["CallerIDNum"]
    was: str | None = before["caller_number"]
    if (value != _UNSAID and value not in UNKNOWN) if was is None else value != was:
        fields["caller_number"] = known(value)
    value = values["CallerIDName"]
    was = before["caller_name"]
    if (value != _UNSAID and value not in UNKNOWN) if was is None else value != was:
        _note_name(fields, "caller_name", value, was)
    value = values["ConnectedLineNum"]
    was = before["connected_number"]
    if (value != _UNSAID and value not in UNKNOWN) if was is None else value != was:
        fields["connected_number"] = known(value)
    value = values["ConnectedLineName"]
    was = before["connected_name"]
    if (value != _UNSAID and value not in UNKNOWN) if was is None else value != was:
        _note_name(fields, "connected_name", value, was)
    value = values["Linkedid"]
    was = before["linkedid"]
    if (value and value not in EMPTY) if was is None else value != was:
        fields["linkedid"] = filled(value)


def _note_name(fields: Fields, name: str, value: str, was: str | None) -> None:
    told = _name(value)
    if told != was:
        fields[name] = told


def _name(value: str) -> str | None:
    told = known(value)
    return told if told is None or "\\" not in told else unescaped(told)
