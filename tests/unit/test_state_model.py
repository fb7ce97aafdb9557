from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from amiws_gevent.ami import Kind, Message
from amiws_gevent.state.model import Model
from amiws_gevent.state.part import Part, Steps, TakeEvent, TakeList, TakeNews
from amiws_gevent.state.store import Store


class Noting(Part):
    """Notes what it gets, with its name."""

    def __init__(self, store: Store, name: str, notes: list[object]) -> None:
        super().__init__(store)
        self._name = name
        self._notes = notes

    @property
    def news(self) -> Mapping[str, TakeNews]:
        return {"hangup": lambda values: self._note(values["Event"], self.store.alone)}

    @property
    def events(self) -> Mapping[str, TakeEvent]:
        return {"parkedcall": lambda message: self._note(message.name)}

    @property
    def lists(self) -> Mapping[str, TakeList]:
        return {"parkedcalls": self._listed}

    def _listed(self, items: Sequence[Message], asked: int) -> Steps:
        for number in range(len(items)):
            self._note(number, asked)
            yield

    def tick(self) -> None:
        self._note("tick")

    def _note(self, *what: object) -> None:
        self._notes.append((self._name, self.now, *what))


def model() -> tuple[Model, list[object]]:
    notes: list[object] = []
    store = Store()
    return Model(store, [Noting(store, "a", notes), Noting(store, "b", notes)]), notes


@pytest.mark.pure
def test_all_parts_get_an_event_in_their_order() -> None:
    told, notes = model()
    told.receive([Message(Kind.EVENT, {"Event": "PARKEDCALL"})], 1, 10)
    assert notes == [("a", 10, "PARKEDCALL"), ("b", 10, "PARKEDCALL")]
    assert told.store.offset == 1


@pytest.mark.pure
def test_items_of_lists_are_no_events() -> None:
    told, notes = model()
    item = Message(Kind.EVENT, {"Event": "ParkedCall", "ActionID": "x"})
    response = Message(Kind.RESPONSE, {"Response": "Success"})
    told.receive([item, response, Message(Kind.EVENT, {"Event": "Other"})], 1, 10)
    assert notes == []


@pytest.mark.pure
def test_news_are_taken_whatever_id_they_carry() -> None:
    told, notes = model()
    for name in ("Hangup", "HANGUP"):
        told.receive([Message(Kind.EVENT, {"Event": name, "ActionID": "x"})], len(notes), 10)
    assert [what for _, _, what, _ in notes] == ["Hangup", "Hangup", "HANGUP", "HANGUP"]  # type: ignore[misc]


@pytest.mark.pure
def test_a_read_has_the_store_alone_unless_it_is_of_an_offset_that_was_taken() -> None:
    told, notes = model()
    hangup = Message(Kind.EVENT, {"Event": "Hangup"})
    for offset in (1, 1, 2):
        told.receive([hangup], offset, 10)
        assert not told.store.alone
    assert [alone for _, _, _, alone in notes] == [True, True, False, False, True, True]  # type: ignore[misc]


@pytest.mark.pure
def test_a_read_that_fails_has_the_store_alone_no_more() -> None:
    told, _ = model()
    broken = Message(Kind.EVENT, {"Event": "Hangup"})
    told._news = {"hangup": (lambda values: 1 / 0,)}  # type: ignore[dict-item, return-value]
    with pytest.raises(ZeroDivisionError):
        told.receive([broken], 1, 10)
    assert not told.store.alone


@pytest.mark.pure
def test_a_list_is_taken_in_steps_which_are_of_their_own_times() -> None:
    told, notes = model()
    item = Message(Kind.EVENT, {"Event": "ParkedCall", "ActionID": "x"})
    for number, _ in enumerate(told.receive_list("ParkedCalls", [item, item], 1)):
        told.begin(2 + number, 20 + number)
    assert notes == [("a", 0, 0, 1), ("a", 20, 1, 1), ("b", 21, 0, 1), ("b", 22, 1, 1)]
    assert list(told.receive_list("Other", [item], 1)) == []


@pytest.mark.pure
def test_time_passes_for_all_parts() -> None:
    told, notes = model()
    told.tick(1, 10)
    assert notes == [("a", 10, "tick"), ("b", 10, "tick")]


@pytest.mark.pure
def test_a_server_that_makes_up_names_takes_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("amiws_gevent.state.model.MOST_SPELLINGS", 10)
    told, notes = model()
    for number in range(20):
        told.receive([Message(Kind.EVENT, {"Event": f"No{number}"})], number, 10)
    assert len(told._spelled) == 10
    told.receive([Message(Kind.EVENT, {"Event": "parkedCALL"})], 20, 10)
    assert len(notes) == 2


@pytest.mark.pure
def test_a_name_of_an_event_is_known_by_any_spelling_of_its_header() -> None:
    told, notes = model()
    told.receive([Message(Kind.EVENT, {"event": "ParkedCall"})], 1, 10)
    assert len(notes) == 2
