"""The demo's busy PBXs: a list by HTTP and a client of amiws.v2 say the same of each moment."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import requests

from tests.support.patience import WAIT
from tests.support.program import Program
from tests.support.v2_client import Collection, V2Client, key_of

pytestmark = pytest.mark.slow

ENOUGH = 30


class Remembers(V2Client):
    """Keeps what it had at each position, and the keys that led there."""

    def __init__(self, port: int) -> None:
        self.had: list[tuple[str, Collection, set[Any]]] = []
        self._touched: set[Any] = set()
        super().__init__(port)

    def _snapshot(self, message: dict[str, Any]) -> None:
        super()._snapshot(message)
        self._note(message)

    def _state(self, message: dict[str, Any]) -> None:
        super()._state(message)
        self._touched |= {key_of(item) for item in (*message["set"], *message["unset"])}
        self._note(message)

    def _note(self, message: dict[str, Any]) -> None:
        if "position" in message:
            had = dict(self.collections[message["subscription"]])
            self.had.append((message["position"], had, self._touched))
            self._touched = set()


@pytest.mark.parametrize("kind", ["channel", "call"])
def test_lists_and_a_client_agree_at_each_position(tmp_path: Path, kind: str) -> None:
    """A list may be newer than its position: then the changes that follow tell all that is."""
    options = ("--demo", "0", "--seed", "7", "--rate", "300")
    with Program(tmp_path, "ws_host: 127.0.0.1\n", *options) as program:
        program.wait_for_log("the live state is synchronised", 2)
        url = f"http://127.0.0.1:{program.port}/api/v1/state/{kind}?limit=10000"
        with Remembers(program.port) as client, requests.Session() as session:
            client.subscribe("state", kind=kind)
            compared = exact = 0
            while exact < ENOUGH or compared < 2 * ENOUGH:
                page = session.get(url, timeout=WAIT).json()
                assert page["next"] is None
                position, listed = page["position"], {key_of(item): item for item in page["items"]}
                # What the list has seen is told by the second change from now at the latest: the
                # first may have begun before it.
                told = len(client.had) + 2
                client.wait(lambda told=told: len(client.had) > told, "changes")
                places = [n for n, (at, _, _) in enumerate(client.had) if at == position]
                if not places:
                    continue  # of the moment before the next change was told
                compared += 1
                (place,) = places
                had = client.had[place][1]
                differs = {key for key in {*had, *listed} if had.get(key) != listed.get(key)}
                exact += not differs
                touched = set[Any]().union(*(keys for _, _, keys in client.had[place + 1 :]))
                assert differs <= touched, position
            assert client.of("gap") == []
