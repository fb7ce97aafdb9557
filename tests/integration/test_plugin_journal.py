"""The plugin `journal` and the replay against the real program: kills, full disks, busy hours."""

from __future__ import annotations

import gzip
import itertools
import json
import os
import re
import resource
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol, Self

import pytest

from amiws_gevent.ami import Parser, encode_message, envelope_prefix
from tests.support.ami_server import BANNER, AmiServer, Connection
from tests.support.forkserver import fork_server, run_program
from tests.support.journal import files, message_lines, messages, names
from tests.support.patience import WAIT
from tests.support.program import NO_PINGS, Program, ami_host, configuration, wait_until
from tests.support.ws_client import Client, raw_client

CAPTURES = Path(__file__).parent.parent / "captures"
MESSAGE = len('{"time":"2026-11-22T12:00:00.000Z","message":')


def with_journal(port: int, folder: Path, more: str = "", limits: str = "") -> str:
    """A configuration with one server and a journal; ``more`` is further YAML of its settings."""
    lines = [f"folder: {folder}", "flush_interval: 50 ms", *more.splitlines()]
    plugin = "plugins:\n- journal:\n" + "".join(f"    {line}\n" for line in lines)
    return configuration(ami_host(port), more=f"{limits}\n{plugin}")


def journalled(folder: Path) -> list[bytes]:
    """The JSON of all messages in order, byte for byte."""
    return [line[MESSAGE:-2] for path in files(folder) for line in message_lines(path)]


def event(number: int, size: int = 0) -> bytes:
    return f"Event: Numbered\r\nNumber: {number}\r\nFill: {'x' * size}\r\n\r\n".encode()


def numbers(folder: Path) -> list[int]:
    """Those of the numbered events that are in the journal so far; -N where N were lost."""
    found = []
    for entry in messages(folder, live=True):
        if isinstance(entry, int):
            found.append(-entry)
        elif entry["data"].get("Event") == "Numbered":
            found.append(int(entry["data"]["Number"]))
    return found


class FastClient:
    """A client that keeps the payload of each frame, and is never slow."""

    def __init__(self, port: int) -> None:
        self._socket = raw_client(port)
        self._data = bytearray()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        self._socket.settimeout(None)
        while data := self._socket.recv(1 << 20):
            self._data += data

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.shutdown(2)
        self._thread.join(WAIT)
        self._socket.close()

    def wait_for(self, count: int) -> list[bytes]:
        """The first ``count`` messages, once they are there."""
        wait_until(lambda: self._data.count(b'{"type":') >= count, f"{count} messages", 3 * WAIT)
        wait_until(lambda: len(self.messages()) >= count, f"{count} whole messages")
        return self.messages()

    def messages(self) -> list[bytes]:
        found, position, data = [], 0, bytes(self._data)
        while position + 10 < len(data):
            length, start = data[position + 1], position + 2
            if length == 126:
                length, start = int.from_bytes(data[start : start + 2], "big"), start + 2
            elif length == 127:
                length, start = int.from_bytes(data[start : start + 8], "big"), start + 8
            if start + length > len(data):
                break
            found.append(data[start : start + length])
            position = start + length
        return found


class Replay:
    """`amiws_gevent.simulator.replay` as a process."""

    def __init__(self, log: Path, *words: str | Path) -> None:
        self.log = log
        module = "amiws_gevent.simulator.replay.__main__"
        with log.open("wb") as output:
            self.process = fork_server().start(list(map(str, words)), output, module=module)

    @property
    def port(self) -> int:
        wait_until(lambda: "listening" in self.log.read_text(), "the replay to listen")
        return int(re.findall(r"listening on \S+:(\d+) ", self.log.read_text())[0])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        assert self.process.wait(WAIT) == 0, self.log.read_text()
        assert "skipped" not in self.log.read_text()


def run_replay(tmp_path: Path, count: int, *words: str | Path) -> list[bytes]:
    """What a client gets of a second run of the program, whose server is the replay."""
    folder = tmp_path / "second"
    folder.mkdir()
    with (
        AmiServer(Connection.hang) as silent,
        Replay(tmp_path / "replay.log", *words, "--speed", "max", "--wait-for-client") as replay,
        Program(folder, with_journal(silent.port, folder / "journal", limits=ROOMY)) as program,
        FastClient(program.port) as client,
    ):
        # The client has to be there before the first message: the server comes after it.
        program.reload(with_journal(replay.port, folder / "journal", limits=ROOMY))
        received = client.wait_for(count)
        wait_until(lambda: "played" in replay.log.read_text(), "the end of the replay")
    assert journalled(folder / "journal") == received
    return received


