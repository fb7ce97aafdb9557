"""What plugins share: what waits for a receiver, within its bounds."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gevent
import pytest
from gevent import socket as gsocket

from amiws_gevent.plugins import SettingError
from amiws_gevent.plugins.kit import HostNotFound, Outbox, connect, tls_context
from tests.support.patience import WAIT


def drain(outbox: Outbox[bytes]) -> list[bytes]:
    return [outbox.pop() for _ in range(len(outbox))]


def test_first_in_first_out() -> None:
    outbox: Outbox[bytes] = Outbox(10, 1000)
    for line in (b"a", b"b", b"c"):
        outbox.put(line)
    assert outbox.first() == b"a"
    assert drain(outbox) == [b"a", b"b", b"c"]
    assert outbox.dropped == 0
    with pytest.raises(IndexError):
        outbox.pop()


def test_past_the_number_the_oldest_goes() -> None:
    outbox: Outbox[bytes] = Outbox(2, 1000)
    for line in (b"a", b"b", b"c", b"d"):
        outbox.put(line)
    assert drain(outbox) == [b"c", b"d"]
    assert outbox.dropped == 2


def test_past_the_bytes_the_oldest_go() -> None:
    outbox: Outbox[bytes] = Outbox(100, 10)
    for line in (b"1234", b"5678", b"90", b"abcdef"):
        outbox.put(line)
    assert drain(outbox) == [b"90", b"abcdef"]
    assert outbox.dropped == 2
    outbox.put(b"x" * 10)
    assert len(outbox) == 1
    outbox.put(b"y" * 11)
    assert len(outbox) == 0
    assert outbox.dropped == 4


def test_lines_that_are_put_back_are_the_oldest() -> None:
    outbox: Outbox[bytes] = Outbox(3, 1000)
    outbox.put(b"c")
    outbox.put(b"d")
    outbox.put_back([b"a", b"b"])
    assert outbox.dropped == 1
    assert drain(outbox) == [b"b", b"c", b"d"]
    outbox.put_back([])
    assert len(outbox) == 0


def test_a_line_may_go_before_a_full_queue() -> None:
    outbox: Outbox[bytes] = Outbox(2, 2)
    outbox.put(b"a")
    outbox.put(b"b")
    outbox.put_first(b"news")
    assert drain(outbox) == [b"news", b"a", b"b"]
    assert outbox.dropped == 0
    outbox.put(b"cd")
    assert drain(outbox) == [b"cd"]


def test_what_is_held_takes_room_until_it_is_done_with() -> None:
    outbox: Outbox[bytes] = Outbox(3, 10)
    outbox.held, outbox.held_bytes = 1, 4
    assert [outbox.put(line) for line in (b"a", b"b", b"c")] == [0, 0, 1]
    assert not outbox.has_room(0)
    assert outbox.put(b"12345") == 1
    assert drain(outbox) == [b"c", b"12345"]
    outbox.held = outbox.held_bytes = 0
    assert outbox.has_room(10)
    assert not outbox.has_room(11)


def test_the_newest_goes_where_all_room_is_held() -> None:
    outbox: Outbox[bytes] = Outbox(2, 10)
    outbox.held = 2
    assert outbox.put(b"a") == 1
    assert (len(outbox), outbox.bytes, outbox.dropped) == (0, 0, 1)


def test_items_of_any_kind_with_a_size_of_their_own() -> None:
    outbox: Outbox[tuple[str, int]] = Outbox(10, 10, lambda item: item[1])
    assert [outbox.put(item) for item in (("a", 4), ("b", 6), ("c", 5))] == [0, 0, 2]
    assert outbox.pop() == ("c", 5)


# -- connections -------------------------------------------------------------------------


@pytest.fixture
def listening() -> Iterator[Any]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()


@contextlib.contextmanager
def silence() -> Iterator[Any]:
    """The address of a system that answers nothing."""
    with (
        socket.create_server(("127.0.0.1", 0), backlog=0) as server,
        socket.create_connection(server.getsockname()),  # fills the backlog
    ):
        yield server.getsockname()


def found_at(monkeypatch: pytest.MonkeyPatch, *places: Any) -> None:
    infos = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", place) for place in places]
    monkeypatch.setattr(gsocket, "getaddrinfo", lambda *_, **__: infos)


def test_the_next_address_has_its_share_of_the_time(
    listening: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with silence() as silent:
        found_at(monkeypatch, silent, listening)
        with connect("two.example", 1, 4.0) as sock:
            assert sock.getpeername() == listening
            assert sock.gettimeout() is None


def test_all_addresses_together_have_the_time_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    with silence() as silent, gevent.Timeout(WAIT):
        found_at(monkeypatch, silent, silent)
        with pytest.raises(TimeoutError, match="no answer in time"):
            connect("two.example", 1, 0.2)


def test_the_failure_of_the_last_address_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    found_at(monkeypatch, ("127.0.0.1", 1))
    with pytest.raises(ConnectionRefusedError):
        connect("one.example", 1, 60)
    found_at(monkeypatch)
    with pytest.raises(OSError, match="it has no address"):
        connect("none.example", 1, 60)


def test_a_name_that_is_not_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def look_up(host: str, *_: Any, **__: Any) -> Any:
        host.encode("idna")
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(gsocket, "getaddrinfo", look_up)
    with pytest.raises(HostNotFound, match=r"^Name or service not known$"):
        connect("nowhere.example", 1, 60)
    with pytest.raises(HostNotFound, match=r"^a\.\.b is not a host name$"):
        connect("a..b", 1, 60)
    monkeypatch.setattr(gsocket, "getaddrinfo", lambda *_, **__: gevent.sleep(60))
    with pytest.raises(HostNotFound, match="the name server does not answer"):
        connect("slow.example", 1, 0.05)


# -- TLS ---------------------------------------------------------------------------------


def test_a_file_of_tls_that_is_of_no_use_is_an_error_of_its_setting(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"gone\.pem: cannot be used") as caught:
        tls_context(ca=tmp_path / "gone.pem")
    assert caught.value.key == "ssl_ca"
