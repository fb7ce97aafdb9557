"""The naive baseline: what one writes first with the same libraries.

A greenlet reads AMI line by line, makes JSON with the standard library, and
calls ``ws.send`` for each message and each client, as gevent-websocket's own
examples do.
"""

from __future__ import annotations

import argparse
import json
import ssl as ssl_module

from gevent import monkey

monkey.patch_all()

import gevent  # noqa: E402
from gevent import socket  # noqa: E402
from gevent.pywsgi import WSGIServer  # noqa: E402
from geventwebsocket.exceptions import WebSocketError  # noqa: E402
from geventwebsocket.handler import WebSocketHandler  # noqa: E402

clients = set()


def application(environ, start_response):
    client = environ.get("wsgi.websocket")
    if client is None:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"naive"]
    clients.add(client)
    try:
        while client.receive() is not None:
            pass
    except WebSocketError:
        pass
    finally:
        clients.discard(client)
    return []


def follow(port):
    stream = socket.create_connection(("127.0.0.1", port)).makefile("rwb")
    stream.readline()
    stream.write(b"Action: Login\r\nUsername: bench\r\nSecret: bench\r\n\r\n")
    stream.flush()
    data = {}
    for line in stream:
        line = line.decode("utf-8", "replace").rstrip("\r\n")
        if line:
            name, _, value = line.partition(":")
            data[name.strip()] = value.strip()
        elif data:
            kind = 3 if "Event" in data else 4
            broadcast(
                {"type": kind, "server_id": 1, "server_name": "bench", "ssl": False, "data": data}
            )
            data = {}


def broadcast(message):
    text = json.dumps(message)
    for client in list(clients):
        try:
            client.send(text)
        except WebSocketError:
            clients.discard(client)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--ami-port", type=int, required=True)
    parser.add_argument("--cert")
    parser.add_argument("--key")
    options = parser.parse_args()
    tls = {}
    if options.cert:
        context = ssl_module.SSLContext(ssl_module.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(options.cert, options.key)
        tls["ssl_context"] = context
    server = WSGIServer(
        ("127.0.0.1", 0), application, handler_class=WebSocketHandler, log=None, **tls
    )
    server.start()
    print(server.server_port, flush=True)
    gevent.spawn(follow, options.ami_port)
    server.serve_forever()


if __name__ == "__main__":
    main()