ROOMY = (
    "limits:\n  plugin_queue: 128 MiB\n  client_buffer: 128 MiB\n  hub_buffer: 256 MiB\n" + NO_PINGS
)


# -- the journal of traffic replays to the same JSON ---------------------------------


@pytest.mark.parametrize(
    "name", ["asterisk-13.38.raw", "asterisk-22.11.raw", "asterisk-22.11-busy.raw.gz"]
)
def test_a_journal_replays_to_the_same_json(name: str, tmp_path: Path) -> None:
    capture = (CAPTURES / name).read_bytes()
    if name.endswith(".gz"):
        capture = BANNER + gzip.decompress(capture)  # it begins with the login's answer
    count = len(Parser().receive_data(capture))
    client_is_there = threading.Event()

    def script(connection: Connection) -> None:
        client_is_there.wait(WAIT)
        banner, end, rest = capture.partition(b"\r\n")
        connection.send(banner + end)
        connection.read_packet()
        connection.send(rest)
        while connection.read_packet() is not None:
            pass

    journal = tmp_path / "journal"
    small = "max_file_size: 1 MiB\nmax_total: 1 GiB"
    with (
        AmiServer(script) as server,
        Program(tmp_path, with_journal(server.port, journal, small, ROOMY)) as program,
        FastClient(program.port) as client,
    ):
        client_is_there.set()
        received = client.wait_for(count)
        wait_until(lambda: "jsonl.gz" not in names(journal)[-1], "the last file is not packed")
    assert len(received) == count
    assert journalled(journal) == received
    if "busy" in name:
        packed = [path for path in names(journal) if path.endswith(".gz")]
        assert len(packed) > 15, "rotated and packed while it ran"
    assert run_replay(tmp_path, count, *files(journal)) == received


def test_a_lost_connection_is_replayed_as_one(tmp_path: Path) -> None:
    journal = tmp_path / "journal"

    def script(connection: Connection) -> None:
        """The first hangs until the client is there, the second ends, the third stays."""
        number = server.connections.index(connection)
        server.login = "check" if number else "hang"
        server.then = "close" if number == 1 else None
        connection.serve()

    with (
        AmiServer(script, replay=event(1)) as server,
        Program(tmp_path, with_journal(server.port, journal)) as program,
        FastClient(program.port) as client,
    ):
        server.wait_for(lambda server: server.connections and server.connections[0].hung)
        server.connections[0].close()
        received = client.wait_for(6)
        wait_until(lambda: numbers(journal).count(1) == 2, "two sessions")
    assert [json.loads(text)["type"] for text in received] == [1, 4, 3] * 2
    assert journalled(journal) == received
    assert run_replay(tmp_path, 6, *files(journal)) == received
    assert (tmp_path / "replay.log").read_text().count("waiting for a client") == 2


@pytest.mark.parametrize("name", ["asterisk-13.38.raw", "asterisk-18.raw"])
def test_a_capture_replays_as_it_was(name: str, tmp_path: Path) -> None:
    expected = Parser().receive_data((CAPTURES / name).read_bytes())
    prefixes = {
        message.kind: envelope_prefix(message.kind, 1, "pbx", False) for message in expected
    }
    wanted = [encode_message(prefixes[message.kind], message) for message in expected]
    assert run_replay(tmp_path, len(wanted), CAPTURES / name) == wanted


# -- killed --------------------------------------------------------------------------


