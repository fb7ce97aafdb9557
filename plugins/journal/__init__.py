"""``journal``: every message, with its time, in files that rotate and never fill the disk.

It writes newline-delimited JSON, a line for each message as clients get it::

    {"time":"2026-11-22T18:12:04.027Z","message":{"type":3,"server_id":1,…}}

The time is UTC. What stands in ``message`` are the very bytes that clients got, so
that a journal can be played back: ``python -m amiws_gevent.simulator.replay FILE``::

    plugins:
    - journal:
        folder: /var/log/amiws-gevent    # made if its parent is there

and, with what else there is to set (these are the defaults)::

    - journal:
        folder: /var/log/amiws-gevent
        prefix: amiws              # files are amiws-2026-11-22-0001.jsonl, then …-0002.jsonl
        max_file_size: 64 MiB      # then the next file is begun
        daily: utc                 # and at midnight: utc, local, or no
        compress: yes              # finished files, with gzip
        max_total: 1 GiB           # of all files; the oldest finished ones are removed
        flush_interval: 1 s        # messages reach the file at most this late
        fsync_interval: 10 s       # and the disk at most this late; no: as the kernel likes
        buffer: 4 MiB              # kept in memory while the disk cannot be written to

of which messages to keep, all unless these are given (names in any case)::

        servers: [pbx-berlin, 2]   # by name, pattern or id
        events: [Queue*, Hangup]   # what is no event is kept all the same
        except_events: VarSet
        types: [3]                 # 3: events alone; see the types of message

A relative ``folder`` counts from the folder of the configuration file.

Killed, the program loses what came in the last ``flush_interval``; with the power
cut, the machine loses that of the last ``fsync_interval``. A line that was torn is
removed at the next start, and the file gone on with.

While the disk is full, or cannot be written to for any other reason, messages are
kept in memory up to ``buffer`` and lost past that. Both are told in the log, once,
and a line ``{"time":"…","lost":123}`` stands in the journal where messages are
missing. The folder is for one journal alone: a second program (or a second journal)
is refused. Files have mode 0640. SIGHUP begins a new file.

A masked header is masked here as well, if ``mask`` stands in the configuration at all;
all else is in clear text: keep the folder from those who should not see calls.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable

import gevent
from gevent.event import Event

from amiws_gevent.ami import Message
from amiws_gevent.plugins import PluginContext, ServerInfo

from .archive import Archive, Stopped
from .files import Folder
from .settings import Selection, Settings
from .writer import Writer

_ARCHIVE_RETRY = 60.0  # seconds until old files are looked after again, if that failed
_ARCHIVE_END = 1.0  # seconds that packing, which stops at its next chunk, has for that


class Plugin:
    """One journal: the writer in two greenlets, the archive in a third that waits for threads."""

    def __init__(self) -> None:
        self._running: _Running | None = None

    @staticmethod
    def amiws_settings() -> type[Settings]:
        return Settings

    def amiws_startup(self, context: PluginContext) -> None:
        """Raises FolderTaken, and OSError for a folder that cannot be used."""
        self._running = _Running(context)

    def amiws_log_message(self, message: Message, server: ServerInfo, json: bytes) -> None:
        """Some 3 microseconds for a message, writing included."""
        running = self._running
        if running is not None and running.selects(message, server):
            running.writer.append(json)

    def amiws_reload(self) -> None:
        """Begin a new file, so that the one before can be taken away whole."""
        if self._running is not None:
            self._running.writer.rotate()

    def amiws_shutdown(self) -> None:
        running, self._running = self._running, None
        if running is not None:
            running.stop()


class _Running:
    """What there is from start-up to shutdown."""

    def __init__(self, context: PluginContext) -> None:
        settings: Settings = context.settings
        self.selects = Selection(settings).accepts
        self._settings = settings
        self._log = context.log
        self._work = Event()
        self._stopping = False
        self._sync_failed = False
        folder = Folder(settings.folder, settings.prefix)
        self.writer = Writer(
            settings,
            folder,
            log=context.log,
            finished=self._work.set,
            count_lost=context.losses.add,
        )
        self._threads = gevent.get_hub().threadpool
        self._archive = Archive(
            settings,
            folder,
            current=lambda: self.writer.current,
            in_thread=self._in_thread,
            log=context.log,
        )
        self.writer.start()
        self._compare_with_disk()
        context.spawn(self._flush)
        context.spawn(self._sync)
        self._archiving = context.spawn(self._look_after_archive)

    def stop(self) -> None:
        """Write what is left; what is being packed is given up."""
        self._stopping = True
        self._archive.stop()
        self._work.set()
        self._archiving.join(_ARCHIVE_END)
        self.writer.flush()
        if self._settings.fsync_interval is not None:
            self._sync_written()
        self.writer.stop()

    def _compare_with_disk(self) -> None:
        try:
            size = shutil.disk_usage(self._settings.folder).total
        except OSError:  # in an outage from the start
            return
        if self._settings.max_total > size:
            self._log.warning(
                "max_total is %d bytes, but the file system of %s has only %d: "
                "the disk will be full before old files are removed",
                self._settings.max_total,
                self._settings.folder,
                size,
            )

    def _flush(self) -> None:
        while True:
            gevent.sleep(self._settings.flush_interval)
            self.writer.flush()

    def _sync(self) -> None:
        while self._settings.fsync_interval is not None:
            gevent.sleep(self._settings.fsync_interval)
            self._sync_written()

    def _sync_written(self) -> None:
        descriptor = self.writer.take_unsynced()
        if descriptor is None:
            return
        try:
            self._in_thread(os.fsync, descriptor)
        except OSError as error:
            if not self._sync_failed:
                self._log.error(
                    "fsync failed: %s; a power cut may lose more than fsync_interval says",
                    error.strerror,
                )
            self._sync_failed = True
        else:
            self._sync_failed = False
        finally:
            os.close(descriptor)

    def _in_thread(self, function: Callable[..., object], *arguments: object) -> object:
        result = self._threads.apply(_outcome, (function, *arguments))
        if isinstance(result, Exception):
            raise result
        return result

    def _look_after_archive(self) -> None:
        while not self._stopping:
            self._work.clear()
            well = self._archive.work()
            self._work.wait(None if well else _ARCHIVE_RETRY)


def _outcome(function: Callable[..., object], *arguments: object) -> object:
    """The result or the error: gevent reports what a thread raises as a fault of the program."""
    try:
        return function(*arguments)
    except (OSError, Stopped) as error:
        return error
