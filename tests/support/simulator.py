"""Reading what a simulated PBX sends: packets as headers, and a model made of events alone."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from amiws_gevent.simulator.pbx.answers import Answers
from amiws_gevent.simulator.pbx.simulation import Simulation
from amiws_gevent.simulator.pbx.style import STYLE_11, STYLE_13, STYLE_22, Style
from amiws_gevent.simulator.serving.requests import Request

STARTED: Final = 1_700_000_000.0
STYLES: Final = (STYLE_13, STYLE_22)
EVERY: Final = (STYLE_11, *STYLES)

SNAPSHOT: Final = (
    "Channel",
    "ChannelState",
    "ChannelStateDesc",
    "CallerIDNum",
    "CallerIDName",
    "ConnectedLineNum",
    "ConnectedLineName",
    "Language",
    "AccountCode",
    "Context",
    "Exten",
    "Priority",
    "Uniqueid",
    "Linkedid",
)
_PREFIXES: Final = ("", "Dest", "LocalOne", "LocalTwo", "Transferer", "Transferee")


def simulation(style: Style = STYLE_22, *, seed: int = 1, rate: float = 0.5) -> Simulation:
    return Simulation(style, started=STARTED, seed=seed, rate=rate)


def pairs(packet: str) -> list[tuple[str, str]]:
    """The headers of one packet, in order; fails if it is not one whole packet."""
    assert packet.endswith("\r\n\r\n"), packet
    lines = packet.removesuffix("\r\n\r\n").split("\r\n")
    headers = []
    for line in lines:
        name, colon, value = line.partition(": ")
        assert colon, f"no header: {line!r} in {packet!r}"
        headers.append((name, value))
    return headers


def headers(packet: str) -> dict[str, str]:
    """The headers of a packet in which none repeats."""
    found = pairs(packet)
    as_dict = dict(found)
    assert len(as_dict) == len(found), packet
    return as_dict


def split(text: str) -> list[str]:
    """The packets of a text."""
    assert text.endswith("\r\n\r\n"), text
    return [f"{part}\r\n\r\n" for part in text.removesuffix("\r\n\r\n").split("\r\n\r\n")]


def name_of(packet: str) -> str:
    return packet.partition("\r\n")[0].removeprefix("Event: ")


def request(*lines: str) -> Request:
    return Request(lines)


def answer(simulation: Simulation, *lines: str) -> str:
    """The answer to an action that is answered at once."""

    def later(text: str) -> None:
        raise AssertionError(f"answered later: {text}")

    text = Answers(simulation, "test").answer(request(*lines), later)
    assert text is not None
    return text


def answered_events(simulation: Simulation, *lines: str) -> list[dict[str, str]]:
    """The events of a list, without the answer before and the event that ends it."""
    first, *events, last = [headers(packet) for packet in split(answer(simulation, *lines))]
    assert (first["Response"], first["EventList"]) == ("Success", "start")
    assert (last["EventList"], last["ListItems"]) == ("Complete", str(len(events)))
    return events


@dataclass
class Replay:
    """What one knows of a PBX who was there from the start and only listens."""

    channels: dict[str, dict[str, str]] = field(default_factory=dict)
    bridges: dict[str, set[str]] = field(default_factory=dict)
    devices: dict[str, str] = field(default_factory=dict)
    queues: dict[str, list[str]] = field(default_factory=dict)
    members: dict[tuple[str, str], dict[str, str]] = field(default_factory=dict)
    taken: dict[tuple[str, str], int] = field(default_factory=dict)
    dialling: set[str] = field(default_factory=set)
    completed: dict[str, int] = field(default_factory=dict)
    abandoned: dict[str, int] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)

    def feed(self, packets: list[str]) -> None:
        for packet in packets:
            self._feed(name_of(packet), headers(packet))

    def _feed(self, name: str, event: dict[str, str]) -> None:
        self.counts[name] = self.counts.get(name, 0) + 1
        if name == "Newchannel":
            assert event["Uniqueid"] not in self.channels
            self.channels[event["Uniqueid"]] = {"BridgeId": "", "Application": "", "Data": ""}
        for prefix in _PREFIXES:
            self._see_channel(event, prefix)
        method = getattr(self, f"_on_{name.lower()}", None)
        if method is not None:
            method(event)

    def _see_channel(self, event: dict[str, str], prefix: str) -> None:
        uniqueid = event.get(f"{prefix}Uniqueid")
        if uniqueid in (None, "none") or f"{prefix}Linkedid" not in event:
            return
        channel = self.channels[uniqueid]
        channel.update({name: event[prefix + name] for name in SNAPSHOT})

    def _on_newexten(self, event: dict[str, str]) -> None:
        channel = self.channels[event["Uniqueid"]]
        channel["Application"], channel["Data"] = event["Application"], event["AppData"]
        assert event["Extension"] == event["Exten"]

    def _on_hangup(self, event: dict[str, str]) -> None:
        channel = self.channels.pop(event["Uniqueid"])
        assert channel["BridgeId"] == "", "a channel ends outside of bridges"
        assert event["Uniqueid"] not in self.dialling, "a dial ends before its channel"
        assert all(event["Channel"] not in queue for queue in self.queues.values())

    def _on_dialbegin(self, event: dict[str, str]) -> None:
        assert event["DestUniqueid"] not in self.dialling
        self.dialling.add(event["DestUniqueid"])

    def _on_dialstate(self, event: dict[str, str]) -> None:
        assert event["DestUniqueid"] in self.dialling

    def _on_dialend(self, event: dict[str, str]) -> None:
        self.dialling.remove(event["DestUniqueid"])

    def _on_bridgecreate(self, event: dict[str, str]) -> None:
        assert event["BridgeNumChannels"] == "0"
        assert event["BridgeUniqueid"] not in self.bridges
        self.bridges[event["BridgeUniqueid"]] = set()

    def _on_bridgeenter(self, event: dict[str, str]) -> None:
        bridge = self.bridges[event["BridgeUniqueid"]]
        bridge.add(event["Uniqueid"])
        assert self.channels[event["Uniqueid"]]["BridgeId"] == ""
        self.channels[event["Uniqueid"]]["BridgeId"] = event["BridgeUniqueid"]
        assert event["BridgeNumChannels"] == str(len(bridge))
        for uniqueid in bridge:  # no event tells of the others
            self.channels[uniqueid]["Linkedid"] = event["Linkedid"]

    def _on_bridgeleave(self, event: dict[str, str]) -> None:
        bridge = self.bridges[event["BridgeUniqueid"]]
        bridge.remove(event["Uniqueid"])
        self.channels[event["Uniqueid"]]["BridgeId"] = ""
        assert event["BridgeNumChannels"] == str(len(bridge))

    def _on_bridgedestroy(self, event: dict[str, str]) -> None:
        assert self.bridges.pop(event["BridgeUniqueid"]) == set()

    def _on_devicestatechange(self, event: dict[str, str]) -> None:
        assert self.devices.get(event["Device"]) != event["State"] or "_pause_" in event["Device"]
        self.devices[event["Device"]] = event["State"]

    def _on_queuecallerjoin(self, event: dict[str, str]) -> None:
        queue = self.queues.setdefault(event["Queue"], [])
        queue.append(event["Channel"])
        assert event["Count"] == event["Position"] == str(len(queue))

    def _on_queuecallerleave(self, event: dict[str, str]) -> None:
        queue = self.queues[event["Queue"]]
        assert event["Position"] == str(queue.index(event["Channel"]) + 1)
        queue.remove(event["Channel"])
        assert event["Count"] == str(len(queue))

    def _on_queuecallerabandon(self, event: dict[str, str]) -> None:
        assert event["Channel"] in self.queues[event["Queue"]], "abandons before it leaves"
        self.abandoned[event["Queue"]] = self.abandoned.get(event["Queue"], 0) + 1

    def _on_agentconnect(self, event: dict[str, str]) -> None:
        self._member(event)["InCall"] = "1"

    def _on_agentcomplete(self, event: dict[str, str]) -> None:
        key = (event["Queue"], event["Interface"])
        self._member(event)["InCall"] = "0"
        self.taken[key] = self.taken.get(key, 0) + 1
        self.completed[event["Queue"]] = self.completed.get(event["Queue"], 0) + 1

    def _on_queuememberstatus(self, event: dict[str, str]) -> None:
        names = ("InCall", "Status", "Paused", "PausedReason")
        self._member(event).update({name: event[name] for name in names})
        key = (event["Queue"], event["Interface"])
        assert event["CallsTaken"] == str(self.taken.get(key, 0))

    _on_queuememberpause = _on_queuememberstatus

    def _member(self, event: dict[str, str]) -> dict[str, str]:
        fresh = {"InCall": "0", "Status": "1", "Paused": "0", "PausedReason": ""}
        return self.members.setdefault((event["Queue"], event["Interface"]), fresh)

    def check(self, simulation: Simulation) -> None:
        """Fails unless the PBX's answers say what its events said."""
        self._check_channels(simulation)
        self._check_queues(simulation)
        listed = answered_events(simulation, "Action: BridgeList")
        told = {uniqueid: str(len(channels)) for uniqueid, channels in self.bridges.items()}
        assert {item["BridgeUniqueid"]: item["BridgeNumChannels"] for item in listed} == told
        for item in answered_events(simulation, "Action: DeviceStateList"):
            assert item["State"] == self.devices.get(item["Device"], "NOT_INUSE")

    def _check_channels(self, simulation: Simulation) -> None:
        listed = answered_events(simulation, "Action: CoreShowChannels")
        assert {item["Uniqueid"] for item in listed} == set(self.channels)
        for item in listed:
            told = self.channels[item["Uniqueid"]]
            assert {name: item[name] for name in SNAPSHOT} == {n: told[n] for n in SNAPSHOT}
            assert item["BridgeId"] == told["BridgeId"]
            assert (item["Application"], item["ApplicationData"]) == (
                told["Application"],
                told["Data"],
            )
        text = answer(simulation, "Action: Status").replace("\r\nItems: ", "\r\nTotal: ")
        shown = {h["Uniqueid"]: h for h in map(headers, split(text)[1:-1])}
        assert set(shown) == set(self.channels)
        for uniqueid, item in shown.items():
            told = self.channels[uniqueid]
            assert item["BridgeID"] == told["BridgeId"]
            for name in ("Channel", "ChannelState", "CallerIDNum", "Exten", "Linkedid"):
                assert item[name] == told[name]

    def _check_queues(self, simulation: Simulation) -> None:
        waiting: dict[str, list[str]] = {name: [] for name in self.queues}
        for item in answered_events(simulation, "Action: QueueStatus"):
            if item["Event"] == "QueueParams":
                queue = item["Queue"]
                assert item["Calls"] == str(len(self.queues.get(queue, [])))
                assert item["Completed"] == str(self.completed.get(queue, 0))
                assert item["Abandoned"] == str(self.abandoned.get(queue, 0))
            elif item["Event"] == "QueueEntry":
                waiting[item["Queue"]].append(item["Channel"])
                assert item["Position"] == str(len(waiting[item["Queue"]]))
            else:
                key = (item["Queue"], item["Location"])
                told = self._member({"Queue": key[0], "Interface": key[1]})
                assert {name: item[name] for name in told} == told
                assert item["CallsTaken"] == str(self.taken.get(key, 0))
        assert waiting == self.queues
