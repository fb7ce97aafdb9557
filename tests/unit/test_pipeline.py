from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any, NamedTuple

import gevent
import pytest

from amiws_gevent.ami import Kind, Message
from amiws_gevent.batch import Batch, Position
from amiws_gevent.config import AmiHost
from amiws_gevent.pipeline import Pipeline, Source
from amiws_gevent.plugins.manager import Plugins
from tests.support.greenlets import until
from tests.support.hosts import ami_host
from tests.support.patience import WAIT
from tests.support.plugins import SERVER, entry, running


def event(name: str, *more: tuple[str, str]) -> Message:
    return Message(Kind.EVENT, [("Event", name), *more])


class Envelope(NamedTuple):
    """One message of a batch."""

    message: Message
    json: bytes


def process(host: AmiHost, *messages: Message) -> list[Envelope]:
    batches: list[Batch] = []
    Pipeline(batches.append).process(Source(host), messages)
    assert len(batches) <= 1, "one batch a read"
    return [
        Envelope(message, text)
        for batch in batches
        for message, text in zip(batch.messages, batch.json, strict=True)
    ]


def test_one_batch_in_order_with_the_five_keys() -> None:
    host = ami_host(id=3, name="pbx-ü", ssl=True)
    envelopes = process(host, event("A"), Message(Kind.PROMPT, [("Product", "x")]), event("B"))
    parsed = [json.loads(envelope.json) for envelope in envelopes]
    assert list(parsed[0]) == ["type", "server_id", "server_name", "ssl", "data"]
    assert [(p["type"], p["server_id"], p["server_name"], p["ssl"]) for p in parsed] == [
        (3, 3, "pbx-ü", True),
        (1, 3, "pbx-ü", True),
        (3, 3, "pbx-ü", True),
    ]
    assert [p["data"] for p in parsed] == [{"Event": "A"}, {"Product": "x"}, {"Event": "B"}]


def test_event_names_hold_back_events_alone() -> None:
    host = ami_host(event_names=frozenset({"hangup", "newchannel"}))
    answer = Message(Kind.RESPONSE, [("Response", "Success"), ("Event", "VarSet")])
    names = ("Hangup", "VarSet", "HANGUP", "Hang")
    kept = process(host, *(event(name, ("Privilege", "call,all")) for name in names), answer)
    assert [json.loads(e.json)["data"] for e in kept] == [
        {"Event": "Hangup", "Privilege": "call,all"},
        {"Event": "HANGUP", "Privilege": "call,all"},
        {"Response": "Success", "Event": "VarSet"},
    ]


def test_event_names_hold_back_no_answer() -> None:
    answers = [
        event("Status", ("Privilege", "Call"), ("ActionID", "1")),
        event("Status", ("Privilege", "Call")),
        event("QueueMember", ("ActionID", "1")),
        event("QueueMember"),
        event("QueueStatusComplete", ("EventList", "Complete")),
    ]
    kept = process(ami_host(event_names=frozenset({"hangup"})), *answers)
    assert [envelope.message for envelope in kept] == answers
    for name in ("OriginateResponse", "UserEvent", "SIPQualifyPeerDone"):
        news = event(name, ("Privilege", "call,all"), ("ActionID", "1"))
        assert process(ami_host(event_names=frozenset({"hangup"})), news) == []


def test_the_observer_gets_all_of_a_read_before_anything_is_left_out() -> None:
    source = Source(ami_host(event_names=frozenset({"hangup"})))
    batches: list[Batch] = []
    told: list[tuple[list[str], int, int]] = []
    source.observer = lambda messages, offset: told.append(
        ([message.name for message in messages], offset, len(batches))
    )
    pipeline = Pipeline(batches.append)
    news = ("Privilege", "call,all")
    pipeline.process(source, [event("VarSet", news), event("Hangup", news)])
    pipeline.process(source, [event("VarSet", news)])
    assert told == [(["VarSet", "Hangup"], 1, 0), (["VarSet"], 2, 1)]
    assert [batch.position.offset for batch in batches] == [1]


def test_a_batch_of_nothing_is_not_published() -> None:
    news = event("VarSet", ("Privilege", "dialplan,all"))
    assert process(ami_host(event_names=frozenset({"hangup"})), news) == []