def test_a_kill_loses_at_most_what_had_not_reached_the_disk(tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    sent = 0
    newest: Connection | None = None

    def script(connection: Connection) -> None:
        nonlocal sent, newest
        newest = connection
        connection.send(BANNER)
        connection.read_packet()
        connection.send(b"Response: Success\r\nMessage: Authentication accepted\r\n\r\n")
        while connection is newest and not connection.ended:
            connection.send(event(sent))
            sent += 1
            time.sleep(0.0005)

    with AmiServer(script) as server:
        settings = with_journal(server.port, journal, "max_file_size: 64k\nmax_total: 100M")
        for _ in range(3):
            with Program(tmp_path, settings) as program:
                begun = sent
                wait_until(lambda begun=begun: sent > begun + 1000, "much traffic")
                with Client(program.port) as client:
                    wait_until(lambda client=client: len(client.messages) > 200, "a client sees it")
                    last = int(client.messages[-1]["data"]["Number"])
                    # 50 ms is when it is flushed; a machine with other work is slower.
                    wait_until(lambda last=last: numbers(journal)[-1:] > [last], "it is on disk")
                    on_disk = numbers(journal)[-1]
                    os.kill(program.process.pid, signal.SIGKILL)
                    program.process.wait()
            found = numbers(journal)
            assert found[-1] >= on_disk
            # As a power cut leaves it, and as one in the middle of packing does.
            with files(journal)[-1].open("ab") as stream:
                stream.write(b'{"time":"2026-11-22T12:00:00.000Z","mess\0\0\0')
            (journal / "amiws-2020-01-01-0001.jsonl.gz.tmp").write_bytes(b"half")
        with Program(tmp_path, settings) as program:
            wait_until(lambda: numbers(journal)[-1] > found[-1], "a clean start")
            program.wait_for_log("ended in an incomplete line: removed its 43 bytes")
            assert "amiws-2020-01-01-0001.jsonl.gz.tmp" not in names(journal)
    found = numbers(journal)
    assert found == sorted(set(found)), "nothing is there twice"
    gaps = [b - a - 1 for a, b in itertools.pairwise(found) if b != a + 1]
    assert len(gaps) <= 3, "nothing is missing but at the three kills"


# -- a full disk ---------------------------------------------------------------------


class SmallDisk(Protocol):
    """Where a journal may lie that can be made full for real."""

    folder: Path

    def fill(self, program: Program) -> None: ...
    def free(self, program: Program) -> None: ...


class SmallMount:
    """A tmpfs of 2 MiB, filled with another file; root may mount one."""

    error = "No space left on device"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", "size=2m", "amiws-test", str(folder)]
        subprocess.run(command, check=True, capture_output=True)

    def fill(self, program: Program | None = None) -> None:
        with (self.folder / "filler").open("wb", buffering=0) as filler:
            try:
                while True:
                    filler.write(b"x" * 4096)
            except OSError:
                return

    def free(self, program: Program) -> None:
        (self.folder / "filler").unlink()

    def close(self) -> None:
        subprocess.run(["umount", "-l", str(self.folder)], check=True)


class SmallLimit:
    """The program's limit for the size of a file: what a user without rights has."""

    error = "File too large"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()

    def fill(self, program: Program) -> None:
        (file,) = (self.folder / "journal").iterdir()
        self._limit(program, file.stat().st_size + 100)

    def free(self, program: Program) -> None:
        self._limit(program, resource.RLIM_INFINITY)

    def _limit(self, program: Program, size: int) -> None:
        hard = resource.RLIM_INFINITY
        resource.prlimit(program.process.pid, resource.RLIMIT_FSIZE, (size, hard))

    def close(self) -> None:
        return


def small_disks(folder: Path) -> Iterator[SmallMount | SmallLimit]:
    try:
        disk: SmallMount | SmallLimit = SmallMount(folder)
    except (OSError, subprocess.CalledProcessError):
        folder.rmdir()
        disk = SmallLimit(folder)
    try:
        yield disk
    finally:
        disk.close()


@pytest.fixture(params=["mount", "limit"])
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SmallMount | SmallLimit]:
    if request.param == "mount":
        yield from small_disks(tmp_path / "disk")
    else:
        yield SmallLimit(tmp_path / "disk")


def test_a_full_disk_costs_no_client_a_message_and_is_said(
    disk: SmallMount | SmallLimit, tmp_path: Path
) -> None:
    journal = disk.folder / "journal"
    with (
        AmiServer() as server,
        Program(tmp_path, with_journal(server.port, journal, "buffer: 64k")) as program,
        Client(program.port) as client,
    ):
        server.wait_login()

        def send(first: int, count: int) -> None:
            for number in range(first, first + count):
                server.send(event(number, size=1000))
            wait_until(
                lambda: (
                    client.messages[-1:]
                    and client.messages[-1]["data"].get("Number") == str(first + count - 1)
                ),
                "a client gets all",
            )

        send(0, 100)
        wait_until(lambda: numbers(journal)[-1:] == [99], "all is well")
        disk.fill(program)
        send(100, 20)
        program.wait_for_log("messages are kept in memory up to 65536 bytes")
        send(120, 200)
        disk.free(program)
        program.wait_for_log("messages were lost")
        send(320, 10)
        wait_until(lambda: numbers(journal)[-1] == 329, "well again")
        assert program.log.count(disk.error) == 1
        program.process.terminate()
        program.process.wait(WAIT)
        log = program.log
    found = numbers(journal)
    (place,) = [place for place, number in enumerate(found) if number < 0]
    lost = -found[place]
    assert lost > 100
    assert found[:place] == list(range(place)), "what was kept"
    assert found[place + 1 :] == list(range(place + lost, 330)), "what came after"
    assert f"{lost} messages were lost" in log
    assert "Numbered" in [message["data"].get("Event") for message in client.messages]


