"""The native limit: uWebSockets (C++) through socketify, with asyncio reading AMI beside it.

What a good programmer writes on an afternoon: packets cut and decoded the
short way, JSON by orjson, each message published to the topic that all clients
are subscribed to; uWebSockets joins and sends in C++. ``--backlog`` is what it
may hold for one client, bytes.
"""

from __future__ import annotations

import argparse
import asyncio

from socketify import App, AppListenOptions, OpCode

from bench.plain_json import to_json


async def follow(port: int, app: App) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)
    await reader.readline()
    writer.write(b"Action: Login\r\nUsername: bench\r\nSecret: bench\r\n\r\n")
    rest = b""
    while data := await reader.read(256 * 1024):
        *packets, rest = (rest + data).split(b"\r\n\r\n")
        for packet in packets:
            app.publish("all", to_json(packet), OpCode.TEXT)


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--ami-port", type=int, required=True)
    options.add_argument("--backlog", type=int, default=1 << 30)
    chosen = options.parse_args()
    app = App()
    following: list[asyncio.Task[None]] = []
    app.ws(
        "/*",
        {
            "open": lambda client: client.subscribe("all"),
            "message": lambda client, message, opcode: None,
            "max_backpressure": chosen.backlog,
            "idle_timeout": 0,
        },
    )

    def listening(config: AppListenOptions) -> None:
        print(config.port, flush=True)
        # The loop keeps only a weak reference to a task.
        following.append(app.loop.loop.create_task(follow(chosen.ami_port, app)))

    app.listen(AppListenOptions(port=0, host="127.0.0.1"), listening)
    app.run()


if __name__ == "__main__":
    main()