def test_what_a_server_sends_is_counted_by_kind_before_anything_is_held_back() -> None:
    source = Source(ami_host(event_names=frozenset({"hangup"})))
    pipeline = Pipeline(lambda batch: None)
    pipeline.process(source, [Message(Kind.PROMPT, [("Product", "x")]), event("Hangup")])
    pipeline.process(source, [event("VarSet"), event("VarSet"), Message(Kind.QUEUE, [])])
    assert source.received == [0, 1, 0, 3, 0, 0, 1]
    assert Source(ami_host()).received == [0] * 7


class TestPositions:
    """Each read has its place in the server's stream, whatever comes of it."""

    def test_reads_are_counted_whether_or_not_something_is_left_of_them(self) -> None:
        batches: list[Batch] = []
        source = Source(ami_host(event_names=frozenset({"hangup"})), epoch="e")
        pipeline = Pipeline(batches.append)
        news = event("VarSet", ("Privilege", "dialplan,all"))
        for read in ([news, event("Hangup")], [news], [event("Hangup")]):
            pipeline.process(source, read)
        assert [batch.position for batch in batches] == [Position("e", 1), Position("e", 3)]

    def test_each_stream_has_an_epoch_and_an_offset_of_its_own(self) -> None:
        batches: list[Batch] = []
        pipeline = Pipeline(batches.append)
        one, other, again = Source(ami_host()), Source(ami_host(id=2)), Source(ami_host())
        for source in (one, one, other, again):
            pipeline.process(source, [event("A")])
        assert [batch.position.offset for batch in batches] == [1, 2, 1, 1]
        assert len({batch.position.epoch for batch in batches}) == 3
        assert batches[0].position.epoch == batches[1].position.epoch == one.epoch

    def test_a_read_keeps_its_position_while_it_waits_for_plugins(self, tmp_path: Path) -> None:
        batches: list[Batch] = []
        drops = """
            import gevent
            def amiws_filter_message(message):
                gevent.sleep(0)
                return message.name != "Drop"
            """
        plugins = running(entry(tmp_path, drops, hook_timeout=600.0))
        pipeline = Pipeline(batches.append, plugins, limit=4)
        source = Source(ami_host(), epoch="e")
        for name in ("A", "Drop", "B", "C"):
            pipeline.process(source, [event(name)])
        assert source.offset == 4, "given when the read arrives"
        pipeline.process(source, [event("too many")] * 4)
        pipeline.drain(10)
        pipeline.process(source, [event("F")])
        pipeline.drain(10)
        assert [batch.position.offset for batch in batches] == [1, 3, 4, 6]

    def test_a_message_that_spoils_its_batch_leaves_its_position(self, tmp_path: Path) -> None:
        batches: list[Batch] = []
        spoils = """
            def amiws_transform_message(message):
                if message.name == "Bad":
                    message.kind = "x"
            """
        plugins = running(entry(tmp_path, spoils, hook_timeout=600.0))
        pipeline = Pipeline(batches.append, plugins)
        source = Source(ami_host(), epoch="e")
        pipeline.process(source, [event("Bad"), event("A")])
        pipeline.drain(10)
        assert [batch.position for batch in batches] == [Position("e", 1)]


def test_a_batch_knows_the_server_and_no_link() -> None:
    batches: list[Batch] = []
    source = Source(ami_host(id=3, name="pbx", ssl=True), epoch="e")
    messages = [event("A"), event("B")]
    Pipeline(batches.append).process(source, messages)
    (batch,) = batches
    assert batch.server == source.info
    assert batch.messages == messages
    assert pickle.loads(pickle.dumps(batch)) == batch