def test_a_start_on_a_full_disk(disk: SmallMount | SmallLimit, tmp_path: Path) -> None:
    if isinstance(disk, SmallLimit):  # nothing is written at the start: the first line is it
        journal = disk.folder / "journal"
        journal.mkdir()
    else:
        disk.fill(None)  # type: ignore[arg-type]
        journal = disk.folder
    with (
        AmiServer() as server,
        Program(tmp_path, with_journal(server.port, journal)) as program,
    ):
        if isinstance(disk, SmallLimit):
            program.wait_for_log("connected to")
            disk._limit(program, 8192)
            server.send(event(0, size=9000))
        else:
            server.wait_login()
            server.send(event(0))
        program.wait_for_log(disk.error)
        disk.free(program)
        wait_until(lambda: numbers(journal) == [0], "it is written at last")


# -- what operators do ---------------------------------------------------------------


def test_a_second_program_on_the_folder_is_refused(tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    with AmiServer() as server, Program(tmp_path, with_journal(server.port, journal)) as program:
        other = tmp_path / "other"
        other.mkdir()
        (other / "amiws.yaml").write_text(with_journal(server.port, journal))
        ended = run_program("-f", other / "amiws.yaml")
        assert ended.returncode == 78
        assert f"another journal writes to {journal}" in ended.stderr
        server.wait_login()
        server.send(event(1))
        wait_until(lambda: numbers(journal) == [1], "the first goes on")
        # The same again after a reload that changes the settings: the lock is passed on.
        program.reload(with_journal(server.port, journal, "compress: no"))
        program.wait_for_log("configuration applied")
        server.send(event(2))
        wait_until(lambda: numbers(journal) == [1, 2], "the next one goes on in the file")


def test_a_reload_begins_a_new_file_and_loses_nothing(tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    with AmiServer() as server, Program(tmp_path, with_journal(server.port, journal)) as program:
        server.wait_login()
        for number in range(3):
            server.send(event(number))
            wait_until(lambda number=number: numbers(journal)[-1:] == [number], "it is there")
            program.reload()
            program.wait_for_log("configuration applied", number + 1)
        wait_until(lambda: len([n for n in names(journal) if n.endswith(".gz")]) == 3, "packed")
    assert numbers(journal) == [0, 1, 2]


def test_what_was_received_before_a_stop_is_on_the_disk(tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    slow = "flush_interval: 1 h"
    text = with_journal(1, journal).replace("flush_interval: 50 ms", slow)
    with AmiServer() as server:
        text = text.replace("port: 1\n", f"port: {server.port}\n")
        with Program(tmp_path, text) as program, Client(program.port) as client:
            server.wait_login()
            server.send(event(7))
            client.wait_for_event("Numbered")
    assert numbers(journal) == [7]


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        (
            "folder: /nowhere/journal",
            "plugins[0].journal.folder: /nowhere/journal cannot be created",
        ),
        ("folder: /x\n    max_file_size: 2T", "must be at least 3 times max_file_size"),
        ("prefix: x", "plugins[0].journal.folder: is missing"),
        ("folder: /x\n    maxfilesize: 1M", "did you mean max_file_size?"),
    ],
)
def test_mistakes_are_found_by_check(tmp_path: Path, settings: str, complaint: str) -> None:
    file = tmp_path / "amiws.yaml"
    file.write_text(configuration(ami_host(1), more=f"plugins:\n- journal:\n    {settings}\n"))
    ended = run_program("--check", "-f", file)
    assert ended.returncode == 78
    assert complaint in ended.stderr
    assert re.search(rf"{re.escape(str(file))}:\d+: ", ended.stderr)
