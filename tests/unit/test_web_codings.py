"""Content codings: what a client takes, and how a long answer is put into one."""

from __future__ import annotations

import gzip
from collections.abc import Iterator

import flask
import pytest

from amiws_gevent.web import codings
from amiws_gevent.web.codings import SMALLEST, compress, quality

TEXT = b"much of it comes again, " * 20_000


@pytest.mark.parametrize(
    ("accepted", "liked"),
    [
        ("", 0),
        ("identity", 0),
        ("br", 0),
        ("gzip", 1),
        ("GZip", 1),
        ("br, gzip;q=0.5", 0.5),
        ("*", 1),
        ("*;q=0.2", 0.2),
        ("gzip;q=0, *", 0),
        ("*, gzip;q=0", 0),
        ("gzip;q=nonsense", 0),
        (", ;; =,", 0),
    ],
)
def test_what_a_client_takes(accepted: str, liked: float) -> None:
    assert quality(accepted, "gzip") == liked


@pytest.fixture
def _asked() -> Iterator[None]:
    app = flask.Flask(__name__)
    with app.test_request_context(headers={"Accept-Encoding": "gzip"}):
        yield


@pytest.mark.usefixtures("_asked")
def test_others_have_their_turn_amid_a_long_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    turns: list[int] = []
    monkeypatch.setattr(codings, "yield_to_loop", lambda: turns.append(1))
    response = compress(flask.Response(TEXT))
    assert gzip.decompress(response.get_data()) == TEXT
    assert len(turns) == len(TEXT) // 65536


@pytest.mark.usefixtures("_asked")
def test_a_short_answer_stays_as_it_is() -> None:
    assert compress(flask.Response(b"x" * (SMALLEST - 1))).content_encoding is None
    assert compress(flask.Response(b"x" * SMALLEST)).content_encoding == "gzip"


@pytest.mark.usefixtures("_asked")
def test_an_error_and_a_stream_stay_as_they_are() -> None:
    assert compress(flask.Response(TEXT, 404)).get_data() == TEXT
    stream = compress(flask.Response(iter([TEXT])))
    assert stream.content_encoding is None
    assert not stream.vary
