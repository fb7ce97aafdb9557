from __future__ import annotations

from amiws_gevent.v2.textframes import TEXT_FRAMES, TextFrames
from amiws_gevent.web.frames import text_frame


def test_a_frame_for_each_message_as_it_is() -> None:
    texts = [b'{"op":"event"}', b'{"op":"state","position":"p"}']
    assert TEXT_FRAMES.encode(texts, None) == b"".join(map(text_frame, texts))
    assert TEXT_FRAMES.encode(texts, "p") == b"".join(map(text_frame, texts))


def test_it_is_a_value() -> None:
    assert {TEXT_FRAMES: 1}[TextFrames()] == 1
