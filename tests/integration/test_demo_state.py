"""The demo's busy PBXs: a list by HTTP and a client of amiws.v2 say the same of each moment."""

from __future__ import annotations

from collections import deque
from contextlib import ExitStack
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


class Compared:
    """Lists of a kind, each compared with what a client had and was told then."""

    def __init__(self, kind: str, port: int, session: requests.Session) -> None:
        self.client = Remembers(port)
        self.compared = self.exact = 0
        self._session = session
        self._url = f"http://127.0.0.1:{port}/api/v1/state/{kind}?limit=10000"
        self._lists: deque[tuple[int, str, Collection]] = deque()
        self.client.subscribe("state", kind=kind)

    @property
    def is_enough(self) -> bool:
        return self.exact >= ENOUGH and self.compared >= 2 * ENOUGH

    def ask(self) -> None:
        page = self._session.get(self._url, timeout=WAIT).json()
        assert page["next"] is None
        # What the list has seen is told by the second change from now at the latest: the first may
        # have begun before it.
        told = len(self.client.had) + 2
        self._lists.append((told, page["position"], {key_of(item): item for item in page["items"]}))

    def compare(self) -> None:
        """Wait for the next change, and compare those lists of which all was told."""
        newest = self._lists[-1][0] - 2
        self.client.wait(lambda: len(self.client.had) > newest, "a change")
        while self._lists and self._lists[0][0] < len(self.client.had):
            _, position, listed = self._lists.popleft()
            self._compare(position, listed)

    def _compare(self, position: str, listed: Collection) -> None:
        places = [n for n, (at, _, _) in enumerate(self.client.had) if at == position]
        if not places:
            return  # of the moment before the next change was told
        self.compared += 1
        (place,) = places
        had = self.client.had[place][1]
        differs = {key for key in {*had, *listed} if had.get(key) != listed.get(key)}
        self.exact += not differs
        touched = set[Any]().union(*(keys for _, _, keys in self.client.had[place + 1 :]))
        assert differs <= touched, position


def test_lists_and_a_client_agree_at_each_position(tmp_path: Path) -> None:
    """A list may be newer than its position: then the changes that follow tell all that is."""
    options = ("--demo", "0", "--seed", "7", "--rate", "300")
    with (
        Program(tmp_path, "ws_host: 127.0.0.1\n", *options) as program,
        requests.Session() as session,
        ExitStack() as stack,
    ):
        program.wait_for_log("the live state is synchronised", 2)
        kinds = [Compared(kind, program.port, session) for kind in ("channel", "call")]
        for kind in kinds:
            stack.enter_context(kind.client)
        while not all(kind.is_enough for kind in kinds):
            for kind in kinds:
                kind.ask()
            for kind in kinds:
                kind.compare()
        for kind in kinds:
            assert kind.client.of("gap") == []
