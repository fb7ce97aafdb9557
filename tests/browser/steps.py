"""The page's logic without the page: messages in, what it knows and asks out.

It runs in Chromium, where it lives, with a clock that the tests move.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.browser.fakes import Data

PLAY = """
async (steps) => {
  const { Model } = await import("/model.js");
  const { partiesOf, stateOf } = await import("/describe.js");
  const model = new Model({ prefix: "page-test", now: 0, random: () => 0 });
  const sent = [];
  const active = [];
  for (const [at, step, message] of steps) {
    const actions = step === "receive" ? model.receive(message, at) : model[step](at);
    sent.push(...(Array.isArray(actions) ? actions : []));
    active.push([...model.servers.values()].reduce((sum, server) => sum + server.calls.active, 0));
  }
  const servers = [...model.servers.values()].map((server) => ({
    id: server.id, name: server.name, state: server.state, reason: server.reason,
    notice: server.notice, version: server.version, amiVersion: server.amiVersion,
    startedAt: server.startedAt, active: server.calls.active, started: server.calls.started,
    channels: server.calls.channels.size, isFull: server.calls.isFull,
    bridges: server.calls.bridgeSizes.size, lists: server.lists.size,
    calls: [...server.calls.calls.values()].map((call) => ({
      ...partiesOf(server.calls, call), ...stateOf(server.calls, call),
      startedAt: call.startedAt, transferred: call.transferred,
    })),
  }));
  return { sent, active, servers };
}
"""

Step = tuple[float, str, Data | None]
"""When (milliseconds), ``"receive"`` or a method of the model, the message received."""

Play = Callable[[list[Step]], Any]
"""Runs steps through a fresh model."""


def message(kind: int, data: Data, server_id: int = 1) -> Data:
    names = {"server_id": server_id, "server_name": f"pbx{server_id}", "ssl": False}
    return {"type": kind, **names, "data": data}


def receive(*events: Data, at: float = 0) -> list[Step]:
    return [(at, "receive", message(3, event)) for event in events]


def answer(action_id: str, at: float = 0, server_id: int = 1, **headers: str) -> Step:
    data = {"Response": "Success", "ActionID": action_id, **headers}
    return (at, "receive", message(4, data, server_id))


def channel_list(
    action_id: str, *items: Data, at: float = 0, count: int | None = None
) -> list[Step]:
    complete = {"Event": "CoreShowChannelsComplete", "ActionID": action_id}
    number = str(len(items) if count is None else count)
    return [
        answer(action_id, at, EventList="start", Message="Channels will follow"),
        *receive(
            *({"Event": "CoreShowChannel", "ActionID": action_id, **item} for item in items),
            {**complete, "EventList": "Complete", "ListItems": number},
            at=at,
        ),
    ]


def only_server(result: Any) -> Any:
    (server,) = result["servers"]
    return server


def only_call(result: Any) -> Any:
    (call,) = only_server(result)["calls"]
    return call
