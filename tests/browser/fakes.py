"""What a page needs of amiws-gevent, played by a small server: web_root and the classic socket."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.sync.server import ServerConnection

from tests.support.page_server import PageServer
from tests.support.program import wait_until
from tests.support.web_root import response

Data = dict[str, Any]


class FakePbx:
    """One server as the fake tells of it. ``error``: why actions for it cannot be sent."""

    def __init__(self, server_id: int, name: str, version: str, ami_version: str) -> None:
        self.id = server_id
        self.name = name
        self.version = version
        self.ami_version = ami_version
        self.error = ""
        self.is_silent = False
        self.channels: list[Data] = []  # what CoreShowChannels lists

    def envelope(self, kind: int, data: Data) -> Data:
        """The five keys round ``data``."""
        return {
            "type": kind,
            "server_id": self.id,
            "server_name": self.name,
            "ssl": False,
            "data": data,
        }

    def answers(self, action: Data) -> Iterable[Data]:
        """The messages that answer ``action``."""
        name, action_id = action["Action"], action["ActionID"]
        if self.is_silent:
            return
        if self.error:
            refusal = {"Response": "Error", "ActionID": action_id, "Message": self.error}
            yield self.envelope(4, refusal)
            return
        success = {"Response": "Success", "ActionID": action_id}
        if name == "CoreSettings":
            versions = {"AMIversion": self.ami_version, "AsteriskVersion": self.version}
            yield self.envelope(4, success | versions)
        elif name == "CoreStatus":
            started = {"CoreStartupDate": "2026-11-22", "CoreStartupTime": "17:55:01"}
            yield self.envelope(4, success | started)
        elif name == "CoreShowChannels":
            yield self.envelope(4, success | {"EventList": "start"})
            for channel in self.channels:
                item = {"Event": "CoreShowChannel", "ActionID": action_id}
                yield self.envelope(3, item | channel)
            count = {"EventList": "Complete", "ListItems": str(len(self.channels))}
            complete = {"Event": "CoreShowChannelsComplete", "ActionID": action_id}
            yield self.envelope(3, complete | count)


class FakeAmiws(PageServer):
    """Speaks the classic socket at any path.

    As the program does, it gives answers to all pages and refusals to the one that asked.
    """

    def __init__(self, *pbxs: FakePbx, port: int = 0) -> None:
        self.pbxs = {pbx.id: pbx for pbx in pbxs}
        self.actions: list[Data] = []  # all that pages sent
        self.requests: list[str] = []  # paths asked for over HTTP
        self.refuse_upgrades = False
        super().__init__(port=port)

    def wait_for_page(self) -> None:
        """Wait until a page's socket is open."""
        wait_until(self.peers, "a page")

    def send(self, *messages: Data) -> None:
        """Give messages to all pages."""
        for page in self.peers():
            for message in messages:
                page.send(json.dumps(message))

    def event(self, server_id: int, **headers: str) -> None:
        """Give an event of a server to all pages."""
        self.send(self.pbxs[server_id].envelope(3, headers))

    def drop_pages(self, code: int = 1012, reason: str = "") -> None:
        """Close all sockets."""
        for page in self.peers():
            page.close(code, reason)

    def serve_client(self, peer: ServerConnection) -> None:
        with contextlib.suppress(ConnectionClosed):  # by the test, or the browser is gone
            for text in peer:
                self._action(peer, json.loads(text))

    def upgrade(self, request: Request) -> Response | None:
        return response(401, b"log in", "text/plain") if self.refuse_upgrades else None

    def page(self, path: str) -> Response:
        self.requests.append(path)
        return super().page(path)

    def _action(self, page: ServerConnection, action: Data) -> None:
        self.actions.append(action)
        asked = action.get("AMIServerID")
        if asked is not None and asked not in self.pbxs:
            text = f"AMIServerID {asked}: no such server"
            refusal = {"Response": "Error", "ActionID": action["ActionID"], "Message": text}
            own = {"type": 4, "server_id": 0, "server_name": "amiws-gevent", "ssl": False}
            page.send(json.dumps(own | {"data": refusal}))
            return
        for pbx in self.pbxs.values() if asked is None else [self.pbxs[asked]]:
            for message in pbx.answers(action):
                if pbx.error:
                    page.send(json.dumps(message))
                else:
                    self.send(message)