class TestPlugins:
    """Messages in lanes through plugins: in order, bounded, held while plugins change."""

    @pytest.fixture
    def batches(self) -> list[Batch]:
        return []

    def pipeline(
        self, folder: Path, batches: list[Batch], source: str, limit: int = 1000
    ) -> Pipeline:
        plugins = running(entry(folder, source, hook_timeout=600.0))
        plugins.running[0].start()
        return Pipeline(batches.append, plugins, limit=limit)

    def names(self, batches: list[Batch]) -> list[str]:
        return [message.name for batch in batches for message in batch.messages]

    WAITS = """
        import gevent
        def amiws_filter_message(message):
            if message.name == "Wait":
                gevent.sleep(0.02)
            if message.name == "Drop":
                return False
        """

    WAITS_FOREVER = "import gevent\ndef amiws_filter_message():\n    gevent.sleep(3600)\n"

    def test_without_a_hook_for_messages_they_go_on_at_once(
        self, tmp_path: Path, batches: list[Batch]
    ) -> None:
        pipeline = self.pipeline(tmp_path, batches, "def amiws_reload(): pass")
        source = Source(ami_host())
        pipeline.process(source, [event("A")])
        assert self.names(batches) == ["A"]
        assert source.lane is None

    def test_order_is_kept_and_the_reader_never_waits(
        self, tmp_path: Path, batches: list[Batch]
    ) -> None:
        pipeline = self.pipeline(tmp_path, batches, self.WAITS)
        source, other = Source(ami_host()), Source(ami_host(id=2))
        pipeline.process(source, [event("1"), event("Wait"), event("Drop"), event("2")])
        pipeline.process(source, [event("3")])
        pipeline.process(other, [event("other")])
        assert batches == [], "no hook has had its turn"
        until(lambda: source.lane is None and other.lane is None)
        assert self.names(batches) == ["other", "1", "Wait", "2", "3"]
        assert [len(batch) for batch in batches] == [1, 3, 1], "a batch a read"

    CHANGES = """
        from amiws_gevent.ami import Message
        made = {}
        def amiws_transform_message(message):
            if message.name == "Bad":
                message.kind = "x"
            if message.name == "Shared":
                made["Event"] = "Shared"
                return Message(message.kind, made)
            if message.name == "Late":
                made[5] = "x"
        """

    def test_a_message_changed_in_place_is_dropped_alone_and_then_put_right(
        self, tmp_path: Path, batches: list[Batch], caplog: pytest.LogCaptureFixture
    ) -> None:
        pipeline = self.pipeline(tmp_path, batches, self.CHANGES)
        (plugin,) = pipeline.plugins.running
        source = Source(ami_host())
        for _ in range(2):
            pipeline.process(source, [event("A"), event("Bad"), event("B")])
            pipeline.drain(10)
        assert self.names(batches) == ["A", "B", "A", "Bad", "B"]
        assert plugin.state.faults == {"amiws_transform_message": 2}
        assert "plugin ./mine.py in amiws_transform_message changed it in place" in caplog.text
        assert "changed a message in place" not in caplog.text, "within the same minute"

    def test_so_is_one_whose_dict_the_plugin_has_kept(
        self, tmp_path: Path, batches: list[Batch]
    ) -> None:
        pipeline = self.pipeline(tmp_path, batches, self.CHANGES)
        for _ in range(2):
            pipeline.plugins.running[0].code.plugin.made.clear()  # type: ignore[attr-defined]
            pipeline.process(Source(ami_host()), [event("Shared"), event("Late"), event("B")])
            pipeline.drain(10)
        assert self.names(batches) == ["Late", "B", "Shared", "Late", "B"]

    def test_of_a_required_plugin_it_is_dropped(self, tmp_path: Path, batches: list[Batch]) -> None:
        plugins = running(entry(tmp_path, self.CHANGES, required=True, hook_timeout=600.0))
        pipeline = Pipeline(batches.append, plugins)
        for _ in range(2):
            pipeline.process(Source(ami_host()), [event("Bad"), event("B")])
            pipeline.drain(10)
        assert self.names(batches) == ["B", "B"]

    def test_a_batch_of_nothing_else_is_not_published(
        self, tmp_path: Path, batches: list[Batch]
    ) -> None:
        pipeline = self.pipeline(tmp_path, batches, self.CHANGES)
        pipeline.process(Source(ami_host()), [event("Bad")])
        pipeline.drain(10)
        assert batches == []

    def test_a_batch_of_which_nothing_is_left_is_not_published(
        self, tmp_path: Path, batches: list[Batch]
    ) -> None:
        pipeline = self.pipeline(tmp_path, batches, self.WAITS)
        pipeline.process(Source(ami_host()), [event("Drop")])
        pipeline.drain(10)
        assert batches == []

    def test_log_hooks_see_what_clients_get(self, tmp_path: Path, batches: list[Batch]) -> None:
        pipeline = self.pipeline(
            tmp_path,
            batches,
            """
            SEEN = []
            def amiws_filter_message(message):
                return False if message.name == "Drop" else None
            def amiws_transform_message(message):
                return message.replace("Secret", "***")
            def amiws_log_message(message, server, json):
                SEEN.append((message, server, json))
            """,
        )
        source = Source(ami_host(name="pbx"))
        pipeline.process(source, [event("A", ("Secret", "1234")), event("Drop")])
        pipeline.drain(10)
        (plugin,) = pipeline.plugins.running
        assert plugin.queue.drain(10)
        ((message, server, text),) = plugin.code.plugin.SEEN  # type: ignore[attr-defined]
        assert (message.get("Secret"), server) == ("***", source.info)
        assert [text] == batches[0].json
        assert b"1234" not in text

    def test_what_waits_is_bounded_and_told(
        self, tmp_path: Path, batches: list[Batch], caplog: pytest.LogCaptureFixture
    ) -> None:
        pipeline = self.pipeline(tmp_path, batches, self.WAITS, limit=100)
        source = Source(ami_host(name="pbx"))
        for _ in range(5):
            pipeline.process(source, [event("A")] * 40)
        assert pipeline.dropped_messages == 120
        pipeline.drain(10)
        assert len(self.names(batches)) == 80
        (told,) = caplog.messages
        assert told.startswith("pbx: messages dropped because plugins process them more slowly")
        assert "limits.plugin_messages; 40 so far" in told

    def test_a_read_that_is_longer_than_the_bound_passes_an_empty_lane(
        self, tmp_path: Path, batches: list[Batch]
    ) -> None:
        pipeline = self.pipeline(tmp_path, batches, self.WAITS, limit=10)
        pipeline.process(Source(ami_host()), [event("A")] * 40)
        pipeline.drain(10)
        assert len(self.names(batches)) == 40

    def test_messages_that_wait_go_through_the_plugins_that_are_there_then(
        self, tmp_path: Path, batches: list[Batch]
    ) -> None:
        pipeline = self.pipeline(tmp_path, batches, self.WAITS)
        source = Source(ami_host())
        pipeline.process(source, [event("Drop")])
        pipeline.plugins = Plugins()
        pipeline.process(source, [event("A")])
        pipeline.drain(10)
        assert self.names(batches) == ["Drop", "A"]

    def test_held_they_wait_for_the_new_plugins(self, tmp_path: Path, batches: list[Batch]) -> None:
        pipeline = Pipeline(batches.append)
        source = Source(ami_host())
        pipeline.process(source, [event("1")])
        with pipeline.holding():
            pipeline.process(source, [event("2"), event("Drop")])
            gevent.sleep(0.01)
            assert self.names(batches) == ["1"]
            pipeline.plugins = running(entry(tmp_path, self.WAITS))
        pipeline.process(source, [event("3")])
        pipeline.drain(10)
        assert self.names(batches) == ["1", "2", "3"]

    def test_holding_begins_when_no_plugin_is_at_work(
        self, tmp_path: Path, batches: list[Batch]
    ) -> None:
        source_text = """
            from gevent.event import Event
            ASKED, GO_ON = Event(), Event()
            def amiws_filter_message(message):
                if message.name == "Wait":
                    ASKED.set()
                    GO_ON.wait()
            """
        pipeline = self.pipeline(tmp_path, batches, source_text)
        plugin: Any = pipeline.plugins.running[0].code.plugin
        source = Source(ami_host())
        pipeline.process(source, [event("Wait"), event("A")])
        pipeline.process(source, [event("B")])
        assert plugin.ASKED.wait(WAIT)
        gevent.spawn(plugin.GO_ON.set)  # has its turn once this greenlet waits
        with pipeline.holding():
            assert self.names(batches) == ["Wait", "A"]
        pipeline.drain(10)
        assert self.names(batches) == ["Wait", "A", "B"]

    def test_holding_waits_not_forever(
        self, tmp_path: Path, batches: list[Batch], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("amiws_gevent.pipeline.HOLD_TIME", 0.01)
        pipeline = self.pipeline(tmp_path, batches, self.WAITS_FOREVER)
        pipeline.process(Source(ami_host()), [event("A")])
        gevent.sleep(0)
        with gevent.Timeout(WAIT), pipeline.holding():
            assert batches == []

    def test_an_error_within_the_block_ends_the_holding(self, batches: list[Batch]) -> None:
        pipeline = Pipeline(batches.append)
        with pytest.raises(ValueError, match="refused"), pipeline.holding():
            raise ValueError("refused")
        pipeline.process(Source(ami_host()), [event("A")])
        assert self.names(batches) == ["A"]

    def test_draining_waits_no_longer_than_told(self, tmp_path: Path, batches: list[Batch]) -> None:
        pipeline = self.pipeline(tmp_path, batches, self.WAITS_FOREVER)
        pipeline.process(Source(ami_host()), [event("A")])
        with gevent.Timeout(WAIT):
            pipeline.drain(0.02)
        assert batches == []


class TestShown:
    """What one client gets alone goes through the transforms."""

    SOURCE = """
        import gevent
        CALLS = []
        def amiws_filter_message():
            return False
        def amiws_transform_message(message):
            CALLS.append(message.name)
            gevent.sleep(0.001)
            if message.name == "Spoilt":
                message.kind = "x"
                return None
            return message.replace("CallerIDNum", "***")
        """

    def pipeline(self, tmp_path: Path, **options: Any) -> Pipeline:
        plugins = running(entry(tmp_path, self.SOURCE, hook_timeout=600.0, **options))
        return Pipeline(lambda _: None, plugins)

    def test_masked_and_not_filtered(self, tmp_path: Path) -> None:
        bare = event("A", ("CallerIDNum", "5145550199"))
        shown = self.pipeline(tmp_path).shown(SERVER, [bare, bare])
        assert [one.get("CallerIDNum") for one in shown] == ["***", "***"]

    def test_without_plugins_it_is_what_it_was(self) -> None:
        messages = [event("A")]
        assert Pipeline(lambda _: None).shown(SERVER, messages) is messages

    def test_what_cannot_be_sent_any_more_is_left_out_and_told(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        pipeline = self.pipeline(tmp_path)
        shown = pipeline.shown(SERVER, [event("A"), event("Spoilt"), event("B")])
        assert [one.name for one in shown] == ["A", "B"]
        assert "pbx: message dropped because plugin ./mine.py" in caplog.text

    def test_while_plugins_are_replaced_it_waits_for_the_new_ones(self, tmp_path: Path) -> None:
        pipeline = Pipeline(lambda _: None)
        with pipeline.holding():
            shown = gevent.spawn(pipeline.shown, SERVER, [event("A", ("CallerIDNum", "1"))])
            gevent.sleep(0.01)
            assert not shown.ready()
            pipeline.plugins = self.pipeline(tmp_path).plugins
        assert shown.get()[0].get("CallerIDNum") == "***"

    def test_no_plugin_is_replaced_while_it_is_at_work(self, tmp_path: Path) -> None:
        pipeline = self.pipeline(tmp_path)
        plugin: Any = pipeline.plugins.running[0].code.plugin
        shown = gevent.spawn(pipeline.shown, SERVER, [event("A")] * 3)
        while not plugin.CALLS:
            gevent.sleep(0)
        with pipeline.holding():
            assert len(plugin.CALLS) == 3
        assert len(shown.get()) == 3


def test_who_wants_to_hears_of_each_read_before_anything_is_left_out() -> None:
    heard: list[tuple[int, int]] = []
    pipeline = Pipeline(lambda _: None)
    pipeline.on_read = lambda server, messages: heard.append((server, len(messages)))
    source = Source(ami_host(id=3, event_names=frozenset({"a"})))
    pipeline.process(source, [event("A"), event("B")])
    assert heard == [(3, 2)]
