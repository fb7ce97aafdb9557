"""For the tests of plugins: feed messages through one, and see what comes out.

``PluginHarness`` loads, starts, calls and stops a plugin with the program's own
code, without a server, a network or a configuration file::

    with PluginHarness("quiet.py", {"names": ["VarSet"]}) as plugin:
        assert plugin.feed(event("VarSet", Variable="x")) == []

It works with any test runner. Hooks run in greenlets, as in the program. But in the
program ``time.sleep`` and sockets let other greenlets run, because it begins with
``gevent.monkey.patch_all()``; a test runner does not do that by itself.

What a test needs is here, the errors that the harness raises too: ``ConfigError`` for
what ``--check`` would report, ``PluginError`` for a plugin that cannot start.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import logging
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import yaml

from amiws_gevent.ami import ClientAction, Kind, Message, Parser, parse_client_action
from amiws_gevent.batch import Batch
from amiws_gevent.config import AmiHost, ConfigError, Limits, load_settings
from amiws_gevent.pipeline import Pipeline, Source
from amiws_gevent.plugins.api import ClientInfo, Entity, Headers, RequestInfo, ServerInfo
from amiws_gevent.plugins.change import Change
from amiws_gevent.plugins.entities import NAME, copied
from amiws_gevent.plugins.entry import PluginEntry
from amiws_gevent.plugins.facilities import UNREACHABLE, Answer, AskError
from amiws_gevent.plugins.loading import PluginError
from amiws_gevent.plugins.manager import Plugins, RunningPlugin
from amiws_gevent.runtime.log import LogLimiter
from amiws_gevent.runtime.loop import yield_to_loop

if TYPE_CHECKING:
    from flask.testing import FlaskClient

__all__ = [
    "CLIENT",
    "PATIENCE",
    "READ_SIZE",
    "SERVER",
    "Answer",
    "AskError",
    "ConfigError",
    "PluginError",
    "PluginHarness",
    "event",
    "response",
]

SERVER = ServerInfo(1, "pbx1", False)
"""The server that messages come from where a test names none."""

CLIENT = ClientInfo("192.0.2.10", None, "classic")
"""The client that asks where a test names none; its address is from RFC 5737."""

READ_SIZE = 64 * 1024  # bytes of a capture that are parsed in one go

_FAULTS_LOGGER = "amiws_gevent.plugins"
_PLUGIN_LOGGER = "amiws_gevent.plugin"

PATIENCE = 2.0  # seconds that a message hook may take in a test

_ACCOUNT = {"host": "127.0.0.1", "username": "test", "secret": "test"}


def event(name: str, /, *pairs: tuple[str, str], **headers: Any) -> Message:
    """An event as a server sends it: ``event("Hangup", Channel="PJSIP/100-1", Cause=16)``.

    A list is a header that repeats: ``ChanVariable=["a=1", "b=2"]``. Names that
    Python does not take go before, as pairs: ``("ChanVariable(PJSIP/100-1)", "a=1")``.
    """
    return _message(Kind.EVENT, ("Event", name), pairs, headers)


def response(kind: str = "Success", /, *pairs: tuple[str, str], **headers: Any) -> Message:
    """An answer to an action: ``response("Error", Message="No such channel")``."""
    return _message(Kind.RESPONSE, ("Response", kind), pairs, headers)


def _message(
    kind: Kind, first: tuple[str, str], pairs: Iterable[tuple[str, str]], headers: Mapping[str, Any]
) -> Message:
    listed = [first, *pairs]
    for name, value in headers.items():
        values = value if isinstance(value, (list, tuple)) else [value]
        listed += [(name, str(one)) for one in values]
    return Message(kind, listed)


class FakeProgram:
    """What the plugin under test has of a program (`plugins.facilities.Facilities`).

    It is its own ``state``: what the test has put there.
    """

    def __init__(self) -> None:
        self.answer: Callable[[int, Mapping[str, Any]], Answer] | None = None
        self.asked: list[tuple[int, dict[str, Any]]] = []
        self.published: list[Message] = []
        self.known: dict[int, ServerInfo] = {}
        self.fields: dict[int, dict[tuple[str, str], dict[str, Any]]] = {}

    @property
    def state(self) -> FakeProgram:
        return self

    @property
    def servers(self) -> Mapping[int, ServerInfo]:
        return dict(self.known)

    def get(self, server: int, kind: str, id: str, /) -> dict[str, Any] | None:  # noqa: A002
        found = self.fields.get(server, {}).get((kind, id))
        return None if found is None else copied(found)

    def of(self, server: int, kind: str, /) -> Mapping[str, dict[str, Any]]:
        entities = self.fields.get(server, {}).items()
        return {key: copied(fields) for (of, key), fields in entities if of == kind}

    def entities(self, server: int) -> Iterable[tuple[str, str, Mapping[str, Any]]]:
        return [(kind, key, known) for (kind, key), known in self.fields.get(server, {}).items()]

    def ask(self, server: int, action: Mapping[str, Any], *, timeout: float, wait: bool) -> Answer:
        self.asked.append((server, dict(action)))
        if self.answer is None:
            raise AskError(UNREACHABLE, "the test gives no answer")
        return self.answer(server, action)

    def publish(self, event: Message) -> bool:
        self.published.append(event)
        return True

    def show_anew(self) -> None:
        """Nobody is shown anything."""


class PluginHarness:
    """Runs a plugin as the program does, within a ``with`` block.

    ``plugin`` is what one would write in ``plugins:``, a path or a name; a relative
    path counts from the current directory, so tests best give
    ``Path(__file__).parent / "mine.py"``. ``settings`` is what would stand under it,
    ``required`` and ``hook_timeout`` included; the latter is PATIENCE unless given,
    since a busy machine may stall a test for longer than the program's 50 ms. Entering
    the block raises ConfigError for what ``--check`` would report, and PluginError if
    ``amiws_startup`` raises.

    Since filters fail open, a broken one would let a test of "this passes" succeed.
    So the end of the block raises AssertionError if hooks raised or overran, unless
    ``allow_faults`` is true.

    ``messages``  what clients get: after filters and transforms
    ``dropped``   messages that clients do not get, as they were fed
    ``faults``    the program's log lines on what the plugin did wrong, each of them
    ``log``       what the plugin logged itself, ``"LEVEL text"`` a line
    ``asked``     the server and the action of each ``context.ask``, answered as ``answer`` says
    ``published`` the plugin's own events, as messages
    """

    def __init__(
        self,
        plugin: str | Path,
        settings: Mapping[str, Any] | None = None,
        *,
        plugin_dirs: Sequence[str | Path] = (),
        allow_faults: bool = False,
    ) -> None:
        self.messages: list[Message] = []
        self.dropped: list[Message] = []
        self.faults: list[str] = []
        self.log: list[str] = []
        self.allow_faults = allow_faults
        self._name = str(plugin)
        self._settings = dict(settings or {})
        self._plugin_dirs = [str(folder) for folder in plugin_dirs]
        self._json: list[bytes] = []
        self._sources: dict[ServerInfo, Source] = {}
        # No limit on repeats: a test wants to see each fault.
        self._limiter = LogLimiter(interval=0.0)
        self._pipeline = Pipeline(self._publish)
        self._stack: contextlib.ExitStack | None = None
        self._program = FakeProgram()

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            stack.enter_context(_listening(_FAULTS_LOGGER, logging.WARNING, self._heard_fault))
            stack.enter_context(_listening(_PLUGIN_LOGGER, logging.DEBUG, self._heard_log))
            self._apply()
            stack.callback(lambda: self._pipeline.plugins.stop())
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._stack is not None
        self._stack.close()
        self._stack = None
        if not self.faults or self.allow_faults:
            return
        told = "\n".join(["the plugin did wrong (allow_faults=True permits it):", *self.faults])
        if error is None:
            raise AssertionError(told)
        error.add_note(told)

    @property
    def json(self) -> list[dict[str, Any]]:
        """What clients get, parsed: the five keys ``type`` to ``data`` of each message."""
        return [json.loads(text) for text in self._json]

    @property
    def plugin(self) -> Any:
        """The plugin's module, or the instance of its class ``Plugin``."""
        return self._running.code.plugin

    @property
    def settings(self) -> Any:
        """Its validated settings."""
        return self._running.settings

    @property
    def suspended(self) -> bool:
        """Whether its message hooks overran so often that they are not called any more."""
        return self._running.state.suspended

    def feed(self, *messages: Message, server: ServerInfo = SERVER) -> list[Message]:
        """Send messages of a server through filters and transforms.

        Returns what clients get of them. The log hook has seen them all once ``drain``
        has returned.
        """
        self._check_open()
        before = len(self.messages)
        source = self._source(server)
        for message in messages:
            passed = len(self.messages)
            self._pipeline.process(source, [message])
            while source.lane is not None:
                yield_to_loop()
            if len(self.messages) == passed:
                self.dropped.append(message)
        return self.messages[before:]

    def feed_raw(self, data: bytes | str, server: ServerInfo = SERVER) -> list[Message]:
        """``feed`` with AMI text: lines, and a blank line after each message.

        Line ends may be LF alone. Raises ValueError for a last message that
        is not ended.
        """
        parser = Parser()
        read = parser.receive_data(data.encode() if isinstance(data, str) else data)
        parser.receive_eof()
        if parser.counters.packets_cut:
            raise ValueError("the last message is not whole: a blank line must follow it")
        return self.feed(*read, server=server)

    def feed_capture(self, path: str | Path, server: ServerInfo = SERVER) -> list[Message]:
        """``feed`` with a file of raw AMI bytes, as tcpflow or ``nc`` write one; ``.gz`` too."""
        path = Path(path)
        parser = Parser()
        before = len(self.messages)
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            while data := file.read(READ_SIZE):
                self.feed(*parser.receive_data(data), server=server)
        return self.messages[before:]

    def server_changed(self, state: str, reason: str = "", server: ServerInfo = SERVER) -> None:
        """Tell of a connection: ``"connected"``, ``"disconnected"`` or ``"refused"``.

        As with all that plugins are only told of, ``drain`` waits for the hook.
        """
        self._plugins.server_changed(server, state, reason)

    @property
    def asked(self) -> list[tuple[int, dict[str, Any]]]:
        """Server and action of each question of the plugin."""
        return self._program.asked

    @property
    def published(self) -> list[Message]:
        """Events that the plugin has published."""
        return self._program.published

    @property
    def counters(self) -> dict[str, float]:
        """The plugin's own counters, by the name that it gave."""
        counters = self._running.desk.counters.items()
        return {name: counter.value for name, counter in counters}

    def answer(self, answer: Callable[[int, Mapping[str, Any]], Answer] | None) -> None:
        """How servers answer from now on: a function of server and action.

        It may raise ``AskError(code, text)``; None: they are not connected.
        """
        self._program.answer = answer

    def put(
        self,
        kind: str,
        id: str,  # noqa: A002 - as clients call it
        /,
        server: ServerInfo = SERVER,
        **fields: Any,
    ) -> None:
        """Make an entity of the live state, or change these fields of it.

        ``context.state`` has it, and ``amiws_state_changed`` is told, for which ``drain`` waits.
        """
        known = self._begin(server).setdefault((kind, id), {})
        changed = {name: one for name, one in fields.items() if known.get(name, known) != one}
        if changed:
            known.update(changed)
            self._plugins.state_changed(server, [_entity(server, kind, id, **changed)], [])

    def remove(
        self,
        kind: str,
        id: str,  # noqa: A002 - as clients call it
        /,
        server: ServerInfo = SERVER,
        **last: Any,
    ) -> None:
        """Take an entity of the live state away, with its last words."""
        if self._begin(server).pop((kind, id), None) is not None:
            gone = _entity(server, kind, id, **({"last": last} if last else {}))
            self._plugins.state_changed(server, [], [gone])

    def transform_entity(
        self,
        kind: str,
        id: str,  # noqa: A002 - as clients call it
        /,
        server: ServerInfo = SERVER,
        **fields: Any,
    ) -> dict[str, Any] | None:
        """The fields that clients see of an entity; None if they see nothing of it."""
        entities = [_entity(server, kind, id, **fields)]
        for entity in self._plugins.transform_entities(server, entities):
            return {name: one for name, one in entity.items() if name not in NAME}
        return None

    def _begin(self, server: ServerInfo) -> dict[tuple[str, str], dict[str, Any]]:
        self._check_open()
        self._program.known[server.id] = server
        return self._program.fields.setdefault(server.id, {})

    def drain(self, timeout: float = 10.0) -> None:
        """Wait until the hooks that nobody waits for have seen all there is.

        They are called in order: messages, news of servers and of clients. Raises
        AssertionError if they are not done within ``timeout`` seconds.
        """
        self._check_open()
        if not self._running.queue.drain(timeout):
            raise AssertionError(f"the log hook is not done after {timeout:g} s")

    def authorize_client(
        self,
        user: str | None = None,
        *,
        target: str = "/ws",
        headers: Mapping[str, str] | None = None,
        address: str = CLIENT.address,
    ) -> str | None:
        """Ask whether a WebSocket may be opened; None if so, else why not."""
        request = RequestInfo("GET", target, Headers((headers or {}).items()), "http", address)
        return self._plugins.authorize_client(request, user)

    def authorize_action(
        self, action: Mapping[str, Any] | ClientAction, client: ClientInfo = CLIENT
    ) -> str | None:
        """Ask whether an action may be sent; None if so, else what the client is told.

        ``action`` is as clients write it: ``{"Action": "Hangup", "Channel": "…"}``. Raises
        ActionError for what the program refuses before it asks plugins.
        """
        if not isinstance(action, ClientAction):
            action = parse_client_action(json.dumps(action))
        return self._plugins.authorize_action(action, client)

    def connect_client(
        self, user: str | None = None, *, address: str = CLIENT.address, view: str = CLIENT.view
    ) -> ClientInfo:
        """Tell of a client that came; returns it, to be given to ``disconnect_client``."""
        client = ClientInfo(address, user, view)
        self._plugins.client_connected(client)
        return client

    def disconnect_client(self, client: ClientInfo, code: int = 1000, reason: str = "") -> None:
        """Tell of a client that went, with its close code."""
        self._plugins.client_disconnected(client, code, reason)

    def reload(self, settings: Mapping[str, Any] | None = None) -> None:
        """As SIGHUP: reads the plugin's file again, and takes new ``settings`` if given.

        Waits for ``amiws_reload`` if that is due. Raises as entering the block does,
        with the plugin running as before.
        """
        self._check_open()
        before = self._settings
        if settings is not None:
            self._settings = dict(settings)
        try:
            self._apply()
        except Exception:
            self._settings = before
            raise
        self.drain()

    def web(self) -> FlaskClient:
        """A Flask test client of the plugin's blueprints alone, without the program's login."""
        from flask import Flask

        app = Flask("amiws_gevent_testing", static_folder=None)
        for _, blueprint in self._plugins.blueprints():
            app.register_blueprint(blueprint)
        return app.test_client()

    @property
    def _running(self) -> RunningPlugin:
        return self._pipeline.plugins.running[0]

    @property
    def _plugins(self) -> Plugins:
        self._check_open()
        return self._pipeline.plugins

    def _check_open(self) -> None:
        if self._stack is None:
            raise RuntimeError('the plugin runs only within "with PluginHarness(...) as NAME:"')

    def _apply(self) -> None:
        """Go from what runs to what the settings say, as the program's start and reload do."""
        change = Change(
            self._pipeline.plugins,
            self._load(),
            limiter=self._limiter,
            queue_limit=Limits().plugin_queue,
            facilities=self._program,
        )
        change.start()
        self._pipeline.plugins = change.plugins
        change.finish()

    def _load(self) -> tuple[PluginEntry, ...]:
        document = {
            "plugin_dirs": self._plugin_dirs,
            "plugins": [{self._name: _plain({"hook_timeout": PATIENCE, **self._settings})}],
            "amihosts": [{"name": SERVER.name, **_ACCOUNT}],
        }
        with tempfile.TemporaryDirectory(prefix="amiws-harness-") as folder:
            file = Path(folder) / "amiws.yaml"
            file.write_text(yaml.safe_dump(document, allow_unicode=True), encoding="utf-8")
            return load_settings(file, plugin_base=Path.cwd()).settings.plugins

    def _source(self, server: ServerInfo) -> Source:
        if server not in self._sources:
            account = {"id": server.id, "name": server.name, "ssl": server.ssl, **_ACCOUNT}
            self._sources[server] = Source(AmiHost.model_validate(account))
        return self._sources[server]

    def _publish(self, batch: Batch) -> None:
        self.messages += batch.messages
        self._json += batch.json

    def _heard_fault(self, record: logging.LogRecord) -> None:
        self.faults.append(record.getMessage())

    def _heard_log(self, record: logging.LogRecord) -> None:
        self.log.append(f"{record.levelname} {record.getMessage()}")


def _entity(server: ServerInfo, kind: str, key: str, **fields: Any) -> Entity:
    return {"server": server.id, "kind": kind, "id": key, **fields}


def _plain(value: Any) -> Any:
    """What YAML can hold: as the file would be written by hand; None is left out."""
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items() if one is not None}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(one) for one in value]
    return value if isinstance(value, (str, bool, int, float)) else str(value)


class _Listener(logging.Handler):
    def __init__(self, heard: Callable[[logging.LogRecord], None]) -> None:
        super().__init__()
        self._heard = heard

    def emit(self, record: logging.LogRecord) -> None:
        self._heard(record)


@contextlib.contextmanager
def _listening(name: str, level: int, heard: Callable[[logging.LogRecord], None]) -> Iterator[None]:
    """Hear what a logger and those below it log from ``level`` on, whatever level is set."""
    logger = logging.getLogger(name)
    handler = _Listener(heard)
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(level)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)
