"""Hints, devices, presence and do-not-disturb.

Origin: ``main/pbx.c`` and ``main/manager.c`` (ExtensionStatus, PresenceStatus),
``main/devicestate.c``, ``main/presencestate.c``, ``channels/chan_dahdi.c`` (DNDState). Devices
and presence are told from 13 on; to 12 hints are all that there is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Final

from amiws_gevent.ami import Message
from amiws_gevent.state.headers import flag, text, whole
from amiws_gevent.state.merge import Item, ListedPart
from amiws_gevent.state.part import Steps, TakeList
from amiws_gevent.state.vocabulary import IDLE, UNKNOWN, device_word_of, extension_word, word
from amiws_gevent.state.words import unescaped

HINT, DEVICE, PRESENCE, DND = "hint", "device", "presence", "do_not_disturb"

DND_PREFIXES: Final = ("Custom:DND", "Custom:DEVDND")
"""Devices that are do-not-disturb of an extension, and of a device, by FreePBX's habit."""

UNCACHED: Final = ("Local/", "CBAnn/", "CBRec/", "Announcer/", "Recorder/")
"""Devices whose state the server tells and does not keep, so that no list has them: they are
channels of the moment, each with a name of its own (``main/core_unreal.c``)."""

# What is null until something says it.
_HINT: Final[Mapping[str, Any]] = dict.fromkeys(
    ("hint", "status", "state", "presence", "presence_subtype", "presence_message")
)


class DevicesPart(ListedPart):
    """The kinds ``hint``, ``device``, ``presence`` and ``do_not_disturb``."""

    kinds = (HINT, DEVICE, PRESENCE, DND)
    dated: ClassVar = {HINT: "status", DEVICE: "status", PRESENCE: "state", DND: "on"}

    @property
    def events(self) -> Mapping[str, Callable[[Message], None]]:
        return {
            "extensionstatus": self._extension,
            "presencestatus": self._extension_presence,
            "devicestatechange": self._device,
            "presencestatechange": self._presence,
            "dndstate": self._dahdi,
        }

    @property
    def lists(self) -> Mapping[str, TakeList]:
        return {
            "extensionstatelist": self._extensions_listed,
            "devicestatelist": self._devices_listed,
            "presencestatelist": self._presences_listed,
            "dahdishowchannels": self._dahdi_listed,
        }

    def hint_answered(self, response: Message, asked: int) -> None:
        """Take the answer to ExtensionState, by which hints are asked one by one to 12.

        A hint that is not there any more has no ``Hint``, and the status -1.
        """
        key, fields = _extension_of(response)
        if (fields["status"] or 0) < 0:
            self.miss(HINT, key, asked)
        else:
            self.take(HINT, key, Item(fields, _SINCE_HINT), asked)

    # -- events ----------------------------------------------------------------------

    def _extension(self, message: Message) -> None:
        key, fields = _extension_of(message)
        if (fields["status"] or 0) < 0:  # removed, or deactivated
            self.store.remove(HINT, key)
        else:
            self.put_dated(HINT, key, message, fields, _HINT)

    def _extension_presence(self, message: Message) -> None:
        exten, context = message.values.get("Exten", ""), message.values.get("Context", "")
        told = _presence_of(message, escaped=False)
        fields = {"exten": exten, "context": context, "hint": text(message, "Hint")}
        fields.update(
            presence=told["state"],
            presence_subtype=told["subtype"],
            presence_message=told["message"],
        )
        self.put_dated(HINT, f"{exten}@{context}", message, fields, _HINT)

    def _device(self, message: Message) -> None:
        device = message.values.get("Device", "")
        if device.startswith(UNCACHED) and self.store.get(DEVICE, device) is None:
            return
        fields = _device_of(message)
        self.put_dated(DEVICE, device, message, fields, {})
        if device.startswith(DND_PREFIXES):
            self.put_dated(DND, device, message, _dnd_of(device, fields["state"]), {})

    def _presence(self, message: Message) -> None:
        provider = message.get("Presentity") or ""
        fields = {"provider": provider, **_presence_of(message, escaped=True)}
        self.put_dated(PRESENCE, provider, message, fields, {})

    def _dahdi(self, message: Message) -> None:
        """11 says ``Channel: DAHDI/1``, 12 and later ``DAHDIChannel: 1``."""
        number = message.get("DAHDIChannel")
        device = f"DAHDI/{number}" if number is not None else message.get("Channel") or ""
        self.put_dated(DND, device, message, _dahdi_dnd(device, flag(message, "Status")), {})

    # -- lists -----------------------------------------------------------------------

    def _extensions_listed(self, items: Sequence[Message], asked: int) -> Steps:
        hints = {}
        for item in items:
            key, fields = _extension_of(item)
            hints[key] = Item(fields, _SINCE_HINT)
            yield
        yield from self.merge(HINT, hints, asked)
        yield from self._presence_of_hints()

    def _devices_listed(self, items: Sequence[Message], asked: int) -> Steps:
        devices, dnd = {}, {}
        for item in items:
            fields = _device_of(item)
            device = fields["device"]
            devices[device] = Item(fields, _SINCE)
            if device.startswith(DND_PREFIXES):
                dnd[device] = Item(_dnd_of(device, fields["state"]), _SINCE)
            yield
        yield from self.merge(DEVICE, devices, asked)
        yield from self.merge(
            DND, dnd, asked, lambda known: not known["device"].startswith("DAHDI/")
        )

    def _presences_listed(self, items: Sequence[Message], asked: int) -> Steps:
        presences = {}
        for item in items:
            provider = item.get("Presentity") or ""
            fields = {"provider": provider, **_presence_of(item, escaped=True)}
            presences[provider] = Item(fields, _SINCE)
            yield
        yield from self.merge(PRESENCE, presences, asked)
        yield from self._presence_of_hints()

    def _presence_of_hints(self) -> Steps:
        """No list has it. Its provider is behind the last comma of the hint.

        Origin: ``main/pbx.c``, parse_hint_presence.
        """
        for key in self.store.keys(HINT):
            hint = (self.store.get(HINT, key) or {}).get("hint") or ""
            _, comma, provider = hint.rpartition(",")
            presence = self.store.get(PRESENCE, provider)
            if comma and presence is not None:
                told = {"presence": presence["state"], "presence_subtype": presence["subtype"]}
                self.store.put(HINT, key, **told, presence_message=presence["message"])
            yield

    def _dahdi_listed(self, items: Sequence[Message], asked: int) -> Steps:
        dnd = {}
        for item in items:
            device = f"DAHDI/{item.get('DAHDIChannel') or item.get('Channel') or ''}"
            dnd[device] = Item(_dahdi_dnd(device, flag(item, "DND")), _SINCE)
            yield
        yield from self.merge(DND, dnd, asked, lambda known: known["device"].startswith("DAHDI/"))


