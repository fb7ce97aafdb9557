"""The limit of one write a client and event: a bare Python loop of ``send``.

No library, no greenlets, no limits, no handshake worth the name: AMI events
are cut and encoded, the frame is made once, and goes out by one ``send`` for
each page. What a program in Python cannot beat for lone events.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import selectors
import socket
import struct

from bench.plain_json import to_json

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def accept_client(listener: socket.socket) -> socket.socket:
    """Take one WebSocket, with the least that a client accepts."""
    client, _ = listener.accept()
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    head = b""
    while b"\r\n\r\n" not in head:
        head += client.recv(4096)
    key = head.partition(b"Sec-WebSocket-Key: ")[2].partition(b"\r\n")[0]
    accept = base64.b64encode(hashlib.sha1(key + GUID).digest())
    client.sendall(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
    )
    client.setblocking(False)
    return client


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--ami-port", type=int, required=True)
    ami = socket.create_connection(("127.0.0.1", options.parse_args().ami_port))
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    print(listener.getsockname()[1], flush=True)
    ami.recv(4096)
    ami.sendall(b"Action: Login\r\nUsername: bench\r\nSecret: bench\r\n\r\n")
    selector = selectors.EpollSelector()
    selector.register(ami, selectors.EVENT_READ)
    selector.register(listener, selectors.EVENT_READ)
    clients: list[socket.socket] = []
    rest = b""
    while True:
        for key, _ in selector.select():
            if key.fileobj is listener:
                clients.append(accept_client(listener))
                continue
            data = ami.recv(65536)
            if not data:
                return
            *packets, rest = (rest + data).split(b"\r\n\r\n")
            for packet in packets:
                text = to_json(packet)
                frame = struct.pack("!BBH", 0x81, 126, len(text)) + text
                for client in clients:
                    client.send(frame)


if __name__ == "__main__":
    main()
