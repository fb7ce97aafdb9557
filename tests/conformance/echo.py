"""A server for WebSocket clients from elsewhere: ``python -m tests.conformance.echo 9001``.

It echoes each text on a port of 127.0.0.1 until it is ended. So Autobahn's test suite, which needs
Python 2.7, can be run against the server: ``wstest -m fuzzingclient -s FILE`` with a FILE like

    {"outdir": "reports", "servers": [{"agent": "amiws-gevent", "url": "ws://127.0.0.1:9001/ws"}],
     "cases": ["*"], "exclude-cases": ["1.2.*"], "exclude-agent-cases": {}}
"""

from __future__ import annotations

import sys

from gevent.event import Event

from amiws_gevent.web.websocket import WebSocketClient
from tests.support.webserver import FakeSessions, make_settings, serving

LONGEST = 1 << 24  # bytes of a message


class Echo(FakeSessions):
    """Remembers nothing."""

    def received(self, client: WebSocketClient, text: str) -> None:
        client.send_text(text)


def main() -> None:
    """Serve until SIGINT."""
    settings = make_settings(ws_port=int(sys.argv[1]), limits={"client_message": LONGEST})
    with serving(settings, sessions=Echo()) as server:
        print(f"ws://127.0.0.1:{server.port}/ws", flush=True)
        Event().wait()


if __name__ == "__main__":
    main()