# Since when it is so no list says.
_SINCE: Final[Mapping[str, Any]] = {"since": None, "server_since": None}
_SINCE_HINT: Final[Mapping[str, Any]] = {**_HINT, **_SINCE}


def _extension_of(message: Message) -> tuple[str, dict[str, Any]]:
    exten, context = message.values.get("Exten", ""), message.values.get("Context", "")
    status = whole(message, "Status")
    return f"{exten}@{context}", {
        "exten": exten,
        "context": context,
        "hint": text(message, "Hint"),
        "status": status,
        "state": extension_word(status),
    }


def _device_of(message: Message) -> dict[str, str]:
    status = message.values.get("State", "")
    return {
        "device": message.values.get("Device", ""),
        "status": status,
        "state": device_word_of(status),
    }


def _presence_of(message: Message, *, escaped: bool) -> dict[str, Any]:
    """Subtype and message are escaped in PresenceStateChange, and bare in PresenceStatus."""
    subtype, note = text(message, "Subtype"), text(message, "Message")
    if escaped:
        subtype = subtype and unescaped(subtype)
        note = note and unescaped(note)
    return {"state": word(message.get("Status")), "subtype": subtype, "message": note}


def _dnd_of(device: str, state: str) -> dict[str, Any]:
    number = device.removeprefix("Custom:").removeprefix("DEV").removeprefix("DND")
    return {"device": device, "number": number, "on": state not in (IDLE, UNKNOWN)}


def _dahdi_dnd(device: str, on: bool | None) -> dict[str, Any]:
    return {"device": device, "number": None, "on": on}
