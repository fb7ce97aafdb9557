from __future__ import annotations

from amiws_gevent.v2.textframes import TEXT_FRAMES, TextFrames
from amiws_gevent.web.frames import text_frame


def test_a_frame_for_each_message_with_the_position_in_the_last() -> None:
    texts = [b'{"op":"event"}', b'{"op":"state","set":[]}']
    assert TEXT_FRAMES.encode(texts, None) == b"".join(map(text_frame, texts))
    assert TEXT_FRAMES.encode(texts, "Ab-_9") == text_frame(texts[0]) + text_frame(
        b'{"op":"state","set":[],"position":"Ab-_9"}'
    )
    assert TEXT_FRAMES.encode(texts[:1], "p") == text_frame(b'{"op":"event","position":"p"}')


def test_it_is_a_value() -> None:
    assert {TEXT_FRAMES: 1}[TextFrames()] == 1
