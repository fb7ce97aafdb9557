"""Agents who log in to be called: chan_agent (11), app_agent_pool (12 and later).

Origin: ``channels/chan_agent.c``, ``apps/app_agent_pool.c``. No event says that an agent has
a call; from 13 on the state of the device ``Agent:ID`` does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Final

from amiws_gevent.ami import Message
from amiws_gevent.state.headers import caller, since_epoch, text
from amiws_gevent.state.merge import Item, ListedPart
from amiws_gevent.state.part import Steps, TakeList
from amiws_gevent.state.vocabulary import IDLE, IN_USE, UNAVAILABLE, device_word_of

AGENT: Final = "agent"
LOGGED_OFF, READY, ON_CALL = "logged_off", "idle", "on_call"

_OF_LIST: Final = {
    "AGENT_LOGGEDOFF": LOGGED_OFF,
    "AGENT_IDLE": READY,
    "AGENT_ONCALL": ON_CALL,
}
_OF_DEVICE: Final = {UNAVAILABLE: LOGGED_OFF, IDLE: READY, IN_USE: ON_CALL}

# What is null until something says it.
_AGENT: Final[Mapping[str, Any]] = dict.fromkeys(
    ("name", "channel", "uniqueid", "logged_in", "talking_to", "since", "server_since")
)


class AgentsPart(ListedPart):
    """The kind ``agent``."""

    kinds = (AGENT,)
    dated: ClassVar = {AGENT: "state"}

    @property
    def events(self) -> Mapping[str, Callable[[Message], None]]:
        return {
            "agentlogin": self._login,
            "agentlogoff": self._logoff,
            "devicestatechange": self._device,
        }

    @property
    def lists(self) -> Mapping[str, TakeList]:
        return {"agents": self._listed}

    def _login(self, message: Message) -> None:
        who = caller(message)
        fields = {"state": READY, "channel": who.channel, "uniqueid": who.uniqueid}
        self._put(message, message.get("Agent") or "", {**fields, "logged_in": self.now})

    def _logoff(self, message: Message) -> None:
        nothing = dict.fromkeys(("channel", "uniqueid", "logged_in", "talking_to"))
        self._put(message, message.get("Agent") or "", {"state": LOGGED_OFF, **nothing})

    def _device(self, message: Message) -> None:
        device = message.values.get("Device", "")
        if not device.startswith("Agent:"):
            return
        agent = device.removeprefix("Agent:")
        if self.store.get(AGENT, agent) is not None:
            state = _OF_DEVICE.get(device_word_of(message.values.get("State", "")))
            if state is not None:
                talks = {} if state == ON_CALL else {"talking_to": None}
                self._put(message, agent, {"state": state, **talks})

    def _put(self, message: Message, agent: str, fields: Mapping[str, Any]) -> None:
        self.put_dated(AGENT, agent, message, {"agent": agent, **fields}, _AGENT)

    def _listed(self, items: Sequence[Message], asked: int) -> Steps:
        agents = {}
        for item in items:
            agent, status = item.get("Agent") or "", item.get("Status") or ""
            state = _OF_LIST.get(status, LOGGED_OFF)
            fields: dict[str, Any] = {
                "agent": agent,
                "name": text(item, "Name"),
                "state": state,
                "channel": text(item, "Channel", "LoggedInChan"),
                "talking_to": text(item, "TalkingToChan"),
            }
            estimates = {**_AGENT, "logged_in": since_epoch(item, "LoggedInTime")}
            if state == LOGGED_OFF:
                fields.update(channel=None, uniqueid=None, logged_in=None)
            elif item.has("Uniqueid"):
                fields["uniqueid"] = item.get("Uniqueid")
            agents[agent] = Item(fields, estimates)
            yield
        yield from self.merge(AGENT, agents, asked)
