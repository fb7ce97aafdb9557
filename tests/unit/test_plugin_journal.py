"""The plugin `journal`: its settings, what it keeps, its greenlets, its end."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gevent
import pytest
from amiws_plugins.journal import Plugin, Settings
from amiws_plugins.journal.files import FolderTaken
from pydantic import ValidationError

from amiws_gevent.ami import Kind, Message, encode_message, envelope_prefix
from amiws_gevent.plugins import PluginContext, ServerInfo
from tests.support.greenlets import until
from tests.support.journal import messages, names, settings
from tests.support.leaks import open_descriptors

PBX = ServerInfo(1, "pbx-berlin", False)
OTHER = ServerInfo(2, "pbx-lisbon", True)


class Host:
    """What the core does for a plugin."""

    def __init__(self) -> None:
        self.plugin = Plugin()
        self.greenlets: list[gevent.Greenlet[..., Any]] = []

    def start(self, **given: Any) -> None:
        model = Plugin.amiws_settings().model_validate(given)
        log = logging.getLogger("amiws_gevent.plugin.journal")
        self.plugin.amiws_startup(PluginContext("journal", model, log, self._spawn))

    def _spawn(self, function: Callable[..., Any], *arguments: Any) -> gevent.Greenlet[..., Any]:
        self.greenlets.append(gevent.spawn(function, *arguments))
        return self.greenlets[-1]

    def stop(self) -> None:
        self.plugin.amiws_shutdown()
        gevent.killall(self.greenlets)
        self.greenlets.clear()

    def log(self, message: Message, server: ServerInfo = PBX) -> bytes:
        prefix = envelope_prefix(message.kind, server.id, server.name, server.ssl)
        json = encode_message(prefix, message)
        self.plugin.amiws_log_message(message, server, json)
        return json


@pytest.fixture
def host() -> Iterator[Host]:
    host = Host()
    yield host
    host.stop()


def event(name: str) -> Message:
    return Message(Kind.EVENT, {"Event": name})


# -- settings ------------------------------------------------------------------------


def test_the_defaults(tmp_path: Path) -> None:
    found = settings(tmp_path)
    assert (found.max_file_size, found.max_total, found.buffer) == (64 << 20, 1 << 30, 4 << 20)
    assert (found.flush_interval, found.fsync_interval) == (1.0, 10.0)
    assert (found.daily, found.compress, found.prefix) == ("utc", True, "amiws")


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("max_file_size", "512k", 512 * 1024),
        ("max_file_size", "1.5 MB", 1536 * 1024),
        ("max_file_size", "100000", 100_000),
        ("buffer", "65536 bytes", 65536),
        ("flush_interval", "200 ms", 0.2),
        ("flush_interval", "5", 5.0),
        ("fsync_interval", "1 min", 60.0),
        ("fsync_interval", "no", None),
        ("fsync_interval", "Never", None),
        ("daily", "LOCAL", "local"),
        ("daily", "off", "no"),
        ("compress", "no", False),
        ("types", "3", (3,)),
        ("types", "3, 4", (3, 4)),
        ("types", ["0", "6"], (0, 6)),
        ("events", "Hangup, Queue*", ("Hangup", "Queue*")),
    ],
)
def test_values_as_people_write_them(tmp_path: Path, key: str, text: Any, value: Any) -> None:
    assert getattr(settings(tmp_path, **{key: text}), key) == value


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"folder": ""}, "folder\n  Value error, must be a path"),
        ({"folder": "/nowhere/journal"}, "/nowhere/journal cannot be created: there is no folder"),
        ({"folder": __file__}, "test_plugin_journal.py is not a folder"),
        ({"folder": f"{__file__}/journal"}, "there is no folder"),
        ({"prefix": "../a"}, "must be 1 to 100 letters (A to Z, a to z), digits, _, . or -, not "),
        ({"prefix": ""}, "not beginning with . or -, not ''"),
        ({"prefix": "a" * 101}, "must be 1 to 100 letters"),
        ({"prefix": "a\n"}, r"not 'a\n'"),
        ({"max_file_size": "big"}, "must be a size such as 1048576, 512k or 4 MiB, at least"),
        ({"max_file_size": "1k"}, "greater than or equal to 65536"),
        ({"max_file_size": "-1"}, "must be a size"),
        ({"max_file_size": "1M", "max_total": "2M"}, "at least 3 times max_file_size"),
        ({"flush_interval": "5 ms"}, "greater than or equal to 0.01"),
        ({"flush_interval": "soon"}, "must be a time in seconds, or such as 30 s, 5 min or"),
        ({"fsync_interval": "10 ms"}, "greater than or equal to 0.1"),
        ({"fsync_interval": "0"}, "must be a time in seconds"),
        ({"daily": "weekly"}, "should be 'utc', 'local' or 'no'"),
        ({"types": "7"}, "less than or equal to 6"),
        ({"types": "event"}, "valid integer"),
        ({"events": ""}, "has an empty name"),
        ({"maxsize": "1"}, "Extra inputs are not permitted"),
    ],
)
def test_mistakes(given: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Settings.model_validate({"folder": "/var/log/x", **given})
    assert complaint in str(caught.value)


def test_a_folder_that_may_not_be_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(path: Path) -> bool:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "is_dir", denied)
    with pytest.raises(ValidationError, match="journal cannot be accessed: Permission denied"):
        Settings.model_validate({"folder": str(tmp_path / "journal")})


def test_a_folder_has_to_be_named() -> None:
    with pytest.raises(ValidationError, match="folder\n  Field required"):
        Settings.model_validate({})


# -- what is kept --------------------------------------------------------------------


def test_messages_are_kept_byte_for_byte(host: Host, tmp_path: Path) -> None:
    host.start(folder=tmp_path)
    sent = [
        host.log(
            Message(Kind.EVENT, [("Event", "A"), ("Variable", "a"), ("Variable", "ü\0\ufffd")])
        ),
        host.log(Message(Kind.QUEUE, {"QueueName": "q", "Calls": 3}), OTHER),
    ]
    host.stop()
    (file,) = tmp_path.iterdir()
    prefix = len('{"time":"2026-11-22T12:00:00.000Z","message":')
    assert [line[prefix:-1] for line in file.read_bytes().splitlines()] == sent


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({}, "1:Hangup 1:VarSet 1:Response 2:Hangup"),
        ({"servers": "1"}, "1:Hangup 1:VarSet 1:Response"),
        ({"servers": ["PBX-Lisbon"]}, "2:Hangup"),
        ({"servers": "pbx-*"}, "1:Hangup 1:VarSet 1:Response 2:Hangup"),
        ({"events": "hang*"}, "1:Hangup 1:Response 2:Hangup"),
        ({"except_events": "varset"}, "1:Hangup 1:Response 2:Hangup"),
        ({"events": "Hangup, VarSet", "except_events": "H*"}, "1:VarSet 1:Response"),
        ({"types": "3"}, "1:Hangup 1:VarSet 2:Hangup"),
        ({"types": "4, 5"}, "1:Response"),
    ],
)
def test_selection(host: Host, tmp_path: Path, given: dict[str, Any], kept: str) -> None:
    host.start(folder=tmp_path, **given)
    host.log(event("Hangup"))
    host.log(event("VarSet"))
    host.log(Message(Kind.RESPONSE, {"Response": "Success"}))
    host.log(event("Hangup"), OTHER)
    host.stop()
    found = [
        f"{message['server_id']}:{message['data'].get('Event', 'Response')}"
        for message in messages(tmp_path)
    ]
    assert " ".join(found) == kept


# -- greenlets -----------------------------------------------------------------------


def test_a_message_reaches_its_file_without_a_further_one(host: Host, tmp_path: Path) -> None:
    host.start(folder=tmp_path, flush_interval="20 ms")
    host.log(event("A"))
    assert messages(tmp_path) == []
    until(lambda: len(messages(tmp_path)) == 1)


def test_what_was_written_is_synced(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    synced: list[str] = []
    broken = False

    def fsync(descriptor: int) -> None:
        synced.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
        if broken:
            raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", fsync)
    descriptors = open_descriptors()
    host.start(folder=tmp_path, flush_interval="10 ms", fsync_interval="100 ms")
    host.log(event("A"))
    until(lambda: synced)
    assert synced == [str(path) for path in tmp_path.iterdir()]
    broken = True
    for count in (2, 3, 4):  # no further ones: only what was written to is synced
        host.log(event("B"))
        until(lambda count=count: len(synced) == count)
    assert caplog.text.count("fsync failed: Input/output error") == 1
    host.stop()
    until(lambda: len(open_descriptors() - descriptors) <= 3)  # those of gevent's threads


def test_finished_files_are_packed_in_a_thread(host: Host, tmp_path: Path) -> None:
    host.start(folder=tmp_path, max_file_size="64k", max_total="10M", flush_interval="10 ms")
    for _ in range(5):
        host.log(Message(Kind.EVENT, {"Event": "A", "X": "x" * 40_000}))
    until(lambda: [name[-3:] for name in names(tmp_path)] == [".gz"] * 4 + ["onl"])
    assert len(messages(tmp_path)) == 5


def test_packing_keeps_nobody_waiting(host: Host, tmp_path: Path) -> None:
    old = tmp_path / "amiws-2020-01-01-0001.jsonl"
    old.write_bytes(b'{"time":"x","message":"%s"}\n' % (b"y" * 1000) * 40_000)
    turns = 0
    host.start(folder=tmp_path)
    until(lambda: old.with_name(f"{old.name}.gz.tmp").exists() or not old.exists())
    while old.exists():
        gevent.sleep(0)
        turns += 1
    assert (tmp_path / f"{old.name}.gz").exists()
    assert turns > 10, "a greenlet had to wait for the thread"


def test_a_disk_that_fails_the_archive_kills_no_greenlet(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "amiws-2020-01-01-0001.jsonl").write_bytes(b"x\n")
    reported: list[object] = []
    monkeypatch.setattr(gevent.get_hub(), "handle_error", lambda *args: reported.append(args))

    def broken(descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", broken)
    host.start(folder=tmp_path)
    until(lambda: "cannot compress or remove old files: Input/output error" in caplog.text)
    assert not any(greenlet.dead for greenlet in host.greenlets if greenlet.exception)
    assert not reported


def test_old_files_are_looked_after_again_later(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("amiws_plugins.journal._ARCHIVE_RETRY", 0.05)
    monkeypatch.setattr("amiws_plugins.journal.archive.os.fsync", _fail_twice())
    (tmp_path / "amiws-2020-01-01-0001.jsonl").write_bytes(b"x\n")
    host.start(folder=tmp_path)
    until(lambda: (tmp_path / "amiws-2020-01-01-0001.jsonl.gz").exists())


def _fail_twice() -> Callable[[int], None]:
    failures = iter([True, True])

    def fsync(descriptor: int) -> None:
        if next(failures, False):
            raise OSError(28, "No space left on device")

    return fsync


def test_a_bound_that_the_disk_cannot_hold_is_warned_of(
    host: Host, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    size = shutil.disk_usage(tmp_path).total
    host.start(folder=tmp_path, max_total=str(size))
    host.stop()
    assert not caplog.records
    host.start(folder=tmp_path, max_total=str(size + 1))
    (record,) = caplog.records
    assert record.getMessage() == (
        f"max_total is {size + 1} bytes, but the file system of {tmp_path} has only {size}: "
        "the disk will be full before old files are removed"
    )


# -- reload, end, start --------------------------------------------------------------


def test_a_reload_begins_a_new_file(host: Host, tmp_path: Path) -> None:
    host.start(folder=tmp_path, compress="no")
    host.log(event("A"))
    host.plugin.amiws_reload()
    host.log(event("B"))
    host.stop()
    assert len(names(tmp_path)) == 2
    assert [message["data"]["Event"] for message in messages(tmp_path)] == ["A", "B"]


def test_the_same_instance_may_start_again(host: Host, tmp_path: Path) -> None:
    host.start(folder=tmp_path)
    host.log(event("A"))
    host.stop()
    host.log(event("nobody keeps this"))
    host.plugin.amiws_reload()
    host.start(folder=tmp_path)
    host.log(event("B"))
    host.stop()
    assert [message["data"]["Event"] for message in messages(tmp_path)] == ["A", "B"]


def test_a_second_journal_is_refused_and_disturbs_nothing(host: Host, tmp_path: Path) -> None:
    host.start(folder=tmp_path)
    second = Host()
    with pytest.raises(FolderTaken, match="needs a folder of its own"):
        second.start(folder=tmp_path)
    second.stop()
    host.log(event("A"))
    host.stop()
    assert len(messages(tmp_path)) == 1


def test_a_stop_gives_up_packing_at_once(host: Host, tmp_path: Path) -> None:
    old = tmp_path / "amiws-2020-01-01-0001.jsonl"
    with old.open("wb") as stream:
        for _ in range(64):
            stream.write(os.urandom(1 << 20).replace(b"\n", b"x") + b"\n")
    host.start(folder=tmp_path, max_file_size="128M")
    until(lambda: old.with_name(f"{old.name}.gz.tmp").exists())
    host.stop()
    assert old.exists(), "it was not packed to its end"
    assert not any(name.endswith((".gz", ".tmp")) for name in names(tmp_path))
